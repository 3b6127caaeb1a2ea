# SPDX-License-Identifier: Apache-2.0
"""What peers can make grow is counted, whatever it is, and given back."""
import pathlib
import threading

import pytest

from harness.processes import SANITIZED, SLOWER
from harness.raw import Raw
from harness.upstream import chunk, data
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]
MiB = 1024 * 1024
BUFFERED_MAX = 64 * MiB
STREAMS = 100
BESIDE = 48 * MiB  # what the process takes for itself, two workers and a hundred calls beside the allowance


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    return make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}},
                         "calls": {"buffered_max": "64MiB"}})


def resident(gateway, what="VmRSS"):
    status = pathlib.Path(f"/proc/{gateway.children()[0]}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(what))


def unending(start, piece, stop):
    """A script: a stream whose second event never ends, as far as the gateway takes it."""
    def script(connection, request):
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        connection.send(data(chunk({"content": "a"})) + start)
        for _ in range(7 * MiB // len(piece)):
            connection.send(piece)
        stop.wait(60)
        connection.raw.close()
    return script


EVENTS = {
    "one long line": (b'data: {"choices":[{"index":0,"delta":{"content":"', b"x" * 65536),
    "many lines": (b"data: [\n", b"data: 1,\n" * 7000),
    "many values": (b'data: {"choices":[', b'{"index":0,"delta":{}},' * 3000),
}


@pytest.mark.parametrize("kind", EVENTS)
def test_a_hundred_streams_of_events_without_end_stay_within_the_allowance(gateway, upstream, kind):
    gateway.announce("call_failed")
    before = resident(gateway)
    stop = threading.Event()
    upstream.script(*[unending(*EVENTS[kind], stop) for _ in range(STREAMS)])
    clients = [Raw(gateway.port, gateway.key, timeout=60 * SLOWER) for _ in range(STREAMS)]
    try:
        for client in clients:
            client.request("POST", "/v1/chat/completions", {"model": "m", "messages": HI, "stream": True})
        upstream.wait_requests(STREAMS, 60 * SLOWER)
        until(lambda: gateway.metrics()["atlas_buffered_bytes"] > BUFFERED_MAX / 2, 60 * SLOWER)
        most = []
        for _ in range(30):
            most.append(gateway.metrics()["atlas_buffered_bytes"])
            upstream.scripts.clear()
            got = gateway.chat("m")
            assert got.status_code == 200 or (got.status_code, got.json()["error"]["code"]) == (503, "overloaded")
        until(lambda: gateway.metrics()['atlas_calls_total{outcome="failed"}'], 60 * SLOWER, "a stream that is refused more memory")
        assert max(most) <= BUFFERED_MAX
        if not SANITIZED:
            assert resident(gateway, "VmHWM") - before < BUFFERED_MAX + BESIDE
    finally:
        stop.set()
        for client in clients:
            client.close()
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0, 60 * SLOWER)
    until(lambda: gateway.metrics()["atlas_buffered_bytes"] == 0)
    upstream.forget()
    assert gateway.chat("m").status_code == 200
    if not SANITIZED:  # what they took is not only free but given back
        until(lambda: resident(gateway) - before < BESIDE / 2, 10)
