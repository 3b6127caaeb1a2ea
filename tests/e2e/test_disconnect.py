# SPDX-License-Identifier: Apache-2.0
"""A client that goes away takes its call along, at once."""
import time

import pytest

from harness.processes import SLOWER
from harness.raw import Raw
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]
WITHIN_S = 0.1 * SLOWER


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})


def begin(gateway, sim, stream, **plan):
    """A call under way at the simulator, and its client."""
    running = sim.counters()["running"]
    raw = Raw(gateway.port, gateway.key)
    raw.request("POST", "/v1/chat/completions", {"model": "m", "messages": HI, "stream": stream, "sim": plan})
    until(lambda: sim.counters()["running"] > running, what="the call to be there")
    return raw


def assert_gone(sim, aborted, left):
    until(lambda: sim.counters()["aborted"] > aborted, 5, "the simulator to see it")
    assert time.monotonic() - left < WITHIN_S


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
@pytest.mark.parametrize("what,stream,plan", [
    ("a reply that is awaited", False, {"first_token_ms": 60000}),
    ("a stream before its first event", True, {"first_token_ms": 60000}),
    ("a slow stream", True, {"tokens_per_second": 5, "tokens": 1000}),
    ("an endless stream", True, {"fault": "endless", "tokens_per_second": 1000}),
    ("half a reply", False, {"fault": "stall", "at": 150}),
    ("half a stream", True, {"fault": "stall", "at": 1200}),
], ids=lambda x: x.replace(" ", "-") if isinstance(x, str) else None)
def test_the_upstream_call_is_cancelled_within_100_ms(gateway, sim, what, stream, plan, how):
    raw = begin(gateway, sim, stream, **plan)
    if stream and "first_token_ms" not in plan:
        assert raw.read_head().status == 200
    aborted = sim.counters()["aborted"]
    left = time.monotonic()
    if how == "reset":
        raw.socket.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SOL_SOCKET, SO_LINGER: on, 0 s
        raw.close()
    elif how == "half-close":
        raw.socket.shutdown(1)
    else:
        raw.close()
    assert_gone(sim, aborted, left)
    raw.close()
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0)


def test_it_is_counted_as_gone_and_not_as_failed(gateway, sim):
    names = ['atlas_calls_total{outcome="client_gone"}', 'atlas_calls_total{outcome="failed"}']
    before = gateway.metrics()
    begin(gateway, sim, True, tokens_per_second=5, tokens=1000).close()
    until(lambda: gateway.metrics()[names[0]] == before[names[0]] + 1)
    assert gateway.metrics()[names[1]] == before[names[1]]


def test_a_client_that_leaves_while_it_sends_its_body_costs_no_upstream_call(gateway, sim):
    calls = sim.counters()["calls"]
    raw = Raw(gateway.port)
    raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {gateway.key}\r\n"
             f"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n" + '{"model": "m"')
    until(lambda: gateway.metrics()["atlas_calls_open"] == 1)
    raw.close()
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0)
    assert sim.counters()["calls"] == calls


def test_many_leave_at_once(gateway, sim):
    clients = [begin(gateway, sim, i % 2 == 0, tokens_per_second=5, tokens=1000, first_token_ms=0 if i % 2 == 0 else 60000)
               for i in range(40)]
    aborted = sim.counters()["aborted"]
    left = time.monotonic()
    for raw in clients:
        raw.close()
    until(lambda: sim.counters()["aborted"] == aborted + 40, 5)
    assert time.monotonic() - left < 4 * WITHIN_S
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0)
    assert gateway.chat("m").status_code == 200
