# SPDX-License-Identifier: Apache-2.0
"""Atlas as an SDK's user meets it: a base URL and a key. `sim` has the simulator behind it, `real`
the models of `make run`."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ATLAS = os.environ["ATLAS"]
HOME = pathlib.Path(os.environ["CLIENTS_HOME"])
sys.path.append(str(ROOT / "tests" / "e2e"))  # for its scripted model server

from harness.upstream import Upstream  # noqa: E402

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "atlas"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(condition, within_s, what):
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)  # a pause between two looks, bounded by within_s
    raise AssertionError(f"{what}: not within {within_s} s")


def answers(url, key=None):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=2) as reply:
            return reply.status == 200
    except OSError:
        return False


class Site:
    """A running Atlas: its base URL, a key, and what stands behind it."""

    def __init__(self, port, key, admin, sim_port=None):
        self.url, self.key, self.admin, self.sim_port = f"http://127.0.0.1:{port}/v1", key, admin, sim_port

    def sim(self, page):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.sim_port}/sim/{page}", timeout=5) as r:
            return json.load(r)

    def new_key(self, *scopes):
        made = subprocess.run([ATLAS, "key", "create", "--config", self.config, "--name", "more", "--scopes", ",".join(scopes)],
                              check=True, capture_output=True, text=True)
        return made.stdout.strip()

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as page:
            rows = [line.rsplit(" ", 1) for line in page.read().decode().splitlines()]
        return next(float(value) for sample, value in rows if sample == name)

    def node(self, script, **more):
        """Runs a script of node/ with Node from the lock; its last line is JSON."""
        environment = dict(os.environ, BASE_URL=self.url, API_KEY=self.key, ATLAS_NODE=str(HOME),
                           **{k.upper(): str(v) for k, v in more.items()})
        script_at = HOME / script
        script_at.write_text((HERE / "node" / script).read_text())
        done = subprocess.run([HOME / "bin" / "node", script_at], cwd=HOME, env=environment,
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])


def end(*processes):
    for process in processes:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def serve(folder, servers, sim_port=None):
    """Starts Atlas in front of `servers`, which is the rest of its configuration: the site and the process."""
    port, admin = free_port(), free_port()
    config = folder / "atlas.yaml"
    config.write_text(f"""
zone: test-zone
region: sa
drain_notice: 0s
data: {folder}/data
listen:
  - address: 127.0.0.1:{port}
admin: {{ address: 127.0.0.1:{admin} }}
{servers}""")
    run = [ATLAS, "init", "--config", config]
    subprocess.run(run, check=True, capture_output=True)
    key = subprocess.run([ATLAS, "key", "create", "--config", config, "--name", "sdk"], check=True,
                         capture_output=True, text=True).stdout.strip()
    log = open(folder / "log", "w")
    atlas = subprocess.Popen([ATLAS, "serve", "--config", config], stderr=log)
    until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), 20, "Atlas is ready")
    site = Site(port, key, admin, sim_port)
    site.config = config
    return site, atlas


@pytest.fixture(scope="session")
def sim(tmp_path_factory):
    simulator = subprocess.Popen([ATLAS, "sim", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
                                 text=True)
    sim_port = int(re.search(r":(\d+)/v1", simulator.stdout.readline()).group(1))
    site, atlas = serve(tmp_path_factory.mktemp("sim"), f"""
upstreams:
  sim: {{ kind: vllm, url: "http://127.0.0.1:{sim_port}/v1", region: sa }}
models:
  sim-model: {{ upstream: sim, aliases: [sim-alias] }}
  "vendor/*": {{ upstream: sim }}
""", sim_port)
    yield site
    end(atlas, simulator)


@pytest.fixture(scope="session")
def scripted(tmp_path_factory):
    """A site, and the model server behind it, which says what a test tells it to."""
    upstream = Upstream()
    site, atlas = serve(tmp_path_factory.mktemp("scripted"), f"""
upstreams:
  u: {{ url: "{upstream.url}" }}
models:
  m: {{ upstream: u }}
  older: {{ upstream: u, reasoning: reasoning_content }}
""")
    yield site, upstream
    end(atlas)
    upstream.close()


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """What `make run` brings up, on ports of its own, with the packages of the cache."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "atlas").mkdir()
    (CACHE / "packages").mkdir(parents=True, exist_ok=True)
    (folder / "atlas" / "packages").symlink_to(CACHE / "packages")
    port, admin = free_port(), free_port()
    environment = dict(os.environ, XDG_CACHE_HOME=str(folder), PORT=str(port), ADMIN_PORT=str(admin))
    out = open(folder / "out", "w")
    process = subprocess.Popen(["/usr/bin/python3", ROOT / "tools" / "run" / "run.py"], stdout=out,
                               stderr=out, stdin=subprocess.DEVNULL, env=environment)
    key_file = folder / "atlas" / "key-make-run"
    until(lambda: process.poll() is not None or
          (key_file.exists() and answers(f"http://127.0.0.1:{port}/v1/models",
                                         key_file.read_text().strip())), 240, "make run is up")
    text = (folder / "out").read_text()
    assert process.poll() is None, text
    site = Site(port, key_file.read_text().strip(), admin)
    site.said = folder / "out"
    yield site
    process.send_signal(signal.SIGTERM)
    process.wait(40)
