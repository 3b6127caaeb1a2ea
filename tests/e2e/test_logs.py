# SPDX-License-Identifier: Apache-2.0
"""Who reads the logs may stop, go away or have no room: calls go on, and what was lost is said."""
import fcntl
import json
import os
import re
import select
import signal
import subprocess
import threading
import time

import pytest

from harness.processes import ATLAS, LOG_LINE, SLOWER, Gateway, get
from harness.waiting import until

LATE_S = 0.1 * SLOWER  # no call may feel it
ROUNDS = 4  # the best of them: what the machine does beside is not the gateway's


class Pipe:
    """What a process writes to, and a reader of it that can stop."""

    def __init__(self):
        self.out, self.into = os.pipe()
        fcntl.fcntl(self.into, fcntl.F_SETPIPE_SZ, 4096)
        self.text = b""
        self.reads = threading.Event()
        self.reads.set()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            self.reads.wait()
            got = os.read(self.out, 65536)
            if not got:
                return
            self.text += got

    def lines(self):
        return self.text.decode(errors="replace").splitlines()


class Piped(Gateway):
    """A gateway whose standard output and error are pipes."""

    def start(self, ready=True):
        self.said, self.calls = Pipe(), Pipe()
        self.log_from = 0
        self.process = subprocess.Popen([ATLAS, "serve", "--config", str(self.config_path)], stdin=subprocess.DEVNULL,
                                        stdout=self.calls.into, stderr=self.said.into)
        os.close(self.said.into)
        os.close(self.calls.into)
        until(lambda: self.count_log("ready"), 10 * SLOWER, "ready")
        self._read_addresses()

    def log(self, since=0):
        return self.said.text[since:].decode(errors="replace")


@pytest.fixture
def piped(tmp_path, sim):
    gateway = Piped(tmp_path, {"upstreams": {"u": {"url": sim.base}, "down": {"url": "http://127.0.0.1:1", "breaker": False}},
                               "models": {"m": {"upstream": "u"}, "dead": {"upstream": "down"}},
                               "log": {"access": "-"}})
    yield gateway
    gateway.said.reads.set()
    gateway.calls.reads.set()
    if gateway.process.poll() is None:
        assert gateway.stop() == 0


def longest_of(gateway, calls, model, status):
    client = gateway.client()
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    longest = 0
    for _ in range(calls):
        begun = time.monotonic()
        reply = client.post("/v1/chat/completions", json=body)
        longest = max(longest, time.monotonic() - begun)
        assert reply.status_code == status, reply.text
    return longest


def call(gateway, calls, model="m", status=200):
    """Makes so many calls, again if one was late; a gateway that waits for a reader is late in every round."""
    waits = []
    for _ in range(ROUNDS):
        waits.append(longest_of(gateway, calls, model, status))
        if waits[-1] < LATE_S:
            return
    raise AssertionError(f"the longest calls took {waits} s")


def stop_readers(gateway):
    """Both stop, with pipes that hold a page: what is said from now on waits in the gateway."""
    gateway.said.reads.clear()
    gateway.calls.reads.clear()
    call(gateway, 60, "dead", 502)
    call(gateway, 100)


def test_readers_of_the_logs_that_stop_hold_no_call_up_and_hear_what_was_dropped(piped):
    call(piped, 5)
    stop_readers(piped)
    for _ in range(40):
        call(piped, 100)
        if piped.metrics()["atlas_access_log_lines_lost_total"] > 0:
            break
    else:
        raise AssertionError("4000 calls found room where nobody reads")
    key = piped.new_key("to be revoked")
    begun = time.monotonic()
    piped.revoke(key["id"])
    assert time.monotonic() - begun < 1 * SLOWER
    assert piped.post("/v1/chat/completions", {"model": "m", "messages": []}, key=key["key"]).status_code == 401
    assert get(piped.url + "/readyz").status_code == 200
    call(piped, 20)
    before = len(piped.calls.lines())
    piped.said.reads.set()
    piped.calls.reads.set()
    said = until(lambda: [line for line in piped.log().splitlines() if "log_lost" in line], 10 * SLOWER)
    assert re.search(r"\d+ lines of the access log were dropped", said[0])
    call(piped, 1)
    until(lambda: len(piped.calls.lines()) > before, 5 * SLOWER)
    assert all(json.loads(line) for line in piped.calls.lines()[:-1])  # each whole
    assert all(LOG_LINE.match(line) for line in piped.log().splitlines()[:-1])


def test_a_gateway_whose_logs_nobody_reads_ends_in_time(piped):
    stop_readers(piped)
    begun = time.monotonic()
    piped.process.send_signal(signal.SIGTERM)
    assert piped.process.wait(20 * SLOWER) == 0
    assert time.monotonic() - begun < 5 * SLOWER


def test_a_log_file_that_is_a_fifo_needs_no_reader_and_gives_one_what_it_holds(make_gateway, sim, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}},
                            "log": {"access": str(fifo)}})
    assert gateway.chat("m").status_code == 200
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    assert select.select([reader], [], [], 5 * SLOWER)[0]
    got = os.read(reader, 65536)
    assert json.loads(got.splitlines()[0])
    os.close(reader)
    assert gateway.chat("m").status_code == 200
    gateway.process.send_signal(signal.SIGUSR1)
    assert gateway.chat("m").status_code == 200
    assert gateway.unannounced() == []
