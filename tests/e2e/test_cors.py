# SPDX-License-Identifier: Apache-2.0
"""Browsers: which pages may call, and that nothing is said where nobody allowed it."""
import httpx
import pytest

from harness.processes import PLAIN

ORIGIN = "https://app.example"
ASK = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST",
       "Access-Control-Request-Headers": "authorization, content-type, x-stainless-os"}


def config(upstream, **cors):
    return {"upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}},
            **({"cors": cors} if cors else {})}


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    return make_gateway(config(upstream, origins=[ORIGIN, "https://two.example"], max_age="5m"))


def options(gateway, headers, path="/v1/chat/completions"):
    return httpx.options(gateway.url + path, headers=headers, verify=PLAIN)


def test_a_preflight_needs_no_key(gateway):
    reply = options(gateway, {n: v for n, v in ASK.items() if n != "Access-Control-Request-Headers"})
    assert reply.status_code == 204
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in reply.headers["access-control-allow-methods"]
    allowed = {h.strip() for h in reply.headers["access-control-allow-headers"].split(",")}
    assert {"authorization", "content-type", "x-stainless-os", "openai-organization", "idempotency-key"} <= allowed
    assert "*" not in allowed
    assert reply.headers["access-control-max-age"] == "300"
    assert "origin" in reply.headers["vary"].lower()


def test_a_stranger_gets_no_permission(gateway):
    reply = options(gateway, {**ASK, "Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in reply.headers
    reply = gateway.request("GET", "/v1/models", headers={"Origin": "https://evil.example"})
    assert reply.status_code == 200
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("key,model,status", [(None, "m", 200), ("sk-wrong", "m", 401), (None, "none", 404)])
def test_replies_and_errors_carry_the_permission(gateway, key, model, status):
    reply = gateway.request("POST", "/v1/chat/completions", key=key, headers={"Origin": ORIGIN},
                            json={"model": model, "messages": [{"role": "user", "content": "x"}]})
    assert reply.status_code == status
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    exposed = {h.strip() for h in reply.headers["access-control-expose-headers"].split(",")}
    assert {"x-request-id", "retry-after", "x-should-retry", "x-data-residency"} <= exposed


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/m", "/v1/models/none", "/nothing", "/healthz"])
def test_all_other_paths_carry_it_too(gateway, path):
    reply = gateway.request("GET", path, headers={"Origin": ORIGIN})
    assert reply.headers["access-control-allow-origin"] == ORIGIN


def test_a_stream_carries_it(gateway):
    reply = gateway.request("POST", "/v1/chat/completions", headers={"Origin": ORIGIN},
                            json={"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]})
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == ORIGIN


def test_a_call_without_an_origin_carries_nothing(gateway):
    assert "access-control-allow-origin" not in gateway.chat("m").headers


def test_by_default_and_after_a_reload_without_it_there_is_none(gateway, upstream):
    kept = gateway.config
    gateway.reload(config(upstream))
    try:
        reply = options(gateway, ASK)
        assert reply.status_code == 204
        assert reply.headers["allow"] == "POST, OPTIONS"
        assert not any(name.startswith("access-control") for name in reply.headers)
        reply = gateway.request("GET", "/v1/models", headers={"Origin": ORIGIN})
        assert not any(name.startswith("access-control") for name in reply.headers)
        gateway.reload(config(upstream, origins=["*"]))
        assert options(gateway, ASK).headers["access-control-allow-origin"] == "*"
    finally:
        gateway.reload(kept)


def test_a_page_that_may_call_may_send_any_header(gateway):
    reply = options(gateway, {**ASK, "Access-Control-Request-Headers": "x-title, http-referer, x-own"})
    assert reply.status_code == 204
    assert reply.headers["access-control-allow-headers"] == "x-title, http-referer, x-own"
    assert "access-control-request-headers" in reply.headers["vary"].lower()


def test_what_a_page_asks_for_cannot_grow_or_forge_the_reply(gateway):
    reply = options(gateway, {**ASK, "Access-Control-Request-Headers": "ok, no good, " + ", ".join(f"x-{i}" for i in range(1000))})
    assert reply.status_code == 204
    names = reply.headers["access-control-allow-headers"].split(", ")
    assert names[:2] == ["ok", "x-0"]
    assert len(reply.headers["access-control-allow-headers"]) < 2100
