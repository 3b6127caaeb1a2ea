# SPDX-License-Identifier: Apache-2.0
"""`atlas serve` and `atlas sim` as processes of their own, on ports that the kernel chooses."""
import contextlib
import datetime
import json
import os
import pathlib
import re
import resource
import signal
import sqlite3
import ssl
import subprocess

import httpx

from harness.waiting import until

ATLAS = pathlib.Path(os.environ.get("ATLAS", "build/atlas")).resolve()
_program = ATLAS.read_bytes()
SANITIZED = any(mark in _program for mark in (b"__asan_init", b"__tsan_init", b"__gcov_init"))
SLOWER = 10 if SANITIZED else 1  # how much longer a limit on time may be

PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # making one a client is what takes httpx its time
EXPECTED = ("keys_guessed", "revoked_key_used")  # of whoever tests bad keys, and revoked ones
LOG_LINE = re.compile(r"^\S+ (debug|info|warn|error) +(\S+)  (.*)$")


def raise_file_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def get(url, **more):
    return httpx.get(url, timeout=10 * SLOWER, verify=PLAIN, **more)


def rfc3339(seconds):
    """A time as the admin API takes it."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat(timespec="milliseconds")


def run(*arguments, env=None, timeout=60 * SLOWER, **more):
    """One atlas command, to its end; `input`: its standard input, else nothing."""
    return subprocess.run([ATLAS, *(a if isinstance(a, bytes) else str(a) for a in arguments)], capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(env or {})}, check=False, **{"input": "", **more})


def stubborn(config):
    """The configuration, of whose model servers none is left in peace when it fails: for tests that have one fail again and again."""
    for upstream in config["upstreams"].values():
        upstream.setdefault("breaker", False)
    return config


class Gateway:
    """A data folder, a configuration, and the parent process that serves with them."""

    def __init__(self, folder, config, env=None, key=True, log_file=None, data=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config_path = self.folder / "atlas.yaml"
        self.data = pathlib.Path(data or self.folder / "data")
        self.said_path = self.folder / "said"  # standard output and error
        self.log_path = log_file or self.said_path
        self.env = env or {}
        self.process = None
        self.announced = []
        self.log_read = 0
        self.clients = []
        self.write(config)
        made = run("init", "--config", self.config_path, env=self.env)
        assert made.returncode == 0, made.stderr
        self.start()
        self.key = self.new_key("tests")["key"] if key else None

    # ---- the configuration ----

    def write(self, config):
        """Replaces the configuration: a mapping, with what tests need where it says nothing (None: left out); or text."""
        if not isinstance(config, str):
            whole = {
                "zone": "test-zone",
                "region": "sa",
                "data": str(self.data),
                "workers": 2,
                "drain_notice": "0s",
                "listen": [{"address": "127.0.0.1:0"}],
                "admin": {"address": "127.0.0.1:0"},
                **config,
                "client": {"guesses_per_minute": 0, **config.get("client", {})},  # all tests are one address
            }
            whole = {name: value for name, value in whole.items() if value is not None}
            self.config = whole
            config = json.dumps(whole, indent=2)
        self.config_path.write_text(config)

    def reload(self, config=None, expect="reloaded"):
        if config is not None:
            self.write(config)
        before = self.count_log(expect)
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.count_log(expect) > before, 5 * SLOWER, expect)

    # ---- the process ----

    def start(self, ready=True):
        self.log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.said_path, "ab") as log:
            self.process = subprocess.Popen([ATLAS, "serve", "--config", str(self.config_path)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={**os.environ, **self.env})
        if ready:
            until(lambda: self.count_log("ready", self.log_from) or self.process.poll() is not None, 10 * SLOWER, "ready")
            assert self.process.poll() is None, self.log()
            self._read_addresses()

    def _read_addresses(self):
        lines = [LOG_LINE.match(line) for line in self.log(self.log_from).splitlines()]
        said = [(m[2], m[3]) for m in lines if m]
        self.urls = [text for event, text in said if event == "listening"]
        self.url = next((u for u in self.urls if u.startswith("http:")), self.urls[0])
        self.ports = [int(u.rsplit(":", 1)[1]) for u in self.urls]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.admin_url = next(text for event, text in said if event == "listening_admin")

    def children(self):
        """Process ids of the gateway under the parent: none or one."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        try:
            return [int(pid) for pid in pathlib.Path(path).read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            return []

    def stop(self, within_s=20):
        """SIGTERM and the end; gives the exit status."""
        for client in self.clients:
            client.close()
        self.clients.clear()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(within_s * SLOWER)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGTERM)  # asked twice, the child is killed
                self.process.wait(within_s * SLOWER)
                raise
        return self.process.returncode

    def kill(self):
        self.process.kill()
        self.process.wait()

    # ---- the log ----

    def log(self, since=0):
        if not self.log_path.exists():
            return ""
        with open(self.log_path, "rb") as f:
            f.seek(since)
            return f.read().decode(errors="replace")

    def until_recorded(self):
        """Waits until what `atlas init` made is recorded: from then on the rows lack nothing that is not of the test."""
        def rest():
            with contextlib.closing(sqlite3.connect(self.data / "atlas.db", timeout=20)) as db:
                return db.execute("SELECT count(*) FROM unrecorded").fetchone()[0]
        until(lambda: rest() == 0, 20 * SLOWER, "what init made is recorded")

    def count_log(self, event, since=0):
        return sum(1 for line in self.log(since).splitlines() if (m := LOG_LINE.match(line)) and m[2] == event)

    def announce(self, *events):
        """From now on to the end of the test these warnings and errors are expected."""
        self.announced += [[event, None] for event in events]

    def forget_announced(self):
        """The test ended: what was said by now was expected, though it may be written a moment later."""
        now = datetime.datetime.now(datetime.timezone.utc).isoformat()
        self.announced = [[event, end or now] for event, end in self.announced[-100:]]

    def is_announced(self, event, line):
        if event == "upstream_down":  # follows where calls fail, whenever the gateway looks next
            return any(name in ("call_failed", event) for name, _ in self.announced)
        if "more within a second" in line:  # tells of a second that is over, perhaps behind its test's end
            return any(event == name for name, _ in self.announced)
        when = line.split()[0].rstrip("Z")
        return any(event == name and (end is None or when <= end) for name, end in self.announced)

    def unannounced(self):
        """Lines since the last look that are a warning, an error, or no log line at all."""
        text = self.log(self.log_read)
        text = text[:text.rfind("\n") + 1]  # a line may be half written
        self.log_read += len(text.encode(errors="replace"))
        wrong = []
        for line in text.splitlines():
            m = LOG_LINE.match(line)
            if m is None or (m[1] in ("warn", "error") and m[2] not in EXPECTED and not self.is_announced(m[2], line)):
                wrong.append(line)
        return wrong

    # ---- the operator ----

    def admin(self, method, path, **more):
        transport = httpx.HTTPTransport(uds=str(self.data / "admin.sock"), verify=PLAIN)
        with httpx.Client(transport=transport, base_url="http://admin", timeout=10 * SLOWER) as client:
            return client.request(method, path, **more)

    def new_key(self, name="k", **more):
        made = self.admin("POST", "/admin/v1/keys", json={"name": name, **more})
        assert made.status_code == 201, made.text
        return made.json()

    def revoke(self, key_id):
        gone = self.admin("DELETE", f"/admin/v1/keys/{key_id}")
        assert gone.status_code == 200, gone.text

    def metrics(self):
        """Every sample of /metrics, by its name and labels."""
        page = get(self.admin_url + "/metrics").text
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in page.splitlines() if line and not line.startswith("#")}

    def usage(self, by="key,model"):
        return self.admin("GET", f"/admin/v1/usage?by={by}").json()["data"]

    def command(self, *arguments, **more):
        return run(*arguments, "--config", self.config_path, env=self.env, **more)

    # ---- the caller ----

    def client(self, key=None, **more):
        """A keep-alive client with a key."""
        headers = {"Authorization": f"Bearer {key or self.key}", **more.pop("headers", {})}
        client = httpx.Client(base_url=more.pop("url", self.url), headers=headers, timeout=30 * SLOWER,
                              verify=more.pop("verify", PLAIN), **more)
        self.clients.append(client)
        return client

    def request(self, method, path, key=None, headers=None, **more):
        with httpx.Client(base_url=self.url, timeout=30 * SLOWER, verify=PLAIN) as client:
            return client.request(method, path, headers={"Authorization": f"Bearer {key or self.key}", **(headers or {})},
                                  **more)

    def post(self, path, body, **more):
        return self.request("POST", path, json=body, **more)

    def chat(self, model, stream=False, content="hello", **members):
        body = {"model": model, "messages": [{"role": "user", "content": content}], **members}
        if stream:
            body["stream"] = True
        return self.post("/v1/chat/completions", body)


class Sim:
    """`atlas sim`."""

    def __init__(self, folder, *arguments):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = self.folder / "sim.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([ATLAS, "sim", "--listen", "127.0.0.1:0", *map(str, arguments)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        said = until(lambda: re.search(r"(http://\S+)/v1", self.log_path.read_text()), 10 * SLOWER, "the simulator's address")
        self.url = said[1]
        self.base = self.url + "/v1"

    def counters(self):
        return get(self.url + "/sim/counters").json()

    def calls(self):
        """Attempts, finished and aborted of each call id."""
        rows = (line.split() for line in get(self.url + "/sim/calls").text.splitlines())
        return {row[0]: tuple(map(int, row[1:])) for row in rows}

    def last(self):
        """Head and body of the last request."""
        page = get(self.url + "/sim/last").json()
        return page["head"], json.loads(page["body"])

    def printed(self):
        """The texts that it saw with `print`."""
        return [json.loads(line) for line in self.log_path.read_text().splitlines() if line.startswith('"')]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10 * SLOWER)
        said = [line for line in self.log_path.read_text().splitlines() if not line.startswith('"')]
        assert self.process.returncode == 0 and len(said) == 1, "\n".join(said)
