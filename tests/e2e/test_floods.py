# SPDX-License-Identifier: Apache-2.0
"""What strangers without a key send, and what the others feel of it: nothing for longer than 100 ms."""
import contextlib
import pathlib
import subprocess
import sys
import time

import pytest

from harness import handshakes, key_updates, partial_heads
from harness.certificates import Authority
from harness.processes import SLOWER
from harness.raw import Raw
from harness.turns import before_others, put_first
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]
ASK = {"model": "m", "messages": HI}
WITHIN_S = 0.1 * SLOWER
ROUNDS = 8  # the best of them: what the machine does beside is not the gateway's


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def gateway(make_gateway, sim, authority):
    """One worker: whoever holds it up holds all. What else the machine does comes after it."""
    certificate, key = authority.issue("localhost")
    gateway = make_gateway({
        "workers": 1,
        "calls": {"buffered_max": "16MiB"},
        "listen": [{"address": "127.0.0.1:0", "tls": {"certificate": certificate, "key": key}}, {"address": "127.0.0.1:0"}],
        "upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    put_first(*gateway.children(), sim.process.pid)
    return gateway


def longest_wait(gateway, while_true):
    """Of health and calls, one after the other, over connections that are open already."""
    longest = 0
    with before_others(), Raw(gateway.port, gateway.key, timeout=60) as raw:
        while while_true():
            for method, path, body in (("GET", "/healthz", None), ("POST", "/v1/chat/completions", ASK)):
                begun = time.monotonic()
                raw.request(method, path, body)
                assert raw.read_reply().status == 200
                longest = max(longest, time.monotonic() - begun)
    return longest


def attack(gateway, script, *arguments):
    """Runs a flood to its end; gives the longest wait of others meanwhile, and the numbers that it prints."""
    command = [sys.executable, pathlib.Path(script.__file__), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as flood:
        waited = longest_wait(gateway, lambda: flood.poll() is None)
        return waited, [int(number) for number in flood.stdout.read().split()]


def test_a_flood_of_key_updates_costs_no_other_call_100_ms(gateway):
    waits = []
    for _ in range(ROUNDS):
        waited, (records, connections) = attack(gateway, key_updates, gateway.ports[0], 1)
        assert records > 100 and connections > 1, "it is ended again and again"
        waits.append(waited)
        if waited < WITHIN_S:
            return
    raise AssertionError(f"the longest waits were {waits} s")


def test_thousands_of_heads_in_part_cost_no_other_call_100_ms_and_get_503(gateway):
    """2,000 times 8 KB, where all strangers together may have 2 MiB."""
    waits = []
    for _ in range(ROUNDS):
        waited, (refused, reset, held) = attack(gateway, partial_heads, gateway.port, 2000, 8000, 2)
        assert (refused > 1700, reset) == (True, 0), (refused, reset, held, waited)
        waits.append(waited)
        until(lambda: gateway.metrics()["atlas_connections_open"] <= 2, 5 * SLOWER)
        if waited < WITHIN_S:
            return
    raise AssertionError(f"the longest waits were {waits} s")


def test_a_crowd_of_tls_handshakes_at_once_costs_no_other_call_100_ms(gateway):
    waits = []
    for _ in range(ROUNDS):
        waited, [agreed] = attack(gateway, handshakes, gateway.ports[0], 1000, 2)
        assert agreed == 1000, "all of them get on"
        waits.append(waited)
        if waited < WITHIN_S:
            return
    raise AssertionError(f"the longest waits were {waits} s")


@pytest.mark.parametrize("pipelined", [100_000, 1_000_000])
def test_a_client_that_pipelines_behind_its_call_and_leaves_takes_the_call_along(gateway, sim, pipelined):
    running, aborted = sim.counters()["running"], sim.counters()["aborted"]
    with Raw(gateway.port, gateway.key) as raw:
        raw.request("POST", "/v1/chat/completions", {**ASK, "sim": {"first_token_ms": 60000}})
        until(lambda: sim.counters()["running"] > running, what="the call to be there")
        with contextlib.suppress(ConnectionError):  # so much is cut off while it comes
            raw.send(b"x" * pipelined)
    until(lambda: sim.counters()["aborted"] == aborted + 1, 2 * SLOWER, "the call to be cancelled")
