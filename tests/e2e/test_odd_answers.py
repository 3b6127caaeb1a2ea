# SPDX-License-Identifier: Apache-2.0
"""Answers that are right but for their type, a torn character, or their size."""
import json

import pytest

from harness.raw import content, events
from harness.upstream import CHAT, chunk, data, reply, stream

TORN = b"\xf0\x9f\x98"


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    return make_gateway({"upstreams": {"u": {"url": upstream.url}, "small": {"url": upstream.url, "reply_max": "1MiB"},
                                       "least": {"url": upstream.url, "reply_max": "1KiB"}},
                         "models": {"m": {"upstream": "u"}, "small": {"upstream": "small"}, "least": {"upstream": "least"}}})


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/x-ndjson", "text/event-stream", None])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\r\n", b": hello\n\n", b"event: message\n"])
def test_a_stream_is_read_as_one_whatever_its_type(gateway, upstream, kind, start):
    body = start + data(chunk({"content": "Salam"})) + data(chunk({}, "stop")) + b"data: [DONE]\n\n"
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n" + (f"Content-Type: {kind}\r\n" if kind else "") + "\r\n"

    def script(connection, request):
        connection.send(head.encode() + body[:3])
        connection.send(body[3:])
    upstream.script(script)
    got = gateway.chat("m", stream=True)
    assert got.status_code == 200, got.text
    assert got.headers["content-type"].startswith("text/event-stream")
    assert content(events(got.text)) == "Salam"


@pytest.mark.parametrize("kind", ["text/event-stream", "text/plain"])
def test_a_whole_reply_is_read_as_one_whatever_its_type(gateway, upstream, kind):
    upstream.script(reply(200, CHAT, {"Content-Type": kind}))
    assert content(events(gateway.chat("m", stream=True).text)) == "Salam"


def test_a_torn_character_does_not_end_a_stream(gateway, upstream):
    torn = data(chunk({"content": "a@"})).replace(b"@", TORN)
    upstream.script(stream(torn, chunk({"content": "b"}), chunk({}, "stop")))
    got = gateway.chat("m", stream=True)
    assert content(events(got.content)) == "a\ufffdb"
    assert got.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("letters", [1, 100_000])
def test_a_torn_character_does_not_spoil_a_whole_reply(gateway, upstream, letters):
    body = json.dumps({**CHAT, "choices": [{"index": 0, "message": {"role": "assistant", "content": "x" * letters + "@"},
                                            "finish_reason": "stop"}]}).encode().replace(b"@", TORN)
    upstream.script(reply(200, body))
    got = gateway.chat("m")
    assert got.json()["choices"][0]["message"]["content"] == "x" * letters + "\ufffd"


def test_a_picture_of_12_mib_passes_streamed_as_it_does_whole(gateway, upstream):
    picture = "data:image/png;base64," + "A" * (12 << 20)
    upstream.script(stream(chunk({"content": picture}), chunk({}, "stop")))
    streamed = content(events(gateway.chat("m", stream=True).content))
    assert streamed == picture
    upstream.script(reply(200, {**CHAT, "choices": [{"index": 0, "message": {"role": "assistant", "content": picture},
                                                     "finish_reason": "stop"}]}))
    assert gateway.chat("m").json()["choices"][0]["message"]["content"] == picture
    assert gateway.metrics()["atlas_buffered_bytes"] == 0


def test_a_reply_that_does_not_say_at_once_what_it_is_has_its_maximum_too(gateway, upstream):
    gateway.announce("call_failed")
    body = json.dumps({**CHAT, "system_fingerprint": "x" * 500_000}).encode()

    def script(connection, request):
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body) + 2}\r\n\r\n\r\n")
        connection.send(body)
    for _ in range(10):  # the first bytes come alone, as a rule
        upstream.script(script)
        got = gateway.chat("least", stream=True)
        assert got.status_code == 502, got.text[-500:]


def test_an_event_beyond_reply_max_ends_the_stream(gateway, upstream):
    gateway.announce("call_failed")
    upstream.script(stream(chunk({"content": "a"}), chunk({"content": "x" * (2 << 20)}), cut=True))
    first, error, end = events(gateway.chat("small", stream=True).text)
    assert first["choices"][0]["delta"]["content"] == "a"
    assert error["error"]["code"] == "upstream_error"
    assert end == "[DONE]"
