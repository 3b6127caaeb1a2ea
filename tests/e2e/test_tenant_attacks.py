# SPDX-License-Identifier: Apache-2.0
"""What attackers of teams, keys and limits have found, a test each."""
import contextlib
import json
import threading
import time

import httpx
import pytest

from harness.processes import PLAIN, SLOWER
from harness.raw import Raw
from harness.tenants import Tree, ask, body_of, budgets, make
from harness.upstream import chunk, data, stream, usage_chunk
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


def test_usage_tells_a_key_without_a_team_nothing_of_who_there_is(gateway):
    key, tree = gateway.new_key("nobody's")["key"], Tree(gateway)
    for what, name in (("organisation", tree.organisation), ("team", tree.team), ("user", tree.user), ("team", f"team {tree.number}")):
        theirs = gateway.request("GET", f"/v1/usage?{what}={name}", key=key)
        nobody = gateway.request("GET", f"/v1/usage?{what}=nobody", key=key)
        assert (theirs.status_code, theirs.json()) == (nobody.status_code, nobody.json()), what


@pytest.mark.parametrize("level", ["organisation", "tag"])
def test_a_refusal_does_not_say_how_much_others_have(gateway, level):
    tree = Tree(gateway)
    tree.budget(level, "0.000012")
    refused = ask(gateway, tree.secret, max_tokens=1000)
    said = refused.json["error"]["message"]
    assert refused.status == 429 and level in said and "0.000012 USD left" in said and " of 0.000012" not in said, said


@contextlib.contextmanager
def stream_that_waits(gateway, upstream, key):
    """A stream of which a word has come, and the event at which its model server goes on."""
    go = threading.Event()

    def script(connection, request):
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        connection.send(data(chunk({"content": "a"})))
        go.wait(30 * SLOWER)

    upstream.script(script)
    with Raw(gateway.port, key, timeout=30) as raw:
        raw.request("POST", "/v1/chat/completions", body_of("u", max_tokens=100, stream=True))
        assert raw.read_head().status == 200
        yield go


def test_a_budget_that_is_ended_counts_what_is_held_as_used(gateway, upstream):
    tree = Tree(gateway)
    budget = tree.budget("team", "1.00")
    with stream_that_waits(gateway, upstream, tree.secret) as go:
        held = budgets(gateway)[budget]["held"]
        ended = gateway.admin("DELETE", f"/admin/v1/budgets/{budget}", headers={"If-Match": "*"}).json()
        go.set()
    assert (ended["spent"], ended["held"]) == (held, "0.00") and held != "0.00"


def patch(gateway, path, **body):
    return gateway.admin("PATCH", f"/admin/v1/{path}", json=body, headers={"If-Match": "*"})


def test_tags_are_merged_as_all_of_a_change_is(gateway):
    key = gateway.new_key("k", tags={"a": "1", "b": "2", "ba": "=", "z": ""})["id"]
    steps = [({"c": "3"}, {"a": "1", "b": "2", "ba": "=", "c": "3", "z": ""}), ({"b": None, "none": None}, {"a": "1", "ba": "=", "c": "3", "z": ""}),
             ({}, {"a": "1", "ba": "=", "c": "3", "z": ""}), ({"a": "9", "c": None, "z": None, "A": "0"}, {"A": "0", "a": "9", "ba": "="}), (None, {})]
    for change, expected in steps:
        said = patch(gateway, f"keys/{key}", tags=change)
        assert said.status_code == 200 and said.json()["tags"] == expected, (change, said.text)
    many = {f"t{i}": "x" for i in range(16)}
    assert patch(gateway, f"keys/{key}", tags=many).status_code == 200
    one_more = patch(gateway, f"keys/{key}", tags={"one": "more"})
    assert (one_more.status_code, one_more.json()["error"]["param"]) == (400, "tags"), one_more.text
    assert patch(gateway, f"keys/{key}", tags={"t0": None, "one": "more"}).status_code == 200


def test_a_change_of_nothing_changes_nothing(gateway):
    tree = Tree(gateway)
    for path in (f"keys/{tree.key}", f"teams/{tree.team}", f"users/{tree.user}", f"organisations/{tree.organisation}", f"limits/{tree.team}"):
        before = gateway.admin("GET", f"/admin/v1/{path}").json()
        said = patch(gateway, path)
        assert (said.status_code, said.json()) == (200, before), path
    for member in ("models", "ip_allowlist"):
        assert patch(gateway, f"keys/{tree.key}", **{member: None}).json()[member] == []


def test_the_description_knows_all_answers_of_changes(gateway):
    one, other = Tree(gateway), Tree(gateway)
    described = gateway.admin("GET", "/admin/v1/openapi.json").json()
    for noun, id_, name in (("teams", one.team, f"team {other.number}"), ("organisations", one.organisation, f"organisation {other.number}")):
        said = patch(gateway, f"{noun}/{id_}", name=name)
        assert said.status_code == 409 and "409" in described["paths"][f"/admin/v1/{noun}/{{id}}"]["patch"]["responses"], said.text


def test_a_team_is_of_the_default_organisation_where_there_are_several(gateway):
    if gateway.admin("GET", "/admin/v1/organisations/default").status_code == 404:
        make(gateway, "organisations", name="default")
    Tree(gateway)
    default = gateway.admin("GET", "/admin/v1/organisations/default").json()["id"]
    assert make(gateway, "teams", name=f"of {default}")["organisation"] == default


def test_a_template_says_when_its_windows_end(gateway):
    tree = Tree(gateway)
    own = make(gateway, "budgets", team=tree.team, amount="1", window="day", time_zone="Asia/Kathmandu")
    each = make(gateway, "budgets", team=tree.team, each="key", amount="1", window="day", time_zone="Asia/Kathmandu")
    assert each["resets_at"] == own["resets_at"] is not None
    assert "EACH" in gateway.command("budget", "list").stdout


def test_sums_that_cost_nothing_are_of_any_currency(gateway):
    tree = Tree(gateway)
    make(gateway, "prices", model="u", input="1", output="2", currency="SAR")
    tree.budget("team", "0.000200")
    assert ask(gateway, tree.secret, "m", max_tokens=5, sim={"tokens": 5}).status == 200
    assert ask(gateway, tree.secret, "u", max_tokens=5).status == 503  # no price in USD
    row = until(lambda: len(rows := gateway.admin("GET", f"/admin/v1/usage?team={tree.team}").json()["data"]) == 1 and rows[0], 5 * SLOWER)
    assert (row["calls"], row["refused"], row["currency"]) == (1, 1, "USD"), row


def test_ended_ones_may_be_asked_for_of_every_noun(gateway):
    for noun in ("organisations", "teams", "users", "keys", "plans", "prices", "budgets", "limits", "evaluations"):
        assert gateway.admin("GET", f"/admin/v1/{noun}?include=ended").status_code == 200, noun


def test_a_day_will_do_for_a_time(gateway):
    key = gateway.new_key("k", expires_at="2031-01-31")
    assert key["expires_at"] == 1927584000
    assert gateway.admin("POST", "/admin/v1/keys", json={"name": "k", "expires_at": "2031-02-29"}).status_code == 400


def test_tokens_of_an_interrupted_call_are_those_that_are_paid(make_gateway, upstream):
    price = {"input": "1", "output": "2", "per": 1000000}
    gateway = make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {"u": {"upstream": "u", "price": price}}})
    tree = Tree(gateway)
    tree.budget("team", "1.00")
    with stream_that_waits(gateway, upstream, tree.secret) as go:
        gateway.kill()
        go.set()
    gateway.start()
    row = until(lambda: gateway.admin("GET", f"/admin/v1/usage?team={tree.team}").json()["data"], 10 * SLOWER)[0]
    assert row["interrupted"] == 1 and row["tokens_out"] == 100
    assert float(row["cost"]) == (row["tokens_in"] + 2 * row["tokens_out"]) / 1e6, row


def test_what_has_ended_is_limited_no_more_and_its_users_names_are_free(gateway):
    one, two = Tree(gateway), Tree(gateway)
    for tree in (one, two):
        make(gateway, "users", name="of both", team=tree.team)
    gateway.admin("DELETE", f"/admin/v1/teams/{one.team}").raise_for_status()
    for body in ({"team": one.team}, {"user": one.user}, {"team": one.team, "each": "key"}):
        said = [gateway.admin("POST", "/admin/v1/limits", json={**body, "concurrent": 5}), gateway.admin("POST", "/admin/v1/budgets", json={**body, "amount": "1"})]
        assert [(got.status_code, "has ended" in got.text) for got in said] == [(400, True)] * 2, body
    assert gateway.admin("PATCH", f"/admin/v1/limits/{one.team}", json={"concurrent": 5}, headers={"If-Match": "*"}).status_code == 400
    plan = make(gateway, "plans", name="of a few")["id"]
    gateway.admin("DELETE", f"/admin/v1/plans/{plan}").raise_for_status()
    assert gateway.admin("POST", "/admin/v1/limits", json={"plan": plan, "concurrent": 5}).status_code == 201  # who has it keeps it
    found = gateway.admin("GET", "/admin/v1/users/of%20both")
    assert (found.status_code, found.json()["team"]) == (200, two.team), found.text
    key = gateway.new_key("revoked", team=two.team)["id"]
    gateway.revoke(key)
    assert gateway.admin("POST", "/admin/v1/limits", json={"key": key, "concurrent": 5}).status_code == 400
    assert gateway.admin("PATCH", f"/admin/v1/keys/{key}", json={"name": "other"}, headers={"If-Match": "*"}).status_code == 409


def test_a_known_key_is_told_its_limits_wherever_it_is_used_from(gateway):
    tree = Tree(gateway)
    key = gateway.new_key("elsewhere", team=tree.team, ip_allowlist=["192.0.2.1"], limits={"requests_per_minute": 60})["key"]
    for got in (gateway.request("GET", "/v1/models", key=key), gateway.request("POST", "/v1/chat/completions", key=key, json={"model": "m", "messages": []})):
        assert (got.status_code, got.headers.get("X-RateLimit-Limit"), got.headers.get("X-RateLimit-Remaining")) == (403, "60", "60"), got.text


def test_a_refusal_for_tokens_says_what_is_left_of_them(gateway):
    tree = Tree(gateway)
    tree.limit("key", tokens_per_minute=1000)
    first = gateway.request("POST", "/v1/chat/completions", key=tree.secret, json={"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2000})
    assert first.status_code == 429 and first.headers["x-ratelimit-remaining-tokens"] == "1000", first.text
