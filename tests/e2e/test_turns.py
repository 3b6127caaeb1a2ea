# SPDX-License-Identifier: Apache-2.0
"""One peer's worst input beside others: no other call is later than by 2 ms, and no turn of the worker is longer."""
import contextlib
import json
import socket
import time

import pytest

from harness.processes import SLOWER
from harness.raw import Raw
from harness.turns import holds_nobody_up
from harness.upstream import CHAT, CLOSE, chunk, data
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]
ASK = {"model": "m", "messages": HI}
CHAT_PATH = "/v1/chat/completions"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


@pytest.fixture(scope="module")
def gateway(make_gateway, sim, upstream):
    """One worker: whoever holds it up holds all. `quick` answers at once, `m` what a test says."""
    return make_gateway({
        "workers": 1,
        "client": {"head_timeout": "2s"},
        "upstreams": {"sim": {"url": sim.base},
                      "u": {"url": upstream.url, "timeouts": {"total": f"{2 * SLOWER}s"}}},
        "models": {"quick": {"upstream": "sim"}, "m": {"upstream": "u"}}})


def ask(gateway, body=ASK, expect=(200,)):
    """One call over a connection of its own, read to its end, in whatever way it ends."""
    with Raw(gateway.port, gateway.key, timeout=60 * SLOWER) as raw:
        raw.request("POST", CHAT_PATH, body, close=True)
        head = raw.read_head()
        assert head.status in expect, head.status
        while raw.reader.read1(1 << 20):
            pass


def one_byte_chunks(body):
    return b"".join(b"1\r\n%c\r\n" % byte for byte in body)


# ---- what a model server sends ----

def flood(head, piece, times):
    """A script: a head, and the same bytes again and again until the gateway has enough."""
    def script(connection, request):
        connection.send(head)
        with contextlib.suppress(OSError):  # the gateway has had enough
            for _ in range(times):
                connection.send(piece)
        return CLOSE
    return script


FLOODS = {
    "newlines": (STREAM_HEAD + b"\r\n", b"\n" * (1 << 20)),
    "newlines in one-byte chunks": (STREAM_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n\n\r\n" * (1 << 18)),
    "comments": (STREAM_HEAD + b"\r\n", b":\n\n" * (1 << 18)),
}


@pytest.mark.parametrize("what", FLOODS)
def test_a_model_server_that_floods_a_stream_holds_no_other_call_up(gateway, sim, upstream, what):
    head, piece = FLOODS[what]
    gateway.announce("call_failed")

    def bad():
        upstream.scripts.append(flood(head, piece, 6))
        ask(gateway, {**ASK, "stream": True}, (200, 502, 504))

    holds_nobody_up(gateway, sim, bad)


def test_a_model_server_that_floods_a_stream_is_cut_off_at_its_total_time(gateway, upstream):
    gateway.announce("call_failed")
    upstream.scripts.append(flood(*FLOODS["newlines"], 1 << 20))
    begun = time.monotonic()
    ask(gateway, {**ASK, "stream": True}, (200, 504))
    assert time.monotonic() - begun < 3 * SLOWER


def test_a_reply_in_one_byte_chunks_holds_no_other_call_up(gateway, sim, upstream):
    text = reply_of(600_000)
    body = one_byte_chunks(text) + b"0\r\n\r\n"

    def bad():
        upstream.scripts.append(
            lambda connection, request: connection.send(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + body))
        ask(gateway)

    holds_nobody_up(gateway, sim, bad)


def reply_of(size):
    """A whole reply of about so many bytes."""
    return json.dumps({**CHAT, "padding": "x" * size}).encode()


def test_a_stream_in_one_byte_chunks_holds_no_other_call_up(gateway, sim, upstream):
    events = b"".join(data(chunk({"content": "Salam"})) for _ in range(2000)) + b"data: [DONE]\n\n"
    body = one_byte_chunks(events) + b"0\r\n\r\n"

    def bad():
        upstream.scripts.append(
            lambda connection, request: connection.send(STREAM_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body))
        ask(gateway, {**ASK, "stream": True})

    holds_nobody_up(gateway, sim, bad)


HEADS = {
    "interim heads": b"".join(b"HTTP/1.1 103 Hints\r\nLink: %s\r\n\r\n" % (b"x" * 60000) for _ in range(16))
                     + b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    "a list of names to drop": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: "
                               + b"a," * 29000 + b"a\r\n" + b"".join(b"X-%d: v\r\n" % i for i in range(90)) + b"\r\n{}",
    "trailers": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
                + b"A: b\r\n" * 1300 + b"\r\n",
}


@pytest.mark.parametrize("what", HEADS)
def test_a_long_head_of_a_model_server_holds_no_other_call_up(gateway, sim, upstream, what):
    gateway.announce("call_failed")

    def bad():
        upstream.scripts.append(lambda connection, request: connection.send(HEADS[what]))
        ask(gateway, ASK, (200, 502))

    holds_nobody_up(gateway, sim, bad)


# ---- what a client sends ----

def test_a_body_in_one_byte_chunks_holds_no_other_call_up(gateway, sim):
    body = b'{"model": "quick", "messages": [{"role": "user", "content": "%s"}]}' % (b"x" * 400_000)
    head = (f"POST {CHAT_PATH} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {gateway.key}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").encode()
    whole = head + one_byte_chunks(body) + b"0\r\n\r\n"

    def bad():
        with Raw(gateway.port, timeout=60 * SLOWER) as raw:
            raw.send(whole)
            assert raw.read_reply().status == 200

    holds_nobody_up(gateway, sim, bad)


def test_a_thousand_small_requests_in_one_go_hold_no_other_call_up(gateway, sim):
    requests = b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n" * 2000

    def bad():
        with Raw(gateway.port, timeout=60 * SLOWER) as raw:
            raw.send(requests)
            assert [raw.read_reply().status for _ in range(2000)] == [404] * 2000

    holds_nobody_up(gateway, sim, bad)


def test_a_head_with_a_list_of_names_to_drop_holds_no_other_call_up(gateway, sim):
    lines = b"".join(b"X-%d: v\r\n" % i for i in range(80))
    head = (f"POST {CHAT_PATH} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {gateway.key}\r\n").encode() + lines
    request = head + b"Connection: " + b"a," * 6000 + b"close\r\nContent-Length: 2\r\n\r\n{}"

    def bad():
        with Raw(gateway.port, timeout=60 * SLOWER) as raw:
            raw.send(request)
            assert raw.read_reply().status in (400, 431)

    holds_nobody_up(gateway, sim, bad)


def crowd(gateway, count):
    found = []
    for _ in range(count):
        one = socket.socket()
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):  # it goes on by itself
            one.connect(("127.0.0.1", gateway.port))
        found.append(one)
    return found


def test_a_crowd_that_connects_at_once_and_one_that_is_late_at_once_hold_no_other_call_up(gateway, sim):
    def bad():
        before = gateway.metrics()["atlas_connections_open"]
        ones = crowd(gateway, 1000)
        until(lambda: gateway.metrics()["atlas_connections_open"] >= before + 1000, 10 * SLOWER, "all of them to be there")
        until(lambda: gateway.metrics()["atlas_connections_open"] <= before + 10, 10 * SLOWER, "none of them to say a word")
        for one in ones:
            one.close()

    holds_nobody_up(gateway, sim, bad)


# ---- answers that take long to look at ----

def large_event(choices):
    return data('{"id":"c","object":"chat.completion.chunk","created":1,"model":"served","choices":[%s]}' % choices)


def content_of(size):
    return '{"index":0,"delta":{"content":"%s"}}' % ("x" * size)


END = data(chunk({}, "stop")) + b"data: [DONE]\n\n"
MANY_CALLS = b"".join(large_event('{"index":%d,"delta":{"tool_calls":[%s]}}' % (choice, ",".join(
    '{"index":%d,"function":{"name":"f"}}' % call for call in range(128)))) for choice in range(128))
def nameless_calls(choice):
    return data('{"choices":[{"index":%d,"delta":{"tool_calls":[%s]}}]}' % (choice, ",".join('{"index":%d}' % i for i in range(128))))


LONG_ANSWERS = {
    "128 choices of 128 tool calls that never say a name": (True, b"".join(nameless_calls(i) for i in range(128))),
    "an event of 8 MiB": (True, large_event(content_of(8 << 20))),
    "an event of 300,000 members": (True, large_event('{"index":0,"delta":{%s}}' % ",".join(f'"{i}":0' for i in range(300_000)))),
    "an event of 8 MiB that repeats the one before": (True, large_event(content_of(1)) * 3 + large_event(content_of(8 << 20))),
    "an event of a million data lines": (True, b"data: {\n" + b"data:\n" * 1_000_000 + b"data: }\n\n"),
    "a torn character at the end of 8 MiB": (True, large_event(content_of(8 << 20)).replace(b'"}}', b'\xff"}}')),
    "a usage of 700,000 members": (True, data('{"choices":[],"usage":{%s}}' % ",".join(f'"{i}":0' for i in range(700_000)))),
    "a finish_reason of 8 MiB": (True, large_event('{"index":0,"delta":{},"finish_reason":"%s"}' % ("1" * (8 << 20)))),
    "arguments of 8 MiB that are no text": (True, large_event(
        '{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":{"a":"%s"}}}]}}' % (r"\n" * (4 << 20)))),
    "arguments of 40 MB behind a piece that came before the name": (True, data(
        '{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}}]}') + large_event(
        '{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"%s"}}]}}' % ("x" * 40_000_000))),
    "an event of 300,000 choices": (True, large_event(",".join(['{"index":0,"delta":{}}'] * 300_000))),
    "an event of 300,000 tool calls": (True, large_event(
        '{"index":0,"delta":{"tool_calls":[%s]}}' % ",".join(['{"function":{"name":"f","arguments":{}}}'] * 300_000))),
    "calls, 128 of 128 choices, whose arguments never come": (True, MANY_CALLS),
    "calls, 128 of 128 choices, that end in one event": (True, MANY_CALLS + large_event(",".join(['{"finish_reason":"x"}'] * 128))),
    "an event of 100,000 logprobs": (True, large_event('{"index":0,"delta":{"content":"x"},"logprobs":{"content":[%s]}}' % ",".join(
        ['{"token":"x","logprob":-0.5,"bytes":[120],"top_logprobs":[]}'] * 100_000))),
    "an event of 40 MiB in 60,000 data lines": (True, b"data: {\n" + (b"data:" + b" " * 700 + b"\n") * 60_000 + b"data: }\n\n"),
    "an event of 2 MiB with a thousand torn characters": (True, large_event(content_of(2000 * 1024)).replace(b"x" * 2000, b"x" * 1999 + b"\xff")),
    "a reply of 2 MiB with a thousand torn characters": (False, b'{"choices":[{"index":0,"message":{"content":"%s"}}]}'
                                                          % (b"x" * 2000 + b"\xff").__mul__(1000)),
    "a reply of a million choices": (False, b'{"choices":[%s]}' % b",".join([b"{}"] * 1_000_000)),
    "a reply of 100,000 tool calls": (False, b'{"choices":[{"message":{"tool_calls":[%s]}}]}'
                                      % b",".join([b'{"function":{"name":"f","arguments":{}}}'] * 100_000)),
    "a reply of 900,000 members": (False, b'{"choices":[{"message":{%s}}]}' % b",".join(b'"%d":0' % i for i in range(900_000))),
    "a reply of 64 choices with a thousand members of escapes each": (
        False, b'{"usage":{"completion_tokens":1000000},"choices":[%s]}' % b",".join(
            [b'{%s,"message":{}}' % b",".join([b'"%s":0' % (rb"\u0061" * 30)] * 1000)] * 64)),
    "reasoning of 1 MB of escapes under both names": (False, b'{"usage":{"completion_tokens":1000},"choices":[{"message":'
                                                      b'{"reasoning":"%s","reasoning_content":"%s"}}]}' % ((rb"\u0627" * 170_000,) * 2)),
    "a reply of 48 MB in another place": (False, b'{"choices":[{"text":"%s"}]}' % (b"x" * 48_000_000)),
    "a reply of 48 MB": (False, b'{"choices":[{"message":{"content":"%s"}}]}' % (b"x" * 48_000_000)),
    "a reply of 30 kB of choices": (False, b'{"choices":[%s]}' % b",".join([b"{}"] * 10_000)),
}


@pytest.mark.parametrize("what", LONG_ANSWERS)
def test_an_answer_that_takes_long_to_look_at_holds_no_other_call_up(gateway, sim, upstream, what):
    streams, body = LONG_ANSWERS[what]
    gateway.announce("call_failed")
    head = STREAM_HEAD + b"\r\n" if streams else b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)

    def script(connection, request):
        connection.send(head + body + (END if streams else b""))
        return CLOSE if streams else None

    def bad():
        upstream.scripts.append(script)
        ask(gateway, {**ASK, "stream": streams}, (200, 502, 503))

    holds_nobody_up(gateway, sim, bad)


LONG_ERRORS = {
    "text that is no UTF-8": b"\xd8\xff" * 125_000,
    "words that are nearly those that are looked for": b'{"error":{"message":"header %s"}}' % (b"x-request-i stream_option " * 9_000),
    "a message of escapes": b'{"error":{"message":"%s"}}' % (rb"\u0061" * 40_000),
}


@pytest.mark.parametrize("what", LONG_ERRORS)
def test_an_error_that_takes_long_to_read_holds_no_other_call_up(gateway, sim, upstream, what):
    body = LONG_ERRORS[what]
    gateway.announce("call_failed")

    def refuses(connection, request):
        connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def bad():
        upstream.scripts.clear()
        upstream.scripts.extend([refuses, refuses])
        ask(gateway, ASK, (400,))

    holds_nobody_up(gateway, sim, bad)
    upstream.scripts.clear()


# ---- what a client asks: each is read, counted and edited in slices ----

def said(content, more=b""):
    """A chat, as bytes: Python's own JSON would take longer than the gateway."""
    return b'{"model":"m","messages":[{"role":"user","content":"%s"}]%s}' % (content, more)


def members(count, first=b""):
    return first + b",".join(b'"k%d":0' % i for i in range(count))


REQUESTS = {
    "11 MB of text": said(b"x" * 11_000_000),
    "11 MB of escapes": said(rb"\u0627" * 1_830_000),
    "a picture of 8 MB": said(b"", b',"x":"data:image/png;base64,%s"' % (b"A" * 8_000_000)),
    "900,000 members of a message": b'{"model":"m","messages":[{%s}]}' % members(900_000),
    "900,000 members of an object that nobody knows": said(b"hi", b',"x":{%s}' % members(900_000)),
    "members that are escaped": b'{"model":"m","messages":[{%s}]}' % members(100_000).replace(b'"k', rb'"\u006b'),
    "two million numbers": said(b"hi", b',"x":[%s]' % b",".join([b"0"] * 2_000_000)),
    "half a million messages": b'{"model":"m","messages":[%s]}' % b",".join([b"{}"] * 500_000),
    "half a million messages without a name": b'{"model":"m","messages":[%s]}' % b",".join([b'{"x":1}'] * 500_000),
    "a fault at the end of 11 MB": said(b"x" * 11_000_000, b',"n":0'),
    "no JSON at the end of 11 MB": said(b"x" * 11_000_000, b","),
    "too many developers": b'{"model":"m","messages":[%s]}' % b",".join([b'{"role":"developer"}'] * 300_000),
    "a thousand members, and hundreds in extra_body, with names of escapes": b'{"model":"m","messages":[{"role":"user"}],%s,"extra_body":{"n":1,%s}}'
        % (b",".join(b'"%s%d":0' % (rb"\u0061" * 1000, i) for i in range(1000)),
           b",".join(b'"%s%d":0' % (b"a" * 1000, i) for i in range(1000, 1250))),
    "a key of 2 MB that comes twice": b'{"%s":0,"%s":0}' % (rb"\\" * 1_000_000, rb"\\" * 1_000_000),
    "a model's name of 4 MB": b'{"messages":[{"role":"user"}],"model":"%s"}' % (rb"\u0061" * 690_000),
    "four thousand developers": b'{"model":"m","messages":[%s]}' % b",".join([b'{"role":"developer"}'] * 4_000),
}


def answers(connection, request):
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    % (len(reply_of(0)), reply_of(0)))


@pytest.mark.parametrize("what", REQUESTS)
def test_a_large_request_holds_no_other_call_up(gateway, sim, upstream, what):
    def bad():
        upstream.scripts.clear()
        upstream.scripts.append(answers)
        ask(gateway, REQUESTS[what], (200, 400, 404))

    holds_nobody_up(gateway, sim, bad)
    upstream.scripts.clear()


# ---- what the operator does ----

STREAMS = 400


def test_the_end_of_all_streams_of_a_revoked_key_holds_no_other_call_up(gateway, sim):
    slow = {"model": "quick", "messages": HI, "stream": True, "sim": {"first_token_ms": 600_000}}
    gateway.announce("call_failed")

    def bad():
        key = gateway.new_key("many")
        running = sim.counters()["running"]
        with contextlib.ExitStack() as ends:
            streams = [ends.enter_context(Raw(gateway.port, key["key"], timeout=60 * SLOWER)) for _ in range(STREAMS)]
            for raw in streams:
                raw.request("POST", CHAT_PATH, slow)
            until(lambda: sim.counters()["running"] >= running + STREAMS, 20 * SLOWER, "all of them to run")
            gateway.revoke(key["id"])
            for raw in streams:
                assert raw.read_reply().status == 401

    holds_nobody_up(gateway, sim, bad)
