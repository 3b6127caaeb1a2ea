# SPDX-License-Identifier: Apache-2.0
"""Where data may go: regions of teams, the home zone, classes; and that no call gets elsewhere, whatever the policy, the fleet and its faults."""
import json
import random

import pytest

CLASSES = ["public", "internal", "restricted", "secret", "top-secret"]
ZONE = "riyadh-dc1"


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    def at(**more):
        return {"url": sim.base, **more}

    return make_gateway({
        "zone": ZONE, "region": "sa", "regions": ["sa", "ae", "de"],
        "upstreams": {
            "home": at(region="sa", zone=ZONE, clearance="secret"),
            "near": at(region="sa", zone="jeddah-dc2", clearance="restricted"),
            "ae": at(region="ae", zone="abudhabi-1", clearance="internal"),
            "de": at(region="de"), "us": at(region="us", clearance="top-secret"), "nowhere": at()},
        "models": {name: {"upstream": name} for name in ("home", "near", "ae", "de", "us", "nowhere")}})


def team(gateway, name, **members):
    return gateway.admin("POST", "/admin/v1/teams", json={"name": name, **members})


def key_of(gateway, name, members=None, **more):
    made = team(gateway, name, **(members or {}))
    assert made.status_code == 201, made.text
    return gateway.new_key(name, team=name, **more)["key"]


def ask(gateway, key, model, headers=None, **members):
    body = {"model": model, "messages": [{"role": "user", "content": "hello there, friend"}], "max_tokens": 3, **members}
    return gateway.post("/v1/chat/completions", body, key=key, headers=headers)


def answers(gateway, key, model, **more):
    got = ask(gateway, key, model, **more)
    return got.status_code if got.status_code == 200 else (got.status_code, got.json()["error"]["code"])


BLOCKED, UNCLEARED, LOOSENS = (451, "residency_blocked"), (451, "classification_blocked"), (403, "sovereignty_rule")


@pytest.mark.parametrize("members,may,may_not", [
    ({}, ["home", "near", "ae", "de"], ["us", "nowhere"]),  # as the gateway says
    ({"region": "sa"}, ["home", "near"], ["ae", "de", "us", "nowhere"]),  # its home region alone
    ({"region": "sa", "regions": ["sa", "us"]}, ["home", "near", "us"], ["ae", "de", "nowhere"]),
    ({"regions": ["de"]}, ["de"], ["home", "us", "nowhere"]),
    ({"local_only": True}, ["home"], ["near", "ae", "de", "us", "nowhere"]),
])
def test_a_team_is_kept_in_its_regions_by_name_and_by_auto(gateway, members, may, may_not):
    key = key_of(gateway, f"kept-{json.dumps(members)}", members)
    for model in may:
        got = ask(gateway, key, model)
        assert got.status_code == 200, got.text
        assert got.headers["x-route-policy"] == ("local-only" if members.get("local_only") else "direct")
    for model in may_not:
        assert answers(gateway, key, model) == BLOCKED
    got = ask(gateway, key, "auto")
    assert got.status_code == 200 and got.json()["model"] in may


def test_what_holds_it_in_is_told(gateway):
    key = key_of(gateway, "told", {"region": "ae"})
    got = ask(gateway, key, "home")
    error = got.json()["error"]
    assert got.status_code == 451 and error["rule"] == "team-regions" and error["zone"] == ZONE and "region ae by its team" in error["message"]
    assert got.headers["link"] == f'<urn:atlas:zone:{ZONE}>; rel="blocked-by"' and error["journal_id"] == got.headers["x-audit-trace-id"]
    assert ask(gateway, None, "us").json()["error"]["rule"] == "regions"


def test_a_key_alone_can_be_kept_at_home_and_let_out_again(gateway):
    assert team(gateway, "of-key").status_code == 201
    made = gateway.new_key("homely", team="of-key", local_only=True)
    assert answers(gateway, made["key"], "near") == BLOCKED and answers(gateway, made["key"], "home") == 200
    assert gateway.command("key", "show", made["id"], "--json").stdout.count('"local_only":true') == 1
    assert gateway.command("key", "edit", made["id"], "--no-local-only").returncode == 0
    assert answers(gateway, made["key"], "near") == 200
    assert gateway.command("key", "edit", made["id"], "--local-only").returncode == 0
    assert answers(gateway, made["key"], "near") == BLOCKED


def test_commands_say_where_a_team_may_go(gateway):
    made = gateway.command("team", "create", "--name", "said", "--region", "sa", "--regions", "sa,ae", "--max-class", "secret",
                           "--default-class", "internal", "--local-only", "--json")
    said = json.loads(made.stdout)
    assert (said["region"], said["regions"], said["max_class"], said["default_class"], said["local_only"]) == ("sa", ["sa", "ae"], "secret", "internal", True)
    said = json.loads(gateway.command("team", "edit", "said", "--regions", "none", "--default-class", "none", "--no-local-only", "--json").stdout)
    assert (said["region"], said["regions"], said["default_class"], said["local_only"]) == ("sa", [], None, False)
    refused = team(gateway, "empty", max_class="internal", default_class="secret")
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "default_class"


# ---- classes ----

@pytest.mark.parametrize("said,may,may_not", [
    (None, ["home", "near", "ae", "de"], []), ("public", ["home", "de"], []), ("internal", ["home", "near", "ae"], ["de"]),
    ("restricted", ["home", "near"], ["ae", "de"]), ("secret", ["home"], ["near", "ae", "de"]), ("top-secret", [], ["home", "near", "ae", "de"])])
@pytest.mark.parametrize("how", ["header", "body", "extra"])
def test_data_goes_where_it_is_cleared_for(gateway, said, may, may_not, how):
    headers = {"X-Data-Classification": said} if said and how == "header" else None
    members = {"routing": {"classification": said}} if said and how == "body" else \
        {"extra_body": {"routing": {"classification": said}}} if said and how == "extra" else {}
    for model in may:
        assert answers(gateway, None, model, headers=headers, **members) == 200
    for model in may_not:
        assert answers(gateway, None, model, headers=headers, **members) == UNCLEARED
    assert answers(gateway, None, "auto", headers=headers, **members) == (200 if may else UNCLEARED)


def test_of_two_classes_the_higher_holds(gateway):
    header = {"X-Data-Classification": "public"}
    assert answers(gateway, None, "de", headers=header, routing={"classification": "internal"}) == UNCLEARED
    assert answers(gateway, None, "de", headers={"X-Data-Classification": "public, secret"}) == UNCLEARED


def test_a_call_raises_its_class_and_never_lowers_it(gateway):
    key = key_of(gateway, "classed", {"default_class": "restricted", "max_class": "secret"})
    assert answers(gateway, key, "near") == 200 and answers(gateway, key, "ae") == UNCLEARED
    assert answers(gateway, key, "near", headers={"X-Data-Classification": "restricted"}) == 200
    assert answers(gateway, key, "near", headers={"X-Data-Classification": "secret"}) == UNCLEARED
    got = ask(gateway, key, "near", headers={"X-Data-Classification": "internal"})
    assert got.status_code == 403 and got.json()["error"]["code"] == "sovereignty_rule" and got.json()["error"]["param"] == "X-Data-Classification"
    assert answers(gateway, key, "home", routing={"classification": "public"}) == LOOSENS
    assert answers(gateway, key, "home", routing={"classification": "top-secret"}) == LOOSENS


@pytest.mark.parametrize("headers,members", [
    ({"X-Data-Classification": "SECRET"}, {}), ({"X-Data-Classification": "geheim"}, {}), (None, {"routing": {"classification": "hush"}}),
    (None, {"routing": {"classification": 3}}), (None, {"routing": {"class": "secret"}})])
def test_a_class_that_nobody_knows_is_refused(gateway, headers, members):
    assert answers(gateway, None, "home", headers=headers, **members) == (400, "invalid_value")


def test_the_class_is_recorded_and_goes_to_no_model_server(gateway, sim):
    got = ask(gateway, None, "home", headers={"X-Data-Classification": "secret"}, routing={"classification": "restricted"})
    assert b"classification" not in json.dumps(sim.last()).lower().encode()
    gateway.command("usage")
    records = [json.loads(line) for line in gateway.command("journal", "print").stdout.splitlines()]
    mine = [r for r in records if r.get("call") == got.headers["x-request-id"]]
    assert mine and all(r["class"] == "secret" for r in mine)


# ---- whatever the policy ----

FLEET = 6
MODELS = [f"m{i}" for i in range(FLEET)]
REGIONS = ["sa", "ae", "de", None]


class World:
    """A fleet, rules and teams by chance; and who may go where, said anew and simply."""

    def __init__(self, chance, sims, dead):
        self.chance, self.sims = chance, sims
        pick = chance.choice
        self.upstreams = {}
        for i in range(FLEET):
            up = {"url": dead if chance.random() < 0.15 else sims[i].base, "clearance": pick(CLASSES)}
            region, zone = pick(REGIONS), pick([ZONE, "other-dc", None])
            up.update({"region": region} if region else {}, **({"zone": zone} if zone else {}), timeouts={"connect": "300ms"})
            self.upstreams[f"u{i}"] = up
        self.regions = pick([[], ["sa"], ["sa", "ae"]])
        self.rules = [self.rule(i) for i in range(chance.randint(0, 5))]
        self.teams = [self.team(i) for i in range(4)]

    def rule(self, i):
        pick, there = self.chance.choice, sorted({u["region"] for u in self.upstreams.values() if "region" in u})
        rule = {"name": f"r{i}", "condition": f"headers['x-kind'] == 'k{self.chance.randint(0, 2)}'"}
        if self.chance.random() < 0.3:
            rule["profile"] = pick(["cost", "performance", "balanced"])
        else:
            rule["targets"] = [{"model": m, "weight": self.chance.randint(1, 3)} for m in self.chance.sample(MODELS, self.chance.randint(1, 3))]
        if self.chance.random() < 0.6:
            rule["fallbacks"] = self.chance.sample(MODELS, self.chance.randint(1, 3))
        if there and self.chance.random() < 0.4:
            rule["regions"] = self.chance.sample(there, self.chance.randint(1, len(there)))
        if self.chance.random() < 0.2:
            rule["policy"] = "local-only"
        if self.chance.random() < 0.3:
            rule["max_class"] = pick(CLASSES)
        if self.chance.random() < 0.4:
            rule["applies_to"] = "all"
        return rule

    def team(self, i):
        pick = self.chance.choice
        most = self.chance.randint(0, 4)
        return pick([{}, {"region": "sa"}, {"regions": ["ae", "de"]}, {"region": "sa", "regions": ["sa", "ae"]}, {"local_only": True}]) | \
            pick([{}, {"max_class": CLASSES[most]}, {"max_class": CLASSES[most], "default_class": CLASSES[self.chance.randint(0, most)]}]) | {"name": f"t{i}"}

    def config(self, rules):
        return {"zone": ZONE, "region": "sa", "regions": self.regions, "routing": str(rules), "upstreams": self.upstreams,
                "models": {m: {"upstream": f"u{i}"} for i, m in enumerate(MODELS)}}

    def allows(self, upstream, team, said, kind, model, local):
        """Whether such a call may be sent there."""
        up = self.upstreams[upstream]
        level = CLASSES.index(said) if said else CLASSES.index(team.get("default_class", "public"))
        regions = team.get("regions") or ([team["region"]] if "region" in team else self.regions)
        rule = next((r for r in self.rules if f"'{kind}'" in r["condition"] and (model == "auto" or r.get("applies_to") == "all")), {})
        at_home = up.get("zone") == ZONE
        return (not regions or up.get("region") in regions) and CLASSES.index(up["clearance"]) >= level and \
            (at_home or not (team.get("local_only") or local or rule.get("policy"))) and \
            ("regions" not in rule or up.get("region") in rule["regions"]) and \
            ("max_class" not in rule or CLASSES.index(rule["max_class"]) >= level)


@pytest.fixture(scope="module")
def fleet(make_sim):
    # one answers, one fails at once, one in the midst, one refuses, one is slow
    return [make_sim(*more) for more in ([], ["--fault", "status", "--status", "500"], ["--fault", "reset"], [], ["--fault", "status", "--status", "429"], [])]


@pytest.mark.parametrize("seed", range(8))
def test_no_call_ever_reaches_an_upstream_that_its_policy_forbids(make_gateway, fleet, tmp_path, seed):
    chance = random.Random(seed)
    world = World(chance, fleet, "http://127.0.0.1:9/v1")
    rules = tmp_path / "rules.yaml"
    rules.write_text(json.dumps({"routes": world.rules}))
    gateway = make_gateway(world.config(rules))
    gateway.announce("call_failed", "upstream_down", "upstream_up")
    keys = [key_of(gateway, t["name"], {k: v for k, v in t.items() if k != "name"}) for t in world.teams]
    seen = {200: 0, 451: 0, "sent": 0}
    for _ in range(60):
        i, said, kind = chance.randrange(4), chance.choice([None, None, *CLASSES]), f"k{chance.randint(0, 3)}"
        model, local, stream = chance.choice(["auto", "auto", *MODELS]), chance.random() < 0.15, chance.random() < 0.3
        headers = {"X-Kind": kind} | ({"X-Data-Classification": said} if said else {}) | ({"X-Route-Policy": "local-only"} if local else {})
        got = ask(gateway, keys[i], model, headers=headers, stream=stream)
        reached = [f"u{n}" for n, s in enumerate(fleet) if got.headers["x-request-id"] in s.calls()]
        for upstream in reached:
            assert world.allows(upstream, world.teams[i], said, kind, model, local), (upstream, world.teams[i], headers, model)
        if got.status_code == 200:  # who is said to have answered may, and stands there
            assert got.headers["x-data-residency"] in {world.upstreams[u].get("region", "unknown") for u in reached}
        else:
            assert got.status_code in (400, 403, 451, 502, 503, 504), got.text
        if got.status_code in (403, 451):
            assert not reached and "x-data-residency" not in got.headers
        seen[got.status_code] = seen.get(got.status_code, 0) + 1
        seen["sent"] += len(reached)
    assert seen["sent"] > 0, seen
