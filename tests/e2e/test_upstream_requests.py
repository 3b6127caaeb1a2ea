# SPDX-License-Identifier: Apache-2.0
"""What reaches the model server, what does not, and that its credentials never show."""
import json
import os

import pytest

from harness.processes import run
from harness.raw import Raw
from harness.upstream import CLOSE, reply
from harness.waiting import until

SECRETS = {"value": "sk-by-value-5f1c", "env": "sk-by-env-77aa", "file": "sk-by-file-e0b3"}
KINDS = ["vllm", "sglang", "llama.cpp", "ollama", "tgi", "openai"]
HI = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream, tmp_path_factory):
    secret = tmp_path_factory.mktemp("secret") / "key"
    secret.write_text(SECRETS["file"] + "\n")
    upstreams = {
        "value": {"url": upstream.url, "api_key": SECRETS["value"]},
        "env": {"url": upstream.url + "/", "api_key": "${TEST_UPSTREAM_KEY}"},
        "file": {"url": upstream.url, "api_key": f"file:{secret}"},
        "none": {"url": upstream.url},
    } | {kind: {"url": upstream.url, "kind": kind} for kind in KINDS}
    return make_gateway({"upstreams": upstreams, "models": {name: {"upstream": name} for name in upstreams},
                         "log": {"level": "debug"}},
                        env={"TEST_UPSTREAM_KEY": SECRETS["env"]})


def sent(gateway, upstream, model="openai", path="/v1/chat/completions", **members):
    body = {"model": model, **({"messages": HI} if "chat" in path else {}), **members}
    got = gateway.post(path, body)
    assert got.status_code == 200, got.text
    return upstream.last.json


@pytest.mark.parametrize("how", SECRETS)
def test_credentials_come_from_a_value_the_environment_or_a_file(gateway, upstream, how):
    gateway.chat(how)
    assert upstream.last.header("authorization") == f"Bearer {SECRETS[how]}"


def test_without_credentials_no_authorization_is_sent(gateway, upstream):
    gateway.chat("none")
    assert upstream.last.header("authorization") is None


def test_no_secret_shows_anywhere(gateway, upstream):
    gateway.announce("call_failed")
    prompt, answer = "prompt-that-is-secret-91", "Salam"
    for how in SECRETS:
        gateway.chat(how, content=prompt)
        gateway.chat(how, stream=True, content=prompt)
        upstream.script(reply(401, {"error": f"bad key {SECRETS[how]}"}))
        assert SECRETS[how] not in gateway.chat(how, content=prompt).text
        upstream.script(lambda connection, request: CLOSE)
        assert SECRETS[how] not in gateway.chat(how, content=prompt).text
    settled = gateway.metrics()["atlas_journal_records_total"]
    until(lambda: gateway.metrics()["atlas_journal_records_total"] >= settled)
    pages = {"log": gateway.log().encode(), "metrics": json.dumps(gateway.metrics()).encode(),
             "models": gateway.request("GET", "/v1/models").content,
             "keys": gateway.admin("GET", "/admin/v1/keys").content,
             "check": run("config", "check", "--config", gateway.config_path, env=gateway.env).stdout.encode()}
    for folder, _, names in os.walk(gateway.data):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    pages[path] = f.read()
    assert len(pages) > 7
    for where, content in pages.items():
        for secret in [*SECRETS.values(), gateway.key, prompt, answer]:
            assert secret.encode() not in content, f"{secret} shows in {where}"


def test_what_is_the_clients_own_stays_with_us(gateway, upstream):
    kept = {
        "Cookie": "session=1", "X-Stainless-Lang": "python", "X-Stainless-Retry-Count": "0", "User-Agent": "OpenAI/Python 1",
        "OpenAI-Organization": "org-1", "OpenAI-Project": "p", "X-Forwarded-For": "10.9.8.7", "Proxy-Authorization": "Basic x",
        "Connection": "keep-alive, X-Named", "X-Named": "1", "Keep-Alive": "timeout=5", "TE": "trailers",
        "Upgrade": "h2c", "Proxy-Connection": "keep-alive", "X-Route-Policy": "cost", "Accept-Encoding": "gzip, br",
        "X-Request-Id": "mine", "Expect": "100-continue", "Origin": "https://app.example", "Referer": "https://app.example/",
    }
    with Raw(gateway.port, gateway.key) as raw:
        raw.request("POST", "/v1/chat/completions", {"model": "value", "messages": HI}, headers=kept.items())
        reply = raw.read_reply()
        if reply.status == 100:
            reply = raw.read_reply()
    assert reply.status == 200
    seen = upstream.last
    for name in ("cookie", "x-stainless-lang", "x-stainless-retry-count", "openai-organization", "openai-project",
                 "x-forwarded-for", "proxy-authorization", "x-named", "keep-alive", "te", "upgrade", "proxy-connection",
                 "x-route-policy", "origin", "referer", "expect"):
        assert seen.header(name) is None, name
    assert seen.header("authorization") == f"Bearer {SECRETS['value']}"
    assert seen.header("user-agent").startswith("atlas/")
    assert seen.header("accept-encoding") == "identity"
    assert seen.header("x-request-id") == reply.header("x-request-id") != "mine"
    assert seen.header("content-type") == "application/json"
    assert seen.header("host") == f"127.0.0.1:{upstream.port}"
    assert "atlas" in seen.header("via")
    assert int(seen.header("content-length")) == len(seen.body)


def test_traces_are_passed_on(gateway, upstream):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    gateway.request("POST", "/v1/chat/completions", json={"model": "openai", "messages": HI},
                    headers={"traceparent": trace, "tracestate": "a=1"})
    assert upstream.last.header("traceparent") == trace
    assert upstream.last.header("tracestate") == "a=1"


def test_what_the_connection_names_is_not_passed_on(gateway, upstream):
    with Raw(gateway.port, gateway.key) as raw:
        raw.request("POST", "/v1/chat/completions", {"model": "value", "messages": HI}, headers=[
            ("traceparent", "1"), ("tracestate", "2"), ("OpenAI-Beta", "3"),
            ("Connection", "TraceParent, host"), ("Connection", "content-length,, openai-beta")])
        assert raw.read_reply().status == 200
    assert upstream.last.header("traceparent") is None
    assert upstream.last.header("tracestate") == "2"
    assert upstream.last.header("openai-beta") is None
    assert upstream.last.header("host") == f"127.0.0.1:{upstream.port}"
    assert int(upstream.last.header("content-length")) == len(upstream.last.body)


def test_unknown_fields_pass_as_they_are(gateway, upstream):
    extra = {"top_k": 4, "guided_json": {"type": "object", "x": [1, 2.50, None, "é\u0000\n"]}, "min_p": 1e-3,
             "big": 12345678901234567890123, "chat_template_kwargs": {"enable_thinking": False}, "ذكاء": "نعم"}
    assert {k: v for k, v in sent(gateway, upstream, **extra).items() if k in extra} == extra


def test_the_body_is_not_written_anew(gateway, upstream):
    body = ('{ "messages" : [ {"role":"user","content":"\\u0645\\u0631\\u062d\\u0628\\u0627 \\/ \\ud83d\\ude00"} ],\n'
            '\t"temperature":1.0e+0, "model" :"openai" , "seed":-0 , "n":1}')
    reply = gateway.request("POST", "/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 200
    assert upstream.last.body.decode() == body


def test_a_literal_extra_body_is_lifted(gateway, upstream):
    seen = sent(gateway, upstream, temperature=1, extra_body={"top_k": 3, "temperature": 2, "nested": {"a": [1]}})
    assert "extra_body" not in seen
    assert (seen["top_k"], seen["temperature"], seen["nested"]) == (3, 1, {"a": [1]})
    assert sent(gateway, upstream, extra_body={}) == {"model": "openai", "messages": HI}


def test_a_model_or_stream_inside_extra_body_counts(gateway, upstream):
    reply = gateway.post("/v1/chat/completions", {"messages": HI, "extra_body": {"model": "openai", "stream": True}})
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert upstream.last.json["model"] == "openai"
    assert upstream.last.json["stream"] is True


def test_routing_hints_are_taken_out(gateway, upstream):
    seen = sent(gateway, upstream, routing={"profile": "cost"}, routing_preference="cost",
                extra_body={"routing": {"profile": "cost-optimized"}, "routing_preference": "cost", "top_k": 1})
    assert seen == {"model": "openai", "messages": HI, "top_k": 1}


@pytest.mark.parametrize("given,expected", [
    ({}, {"include_usage": True}),
    ({"stream_options": None}, {"include_usage": True}),
    ({"stream_options": {}}, {"include_usage": True}),
    ({"stream_options": {"include_usage": False}}, {"include_usage": True}),
    ({"stream_options": {"include_usage": True}}, {"include_usage": True}),
    ({"stream_options": {"include_obfuscation": False}}, {"include_obfuscation": False, "include_usage": True}),
])
def test_a_streams_usage_is_always_asked_for(gateway, upstream, given, expected):
    assert sent(gateway, upstream, stream=True, **given)["stream_options"] == expected


def test_usage_is_not_asked_where_nothing_streams(gateway, upstream):
    assert "stream_options" not in sent(gateway, upstream)


@pytest.mark.parametrize("kind", KINDS)
def test_max_completion_tokens_is_renamed_only_for_ollama(gateway, upstream, kind):
    seen = sent(gateway, upstream, kind, max_completion_tokens=5)
    assert seen.get("max_tokens" if kind == "ollama" else "max_completion_tokens") == 5
    assert len([k for k in seen if k.startswith("max")]) == 1


def test_tgi_never_gets_both_names_for_the_length(gateway, upstream):
    seen = sent(gateway, upstream, "tgi", max_completion_tokens=5, max_tokens=6)
    assert len([k for k in seen if k.startswith("max")]) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_developer_role_is_system_for_servers_that_lack_it(gateway, upstream, kind):
    messages = [{"role": "developer", "content": "be kind"}, {"role": "user", "content": "developer"}]
    reply = gateway.post("/v1/chat/completions", {"model": kind, "messages": messages})
    assert reply.status_code == 200
    roles = [m["role"] for m in upstream.last.json["messages"]]
    assert roles == ["developer" if kind == "openai" else "system", "user"]


def test_large_bodies_arrive_whole(gateway, upstream):
    text = "نص طويل " * 200_000
    reply = gateway.chat("openai", content=text)
    assert reply.status_code == 200
    assert upstream.last.json["messages"][0]["content"] == text


def test_a_chunked_request_arrives_whole(gateway, upstream):
    body = json.dumps({"model": "openai", "messages": HI, "pad": "x" * 100_000}).encode()
    pieces = [body[i:i + 977] for i in range(0, len(body), 977)]
    reply = gateway.request("POST", "/v1/chat/completions", content=iter(pieces),
                            headers={"Content-Type": "application/json"})
    assert reply.status_code == 200
    assert upstream.last.body == body
    assert upstream.last.header("transfer-encoding") is None
