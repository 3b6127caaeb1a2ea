# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 as clients really speak it: keep-alive, pipelines, expectations, waits that end."""
import json
import socket
import threading
import time

import pytest

from harness.processes import SLOWER
from harness.raw import Raw
from harness.upstream import CHAT, reply, usual
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]
ASK = {"model": "m", "messages": HI}
PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    return make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}},
                         "client": {"body_max": "256KiB"}})


@pytest.fixture(scope="module")
def hasty(make_gateway, upstream):
    """A gateway that waits for nobody."""
    return make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}},
                         "client": {"head_timeout": "300ms", "body_timeout": "300ms", "idle_timeout": "400ms",
                                    "write_timeout": "500ms", "body_rate_min": "100KiB"}})


def test_a_connection_serves_many_calls(gateway):
    before = gateway.metrics()["atlas_connections_total"]
    with Raw(gateway.port, gateway.key) as raw:
        for i in range(50):
            raw.request("POST", PATH, {**ASK, "stream": i % 2 == 0})
            assert raw.read_reply().status == 200
            raw.request("GET", "/v1/models")
            assert raw.read_reply().status == 200
    assert gateway.metrics()["atlas_connections_total"] - before <= 3  # ours, and the two looks at the metrics


def test_a_refused_call_does_not_cost_the_connection(gateway):
    with Raw(gateway.port) as raw:
        for _ in range(3):
            raw.request("POST", PATH, ASK)
            assert raw.read_reply().status == 401
            raw.request("POST", "/nothing", {"x": "y" * 1000})
            assert raw.read_reply().status == 404


def test_pipelined_requests_are_answered_in_order(gateway, upstream):
    started = threading.Event()

    def slow(connection, request):
        started.set()
        until(lambda: len(upstream.requests) >= 1)
        reply(200, {**CHAT, "id": "slow"})(connection, request)
    upstream.script(slow, reply(200, {**CHAT, "id": "fast"}))
    with Raw(gateway.port, gateway.key) as raw:
        body = json.dumps(ASK).encode()
        head = (f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {gateway.key}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode()
        get = f"GET /v1/models/m HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {gateway.key}\r\n\r\n".encode()
        bad = b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"
        raw.send(head + body + get + head + body + bad + get * 40)
        assert raw.read_reply().json["id"] == "slow"
        assert raw.read_reply().json["id"] == "m"
        assert raw.read_reply().json["id"] == "fast"
        assert raw.read_reply().status == 404
        for _ in range(40):
            assert raw.read_reply().json["id"] == "m"


def test_a_pipelined_request_waits_for_the_stream_before_it(gateway):
    with Raw(gateway.port, gateway.key) as raw:
        raw.request("POST", PATH, {**ASK, "stream": True})
        raw.request("GET", "/v1/models/m")
        assert raw.read_reply().body.endswith(b"data: [DONE]\n\n")
        assert raw.read_reply().json["id"] == "m"


def test_connection_close_is_done(gateway):
    for stream in (False, True):
        with Raw(gateway.port, gateway.key) as raw:
            raw.request("POST", PATH, {**ASK, "stream": stream}, close=True)
            got = raw.read_reply()
            assert got.status == 200
            assert got.header("connection") == "close"
            assert raw.is_closed()


def test_http_1_0_is_answered_and_closed(gateway):
    with Raw(gateway.port) as raw:
        raw.send("GET /healthz HTTP/1.0\r\n\r\n")
        assert raw.read_reply().status == 200
        assert raw.is_closed()


def test_100_continue_is_sent_after_admission_and_before_the_body(gateway, upstream):
    body = json.dumps(ASK).encode()
    with Raw(gateway.port, gateway.key) as raw:
        raw.send(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {gateway.key}\r\nExpect: 100-continue\r\n"
                 f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
        assert raw.read_head().status == 100
        assert upstream.requests == []
        raw.send(body)
        assert raw.read_reply().status == 200


@pytest.mark.parametrize("fields,status", [
    ("Authorization: Bearer wrong\r\nContent-Length: 10\r\n", 401),
    ("Content-Length: 10\r\n", 401),
    ("Authorization: Bearer KEY\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n", 415),
    ("Authorization: Bearer KEY\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n", 415),
    ("Authorization: Bearer KEY\r\nContent-Length: 999999999\r\n", 413),
])
def test_no_body_is_asked_of_a_call_that_is_refused(gateway, fields, status):
    with Raw(gateway.port) as raw:
        raw.send(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{fields.replace('KEY', gateway.key)}\r\n")
        assert raw.read_reply().status == status


def test_a_strangers_body_is_not_read(gateway):
    with Raw(gateway.port) as raw:
        raw.send(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer wrong\r\nContent-Length: 100000\r\n\r\n")
        assert raw.read_reply().status == 401  # though nothing of the body was sent


def test_a_body_that_grows_too_large_is_413_and_the_reply_arrives(gateway, upstream):
    piece = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    with Raw(gateway.port) as raw:
        raw.send(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {gateway.key}\r\n"
                 f"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):  # 1.25 MiB, all of it before the reply is read
            raw.send(piece)
        raw.send("0\r\n\r\n")
        got = raw.read_reply()
    assert got.status == 413
    assert got.json["error"]["code"] == "request_too_large"
    assert upstream.requests == []


def test_the_largest_body_is_not_too_large(gateway):
    pad = 256 * 1024 - len(json.dumps({**ASK, "pad": ""}))
    assert gateway.post(PATH, {**ASK, "pad": "x" * pad}).status_code in (200, 413)
    body = json.dumps({**ASK, "pad": "x" * pad}).encode()
    for size, status in ((256 * 1024, 200), (256 * 1024 + 1, 413)):
        got = gateway.request("POST", PATH, content=body + b" " * (size - len(body)), headers={"Content-Type": "application/json"})
        assert got.status_code == status


@pytest.mark.parametrize("sent", ["", "GE", "GET /healthz HTTP/1.1\r\nHost: a\r\n", "GET /healthz HTTP/1.1\r\nHost: a\r\nX: "])
def test_a_head_that_does_not_come_is_408_or_the_end(hasty, sent):
    begun = time.monotonic()
    with Raw(hasty.port) as raw:
        raw.send(sent)
        got = raw.read_reply()
        if sent:
            assert got.status == 408
            assert got.json["error"]["code"] == "request_timeout"
            assert raw.is_closed()
        else:
            assert got is None
    assert 0.25 < time.monotonic() - begun < 2 * SLOWER


def test_a_head_a_byte_at_a_time_is_not_given_longer(hasty):
    begun = time.monotonic()
    with Raw(hasty.port) as raw:
        raw.socket.settimeout(0.02)
        raw.send("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        while time.monotonic() - begun < 5:
            try:
                raw.send("x")
                if raw.socket.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
        raw.socket.settimeout(5)
        assert raw.read_reply().status == 408
    assert time.monotonic() - begun < 2 * SLOWER


def post_head(gateway, length):
    return (f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {gateway.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n")


def test_a_body_that_stops_is_408(hasty, upstream):
    with Raw(hasty.port) as raw:
        raw.send(post_head(hasty, 100) + '{"model"')
        got = raw.read_reply()
        assert (got.status, got.json["error"]["code"]) == (408, "request_timeout")
        assert raw.is_closed()
    assert upstream.requests == []


def test_a_body_that_trickles_is_408(hasty):
    begun = time.monotonic()
    with Raw(hasty.port) as raw:
        raw.send(post_head(hasty, 100000))
        raw.socket.settimeout(0.05)
        while time.monotonic() - begun < 10:
            try:
                raw.send("x")
                if raw.socket.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
        raw.socket.settimeout(5)
        assert raw.read_reply().status == 408
    assert time.monotonic() - begun < 3 * SLOWER


def test_an_idle_connection_is_closed(hasty):
    with Raw(hasty.port, hasty.key) as raw:
        raw.request("GET", "/healthz")
        assert raw.read_reply().status == 200
        begun = time.monotonic()
        assert raw.is_closed()
        assert 0.3 < time.monotonic() - begun < 3 * SLOWER


def test_a_slow_answer_is_not_an_idle_connection(hasty, upstream):
    def slow(connection, request):
        connection.wait_gone(0.9)
        usual(connection, request)
    upstream.script(slow)
    with Raw(hasty.port, hasty.key) as raw:
        raw.request("POST", PATH, ASK)
        assert raw.read_reply().status == 200


def test_a_client_that_takes_nothing_is_cut(hasty, upstream):
    large = {**CHAT, "pad": "x" * 8_000_000}
    upstream.script(reply(200, large))
    with Raw(hasty.port, hasty.key, receive_buffer=4096) as raw:
        raw.request("POST", PATH, ASK)
        upstream.wait_requests(1)
        until(lambda: hasty.metrics()["atlas_buffered_bytes"] > 1_000_000)
        until(lambda: hasty.metrics()["atlas_buffered_bytes"] == 0, 5 * SLOWER, "the memory to come back")


def test_the_body_may_come_in_any_pieces(gateway, upstream):
    body = json.dumps({**ASK, "pad": "ص" * 300}).encode()
    with Raw(gateway.port) as raw:
        raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (1, 13, 500):
            whole = post_head(gateway, len(body)).encode() + body
            for i in range(0, len(whole), piece):
                raw.send(whole[i:i + piece])
            assert raw.read_reply().status == 200
            assert upstream.last.body == body


def test_connections_beyond_the_maximum_are_turned_away_and_others_live(make_gateway, upstream):
    gateway = make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}},
                            "client": {"connections_max": 10}})
    held = [Raw(gateway.port, gateway.key) for _ in range(10)]
    for raw in held:
        raw.request("GET", "/healthz")
        assert raw.read_reply().status == 200
    with Raw(gateway.port, gateway.key) as extra:
        extra.request("GET", "/healthz")
        try:
            got = extra.read_reply()
        except ConnectionError:
            got = None
        assert got is None or got.status == 503
    held[0].request("POST", PATH, ASK)
    assert held[0].read_reply().status == 200
    for raw in held:
        raw.close()

    def serves():
        try:
            return gateway.request("GET", "/healthz").status_code == 200
        except OSError:
            return False
        except Exception as e:  # httpx says a connection that was turned away in its own way
            assert "httpx" in type(e).__module__
            return False
    until(serves, what="room again")
    gateway.announce("connections_max")


def test_calls_beyond_the_maximum_are_503_overloaded(make_gateway, upstream):
    gateway = make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}}, "calls": {"max": 2}})
    go_on = threading.Event()

    def hold(connection, request):
        assert go_on.wait(20)
        usual(connection, request)
    upstream.script(hold, hold)
    held = [Raw(gateway.port, gateway.key) for _ in range(2)]
    for raw in held:
        raw.request("POST", PATH, ASK)
    upstream.wait_requests(2)
    got = gateway.chat("m")
    assert (got.status_code, got.json()["error"]["code"]) == (503, "overloaded")
    assert 1 <= int(got.headers["retry-after"]) <= 60
    assert gateway.request("GET", "/v1/models").status_code == 200
    go_on.set()
    for raw in held:
        assert raw.read_reply().status == 200
        raw.close()
    assert gateway.chat("m").status_code == 200
