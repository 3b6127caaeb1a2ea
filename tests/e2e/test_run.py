# SPDX-License-Identifier: Apache-2.0
"""`make run` as a newcomer meets it, on a machine that reaches no package index."""
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

from harness.processes import ATLAS, SLOWER
from harness.waiting import until

RUN = pathlib.Path(__file__).resolve().parents[2] / "tools" / "run" / "run.py"
PIP = "#!/bin/sh\necho 'ERROR: connection refused' >&2\nexit 1\n"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def heed_signals():
    """As a terminal's foreground; the tests themselves may run under nohup or in the background."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


class Run:
    """One `make run` with a cache folder of its own, whose pip has no network."""

    def __init__(self, folder, **more):
        pip = folder / "atlas" / "pip" / "bin" / "pip"
        if not pip.exists():
            pip.parent.mkdir(parents=True)
            pip.write_text(PIP)
            pip.chmod(0o755)
        self.folder, self.port, self.admin_port = folder, free_port(), free_port()
        environment = {**os.environ, "ATLAS": str(ATLAS), "XDG_CACHE_HOME": str(folder), "PORT": str(self.port),
                       "ADMIN_PORT": str(self.admin_port), **more}
        self.out = open(folder / f"out-{self.port}", "w+b")
        self.process = subprocess.Popen(["/usr/bin/python3", RUN], stdin=subprocess.DEVNULL, stdout=self.out,
                                        stderr=self.out, env=environment, preexec_fn=heed_signals)

    def said(self):
        self.out.seek(0)
        return self.out.read().decode()

    def is_over(self):
        self.process.wait(60 * SLOWER)
        return self.said()

    def children(self):
        pid = self.process.pid
        return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

    def stop(self, how=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(20 * SLOWER)
        self.out.close()
        return status


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def running(folder):
    run = Run(folder)
    until(lambda: "usage --config" in run.said() or run.process.poll() is not None, 60 * SLOWER, "make run is up")
    assert run.process.poll() is None, run.said()
    yield run
    run.stop()


def test_without_a_network_it_starts_and_says_what_is_simulated_and_why(running):
    rows = re.findall(r"^ +(\S+) +SIMULATED by `atlas sim`, not a model: (.*)$", running.said(), re.M)
    assert [name for name, _ in rows] == ["smollm2-135m", "gemma3-270m", "multilingual-e5-small"]
    assert all("the package index could not be reached" in why for _, why in rows)


def test_all_that_follows_the_word_paste_can_be_pasted_as_it_stands(running):
    page = running.said().split("Paste into another terminal", 1)[1].split("\n", 1)[1]
    done = subprocess.run(["bash", "-e"], input=page, capture_output=True, text=True, timeout=60 * SLOWER, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "data: [DONE]" in done.stdout
    assert '"object":"chat.completion"' in done.stdout
    assert '"embedding":[' in done.stdout
    for model in ("smollm2-135m", "gemma3-270m", "multilingual-e5-small"):
        assert re.search(rf"make-run +{model} +1 ", done.stdout)


def test_a_second_one_says_who_runs_and_how_to_run_beside_it(running, folder):
    second = Run(folder)
    said = second.is_over()
    assert second.stop() == 1
    assert f"process {running.process.pid}" in said
    assert "make run XDG_CACHE_HOME=" in said and "ADMIN_PORT=" in said
    assert "logs" in os.listdir(folder / "atlas") and (folder / "atlas" / "logs" / "atlas.log").stat().st_size > 0


def test_every_port_in_use_is_named_with_its_holder_and_one_line_avoids_them_all(running, tmp_path):
    blocked = Run(tmp_path, PORT=str(running.port), ADMIN_PORT=str(running.admin_port))
    said = blocked.is_over()
    assert blocked.stop() == 1
    for port in (running.port, running.admin_port):
        assert re.search(rf"port {port} is in use by atlas\S* \(process ", said)
    assert f"make run PORT={running.port + 1000} ADMIN_PORT={running.admin_port + 1000}" in said


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_its_end_is_the_end_of_all_that_it_started(tmp_path, how):
    run = Run(tmp_path, GEMMA="0")
    until(lambda: "usage --config" in run.said() or run.process.poll() is not None, 60 * SLOWER, "make run is up")
    assert "gemma" not in run.said().lower()
    started = run.children()
    assert len(started) == 2 and answers(run.port)
    assert run.stop(how) == 0
    assert not any(pathlib.Path(f"/proc/{pid}").exists() for pid in started)
    assert not answers(run.port)
