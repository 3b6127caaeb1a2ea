# SPDX-License-Identifier: Apache-2.0
"""Streams that say nothing for a while, and what their clients and the balancers before them get."""
import json
import threading

import pytest

from harness.raw import Raw, content, events
from harness.upstream import CLOSE, chunk, reply, stream
from harness.waiting import until

ASKED = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
PING = b": ping\n\n"


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    return make_gateway({"upstreams": {"u": {"url": upstream.url},
                                       "hasty": {"url": upstream.url, "timeouts": {"first_byte": "600ms"}}},
                         "models": {"m": {"upstream": "u"}, "hasty": {"upstream": "hasty"}},
                         "calls": {"stream_head_hold": "200ms", "ping_interval": "200ms"}})


class Held:
    """A script that waits before it goes on, and a client that lets it when it has seen enough."""

    def __init__(self, then, before=None):
        self.go = threading.Event()
        self.then, self.before = then, before

    def __call__(self, connection, request):
        if self.before:
            self.before(connection, request)
        assert self.go.wait(20)
        return self.then(connection, request)


def read_pings(client, count):
    """The head, and the body up to so many pings."""
    head = client.read_head()
    body = b""
    while body.count(PING) < count:
        body += client.read_chunk()
    return head, body


def read_rest(client):
    rest = b""
    while (piece := client.read_chunk()):
        rest += piece
    return rest


def test_a_server_that_thinks_does_not_keep_the_head_from_the_client(gateway, upstream):
    script = Held(stream(chunk({"content": "Salam"}), chunk({}, "stop")))
    upstream.script(script)
    with Raw(gateway.port, gateway.key) as client:
        client.request("POST", "/v1/chat/completions", ASKED)
        head, body = read_pings(client, 3)  # nothing came of the model server yet, no head either
        assert (head.status, head.header("content-type")) == (200, "text/event-stream; charset=utf-8")
        assert head.header("x-audit-trace-id")
        script.go.set()
        rest = read_rest(client)
    assert body == PING * 3
    assert content(events(rest)) == "Salam"
    assert rest.endswith(b"data: [DONE]\n\n")


def test_a_stream_that_falls_silent_in_its_middle_is_pinged(gateway, upstream):
    def begin(connection, request):
        stream(chunk({"content": "Sal"}), cut=True)(connection, request)

    def finish(connection, request):
        for event in (chunk({"content": "am"}), chunk({}, "stop"), "[DONE]"):
            piece = f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode()
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")
    script = Held(finish, begin)
    upstream.script(script)
    with Raw(gateway.port, gateway.key) as client:
        client.request("POST", "/v1/chat/completions", ASKED)
        _, body = read_pings(client, 2)
        script.go.set()
        body += read_rest(client)
    assert content(events(body)) == "Salam"


def test_pings_of_the_server_are_not_swallowed_into_silence(gateway, upstream):
    """It pings faster than we would; bytes reach the client all the same, before any event."""
    gone_on = threading.Event()

    def script(connection, request):
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not gone_on.wait(0.02):
            connection.send("3\r\n:\n\n\r\n")
        for event in (b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"):
            connection.send(b"%x\r\n%s\r\n" % (len(event), event))
        connection.send("0\r\n\r\n")
    upstream.script(script)
    with Raw(gateway.port, gateway.key) as client:
        client.request("POST", "/v1/chat/completions", ASKED)
        assert client.read_head().status == 200
        pieces = [client.read_chunk() for _ in range(5)]
        assert all(piece.startswith(b": ") for piece in pieces)
        gone_on.set()
        assert content(events(read_rest(client))) == "x"


@pytest.mark.parametrize("answer", [reply(400, {"error": {"message": "no", "code": "c"}}), reply(500, b"no"),
                                    lambda connection, request: connection.send("HTTP/1.1 200") or CLOSE])
def test_an_error_after_the_head_went_out_is_an_event(gateway, upstream, answer):
    gateway.announce("call_failed")
    script = Held(answer)
    upstream.script(script)
    with Raw(gateway.port, gateway.key) as client:
        client.request("POST", "/v1/chat/completions", ASKED)
        read_pings(client, 1)
        script.go.set()
        error, end = events(read_rest(client).replace(PING, b""))
    assert set(error["error"]) == {"message", "type", "param", "code"}
    assert end == "[DONE]"


def test_an_error_before_the_hold_is_over_keeps_its_status(gateway, upstream):
    gateway.announce("call_failed")
    upstream.script(reply(400, {"error": {"message": "no", "code": "c"}}))
    got = gateway.chat("m", stream=True)
    assert (got.status_code, got.json()["error"]["code"]) == (400, "c")


def test_a_timeout_of_ours_after_the_request_was_sent_is_not_worth_a_retry(gateway, upstream):
    gateway.announce("call_failed")
    upstream.script(lambda connection, request: connection.wait_gone() and CLOSE)
    got = gateway.chat("hasty")
    assert (got.status_code, got.headers["x-should-retry"]) == (504, "false")
    upstream.script(lambda connection, request: connection.wait_gone() and CLOSE)
    got = gateway.chat("hasty", stream=True)  # here the head went out before
    assert events(got.text)[0]["error"]["code"] == "upstream_timeout"


def test_a_client_that_leaves_a_silent_stream_cancels_the_server(gateway, upstream):
    gone = []
    upstream.script(lambda connection, request: gone.append(connection.wait_gone()) or CLOSE)
    with Raw(gateway.port, gateway.key) as client:
        client.request("POST", "/v1/chat/completions", ASKED)
        read_pings(client, 1)
    assert until(lambda: gone) == [True]
