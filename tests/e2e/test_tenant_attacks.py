# SPDX-License-Identifier: Apache-2.0
"""What attackers of teams, keys and limits have found, a test each."""
import json
import time

import httpx
import pytest

from harness.processes import PLAIN, SLOWER
from harness.raw import Raw
from harness.tenants import Tree, ask, body_of, budgets, make
from harness.upstream import chunk, stream, usage_chunk
from harness.waiting import until


@pytest.fixture(scope="module")
def gateway(make_gateway, sim, upstream):
    return make_gateway({
        "upstreams": {"sim": {"url": sim.base}, "u": {"url": upstream.url}},
        "models": {"m": {"upstream": "sim", "price": {"input": "1", "output": "2", "per": 1000000}},
                   "u": {"upstream": "u", "price": {"input": "1", "output": "2", "per": 1000000}}}})


def as_admin(gateway, key, method, path, **more):
    more["headers"] = {"Authorization": f"Bearer {key}", **more.get("headers", {})}
    with httpx.Client(base_url=gateway.admin_url, timeout=30 * SLOWER, verify=PLAIN) as client:
        return client.request(method, path, **more)


@pytest.mark.parametrize("word", ["مرحبا ", "السعودية", "falcon ", "{\"a\":1},"])
def test_a_stream_that_keeps_to_its_bound_is_whole_whatever_its_words_are(gateway, upstream, word):
    tree = Tree(gateway)
    tree.limit("team", tokens_per_minute=1000000)
    upstream.script(stream(*(chunk({"content": word}) for _ in range(200)), chunk({}, "stop"), usage_chunk(9, 200)))
    with Raw(gateway.port, tree.secret, timeout=30) as raw:
        raw.request("POST", "/v1/chat/completions", body_of("u", max_tokens=200, stream=True))
        got = raw.read_reply()
    text = got.body.decode()
    assert text.count('"content"') == 200 and '"stop"' in text and '"length"' not in text


def test_a_stream_of_more_events_than_its_bound_has_tokens_is_cut_there(gateway, upstream):
    tree = Tree(gateway)
    budget = tree.budget("team", "1.00")
    upstream.script(stream(*(chunk({"content": "falcon "}) for _ in range(500)), chunk({}, "stop")))
    with Raw(gateway.port, tree.secret, timeout=30) as raw:
        raw.request("POST", "/v1/chat/completions", body_of("u", max_tokens=100, stream=True))
        got = raw.read_reply()
    assert '"length"' in got.body.decode() and got.body.decode().count('"content"') < 110
    until(lambda: budgets(gateway)[budget]["held"] == "0.00", 5 * SLOWER)
    assert budgets(gateway)[budget]["beyond"] == "0.00"


def test_a_stream_that_is_cut_tells_the_usage_that_is_charged_to_who_asked_for_it(gateway, upstream):
    tree = Tree(gateway)
    tree.budget("team", "1.00")
    for wants in (True, False):
        upstream.script(stream(*(chunk({"content": "falcon "}) for _ in range(500)), chunk({}, "stop")))
        with Raw(gateway.port, tree.secret, timeout=30) as raw:
            raw.request("POST", "/v1/chat/completions", body_of("u", max_tokens=100, stream=True, stream_options={"include_usage": wants}))
            events = [json.loads(line[6:]) for line in raw.read_reply().body.decode().splitlines() if line.startswith("data: {")]
        told = [event["usage"] for event in events if event.get("usage")]
        assert bool(told) == wants and len(told) <= 1
        if wants:
            assert events[-1]["choices"] == [] and told[0]["completion_tokens"] == 100
            row = until(lambda: gateway.admin("GET", f"/admin/v1/usage?team={tree.team}").json()["data"], 5 * SLOWER)[0]
            assert (row["tokens_in"], row["tokens_out"]) == (told[0]["prompt_tokens"], told[0]["completion_tokens"])


def test_an_answer_whose_server_says_no_usage_costs_no_more_than_it_held(gateway):
    tree = Tree(gateway)
    budget = tree.budget("team", "1.00")
    assert ask(gateway, tree.secret, max_tokens=100, sim={"tokens": 100, "usage": "off"}).status == 200
    rows = gateway.admin("GET", f"/admin/v1/usage?team={tree.team}").json()["data"]
    assert rows[0]["tokens_out"] == 100 and budgets(gateway)[budget]["beyond"] == "0.00"


def test_an_admin_key_is_used_from_its_addresses_alone(gateway):
    far = gateway.new_key("far", kind="admin", role="owner", ip_allowlist=["10.0.0.0/8"])["key"]
    near = gateway.new_key("near", kind="admin", role="owner", ip_allowlist=["127.0.0.0/8"])["key"]
    refused = as_admin(gateway, far, "GET", "/admin/v1/keys")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "ip_not_allowed")
    assert as_admin(gateway, near, "GET", "/admin/v1/keys").status_code == 200


@pytest.mark.parametrize("member", [{"models": ["m"]}, {"limits": {"requests_per_minute": 1}}, {"plan": "professional"}])
def test_what_bounds_calls_is_refused_for_an_admin_key(gateway, member):
    said = gateway.admin("POST", "/admin/v1/keys", json={"name": "a", "kind": "admin", "role": "auditor", **member})
    assert said.status_code == 400 and said.json()["error"]["param"] == next(iter(member)), said.text


@pytest.mark.parametrize("noun", ["users", "teams"])
def test_an_admin_key_ends_with_its_user_and_its_team(gateway, noun):
    tree = Tree(gateway)
    key = gateway.new_key("theirs", kind="admin", role="admin", team=tree.team, **({"user": tree.user} if noun == "users" else {}))["key"]
    assert as_admin(gateway, key, "GET", "/admin/v1/keys").status_code == 200
    gateway.admin("DELETE", f"/admin/v1/{noun}/{tree.user if noun == 'users' else tree.team}", headers={"If-Match": "*"}).raise_for_status()
    until(lambda: as_admin(gateway, key, "GET", "/admin/v1/keys").status_code == 401, 1 * SLOWER, "the key has ended")
    assert as_admin(gateway, key, "POST", "/admin/v1/keys", json={"name": "late"}).status_code == 401


def test_an_admin_ends_no_user_who_is_an_owner(gateway):
    tree = Tree(gateway)
    owner = make(gateway, "users", name="the owner", team=tree.team, role="owner")["id"]
    admin = gateway.new_key("admin", kind="admin", role="admin")["key"]
    refused = as_admin(gateway, admin, "DELETE", f"/admin/v1/users/{owner}", headers={"If-Match": "*"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (403, "role")
    assert as_admin(gateway, admin, "DELETE", f"/admin/v1/users/{tree.user}", headers={"If-Match": "*"}).status_code == 200


def test_a_team_whose_time_is_over_ends_calls_that_wait(gateway):
    gateway.announce("call_failed")
    tree = Tree(gateway)
    with Raw(gateway.port, tree.secret, timeout=30) as raw:
        raw.request("POST", "/v1/chat/completions", body_of("m", stream=True, sim={"first_token_ms": 60000}))
        until(lambda: gateway.metrics()["atlas_calls_open"] == 1, 5 * SLOWER, "it waits")
        gateway.admin("PATCH", f"/admin/v1/teams/{tree.team}", json={"expires_at": int(time.time()) + 2}, headers={"If-Match": "*"}).raise_for_status()
        assert raw.read_reply().status == 401


def test_a_user_s_name_is_that_of_the_caller_s_team_alone(gateway):
    mine, other = Tree(gateway), Tree(gateway)
    name = f"ali of {mine.number}"
    for tree in (other, mine):
        tree.ali = make(gateway, "users", name=name, team=tree.team)["id"]
    admin = gateway.new_key("mine", kind="admin", role="admin", team=mine.team)["key"]
    seen = as_admin(gateway, admin, "GET", f"/admin/v1/users/{name}")
    assert seen.status_code == 200 and seen.json()["id"] == mine.ali, seen.text
    key = as_admin(gateway, admin, "POST", "/admin/v1/keys", json={"name": "k", "user": name})
    assert key.status_code == 201 and key.json()["user"] == mine.ali, key.text
    assert gateway.admin("GET", f"/admin/v1/users/{name}").status_code == 404  # who sees both has to say which


def test_usage_of_who_is_not_there_is_an_error_and_to_a_team_another_s_is_no_other(gateway):
    tree, other = Tree(gateway), Tree(gateway)
    for what in ("organisation", "team", "user", "key"):
        assert gateway.admin("GET", f"/admin/v1/usage?{what}=nobody").status_code == 404, what
    admin = gateway.new_key("mine", kind="admin", role="admin", team=tree.team)["key"]
    for what in ("organisation", "team", "user", "key"):
        theirs = as_admin(gateway, admin, "GET", f"/admin/v1/usage?{what}={getattr(other, what)}")
        nobody = as_admin(gateway, admin, "GET", f"/admin/v1/usage?{what}=nobody")
        assert (theirs.status_code, theirs.text.replace(getattr(other, what), "nobody")) == (nobody.status_code, nobody.text), what


def test_a_budget_that_was_ended_shows_what_was_spent(gateway):
    tree = Tree(gateway)
    budget = tree.budget("team", "1.00")
    assert ask(gateway, tree.secret, sim={"tokens": 20}).status == 200
    spent = until(lambda: (b := budgets(gateway)[budget])["held"] == "0.00" and b["spent"], 5 * SLOWER)
    ended = gateway.admin("DELETE", f"/admin/v1/budgets/{budget}", headers={"If-Match": "*"})
    assert (ended.json()["status"], ended.json()["spent"]) == ("ended", spent)
    gateway.stop()
    gateway.start()
    assert gateway.admin("GET", f"/admin/v1/budgets/{budget}").json()["spent"] == spent != "0.00"
