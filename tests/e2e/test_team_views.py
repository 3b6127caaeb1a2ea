# SPDX-License-Identifier: Apache-2.0
"""What a team sees with its own keys: its models, what its limits and budgets have left."""
import concurrent.futures
import threading

import pytest

from harness.processes import SLOWER
from harness.raw import Raw
from harness.upstream import CHAT, reply
from harness.waiting import until

MODELS = ["a-large", "a-small", "b"]


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    models = {name: {"upstream": "u", "price": {"request": 1}} for name in MODELS}
    models["b"]["aliases"] = ["bee", "beta"]
    models["x-*"] = {"upstream": "u"}
    return make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": models})


def made(gateway, noun, **members):
    got = gateway.admin("POST", f"/admin/v1/{noun}", json=members)
    assert got.status_code == 201, got.text
    return got.json()


def listed(gateway, key):
    got = gateway.request("GET", "/v1/models", key=key)
    assert got.status_code == 200, got.text
    assert got.json()["object"] == "list"
    return [one["id"] for one in got.json()["data"]]


ALL = ["a-large", "a-small", "b", "bee", "beta"]


@pytest.mark.parametrize(("team", "key", "expected"), [
    ([], [], ALL),
    (["b"], [], ["b", "bee", "beta"]),  # and what else it is called
    (["bee"], [], ["bee"]),  # by this name alone
    ([], ["a-large", "nothing"], ["a-large"]),
    (["a-large", "b"], ["a-small", "b"], ["b", "bee", "beta"]),  # what both let it use
    (["a-large"], ["b"], []),
    (["x-*"], [], []),  # a pattern is no model
])
def test_a_key_sees_the_models_that_it_may_use_and_no_others(gateway, upstream, team, key, expected):
    name = "-".join(["t", *team, "k", *key])
    team = made(gateway, "teams", name=name, models=team)["id"]
    key = made(gateway, "keys", name=name, team=team, models=key)["key"]
    assert listed(gateway, key) == expected
    unknown = gateway.request("GET", "/v1/models/nothing-like-it", key=key)
    for model in ALL:
        shown = gateway.request("GET", f"/v1/models/{model}", key=key)
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        if model in expected:
            assert (shown.status_code, shown.json()["id"]) == (200, model)
            upstream.script(reply(200, CHAT))
            assert gateway.request("POST", "/v1/chat/completions", key=key, json=body).status_code == 200
        else:
            assert (shown.status_code, shown.json()["error"]) == (404, unknown.json()["error"])
            assert shown.json()["error"]["code"] == "model_not_found"
            assert gateway.request("POST", "/v1/chat/completions", key=key, json=body).status_code == 403


def test_models_of_a_pattern(gateway):
    team = made(gateway, "teams", name="patterns", models=["x-*", "x-one"])["id"]
    other = made(gateway, "teams", name="no patterns", models=["b"])["id"]
    key, stranger = (made(gateway, "keys", name="k", team=team)["key"] for team in (team, other))
    assert gateway.request("GET", "/v1/models/x-any", key=key).json()["id"] == "x-any"
    assert gateway.request("GET", "/v1/models/x-any", key=stranger).status_code == 404


def test_a_look_says_how_limits_stand_and_takes_nothing(gateway, upstream):
    team = made(gateway, "teams", name="limited", limits={"requests_per_minute": 5, "tokens_per_minute": 9000})["id"]
    key = made(gateway, "keys", name="k", team=team)["key"]
    for path in ("/v1/models", "/v1/models/b", "/v1/models/nothing", "/v1/budget", "/v1/usage"):
        for _ in range(3):
            head = gateway.request("GET", path, key=key).headers
            assert (head["x-ratelimit-limit-requests"], head["x-ratelimit-remaining-requests"]) == ("5", "5"), path
            assert (head["X-RateLimit-Remaining"], head["x-ratelimit-remaining-tokens"]) == ("5", "9000")
    upstream.script(reply(200, CHAT))
    gateway.request("POST", "/v1/chat/completions", key=key, json={"model": "b", "messages": [{"role": "user", "content": "hi"}]})
    assert gateway.request("GET", "/v1/models", key=key).headers["x-ratelimit-remaining-requests"] == "4"
    assert "x-ratelimit-limit-requests" not in gateway.request("GET", "/v1/models").headers


def test_who_may_not_call_sees_nothing(gateway):
    team = made(gateway, "teams", name="over")["id"]
    key = made(gateway, "keys", name="k", team=team)["key"]
    elsewhere = made(gateway, "keys", name="k", ip_allowlist=["192.0.2.0/24"])["key"]
    here = made(gateway, "keys", name="k", ip_allowlist=["127.0.0.0/8"])["key"]
    for path in ("/v1/models", "/v1/models/b", "/v1/budget", "/v1/usage"):
        assert gateway.request("GET", path, key=elsewhere).json()["error"]["code"] == "ip_not_allowed", path
        assert gateway.request("GET", path, key=here).status_code == 200
        assert gateway.request("GET", path, key=key).status_code == 200
    call = {"json": {"model": "b", "messages": [{"role": "user", "content": "hi"}]}}
    assert gateway.request("POST", "/v1/chat/completions", key=elsewhere, **call).json()["error"]["code"] == "ip_not_allowed"
    assert gateway.admin("DELETE", f"/admin/v1/teams/{team}").status_code == 200
    for path in ("/v1/models", "/v1/models/b", "/v1/budget", "/v1/usage"):
        assert gateway.request("GET", path, key=key).status_code in (401, 403)
        with Raw(gateway.port, None) as raw:
            raw.request("GET", path)
            assert raw.read_reply().status == 401


def budgets(gateway, key):
    got = gateway.request("GET", "/v1/budget", key=key)
    assert got.status_code == 200, got.text
    assert got.headers["cache-control"] == "no-store"
    return got.json()["data"]


def test_a_key_sees_the_budgets_that_its_calls_count_in_and_no_others(gateway, upstream):
    organisation = made(gateway, "organisations", name="ministry")["id"]
    team, other = (made(gateway, "teams", name=name, organisation=organisation)["id"] for name in ("seers", "others"))
    user = made(gateway, "users", name="ali", team=team)["id"]
    key = made(gateway, "keys", name="k", team=team, user=user, limits={"tokens_per_day": 5000})
    mine = {
        "organisation": made(gateway, "budgets", organisation=organisation, amount="1000", window="total"),
        "team": made(gateway, "budgets", team=team, amount="10.5", window="month", time_zone="Asia/Riyadh"),
        "user": made(gateway, "budgets", user=user, unit="tokens", amount="100000", window="week", model="a-large"),
        "key": made(gateway, "budgets", team=team, each="key", amount="3", window="day"),
    }
    made(gateway, "budgets", team=other, amount="7")
    made(gateway, "budgets", team=team, each="user", amount="9")
    upstream.script(reply(200, CHAT))
    assert gateway.request("POST", "/v1/chat/completions", key=key["key"],
                           json={"model": "b", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}).status_code == 200
    seen = budgets(gateway, key["key"])
    assert all(one["object"] == "budget" for one in seen)
    by_id = {(one["level"], one["id"]): one for one in seen}
    assert len(by_id) == len(seen) == 6
    for level, budget in mine.items():
        one = by_id[level, budget["id"]]
        shown = gateway.admin("GET", f"/admin/v1/budgets/{budget['id']}").json()
        for member in ("model", "unit", "currency", "window"):
            assert one[member] == shown[member], (level, member)
        if level == "organisation":  # others' use, too, of which what is left is told
            assert (one["amount"], one["spent"], one["held"], one["left"]) == (None, None, None, "999.00")
            continue
        assert one["amount"] == shown["amount"], level
        expected = ("0", "0", "100000") if level == "user" else ("1.00", "0.00", f"{float(one['amount']) - 1:.2f}")  # of tokens, or money
        assert (one["spent"], one["held"], one["left"]) == expected, level
        if level != "key":  # of a template the admin API shows no child
            assert (one["resets_at"], one["spent"]) == (shown["resets_at"], shown["spent"])
    a_day = by_id["key", None]
    assert (a_day["unit"], a_day["amount"], a_day["window"]) == ("tokens", "5000", "day") and float(a_day["spent"]) > 0


def test_who_has_no_budget_hears_of_none(gateway):
    assert budgets(gateway, gateway.key) == []
    narrow = made(gateway, "keys", name="chat alone", scopes=["chat"])["key"]
    assert budgets(gateway, narrow) == []
    assert gateway.request("GET", "/v1/models", key=narrow).status_code == 403
    assert gateway.request("POST", "/v1/budget", key=narrow).status_code == 405
    admin = gateway.new_key("admin", kind="admin")["key"]
    assert gateway.request("GET", "/v1/budget", key=admin).status_code == 401


def usage(gateway, key, query="", status=200, **headers):
    got = gateway.request("GET", f"/v1/usage{query}", key=key, headers=headers)
    assert got.status_code == status, got.text
    return got


def chat(gateway, upstream, key, model):
    upstream.script(reply(200, CHAT))
    assert gateway.request("POST", "/v1/chat/completions", key=key,
                           json={"model": model, "messages": [{"role": "user", "content": "hi"}]}).status_code == 200


@pytest.fixture(scope="module")
def used(gateway, upstream):
    """Two keys of a team, one of another, one of none; what each did is in the sums."""
    team, other = (made(gateway, "teams", name=name, organisation="default")["id"] for name in ("users of much", "users of little"))
    keys = {name: made(gateway, "keys", name=name, **({"team": of} if of else {}))
            for name, of in (("one", team), ("two", team), ("stranger", other), ("alone", None))}
    for name, models in {"one": ["b", "a-large"], "two": ["b"], "stranger": ["b", "b", "b"], "alone": ["a-small"]}.items():
        for model in models:
            chat(gateway, upstream, keys[name]["key"], model)

    def calls(name):
        return sum(row["calls"] for row in usage(gateway, keys[name]["key"]).json()["data"])

    for name, expected in {"one": 3, "two": 3, "stranger": 3, "alone": 1}.items():
        until(lambda name=name, expected=expected: calls(name) == expected, 10 * SLOWER, f"the sums of {name}")
    return {**keys, "team": team, "other": other}


def test_a_key_sees_what_its_team_used_and_no_other(gateway, used):
    rows = usage(gateway, used["one"]["key"], "?by=key,model&names=true").json()
    assert {(row["key"], row["key_name"], row["model"], row["calls"]) for row in rows["data"]} == {
        (used["one"]["id"], "one", "b", 1), (used["one"]["id"], "one", "a-large", 1), (used["two"]["id"], "two", "b", 1)}
    assert {row["cost"] for row in rows["data"]} == {"1.00"} and rows["has_more"] is False
    admin = gateway.admin("GET", f"/admin/v1/usage?by=key,model&names=true&team={used['team']}").json()
    assert rows == admin  # to the letter
    assert usage(gateway, used["two"]["key"], f"?team={used['team']}").json()["data"][0]["calls"] == 3
    assert usage(gateway, used["one"]["key"], f"?team={used['other']}", 404).json()["error"]["code"] == "not_found"
    assert usage(gateway, used["one"]["key"], f"?by=key&key={used['stranger']['id']}", 404).json()["error"]["code"] == "not_found"
    assert usage(gateway, used["one"]["key"], "?by=team").json()["data"][0]["team"] == used["team"]


def test_a_key_without_a_team_sees_what_it_used_itself(gateway, used):
    rows = usage(gateway, used["alone"]["key"], "?by=key,model").json()["data"]
    assert [(row["key"], row["model"], row["calls"]) for row in rows] == [(used["alone"]["id"], "a-small", 1)]
    for query in (f"?key={used['one']['id']}", f"?by=key&key={used['alone']['id']}"):
        assert usage(gateway, used["alone"]["key"], query, 400).json()["error"]["param"] == "key"
    assert usage(gateway, used["alone"]["key"], f"?k%65y={used['one']['id']}", 400).json()["error"]["param"] == "k%65y"
    assert usage(gateway, used["alone"]["key"], f"?by=model&team={used['team']}").json()["data"] == []


def test_what_is_asked_oddly_is_refused_as_the_admin_api_does(gateway, used):
    key = used["one"]["key"]
    for query in ("?by=nothing", "?from=x", "?nothing=1", "?limit=0", "?by=day&by=hour", "?format=xml", "?by=%ff"):
        ours, theirs = usage(gateway, key, query, 400).json()["error"], gateway.admin("GET", f"/admin/v1/usage{query}").json()["error"]
        assert (ours["param"], ours["message"], ours["code"]) == (theirs["param"], theirs["message"], theirs["code"]), query
    for got in (usage(gateway, key, "?by=model&format=csv"), usage(gateway, key, "?by=model", Accept="text/csv")):
        assert got.headers["content-type"].startswith("text/csv") and got.text.splitlines()[0].startswith("model,")
        assert len(got.text.splitlines()) == 3
    assert gateway.request("POST", "/v1/usage", key=key).status_code == 405
    assert gateway.request("GET", "/v1/usage?" + "x" * 5000, key=key).status_code in (400, 414, 431)
    head = gateway.request("HEAD", "/v1/usage", key=key)
    assert (head.status_code, head.text) == (200, "")


def test_many_ask_at_once_and_leave_and_calls_go_on(gateway, upstream, used):
    """Beyond a few at a time of a worker a question is 503; who leaves takes nothing with him."""
    key = used["one"]["key"]

    def ask(number):
        with Raw(gateway.port, key) as raw:
            raw.request("GET", "/v1/usage?by=key,model,day,hour")
            return None if number % 3 == 0 else raw.read_reply().status  # every third leaves

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(ask, range(150)))
    assert set(statuses) <= {None, 200, 503} and statuses.count(200) > 0
    chat(gateway, upstream, key, "b")
    until(lambda: usage(gateway, key).json()["data"][0]["calls"] >= 4, 10 * SLOWER, "the sums")


def test_a_key_that_asks_all_the_time_leaves_places_for_another(gateway, used):
    over = threading.Event()

    def ask_on():
        while not over.is_set():
            with Raw(gateway.port, used["one"]["key"]) as raw:
                raw.request("GET", "/v1/usage?by=key,model,day,hour")
                assert raw.read_reply().status in (200, 503)

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        busy = [pool.submit(ask_on) for _ in range(12)]
        try:
            for _ in range(50):
                usage(gateway, used["two"]["key"])  # which is 200
        finally:
            over.set()
        for one in busy:
            one.result()


def test_a_gateway_that_stops_while_questions_wait_ends_well(make_gateway, upstream):
    gateway = make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}},
                            "drain_notice": "0s", "drain_timeout": "1s"})
    waiting = [Raw(gateway.port, gateway.key) for _ in range(20)]
    for raw in waiting:
        raw.request("GET", "/v1/usage")
    assert gateway.stop() == 0
    for raw in waiting:
        raw.close()
    gateway.start()
    assert [row["calls"] for row in usage(gateway, gateway.key).json()["data"]] == [0]
