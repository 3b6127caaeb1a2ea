# SPDX-License-Identifier: Apache-2.0
"""Connections to model servers: kept, found dead, limited, and read no faster than the client reads."""
import json
import threading

import pytest

from harness.processes import SLOWER
from harness.raw import Raw
from harness.upstream import CHAT, CLOSE, Upstream, chunk, data, reply, stream, usual
from harness.waiting import stays, until

HI = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    # One worker: its pool is the one that every call finds.
    return make_gateway({"workers": 1,
                         "upstreams": {"u": {"url": upstream.url},
                                       "brief": {"url": upstream.url, "idle_keep": "300ms"},
                                       "single": {"url": upstream.url, "connections_max": 1},
                                       "unpooled": {"url": upstream.url, "idle_connections_max": 0}},
                         "models": {name: {"upstream": name} for name in ("u", "brief", "single", "unpooled")}})


@pytest.fixture(autouse=True)
def fresh(upstream):
    """Every test begins without pooled connections."""
    upstream.close_idle()
    until(lambda: not upstream.open)
    upstream.connections = 0


def test_calls_share_a_connection(gateway, upstream):
    for i in range(10):
        assert gateway.chat("u", stream=i % 2 == 0).status_code == 200
    assert upstream.connections == 1


def ends_late(wait):
    """A script: a stream whose final chunk comes apart, if at all."""
    def script(connection, request):
        stream(chunk({}, "stop"), b"data: [DONE]\n\n", cut=True)(connection, request)
        return wait(connection)
    return script


def test_a_stream_whose_final_chunk_comes_late_gives_its_connection_back(gateway, upstream):
    go_on = threading.Event()
    upstream.script(ends_late(lambda connection: go_on.wait(10) and connection.send("0\r\n\r\n")))
    assert gateway.chat("u", stream=True).text.endswith("data: [DONE]\n\n")
    late = upstream.last.peer

    def used():
        assert gateway.chat("u").status_code == 200
        return upstream.last.peer
    assert used() != late  # it is not ready yet
    assert upstream.connections == 2
    go_on.set()
    until(lambda: used() == late, 5, "the connection to be used again")
    assert upstream.connections == 2


def test_one_whose_final_chunk_does_not_come_is_closed(gateway, upstream):
    gone = []
    upstream.script(ends_late(lambda connection: gone.append(connection.wait_gone()) or CLOSE))
    assert gateway.chat("u", stream=True).text.endswith("data: [DONE]\n\n")
    assert gateway.chat("u").status_code == 200
    assert upstream.connections == 2
    assert until(lambda: gone, 3 * SLOWER) == [True]


def test_errors_of_the_model_server_keep_the_connection(gateway, upstream):
    gateway.announce("call_failed")
    for status in (400, 500, 503):
        upstream.script(reply(status, {"error": {"message": "no"}}))
        gateway.chat("u")
    assert gateway.chat("u").status_code == 200
    assert upstream.connections == 1


def test_an_idle_connection_is_closed_in_its_time(gateway, upstream):
    gateway.chat("brief")
    assert len(upstream.open) == 1
    until(lambda: not upstream.open, 3 * SLOWER, "the idle connection to be closed")


def test_no_connection_is_kept_where_none_may_be(gateway, upstream):
    for _ in range(3):
        assert gateway.chat("unpooled").status_code == 200
    assert upstream.connections == 3
    until(lambda: not upstream.open)


def test_a_pooled_connection_that_the_server_closed_is_not_used(gateway, upstream):
    gateway.chat("u")
    upstream.close_idle()
    until(lambda: not upstream.open)
    before = gateway.metrics()["atlas_attempts_total"]
    assert gateway.chat("u").status_code == 200
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0)
    assert gateway.metrics()["atlas_attempts_total"] - before == 1


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("streamed", [False, True])
def test_what_was_sent_is_not_sent_again(gateway, upstream, end, streamed):
    gateway.announce("call_failed")
    gateway.chat("u")
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0)
    before = gateway.metrics()["atlas_attempts_total"]
    upstream.script(lambda connection, request: (connection.reset() if end == "reset" else None) or CLOSE)
    got = gateway.chat("u", stream=streamed, content="asked once")
    assert (got.status_code, got.json()["error"]["code"]) == (502, "upstream_error")
    assert [r.json["messages"][0]["content"] for r in upstream.requests] == ["hello", "asked once"]
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0)
    assert gateway.metrics()["atlas_attempts_total"] - before == 1


def test_only_what_was_sent_is_counted_as_an_attempt(make_gateway):
    gone = Upstream()
    gone.close()
    gateway = make_gateway({"upstreams": {"u": {"url": gone.url}}, "models": {"m": {"upstream": "u"}}})
    gateway.announce("call_failed")
    assert gateway.chat("m").status_code == 502
    until(lambda: gateway.metrics()['atlas_calls_total{outcome="failed"}'] == 1)
    assert gateway.metrics()["atlas_attempts_total"] == 0


def test_a_fresh_connection_that_dies_is_not_tried_again(gateway, upstream):
    gateway.announce("call_failed")
    upstream.script(lambda connection, request: CLOSE)
    assert gateway.chat("u").status_code == 502
    assert len(upstream.requests) == 1


def test_nothing_is_tried_again_after_a_byte_was_answered(gateway, upstream):
    gateway.announce("call_failed")
    gateway.chat("u")
    upstream.script(lambda connection, request: connection.send("HTTP/1.1 20") or CLOSE)
    assert gateway.chat("u").status_code == 502
    assert len(upstream.requests) == 2


WHOLE = json.dumps(CHAT)


@pytest.mark.parametrize("answer", [
    f"200 OK\r\nContent-Length: {len(WHOLE)}\r\n\r\n{WHOLE}",
    f"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{len(WHOLE):x}\r\n{WHOLE}\r\n0\r\n\r\n",
    "400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "204 No Content\r\n\r\n",
    "304 Not Modified\r\nContent-Length: 2\r\n\r\n",
])
@pytest.mark.parametrize("behind", ["\r\n", "{}", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"])
def test_a_connection_with_bytes_left_over_is_not_used_again(gateway, upstream, answer, behind):
    upstream.script(lambda connection, request: connection.send(f"HTTP/1.1 {answer}{behind}"))
    assert gateway.chat("u").status_code == {"200": 200, "400": 400}.get(answer[:3], 502)
    gateway.announce("call_failed")
    assert gateway.chat("u").json()["choices"]
    assert upstream.connections == 2


def test_an_early_reply_to_a_large_body_is_heard(gateway, upstream):
    upstream.script(lambda connection, request: reply(413, {"error": {"message": "too large for me"}})(connection, request) or CLOSE)
    got = gateway.chat("u", content="x" * 2_000_000)
    assert (got.status_code, got.json()["error"]["code"]) == (413, "request_too_large")
    gateway.announce("call_failed")


def test_interim_replies_are_passed_over(gateway, upstream):
    upstream.script(lambda connection, request: connection.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n")
                    or usual(connection, request))
    assert gateway.chat("u").status_code == 200


def test_connection_close_is_obeyed(gateway, upstream):
    upstream.script(reply(200, CHAT, {"Connection": "close"}))
    assert gateway.chat("u").status_code == 200
    assert gateway.chat("u").status_code == 200
    assert upstream.connections == 2


def test_beyond_its_connections_calls_to_a_model_server_wait_for_their_turn(gateway, upstream):
    go_on = threading.Event()

    def hold(connection, request):
        if go_on.wait(20):
            usual(connection, request)
    upstream.script(hold)
    clients = [Raw(gateway.port, gateway.key) for _ in range(3)]
    for raw in clients:
        raw.request("POST", "/v1/chat/completions", {"model": "single", "messages": HI})
    upstream.wait_requests(1)
    until(lambda: gateway.metrics()["atlas_calls_open"] == 3)
    assert len(upstream.requests) == 1
    clients.pop().close()  # one that has the connection, or one that waits
    go_on.set()
    for raw in clients:
        assert raw.read_reply().status == 200
        raw.close()
    assert upstream.connections <= 2  # one at a time


def test_a_slow_client_slows_the_model_server(gateway, upstream):
    sent = [0]
    stop = threading.Event()
    piece = data(chunk({"content": "x" * 16000}))

    def endless(connection, request):
        stream(chunk({"content": "a"}), cut=True)(connection, request)
        while not stop.is_set():
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            sent[0] += len(piece)
        return CLOSE
    upstream.script(endless)
    with Raw(gateway.port, gateway.key, receive_buffer=8192) as raw:
        raw.request("POST", "/v1/chat/completions", {"model": "u", "stream": True, "messages": HI})
        raw.read_head()

        def stands_still():
            before = sent[0]
            try:
                stays(lambda: sent[0] == before, 0.3)
            except AssertionError:
                return False
            return before > 0
        until(stands_still, 20, "the model server to be slowed")
        at = sent[0]
        assert at < 16_000_000  # kernels' buffers on both sides, and one output_max
        assert gateway.metrics()["atlas_buffered_bytes"] < 1_000_000
        raw.reader.read(8_000_000)
        until(lambda: sent[0] > at, 5, "the model server to go on")
        stop.set()


def test_a_server_that_is_started_again_is_found_again(make_gateway):
    first = Upstream()
    gateway = make_gateway({"upstreams": {"u": {"url": first.url}}, "models": {"m": {"upstream": "u"}}})
    assert gateway.chat("m").status_code == 200
    first.close()
    gateway.announce("call_failed")
    until(lambda: gateway.chat("m").status_code == 502, 5)
    second = Upstream(port=first.port)
    until(lambda: gateway.chat("m").status_code == 200, 5)
    second.close()
