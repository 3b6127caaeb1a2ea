# SPDX-License-Identifier: Apache-2.0
"""What goes wrong at the model server, in the words of all five kinds, and what the caller is told."""
import re
import threading
import time

import pytest

from harness.processes import stubborn
from harness.raw import Raw, events
from harness.upstream import CHAT, CLOSE, chunk, data, reply, stream
from harness.waiting import until

KINDS = ["vllm", "sglang", "llama.cpp", "ollama", "tgi", "openai"]
INVALID = "invalid_request_error"


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    return make_gateway(stubborn({
        "upstreams": {kind: {"kind": kind, "url": upstream.url, "api_key": "sk-upstream-secret"} for kind in KINDS}
        | {"hasty": {"url": upstream.url, "timeouts": {"connect": "300ms", "first_byte": "200ms", "idle": "200ms",
                                                       "total": "2s"}},
           "nobody": {"url": "http://127.0.0.1:9/v1"},
           "nameless": {"url": "http://no-such-host.invalid/v1"},
           "small": {"url": upstream.url, "reply_max": "4KiB"}},
        "models": {kind: {"upstream": kind} for kind in [*KINDS, "hasty", "nobody", "nameless", "small"]}
        | {"any/*": {"upstream": "ollama"}},
    }))


def vllm(status, message="it is wrong", param=None):
    return {"error": {"message": message, "type": "BadRequestError", "param": param, "code": status}}


def flat(status, message="it is wrong", param=None):
    return {"object": "error", "message": message, "type": "BadRequest", "param": param, "code": status}


def llama(status, message="it is wrong", kind="invalid_request_error"):
    return {"error": {"code": status, "message": message, "type": kind}}


def ollama(message="it is wrong"):
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


def tgi(message="it is wrong", kind="validation"):
    return {"error": message, "error_type": kind}


FASTAPI = {"detail": [{"loc": ["body", "temperature"], "msg": "it is wrong", "type": "x"}]}

ROWS = [
    # kind, its status, its body, our status, our code, our param, whether its words are ours
    ("vllm", 400, vllm(400, param="temperature"), 400, "invalid_value", "temperature", True),
    ("vllm", 400, flat(400), 400, "invalid_value", None, True),
    ("vllm", 400, vllm(400, "This model's maximum context length is 8 tokens."), 400, "context_length_exceeded", None, True),
    ("vllm", 422, FASTAPI, 422, "invalid_value", "temperature", True),
    ("vllm", 401, {"error": "Unauthorized"}, 502, "upstream_error", None, False),
    ("vllm", 403, vllm(403, "it is wrong with sk-upstream-secret"), 502, "upstream_error", None, False),
    ("vllm", 404, vllm(404), 502, "upstream_error", None, False),
    ("vllm", 413, vllm(413), 413, "request_too_large", None, True),
    ("vllm", 429, vllm(429), 503, "overloaded", None, False),
    ("vllm", 500, vllm(500), 502, "upstream_error", None, False),
    ("vllm", 501, vllm(501), 502, "upstream_error", None, False),
    ("vllm", 503, b"", 502, "upstream_error", None, False),
    ("sglang", 400, flat(400, param="n"), 400, "invalid_value", "n", True),
    ("sglang", 400, flat(400, "The input is longer than the model's context length"), 400, "context_length_exceeded", None, True),
    ("sglang", 500, flat(500), 502, "upstream_error", None, False),
    ("sglang", 503, flat(503), 502, "upstream_error", None, False),
    ("llama.cpp", 400, llama(400), 400, "invalid_value", None, True),
    ("llama.cpp", 400, llama(400, kind="exceed_context_size_error"), 400, "context_length_exceeded", None, True),
    ("llama.cpp", 401, llama(401, kind="authentication_error"), 502, "upstream_error", None, False),
    ("llama.cpp", 500, llama(500, kind="server_error"), 502, "upstream_error", None, False),
    ("llama.cpp", 503, llama(503, "Loading model", "unavailable_error"), 502, "upstream_error", None, False),
    ("ollama", 400, ollama(), 400, "invalid_value", None, True),
    ("ollama", 404, ollama("model not found"), 502, "upstream_error", None, False),
    ("ollama", 503, ollama("server busy, please try again."), 502, "upstream_error", None, False),
    ("tgi", 422, tgi(), 422, "invalid_value", None, True),
    ("tgi", 422, tgi("`inputs` tokens + `max_new_tokens` must be <= 8"), 400, "context_length_exceeded", None, True),
    ("tgi", 424, tgi(kind="generation"), 502, "upstream_error", None, False),
    ("tgi", 429, tgi("Model is overloaded", "overloaded"), 503, "overloaded", None, False),
    ("tgi", 422, "Failed to parse the request body", 422, "invalid_value", None, False),
    ("openai", 400, {"error": {"message": "it is wrong", "type": INVALID, "param": "n", "code": "context_length_exceeded"}},
     400, "context_length_exceeded", "n", True),
    ("openai", 400, "<html><h1>400</h1></html>", 400, "invalid_value", None, False),
    ("openai", 400, b"\xff\xfe", 400, "invalid_value", None, False),
    ("openai", 302, b"", 502, "upstream_error", None, False),
    ("openai", 409, ollama(), 502, "upstream_error", None, False),
]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind,status,body,ours,code,param,relayed", ROWS)
def test_every_kinds_error_becomes_one_shape(gateway, upstream, kind, status, body, ours, code, param, relayed, streamed):
    gateway.announce("call_failed")
    upstream.script(reply(status, body))
    got = gateway.chat(kind, stream=streamed)
    assert got.status_code == ours, got.text
    error = got.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param)
    said = body.get("error", body) if isinstance(body, dict) else {}
    own = said.get("type") if isinstance(said, dict) and ours < 500 else None
    assert error["type"] == (own or {502: "server_error", 503: "service_unavailable_error"}.get(ours, INVALID))
    if relayed:
        assert error["message"] in str(body)
    else:
        assert "wrong" not in error["message"]
    assert "secret" not in got.text
    assert got.headers["content-type"] == "application/json"
    if ours == 503:
        assert 1 <= int(got.headers["retry-after"]) <= 60
    hopeless = status in (301, 302, 401, 403, 404)  # until somebody mends the configuration
    assert got.headers.get("x-should-retry") == ("false" if hopeless else None)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_the_caller_can_mend_keeps_the_servers_own_code(gateway, upstream, status, streamed):
    gateway.announce("call_failed")
    said = {"message": "it is wrong", "type": "its_type", "param": "model", "code": f"code_{status}"}
    upstream.script(reply(status, {"error": said}))
    got = gateway.chat("openai", stream=streamed)
    assert (got.status_code, got.json()) == (status, {"error": said})
    assert got.headers["content-type"] == "application/json"
    assert got.headers["x-request-id"]


@pytest.mark.parametrize("streamed", [False, True])
def test_an_empty_account_is_not_busy(gateway, upstream, streamed):
    gateway.announce("call_failed")
    empty = {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "param": None,
                       "code": "insufficient_quota"}}
    upstream.script(reply(429, empty, {"Retry-After": "7"}))
    got = gateway.chat("openai", stream=streamed)
    assert got.status_code == 502
    assert got.headers["x-should-retry"] == "false"
    assert "retry-after" not in got.headers


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("body", [ollama('model "x" not found, try pulling it first'), flat(404, "The model `x` does not exist."),
                                  vllm(404, "The model `x` does not exist.", "model")])
def test_a_model_that_a_pattern_let_through_and_the_server_lacks_is_404(gateway, upstream, body, streamed):
    gateway.announce("call_failed")
    upstream.script(reply(404, body), reply(404, body))
    got = gateway.chat("any/x", stream=streamed)
    assert got.status_code == 404
    assert (got.json()["error"]["code"], got.json()["error"]["param"]) == ("model_not_found", "model")
    assert gateway.chat("ollama", stream=streamed).status_code == 502  # the operator's name for it


@pytest.mark.parametrize("said,told", [("7", "7"), ("7.2", "8"), ("59.01", "60"), ("0", "1"), ("3600", "60"), ("soon", "1"),
                                       ("Fri, 31 Dec 2077 23:59:59 GMT", "60"), ("Fri, 31 Dec 1999 23:59:59 GMT", "1"),
                                       ("Friday, 31-Dec-99 23:59:59 GMT", "1"), ("Fri Dec 31 23:59:59 2077", "60")])
def test_its_retry_after_is_passed_on_within_bounds(gateway, upstream, said, told):
    gateway.announce("call_failed")
    upstream.script(reply(429, vllm(429), {"Retry-After": said}))
    got = gateway.chat("vllm")
    assert (got.status_code, got.headers["retry-after"]) == (503, told)


@pytest.mark.parametrize("kind,event,status,code", [
    ("tgi", {"error": {"message": "Model is overloaded", "http_status_code": 422}}, 503, "overloaded"),
    ("tgi", {"error": {"message": "Input validation error", "http_status_code": 422}}, 422, "invalid_value"),
    ("vllm", vllm(400), 400, "invalid_value"),
    ("sglang", {"error": flat(400)}, 400, "invalid_value"),
    ("vllm", vllm(500), 502, "upstream_error"),
    ("ollama", ollama(), 400, "invalid_value"),
    ("ollama", {"error": {"message": "m", "type": "api_error", "param": None, "code": None}}, 502, "upstream_error"),
    ("openai", {"error": {"message": "m", "type": "x", "param": None, "code": "429"}}, 503, "overloaded"),
    ("tgi", tgi(), 422, "invalid_value"),
    ("tgi", tgi(kind="generation"), 502, "upstream_error"),
    ("vllm", {"detail": "m"}, 502, "upstream_error"),
    ("vllm", {"message": "m", "code": 400}, 400, "invalid_value"),
])
def test_an_error_as_the_first_event_becomes_a_status(gateway, upstream, kind, event, status, code):
    gateway.announce("call_failed")
    upstream.script(stream(event))
    got = gateway.chat(kind, stream=True)
    assert got.status_code == status, got.text
    assert got.json()["error"]["code"] == code


@pytest.mark.parametrize("kind,event", [("vllm", vllm(500)), ("sglang", {"error": flat(500)}), ("tgi", tgi()),
                                        ("llama.cpp", llama(500, kind="server_error"))])
def test_an_error_in_mid_stream_becomes_an_event_and_the_end(gateway, upstream, kind, event):
    gateway.announce("call_failed")
    upstream.script(stream(chunk({"content": "Sal"}), event))
    got = gateway.chat(kind, stream=True)
    assert got.status_code == 200
    first, error, end = events(got.text)
    assert first["choices"][0]["delta"]["content"] == "Sal"
    assert set(error) == {"error"}
    assert set(error["error"]) == {"message", "type", "param", "code"}
    assert error["error"]["type"] in ("server_error", INVALID)
    assert end == "[DONE]"


def begin(connection, request):
    stream(chunk({"content": "Sal"}), cut=True)(connection, request)


CUTS = {
    "the connection ends in mid-stream": lambda connection: CLOSE,
    "the stream ends without finish_reason": lambda connection: connection.send("0\r\n\r\n"),
    "an event is not JSON": lambda connection: connection.send("e\r\ndata: {nonse\n\n\r\n"),
    "an event is not an object": lambda connection: connection.send("a\r\ndata: []\n\n\r\n"),
    "the connection is reset": lambda connection: connection.reset() or CLOSE,
    "a chunk size is no number": lambda connection: connection.send("zz\r\n"),
    "a chunk is longer than it said": lambda connection: connection.send("1\r\ndata: {}\n\n\r\n"),
}


@pytest.mark.parametrize("why", CUTS)
def test_a_stream_that_breaks_says_so_in_its_last_event(gateway, upstream, why):
    gateway.announce("call_failed")
    forwarded = threading.Event()

    def script(connection, request):
        begin(connection, request)
        assert forwarded.wait(10)
        return CUTS[why](connection)
    upstream.script(script)
    with gateway.client() as client, client.stream("POST", "/v1/chat/completions", json={
            "model": "ollama", "stream": True, "messages": [{"role": "user", "content": "hi"}]}) as got:
        assert got.status_code == 200
        pieces = got.iter_text()
        text = next(pieces)
        forwarded.set()
        text += "".join(pieces)
    first, error, end = events(text)
    assert first["choices"][0]["delta"]["content"] == "Sal"
    assert error["error"]["type"] == "server_error"
    assert error["error"]["code"] == "upstream_error"
    assert end == "[DONE]"


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"choices\": 1}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n{}",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\t\r\n\r\n{}",
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
    b"HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
    b"HTTP/1.1 banana\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\x16\x03\x01\x00\x00",
])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_is_none_is_502(gateway, upstream, answer, streamed):
    gateway.announce("call_failed")
    upstream.script(lambda connection, request: connection.send(answer) or CLOSE)
    got = gateway.chat("openai", stream=streamed)
    assert got.status_code == 502, got.text
    assert got.json()["error"]["code"] == "upstream_error"
    assert got.json()["error"]["type"] == "server_error"


def test_a_200_that_holds_an_error_is_no_success(gateway, upstream):
    gateway.announce("call_failed")
    upstream.script(reply(200, vllm(400)), reply(200, flat(500)))
    assert gateway.chat("vllm").status_code == 400
    assert gateway.chat("vllm").status_code == 502


def test_a_json_reply_where_a_stream_was_asked_becomes_one(gateway, upstream):
    upstream.script(reply(200, CHAT))
    got = gateway.chat("openai", stream=True, stream_options={"include_usage": True})
    assert got.status_code == 200
    assert got.headers["content-type"].startswith("text/event-stream")
    first, usage, end = events(got.text)
    assert first["object"] == "chat.completion.chunk"
    assert first["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": "Salam"}, "logprobs": None,
                                 "finish_reason": "stop"}]
    assert (usage["choices"], usage["usage"]) == ([], CHAT["usage"])
    assert end == "[DONE]"


@pytest.mark.parametrize("model,status,code", [("nobody", 502, "upstream_error"), ("nameless", 502, "upstream_error")])
def test_a_server_that_cannot_be_reached_is_502(gateway, model, status, code):
    gateway.announce("call_failed")
    got = gateway.chat(model)
    assert (got.status_code, got.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("streamed", [False, True])
def test_one_that_does_not_begin_is_504(gateway, upstream, streamed):
    gateway.announce("call_failed")
    gone = []
    upstream.script(lambda connection, request: gone.append(connection.wait_gone()) or CLOSE)
    begun = time.monotonic()
    got = gateway.chat("hasty", stream=streamed)
    assert (got.status_code, got.json()["error"]["code"]) == (504, "upstream_timeout")
    assert 0.2 <= time.monotonic() - begun < 2
    assert until(lambda: gone) == [True], "the model server was not let go"


def test_one_that_stops_in_mid_reply_is_504(gateway, upstream):
    gateway.announce("call_failed")
    upstream.script(lambda connection, request: connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
                    or connection.wait_gone() and CLOSE)
    got = gateway.chat("hasty")
    assert (got.status_code, got.json()["error"]["code"]) == (504, "upstream_timeout")


def test_one_that_stops_in_mid_stream_ends_with_a_timeout_event(gateway, upstream):
    gateway.announce("call_failed")

    def script(connection, request):
        begin(connection, request)
        connection.wait_gone()
        return CLOSE
    upstream.script(script)
    got = gateway.chat("hasty", stream=True)
    assert got.status_code == 200
    _, error, end = events(got.text)
    assert error["error"]["code"] == "upstream_timeout"
    assert end == "[DONE]"


def test_a_stream_without_end_is_ended_by_the_total_timeout(gateway, upstream):
    gateway.announce("call_failed")

    def script(connection, request):
        stream(chunk({"content": "a"}), cut=True)(connection, request)
        piece = data(chunk({"content": "a"}))
        while not connection.wait_gone(0.05):
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        return CLOSE
    upstream.script(script)
    begun = time.monotonic()
    got = gateway.chat("hasty", stream=True)
    assert 1.5 < time.monotonic() - begun < 6
    assert events(got.text)[-2]["error"]["code"] == "upstream_timeout"


def test_a_reply_beyond_its_limit_is_502(gateway, upstream):
    gateway.announce("call_failed")
    upstream.script(reply(200, {"choices": [], "padding": "x" * 5000}))
    got = gateway.chat("small")
    assert (got.status_code, got.json()["error"]["code"]) == (502, "upstream_error")
    assert "larger" in got.json()["error"]["message"]


def test_a_crowd_of_failures_is_told_by_number_and_not_one_missing(gateway):
    gateway.announce("call_failed")
    gateway.reload()  # what it says comes behind all that was said before
    since, failing = len(gateway.log().encode()), 300

    def told():
        lines = [line for line in gateway.log(since).splitlines() if " call_failed " in line]
        return lines, sum(int(m[1]) if (m := re.search(r"and (\d+) more within a second", line)) else 1 for line in lines)
    with Raw(gateway.port, gateway.key, timeout=60) as raw:
        for _ in range(failing):
            raw.request("POST", "/v1/chat/completions", {"model": "nobody", "messages": [{"role": "user", "content": "hi"}]})
        for _ in range(failing):
            assert raw.read_reply().status == 502
    until(lambda: told()[1] == failing, 10)
    assert len(told()[0]) < failing
