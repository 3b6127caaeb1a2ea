# SPDX-License-Identifier: Apache-2.0
"""Evaluations: a team for a while and a key in it, by one request, and what is left of them when they are over."""
import contextlib
import json
import signal
import sqlite3
import time

import httpx
import pytest

from harness.processes import PLAIN, SLOWER
from harness.upstream import CHAT, reply
from harness.validator import complaints
from harness.waiting import until

EVALUATIONS = "/admin/v1/evaluations"
DAY = 86400


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    models = {name: {"upstream": "u", "price": {"request": 1}} for name in ("a", "b")}
    return make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": models})


@pytest.fixture(autouse=True)
def surroundings(gateway):
    """The plan that `atlas init` makes, which a test ends; and keys that live for some days end soon, which the log says."""
    gateway.announce("key_expiring")
    made = gateway.admin("POST", "/admin/v1/plans", json={"name": "development", "limits": {"requests_per_minute": 60}})
    assert made.status_code in (201, 409), made.text


@pytest.fixture(scope="module")
def said():
    """Every reply of the module, to be held against the description."""
    return []


def ask(gateway, said, method, path, status, json=None, **more):
    got = gateway.admin(method, path, json=json, **more)
    assert got.status_code == status, got.text
    said.append((method, EVALUATIONS if path.split("?")[0] == EVALUATIONS else EVALUATIONS + "/{id}", status, got.json()))
    return got.json()


def begin(gateway, said, name, **members):
    return ask(gateway, said, "POST", EVALUATIONS, 201, {"name": name, **members})


def call(gateway, upstream, key, model="a"):
    """The status and the code of a call."""
    upstream.script(reply(200, CHAT))
    got = gateway.request("POST", "/v1/chat/completions", key=key, json={"model": model, "messages": [{"role": "user", "content": "hi"}]})
    if got.status_code != 200:
        upstream.forget()
    return got.status_code, got.json().get("error", {}).get("code")


def records(gateway, *objects):
    gateway.command("usage")  # it answers when all records before it are on the disk
    lines = map(json.loads, gateway.command("journal", "print").stdout.splitlines())
    return [(r["action"], r["actor"]) for r in lines if r["kind"] == "admin" and r["object"] in objects and r["action"] != "limit.set"]


def test_one_request_makes_a_team_and_a_key_that_end_by_themselves(gateway, upstream, said):
    before = int(time.time())
    made = begin(gateway, said, "pilot", days=3, models=["a"])
    assert made["id"] == made["team"] and made["key"].startswith("mx4_sk_test_") and made["status"] == "active"
    assert before + 3 * DAY <= made["expires_at"] <= time.time() + 3 * DAY and made["days"] == 3
    key = gateway.admin("GET", f"/admin/v1/keys/{made['key_id']}").json()
    assert (key["team"], key["kind"], key["expires_at"]) == (made["team"], "test", made["expires_at"])
    team = gateway.admin("GET", f"/admin/v1/teams/{made['team']}").json()
    assert (team["name"], team["models"], team["expires_at"], team["plan_name"]) == ("pilot", ["a"], made["expires_at"], "development")
    assert call(gateway, upstream, made["key"]) == (200, None)
    assert call(gateway, upstream, made["key"], "b") == (403, "model_not_allowed")
    assert [one["id"] for one in gateway.request("GET", "/v1/models", key=made["key"]).json()["data"]] == ["a"]
    shown = {**made}
    del shown["key"]
    assert ask(gateway, said, "GET", f"{EVALUATIONS}/{made['id']}", 200) == shown
    assert ask(gateway, said, "GET", f"{EVALUATIONS}/pilot", 200) == shown
    assert shown in ask(gateway, said, "GET", EVALUATIONS, 200)["data"]


def test_the_plan_development_is_taken_if_there_is_one(gateway, upstream, said):
    changed = gateway.admin("PATCH", "/admin/v1/plans/development", json={"limits": {"requests_per_minute": 2, "burst": 1}})
    assert changed.status_code == 200, changed.text
    plan = changed.json()["id"]
    other = gateway.admin("POST", "/admin/v1/plans", json={"name": "other"}).json()["id"]
    made = begin(gateway, said, "planned")
    assert (made["plan"], made["days"]) == (plan, 7)
    assert [call(gateway, upstream, made["key"])[0] for _ in range(2)] == [200, 429]
    assert begin(gateway, said, "otherwise", plan="other")["plan"] == other
    gateway.admin("DELETE", "/admin/v1/plans/development")
    without = begin(gateway, said, "without")
    assert without["plan"] is None
    limits = gateway.admin("GET", f"/admin/v1/teams/{without['team']}").json()["limits"]
    assert limits["requests_per_minute"] > 0 and limits["tokens_per_day"] > 0 and limits["concurrent"] > 0


def test_it_is_ended_at_once_for_good(gateway, upstream, said):
    made = begin(gateway, said, "short", expires_at=int(time.time()) + DAY)
    second = gateway.new_key("more", team=made["team"])
    stays = begin(gateway, said, "stays")
    assert call(gateway, upstream, second["key"])[0] == 200
    ended = ask(gateway, said, "DELETE", f"{EVALUATIONS}/{made['id']}", 200)
    assert ended["status"] == "ended" and ended["ended_at"] is not None
    for key in (made["key"], second["key"]):
        assert call(gateway, upstream, key)[0] == 401
    for one in (made["key_id"], second["id"]):
        assert gateway.admin("GET", f"/admin/v1/keys/{one}").json()["status"] == "revoked"
    assert call(gateway, upstream, stays["key"])[0] == 200
    assert ask(gateway, said, "DELETE", f"{EVALUATIONS}/{made['id']}", 200) == ended  # it keeps its time
    assert [action for action, _ in records(gateway, made["team"])] == ["team.create", "team.end"]
    assert made["id"] not in {one["id"] for one in ask(gateway, said, "GET", EVALUATIONS, 200)["data"]}
    assert made["id"] in {one["id"] for one in ask(gateway, said, "GET", f"{EVALUATIONS}?include=ended", 200)["data"]}
    assert begin(gateway, said, "short")["id"] != made["id"]  # the name is free again


def test_one_that_is_over_is_refused_and_tidied_once(gateway, upstream, said):
    at = int(time.time()) + 2 * SLOWER + 1
    made = begin(gateway, said, "brief", expires_at=at)
    second = gateway.new_key("more", team=made["team"])  # which does not expire itself
    team = gateway.admin("POST", "/admin/v1/teams", json={"name": "no evaluation", "expires_at": at}).json()["id"]
    until(lambda: time.time() >= at, 10 * SLOWER, "the end")
    assert call(gateway, upstream, made["key"])[0] in (401, 403)
    assert call(gateway, upstream, second["key"])[0] in (401, 403)
    shown = until(lambda: (one := ask(gateway, said, "GET", f"{EVALUATIONS}/{made['id']}", 200))["ended_at"] and one, 20 * SLOWER, "the mark")
    assert shown["status"] == "ended" and shown["ended_at"] >= at
    for one in (made["key_id"], second["id"]):
        assert gateway.admin("GET", f"/admin/v1/keys/{one}").json()["status"] == "revoked"
    gateway.stop(signal.SIGKILL)
    gateway.start()
    later = begin(gateway, said, "later", expires_at=int(time.time()) + 2 * SLOWER)  # once this is tidied, that was looked at again
    until(lambda: ask(gateway, said, "GET", f"{EVALUATIONS}/{later['id']}", 200)["ended_at"], 20 * SLOWER, "the mark")
    assert records(gateway, made["team"])[1:] == [("team.end", "gateway")]
    assert records(gateway, made["key_id"])[1:] == [("key.revoke", "gateway")]
    assert records(gateway, second["id"])[1:] == [("key.revoke", "gateway")]
    assert records(gateway, team)[1:] == []  # a team that is over may be let go on
    assert gateway.admin("PATCH", f"/admin/v1/teams/{team}", json={"expires_at": None}).json()["status"] == "active"


@pytest.mark.parametrize(("body", "param"), [
    ({}, "name"), ({"name": ""}, "name"), ({"name": "n", "days": 0}, "days"), ({"name": "n", "days": 366}, "days"),
    ({"name": "n", "days": "7"}, "days"), ({"name": "n", "days": 1, "expires_at": 4000000000}, "days"),
    ({"name": "n", "expires_at": 1000000000}, "expires_at"), ({"name": "n", "expires_at": 4000000000}, "expires_at"),
    ({"name": "n", "models": ["nothing"]}, "models"), ({"name": "n", "plan": "nothing"}, "plan"),
    ({"name": "n", "organisation": "nothing"}, "organisation"), ({"name": "n", "key": "mx4_sk_test_"}, "key"),
    ({"name": "n", "team": "team_AAAAAAAAAAAA"}, "team"),
])
def test_what_is_no_evaluation_is_refused_and_named(gateway, said, body, param):
    before = gateway.admin("GET", "/admin/v1/teams?include=ended").json()
    assert ask(gateway, said, "POST", EVALUATIONS, 400, body)["error"]["param"] == param
    assert gateway.admin("GET", "/admin/v1/teams?include=ended").json() == before


def test_it_is_changed_with_its_key(gateway, upstream, said):
    made = begin(gateway, said, "longer", days=2, models=["a"])
    path = f"{EVALUATIONS}/longer"
    changed = ask(gateway, said, "PATCH", path, 200, {"days": 20, "models": ["a", "b"]})
    assert changed["expires_at"] == made["expires_at"] + 18 * DAY and (changed["days"], changed["models"]) == (20, ["a", "b"])
    assert gateway.admin("GET", f"/admin/v1/keys/{made['key_id']}").json()["expires_at"] == changed["expires_at"]
    until(lambda: call(gateway, upstream, made["key"], "b") == (200, None), 2 * SLOWER, "the model that it may use now")
    at = int(time.time()) + 30 * DAY
    assert ask(gateway, said, "PATCH", path, 200, {"expires_at": at, "days": None})["expires_at"] == at
    assert ask(gateway, said, "PATCH", path, 200, {})["expires_at"] == at
    for body, param in (({"expires_at": None}, "expires_at"), ({"days": 400}, "days"), ({"expires_at": 1000}, "expires_at"), ({"days": 3, "expires_at": at}, "days"),
                        ({"models": ["nothing"]}, "models"), ({"name": "another"}, "name"), ({"expires_at": 4000000000}, "expires_at")):
        assert ask(gateway, said, "PATCH", path, 400, body)["error"]["param"] == param, body
    ask(gateway, said, "PATCH", path, 412, {"days": 3}, headers={"If-Match": '"other"'})
    gateway.admin("DELETE", f"/admin/v1/keys/{made['key_id']}")
    assert ask(gateway, said, "PATCH", path, 200, {"days": 40})["days"] == 40  # whose key is gone
    gateway.command("eval", "edit", "longer", "--days", "41")
    assert ask(gateway, said, "GET", path, 200)["days"] == 41
    ask(gateway, said, "DELETE", path, 200)
    ask(gateway, said, "PATCH", f"{EVALUATIONS}/{made['id']}", 409, {"days": 50})


def test_names_are_those_of_teams_and_a_team_is_no_evaluation(gateway, said):
    team = gateway.admin("POST", "/admin/v1/teams", json={"name": "taken"}).json()["id"]
    ask(gateway, said, "POST", EVALUATIONS, 409, {"name": "taken"})
    for one in (team, "taken", "team_AAAAAAAAAAAA"):
        ask(gateway, said, "GET", f"{EVALUATIONS}/{one}", 404)
        ask(gateway, said, "DELETE", f"{EVALUATIONS}/{one}", 404)
    assert gateway.admin("GET", f"/admin/v1/teams/{team}").json()["status"] == "active"
    made = begin(gateway, said, "judged")
    ask(gateway, said, "DELETE", f"{EVALUATIONS}/{made['id']}", 412, headers={"If-Match": '"other"'})
    assert ask(gateway, said, "GET", f"{EVALUATIONS}/judged", 200)["status"] == "active"
    ask(gateway, said, "GET", f"{EVALUATIONS}?include=all", 400)


@pytest.mark.parametrize("lost", ["the reply", "the key"])
def test_with_an_idempotency_key_it_is_made_once_with_the_same_key(gateway, upstream, said, lost):
    owner = gateway.new_key("owner", kind="admin")["key"]

    def post():
        headers = {"Authorization": f"Bearer {owner}", "Idempotency-Key": "k"}
        with httpx.Client(base_url=gateway.admin_url, timeout=30 * SLOWER, verify=PLAIN, headers=headers) as asker:
            return asker.post(EVALUATIONS, json={"name": f"once {lost}", "models": ["b"]})

    first = post()
    assert first.status_code == 201 and post().text == first.text
    gateway.stop()
    with contextlib.closing(sqlite3.connect(gateway.data / "atlas.db")) as db, db:  # as a kill between the two leaves it
        assert db.execute("UPDATE idempotency SET status = 0, reply = x'', tag = ''").rowcount >= 1
        if lost == "the key":
            assert db.execute("DELETE FROM api_key WHERE id = ?", (first.json()["key_id"],)).rowcount == 1
    gateway.start()
    again = post()
    assert (again.status_code, again.json()) == (201, first.json())
    assert call(gateway, upstream, first.json()["key"], "b") == (200, None)
    named = [one for one in ask(gateway, said, "GET", EVALUATIONS, 200)["data"] if one["name"] == f"once {lost}"]
    assert len(named) == 1 and "key" not in named[0]


def test_no_secret_is_at_rest(gateway, said):
    made = begin(gateway, said, "hidden")
    gateway.stop()
    for path in gateway.data.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            assert made["key"].encode() not in held and made["key"][24:44].encode() not in held, path
    gateway.start()
    assert made["key"] not in gateway.log()


def test_every_reply_is_as_described(gateway, said):
    assert len(said) > 50
    assert complaints(gateway.admin("GET", "/admin/v1/openapi.json").json(), said) == []
