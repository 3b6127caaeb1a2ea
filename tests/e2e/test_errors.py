# SPDX-License-Identifier: Apache-2.0
"""The table of errors: what is wrong with a request, and the status, type, code and param for it."""
import json
import time

import httpx
import pytest

from harness.processes import PLAIN, rfc3339
from harness.raw import Raw
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]
CHAT = "/v1/chat/completions"
INVALID = "invalid_request_error"


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    return make_gateway({
        "client": {"body_max": "64KiB", "head_max": "8KiB", "fields_max": 40, "target_max": "1KiB"},
        "upstreams": {"u": {"url": upstream.url}},
        "models": {
            "m": {"upstream": "u", "context": 8},
            "chat-only": {"upstream": "u", "endpoints": ["chat"]},
            "text-only": {"upstream": "u", "token_arrays": False},
        },
    })


@pytest.fixture(autouse=True)
def nothing_is_asked(upstream):
    """No refusal here may reach the model server."""
    yield
    assert upstream.requests == []


def has_error(reply, status, code, param=None, kind=INVALID):
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert len(reply.headers["x-request-id"]) == 26
    assert list(reply.json()) == ["error"]
    error = reply.json()["error"]
    assert (error["type"], error["code"], error["param"]) == (kind, code, param)
    assert isinstance(error["message"], str)
    assert len(error["message"]) > 10
    return error


def test_without_a_key_it_is_missing(gateway):
    for headers in ({}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Basic Zm9vOmJhcg=="}):
        reply = httpx.post(gateway.url + CHAT, headers=headers, json={"model": "m", "messages": HI}, verify=PLAIN)
        has_error(reply, 401, "missing_api_key")
        assert reply.headers["www-authenticate"] == "Bearer"


def test_a_wrong_key_is_invalid(gateway):
    right = gateway.key
    other = right[:-7] + ("a" if right[-7] != "a" else "b") + right[-6:]
    for key in ("sk-123", "x", right[:-1], right + "x", right.upper(), other, "mx4_sk_live_" + "0" * 50):
        reply = gateway.request("POST", CHAT, key=key, json={"model": "m", "messages": HI})
        has_error(reply, 401, "invalid_api_key")
        assert reply.headers["www-authenticate"] == "Bearer"
        has_error(gateway.request("GET", "/v1/models", key=key), 401, "invalid_api_key")


def test_an_expired_key_is_told_so_only_with_the_right_secret(gateway):
    made = gateway.new_key("soon", expires_at=rfc3339(time.time() + 0.3))
    until(lambda: gateway.request("GET", "/v1/models", key=made["key"]).status_code == 401)
    has_error(gateway.request("GET", "/v1/models", key=made["key"]), 401, "expired_api_key")
    has_error(gateway.request("GET", "/v1/models", key=made["key"][:-8] + "00000000"), 401, "invalid_api_key")


def test_a_revoked_key_is_invalid(gateway):
    made = gateway.new_key("gone")
    gateway.revoke(made["id"])
    has_error(gateway.request("GET", "/v1/models", key=made["key"]), 401, "invalid_api_key")


def test_an_admin_key_is_useless_here(gateway):
    key = gateway.new_key("boss", kind="admin")["key"]
    assert key.startswith("mx4_ak_")
    has_error(gateway.request("POST", CHAT, key=key, json={"model": "m", "messages": HI}), 401, "invalid_api_key")


def test_a_test_key_works(gateway):
    key = gateway.new_key("try", kind="test")["key"]
    assert key.startswith("mx4_sk_test_")
    assert gateway.request("GET", "/v1/models", key=key).status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_in_any_case(gateway, scheme):
    with Raw(gateway.port) as raw:
        raw.request("GET", "/v1/models", headers=[("Authorization", f"{scheme}   {gateway.key}  ")])
        assert raw.read_reply().status == 200


BODIES = [
    # path, body, status, code, param
    (CHAT, "", 400, "invalid_json", None),
    (CHAT, "{", 400, "invalid_json", None),
    (CHAT, '{"model":"m","messages":[],}', 400, "invalid_json", None),
    (CHAT, '{"model":"m"} x', 400, "invalid_json", None),
    (CHAT, '{"model":"m\x01"}', 400, "invalid_json", None),
    (CHAT, b'{"model":"\xff"}', 400, "invalid_json", None),
    (CHAT, b'\xef\xbb\xbf{"model":"m"}', 400, "invalid_json", None),
    (CHAT, "[" * 200 + "]" * 200, 400, "invalid_json", None),
    (CHAT, "[]", 400, "invalid_value", None),
    (CHAT, '"m"', 400, "invalid_value", None),
    (CHAT, "null", 400, "invalid_value", None),
    (CHAT, {"messages": HI}, 400, "invalid_value", "model"),
    (CHAT, {"model": None, "messages": HI}, 400, "invalid_value", "model"),
    (CHAT, {"model": 4, "messages": HI}, 400, "invalid_value", "model"),
    (CHAT, {"model": "", "messages": HI}, 400, "invalid_value", "model"),
    (CHAT, {"model": "none", "messages": HI}, 404, "model_not_found", "model"),
    (CHAT, {"model": "M", "messages": HI}, 404, "model_not_found", "model"),
    (CHAT, {"model": "m"}, 400, "invalid_value", "messages"),
    (CHAT, {"model": "m", "messages": []}, 400, "invalid_value", "messages"),
    (CHAT, {"model": "m", "messages": "hi"}, 400, "invalid_value", "messages"),
    (CHAT, {"model": "m", "messages": ["hi"]}, 400, "invalid_value", "messages"),
    (CHAT, {"model": "m", "messages": HI, "stream": "yes"}, 400, "invalid_value", "stream"),
    (CHAT, {"model": "m", "messages": HI, "n": 0}, 400, "invalid_value", "n"),
    (CHAT, {"model": "m", "messages": HI, "n": 129}, 400, "invalid_value", "n"),
    (CHAT, {"model": "m", "messages": HI, "max_tokens": "many"}, 400, "invalid_value", "max_tokens"),
    (CHAT, {"model": "m", "messages": HI, "stream": True, "stream_options": 1}, 400, "invalid_value", "stream_options"),
    (CHAT, {"model": "m", "messages": HI, "extra_body": []}, 400, "invalid_value", "extra_body"),
    (CHAT, '{"model":"m","model":"m","messages":[{}]}', 400, "duplicate_key", "model"),
    (CHAT, '{"model":"m","mod\\u0065l":"n","messages":[{}]}', 400, "duplicate_key", None),
    (CHAT, '{"model":"m","messages":[{"role":"user","role":"system"}]}', 400, "duplicate_key", "messages"),
    (CHAT, '{"model":"m","messages":[{}],"stream_options":{"a":1,"a":2}}', 400, "duplicate_key", "stream_options"),
    (CHAT, '{"model":"m","messages":[{}],"extra_body":{"a":1,"a":2}}', 400, "duplicate_key", "extra_body"),
    (CHAT, {"model": "text-only", "messages": HI, "x": "y" * 70000}, 413, "request_too_large", None),
    ("/v1/completions", {"model": "m"}, 400, "invalid_value", "prompt"),
    ("/v1/completions", {"model": "m", "prompt": {}}, 400, "invalid_value", "prompt"),
    ("/v1/completions", {"model": "m", "prompt": [1, 2, 3, 4, 5, 6, 7, 8, 9]}, 400, "context_length_exceeded", None),
    ("/v1/completions", {"model": "chat-only", "prompt": "x"}, 400, "invalid_value", "model"),
    ("/v1/embeddings", {"model": "m"}, 400, "invalid_value", "input"),
    ("/v1/embeddings", {"model": "m", "input": []}, 400, "invalid_value", "input"),
    ("/v1/embeddings", {"model": "m", "input": [1, "a"]}, 400, "invalid_value", "input"),
    ("/v1/embeddings", {"model": "m", "input": "x", "encoding_format": "hex"}, 400, "invalid_value", "encoding_format"),
    ("/v1/embeddings", {"model": "text-only", "input": [1, 2]}, 400, "invalid_value", "input"),
    ("/v1/embeddings", {"model": "chat-only", "input": "x"}, 400, "invalid_value", "model"),
    ("/v1/embeddings", {"model": "m", "input": ["x"] * 2049}, 400, "invalid_value", "input"),
]


@pytest.mark.parametrize("path,body,status,code,param", BODIES)
def test_a_wrong_body_is_told_what_is_wrong_with_it(gateway, path, body, status, code, param):
    content = body if isinstance(body, (str, bytes)) else json.dumps(body)
    reply = gateway.request("POST", path, content=content, headers={"Content-Type": "application/json"})
    error = reply.json()["error"]
    has_error(reply, status, code, param if param or code != "duplicate_key" else error["param"])


def test_broken_json_is_told_where(gateway):
    reply = gateway.request("POST", CHAT, content='{"model":"m" "messages"}',
                            headers={"Content-Type": "application/json"})
    assert "13" in has_error(reply, 400, "invalid_json")["message"]


def test_an_encoded_body_is_415(gateway):
    for coding in ("gzip", "zstd", "br"):
        reply = gateway.request("POST", CHAT, content=b"\x1f\x8b", headers={
            "Content-Type": "application/json", "Content-Encoding": coding})
        has_error(reply, 415, "unsupported_media_type")


def test_a_body_that_is_not_json_is_415(gateway):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        reply = gateway.request("POST", CHAT, content=b"x", headers={"Content-Type": kind})
        has_error(reply, 415, "unsupported_media_type")


@pytest.mark.parametrize("path,status,code", [
    ("/v1/models/" + "x" * 2000, 414, "uri_too_long"),
    ("/v1/models?" + "x" * 2000, 414, "uri_too_long"),
])
def test_a_long_target_is_414(gateway, path, status, code):
    has_error(gateway.request("GET", path), status, code)


def test_large_or_many_headers_are_431(gateway):
    has_error(gateway.request("GET", "/v1/models", headers={"X-Large": "x" * 9000}), 431, "headers_too_large")
    many = {f"X-Field-{i}": "x" for i in range(50)}
    has_error(gateway.request("GET", "/v1/models", headers=many), 431, "headers_too_large")


RAW = [
    ("PURGE /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", 501, "not_implemented"),
    ("TRACE /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", 501, "not_implemented"),
    ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501, "not_implemented"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "not_implemented"),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "http_version"),
    ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\n", 417, "expectation_failed"),
    ("GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_request"),
]


@pytest.mark.parametrize("request_text,status,code", RAW)
def test_http_that_is_refused_is_refused_in_the_same_shape(gateway, request_text, status, code):
    with Raw(gateway.port) as raw:
        raw.send(request_text)
        reply = raw.read_reply()
        assert reply.status == status
        error = reply.json["error"]
        assert (error["type"], error["code"], error["param"]) == (INVALID, code, None)
        assert len(reply.header("x-request-id")) == 26
        assert raw.is_closed()


def test_null_is_as_good_as_absent(gateway, upstream):
    reply = gateway.post(CHAT, {"model": "text-only", "messages": HI, "stream": None, "stream_options": None, "n": None,
                                "max_tokens": None, "max_completion_tokens": None, "extra_body": None, "tools": None,
                                "temperature": None, "routing": None})
    assert reply.status_code == 200
    reply = gateway.post("/v1/embeddings", {"model": "m", "input": "x", "encoding_format": None, "dimensions": None})
    assert reply.status_code == 200
    upstream.forget()
