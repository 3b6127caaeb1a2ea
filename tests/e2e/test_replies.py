# SPDX-License-Identifier: Apache-2.0
"""Replies that are not streamed: what is kept, and what is mended for OpenAI's clients."""
import base64
import struct

import pytest

from harness.upstream import CHAT, CLOSE, reply

KINDS = ["openai", "sglang", "ollama"]


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    return make_gateway({"upstreams": {kind: {"url": upstream.url, "kind": kind} for kind in KINDS},
                         "models": {kind: {"upstream": kind} for kind in KINDS} | {"a/b": {"upstream": "openai"}}})


def message(**members):
    return {**CHAT, "choices": [{"index": 0, "message": {"role": "assistant", "content": None, **members},
                                 "finish_reason": "stop"}]}


def test_unknown_members_of_a_reply_stay(gateway, upstream):
    extra = {"timings": {"predicted_n": 3}, "prompt_logprobs": None, "kv_transfer_params": {"a": [1.50]}, "id": "x-1",
             "system_fingerprint": "fp", "service_tier": "default"}
    upstream.script(reply(200, {**CHAT, **extra}))
    assert gateway.chat("a/b").json() == {**CHAT, **extra, "model": "a/b"}


def test_the_reply_is_not_written_anew(gateway, upstream):
    text = '{ "id":"c","object" :"chat.completion", "created":7,"choices":[ {"index":0,"message":{"role":"assistant","content":"\\u0633"},"score":1.0e0,"finish_reason":"stop"} ],"model" : "x"}'
    upstream.script(reply(200, text))
    assert gateway.chat("a/b").text == text.replace('"x"', '"a/b"')


def test_a_model_server_that_names_no_model_gets_the_name_added(gateway, upstream):
    upstream.script(reply(200, {"choices": CHAT["choices"]}))
    assert gateway.chat("a/b").json()["model"] == "a/b"


def test_a_null_error_is_taken_out(gateway, upstream):
    upstream.script(reply(200, {"error": None, **CHAT}))
    got = gateway.chat("openai")
    assert got.status_code == 200
    assert "error" not in got.json()


@pytest.mark.parametrize("members,expected", [
    ({"reasoning": "hm"}, {"reasoning": "hm"}),
    ({"reasoning_content": "hm"}, {"reasoning_content": "hm"}),
    ({"reasoning": "hm", "reasoning_content": None}, {"reasoning": "hm", "reasoning_content": None}),
    ({"reasoning": "hm", "reasoning_content": "hm"}, {"reasoning_content": "hm"}),
    ({"reasoning": "hm", "reasoning_content": "other"}, {"reasoning": "hm", "reasoning_content": "other"}),
    ({"reasoning": None}, {"reasoning": None}),
])
def test_reasoning_is_told_once_under_the_servers_own_name(gateway, upstream, members, expected):
    upstream.script(reply(200, message(**members)))
    got = gateway.chat("openai").json()["choices"][0]["message"]
    assert {k: v for k, v in got.items() if k.startswith("reasoning")} == expected


def test_tool_calls_pass(gateway, upstream):
    calls = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x": "é"}'}}]
    upstream.script(reply(200, message(tool_calls=calls)))
    assert gateway.chat("openai").json()["choices"][0]["message"]["tool_calls"] == calls


def test_sglangs_abort_is_a_stop(gateway, upstream):
    upstream.script(reply(200, {**CHAT, "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"},
                                                     "finish_reason": "abort"}]}))
    assert gateway.chat("sglang").json()["choices"][0]["finish_reason"] == "stop"


def test_the_model_servers_own_headers_stay_behind(gateway, upstream):
    upstream.script(reply(200, CHAT, {"Server": "uvicorn", "Set-Cookie": "a=1", "X-Compute-Type": "gpu", "Via": "1.1 x",
                                      "x-request-id": "theirs", "X-Data-Residency": "moon", "Content-Type": "application/json"}))
    got = gateway.chat("openai")
    for name in ("set-cookie", "x-compute-type", "via", "server"):
        assert name not in got.headers
    assert got.headers["x-request-id"] != "theirs"
    assert got.headers["x-data-residency"] == "unknown"


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_the_model_servers_framing_is_not_the_clients(gateway, upstream, framing):
    body = str(CHAT).replace("'", '"').replace("None", "null").encode()

    def script(connection, request):
        if framing == "chunked":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            for i in range(0, len(body), 7):
                connection.send(b"%x;ext=1\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7]))
            connection.send(b"0\r\nX-Trailer: 1\r\n\r\n")
            return None
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + body)
        return CLOSE
    upstream.script(script)
    got = gateway.chat("openai")
    assert got.status_code == 200
    assert got.json()["choices"] == CHAT["choices"]
    assert int(got.headers["content-length"]) == len(got.content)


# ---- embeddings ----

FLOATS = [0.0, 1.5, -2.25, 3.4028234663852886e38, 1.1754943508222875e-38, 0.10000000149011612]
BASE64 = base64.b64encode(struct.pack("<6f", *FLOATS)).decode()


def vectors(*embeddings, order=None):
    rows = [{"object": "embedding", "index": i, "embedding": e} for i, e in enumerate(embeddings)]
    return {"object": "list", "model": "served", "data": [rows[i] for i in order] if order else rows,
            "usage": {"prompt_tokens": 2, "total_tokens": 2}}


def embed(gateway, **members):
    return gateway.post("/v1/embeddings", {"model": "openai", "input": "hi", **members})


@pytest.mark.parametrize("theirs", [FLOATS, BASE64], ids=["floats", "base64"])
@pytest.mark.parametrize("asked,ours", [({}, FLOATS), ({"encoding_format": None}, FLOATS),
                                        ({"encoding_format": "float"}, FLOATS), ({"encoding_format": "base64"}, BASE64)])
def test_vectors_come_in_the_form_that_was_asked_for(gateway, upstream, theirs, asked, ours):
    upstream.script(reply(200, vectors(theirs)))
    got = embed(gateway, **asked).json()["data"][0]["embedding"]
    if ours == BASE64:
        assert got == BASE64
    else:
        assert [struct.pack("<f", x) for x in got] == [struct.pack("<f", x) for x in FLOATS]


def test_vectors_come_in_the_order_of_the_inputs(gateway, upstream):
    upstream.script(reply(200, vectors([1.0], [2.0], [3.0], order=[2, 0, 1])))
    got = embed(gateway, input=["a", "b", "c"]).json()["data"]
    assert [(row["index"], row["embedding"]) for row in got] == [(0, [1.0]), (1, [2.0]), (2, [3.0])]


@pytest.mark.parametrize("theirs,ours", [("float", "base64"), ("base64", "float"), ("float", "float")])
def test_a_large_batch_comes_whole_and_in_order(gateway, upstream, theirs, ours):
    numbers = [[(i * 31 + d) % 997 / 8 for d in range(192)] for i in range(2048)]
    forms = {"float": numbers, "base64": [base64.b64encode(struct.pack("<192f", *row)).decode() for row in numbers]}
    upstream.script(reply(200, vectors(*forms[theirs], order=list(range(1024, 2048)) + list(range(1024)))))
    got = embed(gateway, input=["x"] * 2048, encoding_format=ours).json()
    assert [row["index"] for row in got["data"]] == list(range(2048))
    assert [row["embedding"] for row in got["data"]] == forms[ours]
    assert (got["model"], got["usage"]["prompt_tokens"]) == ("openai", 2)


def test_missing_or_doubled_vectors_are_502(gateway, upstream):
    gateway.announce("call_failed")
    for body in (vectors([1.0]), vectors([1.0], [2.0], order=[0, 0]), vectors([1.0], [2.0], [3.0]),
                 vectors([1.0], ["x"]), vectors([1.0], "!!!"), {"data": {}}, {"object": "list"}):
        upstream.script(reply(200, body))
        got = embed(gateway, input=["a", "b"], encoding_format="base64" if body.get("data") else "float")
        if got.status_code == 200:  # a vector in the form that was asked for passes unread
            assert body["data"][1]["embedding"] == "!!!"
            continue
        assert (got.status_code, got.json()["error"]["code"]) == (502, "upstream_error")


@pytest.mark.parametrize("given,count", [("text", 1), (["one", "two"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2),
                                         (["x"] * 2048, 2048)], ids=["text", "texts", "tokens", "lists", "most"])
def test_all_four_forms_of_input_pass(gateway, upstream, given, count):
    upstream.script(reply(200, vectors(*[[1.0]] * count)))
    got = gateway.post("/v1/embeddings", {"model": "openai", "input": given})
    assert len(got.json()["data"]) == count
    assert upstream.last.json["input"] == given


def test_sglang_which_ignores_the_format_is_not_asked_for_base64(gateway, upstream):
    upstream.script(reply(200, vectors(FLOATS)))
    got = gateway.post("/v1/embeddings", {"model": "sglang", "input": "x", "encoding_format": "base64"})
    assert got.json()["data"][0]["embedding"] == BASE64
    assert upstream.last.json.get("encoding_format") != "base64"


@pytest.mark.parametrize("given,count", [([1, 2], 1), ([[1], [2]], 2)])
def test_token_numbers_are_refused_where_the_server_takes_text_only(gateway, upstream, given, count):
    upstream.script(reply(200, vectors(*[[1.0]] * count)))
    assert gateway.post("/v1/embeddings", {"model": "sglang", "input": given}).status_code == 200
    for path, member in (("/v1/embeddings", "input"), ("/v1/completions", "prompt")):
        refused = gateway.post(path, {"model": "ollama", member: given})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, member)
        assert "token numbers" in refused.json()["error"]["message"]
    assert len(upstream.requests) == 1
