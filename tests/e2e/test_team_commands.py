# SPDX-License-Identifier: Apache-2.0
"""Organisations, teams, users, keys, plans, limits and budgets on the command line, with a gateway and without."""
import json
import re
import subprocess
import time

import pytest

from harness.processes import ATLAS, rfc3339, run

LIMITS = ["requests_per_minute", "burst", "tokens_per_minute", "tokens_per_day", "concurrent", "max_tokens", "priority"]
NOUNS = {"organisation": "organisations", "team": "teams", "user": "users", "plan": "plans", "budget": "budgets", "key": "keys"}


class Place:
    """A data folder, and commands on it."""

    def __init__(self, gateway, serves):
        self.gateway = gateway
        self.serves = serves
        self.count = 0

    def name(self, what="n"):
        """One that nothing has yet."""
        self.count += 1
        return f"{what} {self.count}"

    def command(self, *words):
        return self.gateway.command(*words)

    def done(self, *words):
        """What a command prints that has to work."""
        said = self.command(*words)
        assert (said.returncode, said.stderr) == (0, ""), (words, said.stderr)
        return said.stdout

    def json(self, *words):
        return json.loads(self.done(*words, "--json"))

    def rows(self, *words):
        """The two columns of an object."""
        return dict(line.split(None, 1) for line in self.done(*words).splitlines())

    def api(self, noun, name):
        """The object as the API shows it; without a gateway as `show` does."""
        if not self.serves:
            return self.json(noun, "show", name)
        got = self.gateway.admin("GET", f"/admin/v1/{NOUNS[noun]}/{name}")
        assert got.status_code == 200, got.text
        return got.json()

    def team(self, *words):
        return self.json("team", "create", "--name", self.name("team"), "--organisation", "home", *words)


def at_home(gateway, serves):
    """With an organisation for all teams whose is not of interest."""
    place = Place(gateway, serves)
    place.done("organisation", "create", "--name", "home")
    return place


@pytest.fixture(scope="module", params=["a gateway", "none"])
def place(request, make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}, "priced": {"upstream": "u"}}})
    serves = request.param == "a gateway"
    if not serves:
        gateway.stop()
    return at_home(gateway, serves)


# ---- each noun ----

def test_a_new_folder_has_three_plans_which_stay_as_they_were_changed(place):
    assert {plan["name"] for plan in place.json("plan", "list")["data"]} >= {"development", "professional", "enterprise"}
    place.done("plan", "set", "enterprise", "--concurrent", "77")
    place.done("plan", "end", "development")
    before = place.json("plan", "list", "--ended")
    assert run("init", "--config", place.gateway.config_path).returncode == 0
    assert place.json("plan", "list", "--ended") == before
    assert place.json("plan", "show", "enterprise")["limits"]["concurrent"] == 77


def test_a_team_from_its_making_to_its_end(place):
    name, organisation = place.name("فريق"), place.json("organisation", "create", "--name", place.name("org"))
    made = place.json("team", "create", "--name", name, "--organisation", organisation["name"], "--plan", "professional", "--models", "a,b",
                      "--models", "c", "--region", "sa", "--max-class", "restricted", "--expires", "30d", "--burst", "10", "--tokens-per-day", "5")
    assert made == place.api("team", made["id"])
    assert (made["name"], made["organisation"], made["plan_name"]) == (name, organisation["id"], "professional")
    assert (made["models"], made["region"], made["max_class"]) == (["a", "b", "c"], "sa", "restricted")
    assert (made["limits"]["burst"], made["limits"]["tokens_per_day"], made["limits"]["concurrent"]) == (10, 5, None)
    assert abs(made["expires_at"] - time.time() - 30 * 86400) < 600
    assert place.json("team", "show", name) == made
    assert made in place.json("team", "list")["data"]
    edited = place.json("team", "edit", name, "--plan", "none", "--models", "all", "--expires", "never", "--max-class", "none", "--burst", "none", "--region", "none")
    assert edited == {**made, "plan": None, "plan_name": None, "models": [], "expires_at": None, "max_class": None, "region": None,
                      "limits": {**made["limits"], "burst": None}}
    other = place.name("team")
    assert place.json("team", "edit", made["id"], "--name", other) == {**edited, "name": other}
    ended = place.json("team", "end", other)
    assert ended["status"] == "ended" and ended["ended_at"] is not None
    assert made["id"] not in {team["id"] for team in place.json("team", "list")["data"]}
    assert ended in place.json("team", "list", "--ended")["data"]
    assert place.api("team", made["id"]) == ended


def test_a_user_from_the_making_to_the_end(place):
    team, name = place.team(), place.name("ali")
    made = place.json("user", "create", "--name", name, "--team", team["name"])
    assert made == place.api("user", made["id"]) == place.json("user", "show", name)
    assert (made["team"], made["role"]) == (team["id"], "developer")
    edited = place.json("user", "edit", name, "--role", "auditor", "--concurrent", "2")
    assert edited == {**made, "role": "auditor", "limits": {**dict.fromkeys(LIMITS), "concurrent": 2}}
    assert place.json("user", "end", name)["status"] == "ended"
    assert name not in place.command("user", "list").stdout and name in place.done("user", "list", "--ended")


def test_of_users_who_are_called_alike_the_id_is_asked_for(place):
    name = place.name("ali")
    teams = [place.team(), place.team()]
    users = [place.json("user", "create", "--name", name, "--team", team["id"]) for team in teams]
    for words in (["user", "show", name], ["user", "end", name], ["key", "create", "--name", "k", "--user", name],
                  ["limit", "set", "--user", name, "--burst", "1"]):
        said = place.command(*words)
        assert (said.returncode, said.stdout) == (1, ""), words
        assert "several users are called" in said.stderr and "id" in said.stderr
    assert place.json("user", "show", users[1]["id"]) == users[1]
    key = place.json("key", "create", "--name", "k", "--team", teams[1]["id"], "--user", name)
    assert key["user"] == users[1]["id"]
    place.done("user", "end", users[0]["id"])
    assert place.json("user", "show", name) == users[1]


def test_an_organisation_from_its_making_to_its_end(place):
    name = place.name("ministry")
    made = place.json("organisation", "create", "--name", name, "--tokens-per-minute", "9")
    assert made == place.api("organisation", made["id"]) == place.json("organisation", "show", name)
    other = place.name("ministry")
    edited = place.json("organisation", "edit", name, "--name", other, "--tokens-per-minute", "none")
    assert edited == {**made, "name": other, "limits": None}
    assert edited in place.json("organisation", "list")["data"]
    assert place.json("organisation", "end", other)["status"] == "ended"


def test_a_plan_is_set_made_or_changed_and_ended(place):
    name = place.name("gold")
    made = place.json("plan", "set", name, "--requests-per-minute", "100", "--burst", "5")
    assert made == place.api("plan", made["id"]) == place.json("plan", "show", name)
    changed = place.json("plan", "set", name, "--burst", "7")
    assert changed == {**made, "limits": {**made["limits"], "burst": 7}}
    assert place.json("plan", "set", made["id"], "--burst", "none")["name"] == name
    gone = place.command("plan", "set", "plan_AAAAAAAAAAAA", "--burst", "1")
    assert gone.returncode == 1 and "no plan plan_AAAAAAAAAAAA" in gone.stderr
    assert place.json("plan", "end", name)["status"] == "ended"
    again = place.json("plan", "set", name, "--burst", "8")
    assert again["id"] != made["id"]


def test_limits_are_set_of_everything_and_what_is_not_said_stays(place):
    team = place.team("--plan", "professional")
    user = place.json("user", "create", "--name", place.name("u"), "--team", team["id"])
    key = place.json("key", "create", "--name", "k", "--team", team["id"])
    organisation = place.json("organisation", "create", "--name", place.name("o"))
    plan = place.json("plan", "set", place.name("p"), "--burst", "1")
    whose = {"team": team["name"], "user": user["name"], "key": key["key"], "organisation": organisation["name"], "plan": plan["name"]}
    ids = {"team": team["id"], "user": user["id"], "key": key["id"], "organisation": organisation["id"], "plan": plan["id"]}
    for noun, given in whose.items():
        made = place.json("limit", "set", f"--{noun}", given, "--requests-per-minute", "60", "--max-tokens", "9")
        assert made[noun] == made["id"] == ids[noun]
        changed = place.json("limit", "set", f"--{noun}", given, "--burst", "7", "--max-tokens", "none")
        assert changed == {**made, "burst": 7, "max_tokens": None}
        assert changed == place.json("limit", "show", f"--{noun}", given) == place.json("limit", "show", ids[noun])
        assert changed in place.json("limit", "list")["data"]
    for child in ("key", "user"):
        made = place.json("limit", "set", "--team", team["id"], "--each", child, "--concurrent", "3")
        assert (made["id"], made["each"], made["team"]) == (f"{team['id']}/{child}", child, team["id"])
        assert made == place.json("limit", "show", made["id"])
    assert place.json("team", "show", team["id"])["key_limits"]["concurrent"] == 3
    assert {**dict.fromkeys(LIMITS), "requests_per_minute": 60, "burst": 7} == place.json("team", "show", team["id"])["limits"]
    ended = place.json("limit", "end", f"{team['id']}/key")
    assert [ended[name] for name in LIMITS] == [None] * 7
    place.done("limit", "end", "--team", team["name"])
    listed = {limit["id"] for limit in place.json("limit", "list")["data"]}
    assert team["id"] not in listed and f"{team['id']}/key" not in listed and f"{team['id']}/user" in listed


def test_a_budget_is_set_once_a_kind_and_then_changed(place):
    team = place.team()
    made = place.json("budget", "set", "--team", team["name"], "--amount", "100.00", "--time-zone", "Asia/Riyadh", "--window", "week",
                      "--week-starts", "sunday")
    assert made == place.api("budget", made["id"]) == place.json("budget", "show", made["id"])
    assert (made["team"], made["amount"], made["window"], made["time_zone"], made["week_starts"]) == \
        (team["id"], "100.00", "week", "Asia/Riyadh", "sunday")
    assert place.json("budget", "set", "--team", team["id"], "--amount", "50.5", "--window", "week") == {**made, "amount": "50.50"}
    other = [["--window", "day"], [], ["--window", "week", "--model", "m"], ["--window", "week", "--tokens"], ["--window", "week", "--each", "key"]]
    for words in other:
        assert place.json("budget", "set", "--team", team["id"], "--amount", "7", *words)["id"] != made["id"]
    mine = [budget for budget in place.json("budget", "list")["data"] if budget["team"] == team["id"]]
    assert len(mine) == 1 + len(other) and len({budget["id"] for budget in mine}) == len(mine)
    fixed = place.command("budget", "set", "--team", team["id"], "--amount", "1", "--window", "week", "--time-zone", "UTC")
    assert fixed.returncode == 1 and "--time-zone" in fixed.stderr and f"atlas budget end {made['id']}" in fixed.stderr
    assert place.json("budget", "edit", made["id"], "--amount", "3") == {**made, "amount": "3.00"}
    assert place.json("budget", "end", made["id"])["status"] == "ended"
    assert place.json("budget", "set", "--team", team["id"], "--amount", "1", "--window", "week")["id"] != made["id"]
    key = place.json("key", "create", "--name", "k", "--team", team["id"])
    assert place.json("budget", "set", "--key", key["key"], "--amount", "1")["key"] == key["id"]


def test_a_price_is_set_listed_and_ended(place):
    model = "priced"
    made = place.json("price", "set", "--model", model, "--input", "0.20", "--output", "0.6", "--per", "1000", "--currency", "SAR", "--from", "2100-01-31")
    assert (made["model"], made["from"], made["per"], made["currency"]) == (model, 4105036800, 1000, "SAR")
    assert (made["input"], made["cached_input"], made["output"], made["status"]) == ("0.20", "0.20", "0.60", "to come")
    now = place.json("price", "set", "--model", model, "--request", "0.01", "--gpu-second", "0.0007")
    assert now["id"] != made["id"] and abs(now["from"] - time.time()) < 600
    listed = [price for price in place.json("price", "list")["data"] if price["model"] == model]
    assert [price["id"] for price in listed] == [made["id"], now["id"]] and made == place.json("price", "show", made["id"])
    [line] = [line for line in place.done("price", "list").splitlines() if made["id"] in line]
    assert " 0.20 " in line and " 2100-01-31T00:00:00Z " in line
    assert place.json("price", "end", made["id"])["status"] == "ended"
    assert made["id"] not in place.done("price", "list") and made["id"] in place.done("price", "list", "--ended")


def test_an_evaluation_is_a_team_with_a_key_that_ends(place):
    name = place.name("pilot")
    plan = {plan["name"]: plan["id"] for plan in place.json("plan", "list")["data"]}.get("development")
    made = place.json("eval", "create", "--name", name, "--days", "2", "--models", "m", "--organisation", "home")
    assert made.pop("key").startswith("mx4_sk_test_")
    assert abs(made["expires_at"] - time.time() - 2 * 86400) < 600 and made["models"] == ["m"]
    assert made["plan"] == plan  # another test may have ended it
    assert made == place.json("eval", "show", name) and made in place.json("eval", "list")["data"]
    team, key = place.json("team", "show", name), place.json("key", "show", made["key_id"])
    assert (team["id"], key["team"], key["kind"], team["expires_at"]) == (made["team"], made["team"], "test", made["expires_at"])
    assert place.json("eval", "end", name)["status"] == "ended"
    assert (place.json("team", "show", made["team"])["status"], place.json("key", "show", made["key_id"])["status"]) == ("ended", "revoked")
    assert made["id"] not in place.command("eval", "list").stdout and made["id"] in place.done("eval", "list", "--ended")
    rows = place.rows("eval", "create", "--name", name, "--expires", "12h", "--models", "all", "--plan", "professional", "--organisation", "home")
    assert re.fullmatch(r"mx4_sk_test_[0-9A-Za-z]+", rows["key"]) and rows["models"] == "-"


def test_a_key_has_all_that_it_was_made_with_and_is_edited(place):
    team = place.team()
    made = place.json("key", "create", "--name", "ci", "--team", team["name"], "--scopes", "chat,embeddings", "--models", "a,b", "--allow-ip", "10.0.0.0/8",
                      "--allow-ip", "2001:db8::/32,192.0.2.1", "--expires", "2100-01-31", "--plan", "professional", "--tag", "env=prod", "--tag", "x=a,b=c", "--test")
    text = made.pop("key")
    assert text.startswith("mx4_sk_test_")
    assert made == place.api("key", made["id"])
    assert (made["scopes"], made["models"], made["team"]) == (["chat", "embeddings"], ["a", "b"], team["id"])
    assert made["ip_allowlist"] == ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"]
    assert (made["expires_at"], made["tags"]) == (4105036800, {"env": "prod", "x": "a,b=c"})  # 2100-01-31 as it begins in UTC
    assert made["plan"] == place.json("plan", "show", "professional")["id"]
    edited = place.json("key", "edit", text, "--allow-ip", "any", "--tag", "none", "--plan", "none", "--models", "all", "--expires",
                        rfc3339(4105036801), "--name", "cd", "--scopes", "models")
    assert edited == {**made, "name": "cd", "scopes": ["models"], "models": [], "ip_allowlist": [], "tags": {}, "plan": None, "expires_at": 4105036801}
    rows = place.rows("key", "show", made["id"])
    assert (rows["models"], rows["expires_at"], rows["team"]) == ("-", "2100-01-31T00:00:01Z", team["id"])
    assert place.json("key", "revoke", made["id"]) == {"id": made["id"], "status": "revoked"}
    gone = place.json("key", "delete", made["id"])
    assert gone["id"] == made["id"] and gone["status"] == "revoked"
    assert place.command("key", "show", made["id"]).returncode == 1


def test_admin_keys_have_a_role_and_perhaps_a_team(place):
    team = place.team()
    made = place.json("key", "create", "--name", "a", "--admin", "--role", "developer", "--team", team["name"])
    assert (made["kind"], made["role"], made["team"]) == ("admin", "developer", team["id"])
    assert place.json("key", "create", "--name", "a", "--admin")["role"] == "owner"


# ---- tables ----

def test_people_are_shown_two_columns_and_tables(place):
    team = place.team("--plan", "professional", "--burst", "3", "--models", "a,b")
    rows = place.rows("team", "show", team["name"])
    assert rows["name"] == team["name"] and rows["models"] == "a, b" and rows["limits.burst"] == "3" and rows["ended_at"] == "-"
    assert "limits.concurrent" not in rows and rows["key_limits"] == "-"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", rows["created_at"])
    titles, *lines = place.done("team", "list").splitlines()
    assert titles.split() == ["ID", "ORGANISATION", "PLAN_NAME", "STATUS", "CREATED", "NAME"]
    [line] = [line for line in lines if line.startswith(team["id"])]
    assert line.split()[2] == "professional" and line.endswith(team["name"])
    place.done("budget", "set", "--team", team["id"], "--amount", "12.5")
    [line] = [line for line in place.done("budget", "list").splitlines() if team["id"] in line]
    assert " 12.50 " in line and " month " in line


def test_what_a_terminal_would_obey_is_not_printed(place):
    key = place.json("key", "create", "--name", "k", "--tag", "t=\u202e x")
    assert place.rows("key", "show", key["id"])["tags"] == "t=\u202e x"
    said = place.command("key", "create", "--name", "k", "--tag", "t=\x1b[31m")
    assert said.returncode == 1 and "'tags'" in said.stderr and "\x1b" not in said.stdout


def test_a_list_goes_over_many_pages(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    place = at_home(gateway, True)
    team = place.team()
    for i in range(1005):
        made = gateway.admin("POST", "/admin/v1/users", json={"name": f"u{i}", "team": team["id"]})
        assert made.status_code == 201
    listed = place.json("user", "list")
    assert [user["name"] for user in listed["data"]] == [f"u{i}" for i in range(1005)]
    assert (listed["object"], listed["has_more"], listed["next_cursor"]) == ("list", False, None)
    assert len(place.done("user", "list").splitlines()) == 1006


def test_of_budgets_that_are_alike_the_id_is_asked_for(make_gateway, sim):
    place = at_home(make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}}), True)
    team = place.team()
    made = [place.gateway.admin("POST", "/admin/v1/budgets", json={"team": team["id"], "amount": "1"}).json() for _ in range(2)]
    said = place.command("budget", "set", "--team", team["name"], "--amount", "2")
    assert (said.returncode, said.stdout) == (1, "") and "several" in said.stderr and made[0]["id"] in said.stderr
    assert place.json("budget", "list")["data"] == made
    place.done("budget", "end", made[0]["id"])
    assert place.json("budget", "set", "--team", team["name"], "--amount", "2")["id"] == made[1]["id"]


# ---- mistakes ----

WRONG = [
    (["team", "create"], 2, "--name"), (["team", "create", "--name", ""], 1, "'name'"), (["team", "create", "--name", b"\xff"], 2, "--name is not UTF-8"),
    (["team", "create", "--name", "x", "--plan", "nobody"], 1, "no plan 'nobody'"), (["team", "create", "--name", "x", "--organisation", "no"], 1, "organisation"),
    (["team", "create", "--name", "x", "--max-class", "secrt"], 2, "did you mean 'secret'"), (["team", "create", "--name", "x", "--burst", "ten"], 2, "whole number"),
    (["team", "create", "--name", "x", "--burst", "-1"], 2, "whole number"), (["team", "create", "--name", "x", "--burst", "0"], 1, "burst"),
    (["team", "create", "--name", "x", "--models", "a,,b"], 2, "--models"), (["team", "create", "--name", "x", "--models", "all", "--models", "b"], 2, "--models"),
    (["team", "create", "--name", "x", "--expires", "soon"], 2, "30d"), (["team", "create", "--name", "x", "--expires", "2001-01-01"], 1, "'expires_at'"),
    (["team", "create", "--name", "x" * 256], 1, "'name'"), (["team", "create", "--name", "x", "--region", "x" * 70000], 2, "longer than a request"),
    (["team", "create", "--nam", "x"], 2, "did you mean '--name'"), (["team", "show"], 2, "ID"), (["team", "show", ""], 2, "empty"),
    (["team", "show", "nobody"], 1, "no team"), (["team", "show", "x" * 2000], 2, "longer"), (["team", "edit", "nobody", "--burst", "1"], 1, "no team"),
    (["team", "edit", "x"], 2, "nothing is to change"), (["team", "end", "../keys"], 1, "nothing of this id"), (["team", "end", "a?b#c"], 1, "no team"),
    (["user", "create", "--name", "x"], 2, "--team"), (["user", "create", "--name", "x", "--team", "nobody"], 1, "no team 'nobody'"),
    (["user", "edit", "x", "--role", "king"], 2, "--role"), (["user", "show", "nobody"], 1, "no user"), (["organisation", "show", "nobody"], 1, "no organisation"),
    (["plan", "show", "nobody"], 1, "no plan"), (["plan", "set", "x"], 2, "nothing is to change"), (["plan", "end", "nobody"], 1, "no plan"),
    (["limit", "set", "--burst", "1"], 2, "say whose"), (["limit", "set", "--team", "x"], 2, "nothing is to change"),
    (["limit", "set", "--team", "x", "--user", "y", "--burst", "1"], 2, "one alone"), (["limit", "set", "--user", "x", "--each", "key", "--burst", "1"], 2, "--each"),
    (["limit", "set", "--team", "x", "--each", "dog", "--burst", "1"], 2, "--each"), (["limit", "set", "--team", "nobody", "--burst", "1"], 1, "no team"),
    (["limit", "set", "--key", "short", "--burst", "1"], 1, "there is no key of this id"), (["limit", "set", "--key", "AAAAAAAAAAAA", "--burst", "1"], 1, "no"),
    (["limit", "show"], 2, "say whose"), (["limit", "show", "nobody"], 1, "of this id"), (["limit", "end", "x", "--team", "y"], 2, "leave the options out"),
    (["budget", "set", "--team", "x"], 2, "--amount"), (["budget", "set", "--amount", "1"], 2, "say whose"), (["budget", "set", "--team", "no", "--amount", "1"], 1, "no team"),
    (["budget", "show", "nobody"], 1, "no budget"), (["budget", "edit", "x"], 2, "--amount"), (["budget", "edit", "x", "--amount", "1"], 1, "no budget"),
    (["price", "set", "--input", "1"], 2, "--model"), (["price", "set", "--model", "m", "--from", "never"], 2, "or a day"),
    (["price", "set", "--model", "m", "--input", "dear"], 1, "'input'"), (["price", "set", "--model", "m", "--per", "k"], 2, "--per"),
    (["eval", "create"], 2, "--name"), (["eval", "create", "--name", "x", "--days", "1000", "--organisation", "home"], 1, "days"), (["eval", "show", "nobody"], 1, "no"),
    (["eval", "create", "--name", "x", "--days", "soon"], 2, "--days"), (["eval", "end", "nobody"], 1, "no"),
    (["price", "show", "nobody"], 1, "price"), (["price", "end", "nobody"], 1, "price"),
    (["key", "create", "--name", "x", "--test", "--admin"], 2, "--test and --admin do not go together"),
    (["key", "create", "--name", "x", "--role", "owner"], 2, "--role goes with --admin"), (["key", "create", "--name", "x", "--admin", "--role", "king"], 2, "--role"),
    (["key", "create", "--name", "x", "--tag", "nothing"], 2, "env=prod"), (["key", "create", "--name", "x", "--allow-ip", "10.0.0.0/99"], 1, "'ip_allowlist'"),
    (["key", "create", "--name", "x", "--team", "nobody"], 1, "no team 'nobody'"), (["key", "edit", "AAAAAAAAAAAA", "--name", "x"], 1, "no key"),
    (["key", "create", "--name", "x", *["--tag", "a=b"] * 65], 2, "64 times"), (["key", "change", "x"], 2, "unknown action"),
]


@pytest.mark.parametrize("words,status,word", WRONG, ids=lambda value: " ".join(str(v)[:20] for v in value[:6]) if isinstance(value, list) else None)
def test_a_mistake_is_told_with_what_to_do_and_changes_nothing(place, words, status, word):
    before = place.json("team", "list", "--ended")
    said = place.command(*words)
    assert (said.returncode, said.stdout) == (status, ""), said.stderr
    assert word in said.stderr and "atlas" in said.stderr
    assert place.json("team", "list", "--ended") == before


def test_budgets_that_cannot_be_are_refused(place):
    team = place.team()
    for words, status, word in ((["--amount", "lots"], 1, "'amount'"), (["--amount", "1", "--window", "wek"], 2, "did you mean 'week'"),
                                (["--amount", "1", "--time-zone", "Mars/Olympus"], 1, "'time_zone'"), (["--amount", "1.5", "--tokens"], 1, "'amount'"),
                                (["--amount", "1", "--currency", "usd"], 1, "'currency'"), (["--amount", "1", "--week-starts", "mondy"], 2, "did you mean 'monday'")):
        said = place.command("budget", "set", "--team", team["id"], *words)
        assert (said.returncode, said.stdout) == (status, ""), words
        assert word in said.stderr
    assert team["id"] not in place.command("budget", "list").stdout


def test_a_plan_that_has_ended_is_given_to_nobody_more_and_stays_with_who_has_it(place):
    plan = place.json("plan", "set", "passing", "--concurrent", "3")["id"]
    has, other = place.team("--plan", "passing"), place.team()
    key = place.json("key", "create", "--name", "early", "--plan", plan)["id"]
    place.done("plan", "end", "passing")
    for words in (["team", "edit", other["id"], "--plan", plan], ["team", "edit", other["id"], "--plan", "passing"],
                  ["key", "create", "--name", "late", "--plan", plan], ["team", "create", "--name", "late", "--plan", plan]):
        said = place.command(*words)
        assert said.returncode == 1 and "plan" in said.stderr, (words, said.stderr)
    edited = place.json("team", "edit", has["id"], "--region", "sa")
    assert (edited["plan"], edited["region"]) == (plan, "sa")
    assert place.json("key", "edit", key, "--name", "still early")["plan"] == plan


def test_what_cannot_be_written_is_said(place):
    with open("/dev/full", "w", encoding="ascii") as full:
        for words in (["team", "list", "--json"], ["plan", "show", "professional"], ["key", "create", "--name", "lost"]):
            said = subprocess.run([ATLAS, *words, "--config", place.gateway.config_path], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
            assert said.returncode == 1 and "the output cannot be written" in said.stderr


# ---- both ----

def test_what_is_made_without_a_gateway_is_what_one_then_says(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    gateway.stop()
    place = at_home(gateway, False)
    team = place.team("--plan", "professional", "--concurrent", "5")
    user = place.json("user", "create", "--name", "ali", "--team", team["name"])
    key = place.json("key", "create", "--name", "k", "--user", "ali", "--models", "m")
    text = key.pop("key")
    budget = place.json("budget", "set", "--team", team["name"], "--amount", "1000", "--tokens")
    team = place.json("limit", "set", "--team", team["id"], "--burst", "4") and place.json("team", "show", team["id"])
    gateway.start()
    place.serves = True
    for noun, made in (("team", team), ("user", user), ("budget", budget), ("key", key)):
        assert place.api(noun, made["id"]) == made == place.json(noun, "show", made["id"])
    reply = gateway.post("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}, key=text)
    assert reply.status_code == 200
    assert reply.headers["x-ratelimit-limit"] == "600"  # professional's
    place.done("team", "end", team["name"])
    assert gateway.post("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "hi"}]}, key=text).status_code == 401


def test_a_key_may_be_named_where_one_alone_is_called_so(place):
    name = place.name("key")
    made = place.json("key", "create", "--name", name, "--requests-per-minute", "60", "--burst", "2")
    shown = place.json("key", "show", name)
    assert shown["id"] == made["id"] and (shown["limits"]["requests_per_minute"], shown["limits"]["burst"]) == (60, 2)
    place.done("key", "edit", name, "--tag", "a=1", "--concurrent", "3")
    place.done("key", "edit", name, "--tag", "b=2")
    edited = place.json("key", "show", name)
    assert edited["tags"] == {"a": "1", "b": "2"} and edited["limits"]["concurrent"] == 3
    place.done("key", "edit", name, "--tag", "none")
    assert place.json("key", "show", name)["tags"] == {}
    assert place.json("limit", "set", "--key", name, "--burst", "5")["key"] == made["id"]
    place.json("key", "create", "--name", name)
    twice = place.command("key", "show", name)
    assert twice.returncode == 2 and "several keys are called" in twice.stderr
    nobody = place.command("key", "show", "nobody at all")
    assert nobody.returncode == 1 and "there is no key of this id" in nobody.stderr


def test_a_key_is_revoked_deleted_and_summed_up_by_its_name(place):
    place.done("key", "create", "--name", "by name")
    place.done("usage", "--key", "by name")
    assert place.done("key", "revoke", "by name").startswith("revoked ")
    assert place.done("key", "delete", "by name").startswith("deleted ")
