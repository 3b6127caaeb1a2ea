# SPDX-License-Identifier: Apache-2.0
"""The endpoints, what every reply carries, and what is not there."""
import re
import time

import pytest

from harness.processes import get
from harness.raw import Raw
from harness.waiting import until

MODELS = {
    "m": {"upstream": "near", "aliases": ["m-alias"], "context": 4096},
    "acme/llama-3/8b": {"upstream": "far", "upstream_name": "served", "endpoints": ["chat"]},
    "open/*": {"upstream": "nowhere"},
    "open/special-*": {"upstream": "near"},
    "embed": {"upstream": "near", "endpoints": ["embeddings"]},
}


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    return make_gateway({
        "upstreams": {
            "near": {"url": upstream.url, "region": "sa"},
            "far": {"url": upstream.url, "region": "ae"},
            "nowhere": {"url": upstream.url},
        },
        "models": MODELS,
    })


CALLS = [
    ("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "hi"}]}, "chat.completion"),
    ("/v1/completions", {"model": "m", "prompt": "hi"}, "text_completion"),
    ("/v1/embeddings", {"model": "m", "input": "hi", "encoding_format": "float"}, "list"),
]


@pytest.mark.parametrize("path,body,kind", CALLS)
def test_a_call_is_answered_by_the_model_server(gateway, upstream, path, body, kind):
    reply = gateway.post(path, body)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.json()["object"] == kind
    assert reply.json()["model"] == "m"
    assert upstream.last.method == "POST"
    assert upstream.last.target == path


@pytest.mark.parametrize("model,region", [("m", "sa"), ("acme/llama-3/8b", "ae"), ("open/x", "unknown")])
@pytest.mark.parametrize("stream", [False, True])
def test_the_four_headers_say_what_happened(gateway, model, region, stream):
    reply = gateway.chat(model, stream=stream)
    assert reply.status_code == 200
    assert reply.headers["x-sovereign-id"] == "test-zone"
    assert reply.headers["x-route-policy"] == "direct"
    assert reply.headers["x-data-residency"] == region
    assert re.fullmatch(r"[0-9a-hjkmnp-tv-z]{26}", reply.headers["x-audit-trace-id"])
    assert reply.headers["x-request-id"] == reply.headers["x-audit-trace-id"]


def test_the_model_server_gets_the_calls_id(gateway, upstream):
    reply = gateway.chat("m")
    assert upstream.last.header("x-request-id") == reply.headers["x-request-id"]


def test_every_reply_has_an_id_of_its_own(gateway):
    paths = [("GET", "/v1/models"), ("GET", "/v1/models/m"), ("GET", "/nothing"), ("GET", "/v1/chat/completions"),
             ("GET", "/healthz"), ("GET", "/readyz"), ("POST", "/v1/embeddings"), ("DELETE", "/v1/models")]
    ids = [gateway.request(method, path).headers["x-request-id"] for method, path in paths]
    assert len(set(ids)) == len(ids)


def test_the_models_are_listed_with_their_aliases_and_without_patterns(gateway):
    reply = gateway.request("GET", "/v1/models")
    assert reply.status_code == 200
    assert reply.json()["object"] == "list"
    assert [m["id"] for m in reply.json()["data"]] == ["acme/llama-3/8b", "embed", "m", "m-alias"]
    for model in reply.json()["data"]:
        assert model["object"] == "model"
        assert abs(model["created"] - time.time()) < 3600
        assert isinstance(model["owned_by"], str)
    assert [m.get("max_model_len") for m in reply.json()["data"]] == [None, None, 4096, 4096]


@pytest.mark.parametrize("path,name", [
    ("m", "m"),
    ("m-alias", "m-alias"),
    ("acme/llama-3/8b", "acme/llama-3/8b"),
    ("acme%2Fllama-3%2F8b", "acme/llama-3/8b"),
    ("acme%2fllama-3/8b", "acme/llama-3/8b"),
    ("open/anything%20at%20all", "open/anything at all"),
])
def test_a_model_is_found_with_its_slashes_raw_or_encoded(gateway, path, name):
    with Raw(gateway.port, gateway.key) as raw:
        raw.request("GET", f"/v1/models/{path}")
        reply = raw.read_reply()
    assert reply.status == 200
    assert reply.json["id"] == name
    assert reply.json["object"] == "model"


def test_a_query_does_not_change_the_route(gateway, upstream):
    assert gateway.request("GET", "/v1/models?api-version=1").status_code == 200
    assert gateway.request("GET", "/v1/models/m?x=1").json()["id"] == "m"
    assert gateway.post("/v1/chat/completions?api-version=1",
                        {"model": "m", "messages": [{"role": "user", "content": "x"}]}).status_code == 200
    assert upstream.last.target == "/v1/chat/completions"


@pytest.mark.parametrize("model", ["m", "m-alias", "acme/llama-3/8b", "open/anything", "open/special-one"])
def test_the_reply_names_the_model_that_the_caller_may_ask_for(gateway, upstream, model):
    reply = gateway.chat(model)
    sent = {"m-alias": "m", "acme/llama-3/8b": "served"}.get(model, model)
    assert upstream.last.json["model"] == sent
    assert reply.json()["model"] == {"m-alias": "m"}.get(model, model)


def test_the_longest_pattern_wins(gateway):
    assert gateway.chat("open/special-one").headers["x-data-residency"] == "sa"
    assert gateway.chat("open/specialone").headers["x-data-residency"] == "unknown"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/m", "/healthz", "/readyz"])
def test_head_gets_the_head_of_get(gateway, path):
    with Raw(gateway.port, gateway.key) as raw:
        raw.request("GET", path)
        got = raw.read_reply()
        raw.request("HEAD", path)
        head = raw.read_reply(head_only=True)
        raw.request("GET", path)
        again = raw.read_reply()
    assert got.status == head.status == again.status == 200
    assert head.header("content-length") == str(len(got.body))
    assert head.header("content-type") == got.header("content-type")
    assert again.body == got.body


def test_head_of_what_is_not_there_has_no_body(gateway):
    with Raw(gateway.port, gateway.key) as raw:
        raw.request("HEAD", "/v1/models/none")
        assert raw.read_reply(head_only=True).status == 404
        raw.request("GET", "/healthz")
        assert raw.read_reply().status == 200


@pytest.mark.parametrize("method,path", [
    ("POST", "/v1/responses"), ("POST", "/v1/rerank"), ("GET", "/v1/files"), ("GET", "/"), ("POST", "/"),
    ("GET", "/metrics"), ("GET", "/admin/v1/keys"), ("POST", "/admin/v1/keys"), ("POST", "/v1/chat/completions/"),
    ("GET", "/v1/models/"), ("GET", "/V1/models"), ("GET", "/v1/modelsx"), ("GET", "/v1"),
])
def test_what_we_do_not_serve_is_404_in_openais_shape(gateway, method, path):
    reply = gateway.request(method, path)
    assert reply.status_code == 404
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["code"] in ("not_found", "model_not_found")


@pytest.mark.parametrize("path,allow", [
    ("/v1/chat/completions", {"POST"}), ("/v1/embeddings", {"POST"}),
    ("/v1/models", {"GET", "HEAD"}), ("/v1/models/m", {"GET", "HEAD"}), ("/healthz", {"GET", "HEAD"}),
])
def test_a_wrong_method_is_405_and_says_which_are_right(gateway, path, allow):
    for method in ("DELETE", "PUT", "PATCH"):
        reply = gateway.request(method, path)
        assert reply.status_code == 405
        assert {m.strip() for m in reply.headers["allow"].split(",")} >= allow
        assert reply.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("path,allow", [("/v1/chat/completions", "POST, OPTIONS"), ("/v1/models/m", "GET, HEAD, OPTIONS"),
                                        ("*", "GET, HEAD, POST, OPTIONS")])
def test_who_asks_which_methods_there_are_is_told_without_a_key(gateway, path, allow):
    with Raw(gateway.port) as raw:
        raw.request("OPTIONS", path)
        reply = raw.read_reply()
        assert (reply.status, reply.header("allow"), reply.body) == (204, allow, b"")
        raw.request("OPTIONS", "/v1/responses")
        assert raw.read_reply().status == 404


def test_health_needs_no_key_on_either_listener(gateway):
    for url in (gateway.url, gateway.admin_url):
        for path in ("/healthz", "/readyz"):
            reply = get(url + path)
            assert (reply.status_code, reply.json()["status"]) == (200, "ok")


def test_the_operator_reads_metrics_in_prometheus_form(gateway):
    page = get(gateway.admin_url + "/metrics")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    before = gateway.metrics()
    gateway.chat("m")
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0)
    after = gateway.metrics()
    ok = 'atlas_calls_total{outcome="ok"}'
    assert after[ok] - before[ok] == 1
    assert after["atlas_attempts_total"] - before["atlas_attempts_total"] == 1
    assert after['atlas_tokens_total{direction="output"}'] - before['atlas_tokens_total{direction="output"}'] == 3
    kinds = dict(line.split()[2:4] for line in page.text.splitlines() if line.startswith("# TYPE"))
    assert {re.sub("_(bucket|sum|count)$", "", name) if kinds.get(name) is None else name
            for name in (name.split("{")[0] for name in after)} == {k for k in kinds if not k.startswith("atlas_upstream_reported_")}  # nobody is asked


def test_the_admin_listener_manages_keys_for_who_has_an_admin_key(gateway):
    said = get(gateway.admin_url + "/admin/v1/keys")
    assert (said.status_code, said.json()["error"]["code"]) == (401, "missing_api_key")


@pytest.mark.parametrize("path,cause", [("/v1/v1/chat/completions", "already ends with /v1"), ("/chat/completions", "must end with /v1"),
                                        ("/v1/nothing", "")])
def test_a_path_that_is_not_there_is_named_with_its_cause(gateway, path, cause):
    error = gateway.post(path, {}).json()["error"]
    assert error["code"] == "not_found"
    assert f"no endpoint {path} " in error["message"]
    assert cause in error["message"]
