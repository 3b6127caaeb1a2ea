# SPDX-License-Identifier: Apache-2.0
"""Two thousand clients that stop reading, and bodies beyond the memory of all calls."""
import json
import socket
import threading

import pytest

from harness.processes import SANITIZED, SLOWER
from harness.raw import Raw
from harness.upstream import CHAT, reply
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]
SLOW = 400 if SANITIZED else 2000
OUTPUT_MAX = 64 * 1024
BESIDE_OUTPUT = 4096  # what a call takes of the allowance beside: arena, carried events
BUFFERED_MAX = 256 * 1024 * 1024


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}},
                         "client": {"output_max": "64KiB", "write_timeout": "10m"},
                         "calls": {"buffered_max": "256MiB"}})


def stop_reading(port, key):
    """A client whose stream is endless and who reads nothing of it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.connect(("127.0.0.1", port))
    body = json.dumps({"model": "m", "stream": True, "messages": HI, "sim": {"fault": "endless"}})
    client.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n"
                   f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    return client


def test_normal_calls_complete_beside_2000_clients_that_stop_reading(gateway, sim):
    resident = gateway.metrics()["process_resident_memory_bytes"]
    slow, most = [], 0
    try:
        for i in range(SLOW):
            slow.append(stop_reading(gateway.port, gateway.key))
            if i % 100 == 99:
                until(lambda: sim.counters()["running"] >= i + 1, 60 * SLOWER, f"{i + 1} streams at the simulator")
        with Raw(gateway.port, gateway.key) as client:
            for i in range(300):
                client.request("POST", "/v1/chat/completions", {"model": "m", "messages": HI, "stream": i % 3 == 0})
                got = client.read_reply()
                assert got.status == 200
                if i % 3 == 0:
                    assert got.body.endswith(b"data: [DONE]\n\n")
                if i % 30 == 0:
                    most = max(most, gateway.metrics()["atlas_buffered_bytes"])
        until(lambda: gateway.metrics()["atlas_calls_open"] == SLOW)  # the last reply is read before its call is counted
        now = gateway.metrics()
        assert most <= SLOW * (2 * OUTPUT_MAX + BESIDE_OUTPUT)
        assert most <= BUFFERED_MAX
        if not SANITIZED:
            assert now["process_resident_memory_bytes"] - resident < SLOW * 2 * OUTPUT_MAX
    finally:
        for one in slow:
            one.close()
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0, 60 * SLOWER)
    until(lambda: sim.counters()["running"] == 0, 60 * SLOWER)
    assert gateway.metrics()["atlas_buffered_bytes"] == 0
    if not SANITIZED:  # what the crowd took is not only free but given back
        until(lambda: gateway.metrics()["process_resident_memory_bytes"] - resident < SLOW * OUTPUT_MAX / 4, 10)


# ---- the memory of all calls ----

@pytest.fixture(scope="module")
def narrow(make_gateway, upstream):
    return make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}},
                         "calls": {"buffered_max": "16MiB"}})


def half_a_body(gateway, size, announced):
    raw = Raw(gateway.port)
    raw.send(f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {gateway.key}\r\n"
             f"Content-Type: application/json\r\nContent-Length: {announced}\r\n\r\n".encode() + b'{"model":"m","x":"' + b"x" * size)
    return raw


def test_bodies_beyond_the_memory_of_all_calls_are_503_and_the_gateway_lives(narrow, upstream):
    held = [half_a_body(narrow, 3_000_000, 4_000_000) for _ in range(3)]
    until(lambda: narrow.metrics()["atlas_buffered_bytes"] > 9_000_000, 10)
    got = narrow.chat("m", content="y" * 8_000_000)
    assert (got.status_code, got.json()["error"]["code"]) == (503, "overloaded")
    assert got.json()["error"]["type"] == "service_unavailable_error"
    assert 1 <= int(got.headers["retry-after"]) <= 60
    assert narrow.metrics()["atlas_buffered_bytes"] <= 16 * 1024 * 1024
    assert narrow.chat("m", content="small").status_code == 200
    for raw in held:
        raw.close()
    until(lambda: narrow.metrics()["atlas_buffered_bytes"] == 0)
    assert narrow.chat("m", content="y" * 8_000_000).status_code == 200
    until(lambda: narrow.metrics()["atlas_buffered_bytes"] == 0)


def test_vectors_that_do_not_fit_when_they_are_converted_are_503_and_the_gateway_lives(narrow, upstream):
    def embed(count, form):
        zeros = ",".join("0" * count)
        upstream.script(reply(200, '{"data":[{"index":0,"embedding":[' + zeros + ']}],"model":"served"}'))
        return narrow.post("/v1/embeddings", {"model": "m", "input": "x", "encoding_format": form})
    narrow.announce("call_failed")
    held = half_a_body(narrow, 5_000_000, 6_000_000)
    until(lambda: narrow.metrics()["atlas_buffered_bytes"] > 5_900_000, 10)
    got = embed(520_000, "base64")  # 1 MB as they come, 8 MB for the index, and 2.8 MB more as Base64
    assert (got.status_code, got.json()["error"]["code"]) == (503, "overloaded")
    assert "retry-after" in got.headers
    assert len(embed(520_000, "float").json()["data"][0]["embedding"]) == 520_000
    held.close()
    until(lambda: narrow.metrics()["atlas_calls_open"] == 0)
    assert embed(300_000, "base64").json()["data"][0]["embedding"] == "A" * 1_600_000
    until(lambda: narrow.metrics()["atlas_buffered_bytes"] == 0)


def test_a_flood_of_bodies_never_passes_the_bound(narrow, upstream):
    seen, stop = [], threading.Event()

    def look():
        while not stop.is_set():
            seen.append(narrow.metrics()["atlas_buffered_bytes"])

    def flood():
        for _ in range(4):
            statuses.append(narrow.chat("m", content="z" * 3_000_000).status_code)
    statuses = []
    watcher = threading.Thread(target=look, daemon=True)
    floods = [threading.Thread(target=flood, daemon=True) for _ in range(12)]
    watcher.start()
    for thread in floods:
        thread.start()
    for thread in floods:
        thread.join()
    stop.set()
    watcher.join()
    assert len(statuses) == 48
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
    assert max(seen) <= 16 * 1024 * 1024
    until(lambda: narrow.metrics()["atlas_buffered_bytes"] == 0)


def test_an_announced_length_is_not_memory(narrow):
    held = [half_a_body(narrow, 10, 30_000_000) for _ in range(30)]
    until(lambda: narrow.metrics()["atlas_calls_open"] == 30)
    assert narrow.metrics()["atlas_buffered_bytes"] < 10_000_000
    assert narrow.chat("m").status_code == 200
    for raw in held:
        raw.close()
    until(lambda: narrow.metrics()["atlas_calls_open"] == 0)


def test_large_replies_count_too(narrow, upstream):
    narrow.announce("call_failed")
    upstream.script(reply(200, {**CHAT, "pad": "x" * 20_000_000}))
    got = narrow.chat("m")
    assert (got.status_code, got.json()["error"]["code"]) == (503, "overloaded")
    until(lambda: narrow.metrics()["atlas_buffered_bytes"] == 0)
    assert narrow.chat("m").status_code == 200
