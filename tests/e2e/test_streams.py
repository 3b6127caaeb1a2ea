# SPDX-License-Identifier: Apache-2.0
"""Streams: the order and form of events that OpenAI's clients rely on."""
import json
import threading

import pytest

from harness.raw import Raw, content, events
from harness.upstream import CLOSE, chunk, data, stream, usage_chunk

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    return make_gateway({"upstreams": {"u": {"url": upstream.url}, "l": {"url": upstream.url, "kind": "llama.cpp"}},
                         "models": {"m": {"upstream": "u"}, "llama": {"upstream": "l"}}})


def ask(gateway, upstream, *sent, model="m", usage=None, **more):
    """What the client gets when the model server sends these events."""
    upstream.script(stream(*sent, **more))
    got = gateway.chat(model, stream=True, **({"stream_options": {"include_usage": usage}} if usage is not None else {}))
    assert got.status_code == 200, got.text
    return events(got.text)


def test_a_stream_is_an_event_stream_that_nobody_buffers(gateway):
    got = gateway.chat("m", stream=True)
    assert got.headers["content-type"].startswith("text/event-stream")
    assert got.headers["cache-control"] == "no-cache"
    assert got.headers["x-accel-buffering"] == "no"
    assert "content-length" not in got.headers
    assert got.text.endswith("\n\ndata: [DONE]\n\n")
    assert content(events(got.text)) == "Salam"


def test_every_event_names_the_model_that_was_asked_for(gateway):
    got = events(gateway.chat("m", stream=True).text)
    assert {e["model"] for e in got[:-1]} == {"m"}


def test_usage_that_was_not_asked_for_is_not_there(gateway, upstream):
    for usage in (None, False):
        got = ask(gateway, upstream, chunk({"content": "x"}), chunk({}, "stop"), usage_chunk(), usage=usage)
        assert not any(e.get("usage") for e in got[:-1])
        assert all(e["choices"] for e in got[:-1])


def test_usage_that_was_asked_for_is_the_last_chunk(gateway, upstream):
    got = ask(gateway, upstream, chunk({"content": "x"}), chunk({}, "stop"), usage_chunk(), usage=True)
    assert got[-2]["usage"] == USAGE
    assert got[-2]["choices"] == []
    assert not any(e.get("usage") for e in got[:-2])
    assert got[-1] == "[DONE]"


@pytest.mark.parametrize("end", [True, False], ids=["done", "no-done"])
def test_usage_in_the_finish_chunk_moves_to_one_of_its_own(gateway, upstream, end):
    got = ask(gateway, upstream, chunk({"content": "x"}), chunk({}, "stop", usage=USAGE), usage=True, end=end)
    assert "usage" not in got[1] or got[1]["usage"] is None
    assert got[1]["choices"][0]["finish_reason"] == "stop"
    assert (got[-2]["choices"], got[-2]["usage"]) == ([], USAGE)
    assert got[-2]["object"] == "chat.completion.chunk"
    assert got[-1] == "[DONE]"


def test_llamas_timings_are_counted_as_usage(gateway, upstream):
    before = gateway.metrics()['atlas_tokens_total{direction="output"}']
    ask(gateway, upstream, chunk({"content": "x"}), chunk({}, "stop", timings={"prompt_n": 5, "cache_n": 2, "predicted_n": 9}),
        model="llama")
    assert gateway.metrics()['atlas_tokens_total{direction="output"}'] - before == 9


def test_a_missing_done_is_added(gateway, upstream):
    got = ask(gateway, upstream, chunk({"content": "x"}), chunk({}, "stop"), end=False)
    assert got[-1] == "[DONE]"
    assert content(got) == "x"


def test_the_reply_ends_with_done_whatever_follows_it(gateway, upstream):
    got = ask(gateway, upstream, chunk({}, "stop"), b"data: [DONE]\n\n", chunk({"content": "after"}))
    assert [e if e == "[DONE]" else e["choices"][0]["finish_reason"] for e in got] == ["stop", "[DONE]"]


def test_done_is_those_exact_bytes(gateway, upstream):
    upstream.script(stream(chunk({}, "stop"), b"data:[DONE] \r\n\r\n", end=False))
    assert gateway.chat("m", stream=True).text.endswith("\n\ndata: [DONE]\n\n")


def test_tool_deltas_pass_by_index(gateway, upstream):
    deltas = [
        {"role": "assistant", "content": None, "tool_calls": [
            {"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]},
        {"tool_calls": [{"index": 1, "id": "call_b", "type": "function", "function": {"name": "g", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
    ]
    got = ask(gateway, upstream, *[chunk(d) for d in deltas], chunk({}, "tool_calls"))
    assert [e["choices"][0]["delta"] for e in got[:4]] == deltas
    assert got[4]["choices"][0]["finish_reason"] == "tool_calls"


def test_tool_deltas_are_given_what_clients_need_and_only_once(gateway, upstream):
    got = ask(gateway, upstream,
              chunk({"tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{"}}]}),
              chunk({"tool_calls": [{"index": 0, "id": "again", "function": {"name": "f", "arguments": "}"}}]}),
              chunk({}, "tool_calls"))
    first, second = (e["choices"][0]["delta"]["tool_calls"][0] for e in got[:2])
    assert first["index"] == 0
    assert first["id"].startswith("call_")
    assert first["function"] == {"name": "f", "arguments": "{"}
    assert second == {"index": 0, "function": {"arguments": "}"}}


def test_the_tool_calls_of_each_choice_are_mended(gateway, upstream):
    def of(index, call, finish=None):
        return {**chunk({}), "choices": [{"index": index, "delta": {"tool_calls": [call]}, "finish_reason": finish}]}
    got = ask(gateway, upstream, of(0, {"function": {"name": "f", "arguments": "{"}}),
              of(1, {"function": {"name": "g", "arguments": "{"}}),
              of(1, {"id": None, "function": {"name": None, "arguments": "}"}}, "tool_calls"),
              of(0, {"function": {"arguments": "}"}}, "tool_calls"))
    calls = [(e["choices"][0]["index"], e["choices"][0]["delta"]["tool_calls"][0]) for e in got[:-1]]
    ids = [call.get("id") for _, call in calls]
    assert len({*ids[:2]}) == 2
    assert all(ids[:2])
    assert ids[2:] == [None, None]
    assert [(choice, call["index"], call["function"]) for choice, call in calls] == [
        (0, 0, {"name": "f", "arguments": "{"}), (1, 0, {"name": "g", "arguments": "{"}), (1, 0, {"arguments": "}"}),
        (0, 0, {"arguments": "}"})]


def test_an_event_of_several_data_lines_is_one_line_to_the_client(gateway, upstream):
    lines = json.dumps(chunk({"content": "a\nb"}), indent=2).split("\n")
    got = gateway_text(gateway, upstream, b"".join(b"data: " + line.encode() + b"\r\n" for line in lines) + b"\r\n",
                       data(chunk({}, "stop")))
    assert all(line == "" or line.startswith("data: ") for line in got.split("\n"))
    assert content(events(got)) == "a\nb"


def test_reasoning_deltas_keep_their_name(gateway, upstream):
    got = ask(gateway, upstream, chunk({"reasoning": "hm"}), chunk({"reasoning_content": "ok"}), chunk({}, "stop"))
    assert got[0]["choices"][0]["delta"] == {"reasoning": "hm", "role": "assistant"}
    assert got[1]["choices"][0]["delta"] == {"reasoning_content": "ok"}


def test_a_null_error_in_a_chunk_is_taken_out(gateway, upstream):
    got = ask(gateway, upstream, chunk({"content": "x"}, error=None), chunk({}, "stop", error=None))
    assert all("error" not in e for e in got[:-1])


def test_unknown_members_of_chunks_stay(gateway, upstream):
    got = ask(gateway, upstream, chunk({"content": "x", "audio": {"id": 1}}, matched_stop=None, obfuscation="abc"),
              chunk({}, "stop", timings={"a": 1}))
    assert got[0]["choices"][0]["delta"]["audio"] == {"id": 1}
    assert (got[0]["obfuscation"], got[0]["matched_stop"], got[1]["timings"]) == ("abc", None, {"a": 1})


def test_choices_may_interleave_and_each_must_finish(gateway, upstream):
    def of(index, delta, finish=None):
        return {**chunk(delta, finish), "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}
    got = ask(gateway, upstream, of(0, {"content": "a"}), of(1, {"content": "b"}), of(1, {}, "stop"), of(0, {}, "length"))
    assert [e["choices"][0]["index"] for e in got[:-1]] == [0, 1, 1, 0]
    gateway.announce("call_failed")
    got = ask(gateway, upstream, of(0, {"content": "a"}), of(1, {"content": "b"}), of(1, {}, "stop"), end=False)
    assert got[-2]["error"]["code"] == "upstream_error"


def test_comments_and_odd_lines_become_nothing_that_breaks_a_client(gateway, upstream):
    got = gateway_text(gateway, upstream, b": ping\n\n", data(chunk({"content": "a"})), b": ping\n\n", b"event: x\n\n",
                       b"id: 7\nretry: 100\n\n", b"event: message\ndata: " + json.dumps(chunk({"content": "b"})).encode() + b"\r\n\r\n",
                       data(chunk({}, "stop")))
    for line in got.split("\n"):
        assert line == "" or line.startswith((":", "data: ")), line
    assert content(events(got)) == "ab"


def gateway_text(gateway, upstream, *sent):
    upstream.script(stream(*sent))
    got = gateway.chat("m", stream=True)
    assert got.status_code == 200
    return got.text


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_events_may_be_cut_anywhere(gateway, upstream, size):
    whole = b"".join(data(c) for c in (chunk({"role": "assistant", "content": "مر"}), chunk({"content": "حبا"}), chunk({}, "stop"),
                                       usage_chunk())) + b"data: [DONE]\n\n"
    pieces = [whole[i:i + size] for i in range(0, len(whole), size)]
    got = gateway_text(gateway, upstream, *pieces)
    assert content(events(got)) == "مرحبا"


def test_the_bytes_of_an_event_stay_as_they_were(gateway, upstream):
    event = (b'data: {"id":"c", "object":"chat.completion.chunk" ,"created":7,"choices":[{"index":0,"delta":{"role":"assistant",'
             b'"content":"\\u0645\\/"},"score": 1.50}] , "model":"m"}\n\n')
    assert gateway_text(gateway, upstream, event, data(chunk({}, "stop"))).startswith(event.decode())


def test_an_event_is_forwarded_before_the_next_one_comes(gateway, upstream):
    go_on = threading.Event()

    def script(connection, request):
        stream(chunk({"content": "first"}), cut=True)(connection, request)
        assert go_on.wait(10)
        for piece in (data(chunk({}, "stop")), b"data: [DONE]\n\n"):
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")
    upstream.script(script)
    with Raw(gateway.port, gateway.key) as raw:
        raw.request("POST", "/v1/chat/completions", {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]})
        head = raw.read_head()
        assert head.header("transfer-encoding") == "chunked"
        assert b"first" in raw.read_chunk()
        go_on.set()
        rest = b""
        while (piece := raw.read_chunk()):
            rest += piece
        assert rest.endswith(b"data: [DONE]\n\n")
        raw.request("GET", "/healthz")  # the connection is good for more
        assert raw.read_reply().status == 200


def test_a_large_event_passes(gateway, upstream):
    text = "ب" * 500_000
    assert content(ask(gateway, upstream, chunk({"content": text}), chunk({}, "stop"))) == text


def test_http_1_0_clients_get_a_stream_that_ends_with_the_connection(gateway):
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]})
    with Raw(gateway.port) as raw:
        raw.send(f"POST /v1/chat/completions HTTP/1.0\r\nHost: a\r\nAuthorization: Bearer {gateway.key}\r\n"
                 f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}")
        reply = raw.read_reply()
    assert reply.header("transfer-encoding") is None
    assert reply.body.endswith(b"data: [DONE]\n\n")


def test_completions_stream_too(gateway, upstream):
    def text(piece, finish=None):
        return {"id": "c", "object": "text_completion", "created": 1, "model": "s",
                "choices": [{"index": 0, "text": piece, "finish_reason": finish}]}
    upstream.script(stream(text("Sa"), text("lam", "stop"), {**usage_chunk(), "object": "text_completion"}))
    got = events(gateway.post("/v1/completions", {"model": "m", "prompt": "x", "stream": True,
                                                  "stream_options": {"include_usage": True}}).text)
    assert "".join(e["choices"][0]["text"] for e in got[:2]) == "Salam"
    assert {e["object"] for e in got[:-1]} == {"text_completion"}
    assert got[-2]["usage"] == USAGE


def test_a_stream_cut_before_its_first_event_is_a_status(gateway, upstream):
    gateway.announce("call_failed")
    upstream.script(lambda connection, request: connection.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n") or CLOSE)
    got = gateway.chat("m", stream=True)
    assert (got.status_code, got.json()["error"]["code"]) == (502, "upstream_error")
