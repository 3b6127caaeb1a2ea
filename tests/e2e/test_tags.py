# SPDX-License-Identifier: Apache-2.0
"""Limits and budgets of tags: what holds at every level is in test_limits.py and test_budgets.py, and what only tags have is here."""
import itertools
import json
import urllib.parse

import httpx
import pytest

from harness.processes import PLAIN, SLOWER
from harness.tenants import Tree, ask, budgets, error, make, nano
from harness.waiting import until

_numbers = itertools.count()
ANY = {"If-Match": "*"}


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway(config(sim))


def config(sim):
    price = {"input": "1", "output": "2"}
    return {"upstreams": {"sim": {"url": sim.base}}, "models": {"m": {"upstream": "sim", "price": price}, "n": {"upstream": "sim", "price": price}}}


def new_tag():
    """Its name and its value, which nobody bears yet."""
    return {f"t{next(_numbers)}": "منصة حكومية"}


def name_of(tag):
    return "=".join(*tag.items())


def limit(gateway, tag, **limits):
    set_ = gateway.admin("POST", "/admin/v1/limits", json={"tag": name_of(tag), **limits})
    assert set_.status_code in (200, 201), set_.text
    return set_.json()


def as_admin(gateway, key, method, path, **more):
    with httpx.Client(base_url=gateway.admin_url, timeout=30 * SLOWER, verify=PLAIN) as client:
        return client.request(method, path, headers={"Authorization": f"Bearer {key}", **ANY}, **more)


def test_a_tag_limits_the_keys_of_all_teams_that_bear_it_and_no_others(gateway):
    tag, one, other = new_tag(), Tree(gateway), Tree(gateway)
    bearers = [one.new_key(tags=tag), other.new_key(tags={"a": "b", **tag, "z": ""})]
    limit(gateway, tag, requests_per_minute=1, burst=2)
    assert [ask(gateway, key["key"]).status for key in bearers] == [200, 200]
    refused = ask(gateway, bearers[0]["key"])
    assert refused.status == 429 and f"tag {name_of(tag)}" in error(refused)["message"]
    assert refused.header("X-RateLimit-Limit") == "1"
    assert ask(gateway, one.secret).status == ask(gateway, other.secret).status == 200


def test_a_tag_limits_keys_that_are_made_later_and_not_those_it_was_taken_from(gateway):
    tag, tree = new_tag(), Tree(gateway)
    limit(gateway, tag, requests_per_minute=1, burst=1)
    key = tree.new_key(tags=tag)
    assert [ask(gateway, key["key"]).status for _ in range(2)] == [200, 429]
    gateway.admin("PATCH", f"/admin/v1/keys/{key['id']}", json={"tags": None}, headers=ANY).raise_for_status()
    assert ask(gateway, key["key"]).status == 200
    gateway.admin("PATCH", f"/admin/v1/keys/{key['id']}", json={"tags": tag}, headers=ANY).raise_for_status()
    assert ask(gateway, key["key"]).status == 429


def test_limits_of_a_tag_are_shown_changed_and_ended_by_its_name_and_by_its_id(gateway):
    tag, tree = new_tag(), Tree(gateway)
    key = tree.new_key(tags=tag)
    path = f"/admin/v1/limits/{urllib.parse.quote(name_of(tag), safe='')}"
    assert gateway.admin("GET", path).status_code == 404
    made = gateway.admin("PATCH", path, json={"requests_per_minute": 1, "burst": 1}, headers=ANY)
    assert made.status_code == 200, made.text
    shown = gateway.admin("GET", path)
    assert shown.json() == made.json() == gateway.admin("GET", f"/admin/v1/limits/{shown.json()['id']}").json()
    assert shown.json()["tag"] == name_of(tag) and shown.json()["id"].startswith("tag_")
    assert shown.json() in gateway.admin("GET", "/admin/v1/limits").json()["data"]
    assert [ask(gateway, key["key"]).status for _ in range(2)] == [200, 429]
    assert gateway.admin("DELETE", path, headers=ANY).status_code == 200
    assert ask(gateway, key["key"]).status == 200
    assert limit(gateway, tag, concurrent=3)["id"] == shown.json()["id"]


@pytest.mark.parametrize("tag", ["", "env", "=prod", "env=" + "x" * 129, "env=a\nb", "päth=1", "a b=c", "e" * 64 + "=x", "env !=x"])
def test_what_cannot_be_a_tag_has_no_limits(gateway, tag):
    for noun, what in (("limits", {"requests_per_minute": 1}), ("budgets", {"amount": "1", "window": "day"})):
        said = gateway.admin("POST", f"/admin/v1/{noun}", json={"tag": tag, **what})
        assert said.status_code == 400, said.text


def test_a_key_counts_in_four_tags_and_a_fifth_is_refused_whichever_way_it_comes(gateway):
    tags, tree = [new_tag() for _ in range(5)], Tree(gateway)
    for tag in tags[:4]:
        limit(gateway, tag, requests_per_minute=1000000)
    ended = limit(gateway, tags[4], requests_per_minute=1)["id"]
    gateway.admin("DELETE", f"/admin/v1/limits/{ended}", headers=ANY).raise_for_status()
    all_five = {name: value for tag in tags for name, value in tag.items()}
    key = tree.new_key(tags=all_five)
    for named in (name_of(tags[4]), ended):
        for noun, what in (("limits", {"requests_per_minute": 1}), ("budgets", {"amount": "1", "window": "day"})):
            fifth = gateway.admin("POST", f"/admin/v1/{noun}", json={"tag": named, **what})
            assert (fifth.status_code, fifth.json()["error"]["param"]) == (400, "tag"), fifth.text
    gateway.admin("PATCH", f"/admin/v1/keys/{key['id']}", json={"tags": {**dict.fromkeys(all_five), **tags[0]}}, headers=ANY).raise_for_status()
    limit(gateway, tags[4], requests_per_minute=1, burst=1)
    patched = gateway.admin("PATCH", f"/admin/v1/keys/{key['id']}", json={"tags": all_five}, headers=ANY)
    assert (patched.status_code, patched.json()["error"]["param"]) == (400, "tags"), patched.text
    made = gateway.admin("POST", "/admin/v1/keys", json={"name": "five", "team": tree.team, "tags": all_five})
    assert (made.status_code, made.json()["error"]["param"]) == (400, "tags"), made.text
    # One of them is limited no more: then the other four hold.
    gateway.admin("DELETE", f"/admin/v1/limits/{urllib.parse.quote(name_of(tags[1]))}", headers=ANY).raise_for_status()
    gateway.admin("PATCH", f"/admin/v1/keys/{key['id']}", json={"tags": all_five}, headers=ANY).raise_for_status()
    assert [ask(gateway, key["key"]).status for _ in range(2)] == [200, 429]


def test_who_may_not_change_limits_may_neither_give_a_limited_tag_nor_take_it_away(gateway):
    tag, free, tree = new_tag(), new_tag(), Tree(gateway)
    limit(gateway, tag, requests_per_minute=1000000)
    bound = tree.new_key(tags=tag)
    admin = gateway.new_key("of the team", kind="admin", role="admin", team=tree.team)["key"]
    refused = as_admin(gateway, admin, "POST", "/admin/v1/keys", json={"name": "a", "tags": tag})
    assert (refused.status_code, refused.json()["error"]["param"]) == (403, "tags"), refused.text
    taken = as_admin(gateway, admin, "PATCH", f"/admin/v1/keys/{bound['id']}", json={"tags": None})
    assert (taken.status_code, taken.json()["error"]["param"]) == (403, "tags"), taken.text
    for tags in (free, {}):
        other = as_admin(gateway, admin, "POST", "/admin/v1/keys", json={"name": "a", "tags": tags})
        assert other.status_code == 201, other.text
    kept = as_admin(gateway, admin, "PATCH", f"/admin/v1/keys/{bound['id']}", json={"tags": {**tag, **free}, "name": "b"})
    assert kept.status_code == 200, kept.text


def test_a_team_sees_nothing_of_limits_and_budgets_of_tags_in_the_admin_api(gateway):
    tag, tree = new_tag(), Tree(gateway)
    id_ = limit(gateway, tag, requests_per_minute=1000000)["id"]
    budget = make(gateway, "budgets", tag=name_of(tag), amount="1", window="day")["id"]
    admin = gateway.new_key("of the team", kind="admin", role="admin", team=tree.team)["key"]
    for path in (f"limits/{id_}", f"limits/{urllib.parse.quote(name_of(tag))}", f"budgets/{budget}"):
        assert as_admin(gateway, admin, "GET", f"/admin/v1/{path}").status_code == 404
    for noun in ("limits", "budgets"):
        assert name_of(tag) not in as_admin(gateway, admin, "GET", f"/admin/v1/{noun}").text


def test_a_budget_of_a_tag_counts_over_teams_is_told_to_its_keys_and_survives_a_kill(make_gateway, sim):
    gateway = make_gateway(config(sim))
    tag, one, other = new_tag(), Tree(gateway), Tree(gateway)
    keys = [one.new_key(tags=tag)["key"], other.new_key(tags=tag)["key"]]
    budget = make(gateway, "budgets", tag=name_of(tag), amount="0.000200", window="total")
    assert budget["tag"] == name_of(tag) and budget["team"] is None
    for key in keys:
        assert ask(gateway, key, sim={"tokens": 20}).status == 200
    spent = until(lambda: (b := budgets(gateway)[budget["id"]])["held"] == "0.00" and b["spent"], 5 * SLOWER)
    assert nano(spent) > 0
    told = gateway.client(keys[0]).get("/v1/budget").json()["data"]
    assert [(b["level"], b["spent"], nano(b["left"])) for b in told] == [("tag", None, 200_000 - nano(spent))]
    gateway.kill()
    gateway.start()
    until(lambda: budgets(gateway)[budget["id"]]["spent"] == spent, 10 * SLOWER, "the same was spent")
    statuses = [ask(gateway, keys[i % 2], sim={"tokens": 20}) for i in range(6)]
    assert statuses[-1].status == 429 and error(statuses[-1])["code"] == "insufficient_quota"
    assert f"tag {name_of(tag)}" in error(statuses[-1])["message"]
    assert ask(gateway, one.secret).status == 200


def test_tokens_a_day_of_a_tag_survive_a_restart(make_gateway, sim):
    gateway = make_gateway(config(sim))
    tag, tree = new_tag(), Tree(gateway)
    key = tree.new_key(tags=tag)["key"]
    limit(gateway, tag, tokens_per_day=250)
    assert ask(gateway, key, max_tokens=100, sim={"tokens": 100}).status == 200
    gateway.stop()
    gateway.start()
    refused = ask(gateway, key, max_tokens=100)
    assert refused.status == 429 and error(refused)["code"] == "insufficient_quota", refused.body


def test_the_command_line_says_the_same_with_a_gateway_and_without(commands):
    done = commands("limit", "set", "--tag", "env=prod", "--requests-per-minute", "60", "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["tag"], shown["requests_per_minute"]) == ("env=prod", 60)
    assert json.loads(commands("limit", "show", "--tag", "env=prod", "--json").stdout) == shown
    for amount in ("5.00", "6.00"):
        set_ = commands("budget", "set", "--tag", "env=prod", "--amount", amount, "--json")
        assert set_.returncode == 0, set_.stderr
    found = [b for b in json.loads(commands("budget", "list", "--json").stdout)["data"] if b["tag"] == "env=prod"]
    assert [b["amount"] for b in found] == ["6.00"]
    assert "env=prod" in commands("budget", "list").stdout
    none = commands("limit", "show", "--tag", "env=none")
    assert none.returncode != 0 and "tag" in none.stderr


# ---- more budgets than a call can count in ----

def fill(gateway, level, id_, count, **more):
    for _ in range(count):
        made = gateway.admin("POST", "/admin/v1/budgets", json={level: id_, "amount": "100", "window": "day", **more})
        if made.status_code != 201:
            return made
    return None


def test_a_budget_that_a_call_could_not_count_in_is_refused_when_it_is_set(gateway):
    tag, tree = new_tag(), Tree(gateway)
    key = tree.new_key(tags=tag)
    assert fill(gateway, "team", tree.team, 8) is None
    refused = fill(gateway, "organisation", tree.organisation, 9)
    assert refused.status_code == 400 and "budgets" in refused.json()["error"]["message"], refused.text
    assert ask(gateway, key["key"]).status == 200
    for level, id_ in (("key", key["id"]), ("user", tree.user), ("tag", name_of(tag))):
        more = fill(gateway, level, id_, 3)
        assert more is not None and more.status_code == 400, level
    for each in ("key", "user"):
        more = gateway.admin("POST", "/admin/v1/budgets", json={"team": tree.team, "each": each, "amount": "1", "window": "day"})
        assert more.status_code == 400, more.text
    for limits in ({"team": tree.team}, {"tag": name_of(tag)}, {"team": tree.team, "each": "key"}):
        more = gateway.admin("POST", "/admin/v1/limits", json={**limits, "tokens_per_day": 1000000})
        assert more.status_code == 400, (limits, more.text)
    daily = make(gateway, "plans", name=f"daily {next(_numbers)}", limits={"tokens_per_day": 1000000})["name"]
    for what in (f"teams/{tree.team}", f"keys/{key['id']}"):
        more = gateway.admin("PATCH", f"/admin/v1/{what}", json={"plan": daily}, headers=ANY)
        assert more.status_code == 400, (what, more.text)
    assert ask(gateway, key["key"]).status == 200


def test_budgets_of_models_count_for_calls_of_these_alone(gateway):
    tree = Tree(gateway)
    for model in ("m", "n"):
        assert fill(gateway, "team", tree.team, 7, model=model) is None
        assert fill(gateway, "organisation", tree.organisation, 7, model=model) is None
    for model in ("m", "n"):
        assert ask(gateway, tree.secret, model=model).status == 200
    refused = fill(gateway, "user", tree.user, 5)
    assert refused is not None and refused.status_code == 400
    for model in ("m", "n"):
        assert ask(gateway, tree.secret, model=model).status == 200


def test_a_key_that_could_not_count_in_all_is_refused_when_it_is_made(gateway):
    one, other = Tree(gateway), Tree(gateway)
    tag = new_tag()
    assert fill(gateway, "tag", name_of(tag), 9) is None
    assert fill(gateway, "team", one.team, 9) is None
    made = gateway.admin("POST", "/admin/v1/keys", json={"name": "a", "team": one.team, "tags": tag})
    assert made.status_code == 400, made.text
    patched = gateway.admin("PATCH", f"/admin/v1/keys/{one.key}", json={"tags": tag}, headers=ANY)
    assert patched.status_code == 400, patched.text
    assert ask(gateway, other.new_key(tags=tag)["key"]).status == 200


# ---- what attackers found ----

@pytest.mark.parametrize("name", ["cli=a/b", "path=a/key", "team_a=prod", "org_x=1", "tag_y=2", "plan_z=/user", "a==/=b"])
def test_a_tag_is_named_by_all_of_its_text(gateway, name):
    short = name.split("/")[0] if "/" in name else name + "x"
    path = f"/admin/v1/limits/{urllib.parse.quote(name, safe='')}"
    if "=" in short:
        gateway.admin("POST", "/admin/v1/limits", json={"tag": short, "concurrent": 5}).raise_for_status()
    made = gateway.admin("PATCH", path, json={"requests_per_minute": 200}, headers=ANY)
    assert made.status_code == 200 and made.json()["tag"] == name, made.text
    assert gateway.admin("GET", path).json() == made.json()
    assert gateway.command("limit", "show", "--tag", name, "--json").stdout == json.dumps(made.json(), separators=(",", ":"), ensure_ascii=False) + "\n"
    assert gateway.admin("DELETE", path, headers=ANY).json()["requests_per_minute"] is None
    if "=" in short:
        other = gateway.admin("GET", f"/admin/v1/limits/{urllib.parse.quote(short, safe='')}").json()
        assert (other["tag"], other["concurrent"]) == (short, 5)


def test_a_tag_without_any_limit_is_not_made(gateway):
    name = name_of(new_tag())
    said = gateway.admin("POST", "/admin/v1/limits", json={"tag": name})
    assert said.status_code == 400, said.text
    assert gateway.admin("GET", f"/admin/v1/limits/{urllib.parse.quote(name)}").status_code == 404


def fresh(gateway):
    """A team with as many budgets of its own and its organisation as leave no room for a day's tokens."""
    tree = Tree(gateway)
    assert fill(gateway, "team", tree.team, 8) is None and fill(gateway, "organisation", tree.organisation, 7) is None
    return tree


DAY = {"tokens_per_day": 1000000}


@pytest.mark.parametrize("how", ["a plan", "limits"])
def test_a_new_key_whose_day_does_not_count_is_not_made(gateway, how):
    tree = fresh(gateway)
    plan = make(gateway, "plans", name=f"daily {next(_numbers)}", limits=DAY)["name"]
    said = gateway.admin("POST", "/admin/v1/keys", json={"name": "k", "team": tree.team, **({"plan": plan} if how == "a plan" else {"limits": DAY})})
    assert said.status_code == 400, said.text


@pytest.mark.parametrize("how", ["a plan", "limits"])
def test_all_that_one_change_of_a_key_brings_is_judged_together(gateway, how):
    tree, tag = Tree(gateway), new_tag()
    assert fill(gateway, "team", tree.team, 8) is None and fill(gateway, "organisation", tree.organisation, 6) is None
    make(gateway, "budgets", tag=name_of(tag), amount="1", window="day")
    plan = make(gateway, "plans", name=f"daily {next(_numbers)}", limits=DAY)["name"]
    day = {"plan": plan} if how == "a plan" else {"limits": DAY}
    said = gateway.admin("PATCH", f"/admin/v1/keys/{tree.key}", json={"tags": tag, **day}, headers=ANY)
    assert said.status_code == 400, said.text
    assert ask(gateway, tree.secret).status == 200


def test_all_limits_of_one_change_of_a_team_are_judged_together(gateway):
    tree = Tree(gateway)
    assert fill(gateway, "team", tree.team, 8) is None and fill(gateway, "organisation", tree.organisation, 6) is None
    said = gateway.admin("PATCH", f"/admin/v1/teams/{tree.team}", json={"limits": DAY, "key_limits": DAY}, headers=ANY)
    assert said.status_code == 400, said.text
    gateway.admin("PATCH", f"/admin/v1/teams/{tree.team}", json={"limits": DAY}, headers=ANY).raise_for_status()
    assert ask(gateway, tree.secret).status == 200


def test_a_day_that_counts_already_is_not_counted_again(gateway):
    tree = Tree(gateway)
    plan = make(gateway, "plans", name=f"daily {next(_numbers)}", limits=DAY)["name"]
    gateway.admin("PATCH", f"/admin/v1/teams/{tree.team}", json={"plan": plan}, headers=ANY).raise_for_status()
    assert fill(gateway, "team", tree.team, 8) is None and fill(gateway, "organisation", tree.organisation, 9) is not None
    for change in ({"name": f"renamed {tree.number}"}, {"models": ["m"]}, {"plan": plan}, {"limits": DAY}):
        said = gateway.admin("PATCH", f"/admin/v1/teams/{tree.team}", json=change, headers=ANY)
        assert said.status_code == 200, said.text
    gateway.admin("PATCH", f"/admin/v1/plans/{plan}", json={"limits": {"tokens_per_day": 5}}, headers=ANY).raise_for_status()


def test_keys_that_were_revoked_keep_nobody_from_setting_limits(gateway):
    tags, tree = [new_tag() for _ in range(5)], fresh(gateway)
    for tag in tags[:4]:
        limit(gateway, tag, concurrent=1000)
    key = gateway.new_key("five", tags={name: value for tag in tags for name, value in tag.items()})["id"]
    assert gateway.admin("POST", "/admin/v1/limits", json={"tag": name_of(tags[4]), "concurrent": 5}).status_code == 400
    assert gateway.admin("POST", "/admin/v1/limits", json={"team": tree.team, **DAY}).status_code == 400
    for one in (key, tree.key):
        gateway.revoke(one)
    limit(gateway, tags[4], concurrent=5)
    assert gateway.admin("POST", "/admin/v1/limits", json={"team": tree.team, **DAY}).status_code == 201


def test_a_tag_that_had_limits_is_no_team_s_to_give(gateway):
    tag, tree = new_tag(), Tree(gateway)
    id_ = limit(gateway, tag, concurrent=5)["id"]
    gateway.admin("DELETE", f"/admin/v1/limits/{id_}", headers=ANY).raise_for_status()
    admin = gateway.new_key("of the team", kind="admin", role="admin", team=tree.team)["key"]
    said = as_admin(gateway, admin, "POST", "/admin/v1/keys", json={"name": "a", "tags": tag})
    assert (said.status_code, said.json()["error"]["param"]) == (403, "tags"), said.text


def test_the_log_says_who_bears_a_tag_when_it_is_limited_first(gateway):
    tag, tree = new_tag(), Tree(gateway)
    for _ in range(2):
        tree.new_key(tags=tag)
    limit(gateway, tag, concurrent=5)
    until(lambda: any(name_of(tag) in line and "2 keys bear it" in line for line in gateway.log().splitlines()), 10 * SLOWER, "the line")
