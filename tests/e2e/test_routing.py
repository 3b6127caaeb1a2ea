# SPDX-License-Identifier: Apache-2.0
"""Which model answers a call that leaves it open, and that nobody is sent where it may not go."""
import collections
import json
import socket

import pytest

from harness.processes import SLOWER, run
from harness.upstream import Upstream, reply
from harness.waiting import until

ARABIC, ENGLISH = "ما هي عاصمة المملكة العربية السعودية؟", "What is the capital of France, please?"
RULES = """
version: "7"
time_zone: Asia/Riyadh
routes:
  - name: arabic-native
    condition: "language == 'ar'"
    model: arabic-large
    fallbacks: [arabic-second]
  - name: of-bank
    condition: "true"
    teams: [bank]
    model: second
  - name: headed
    condition: "headers['x-ask'] == 'split'"
    targets: [{model: first, weight: 3}, {model: second, weight: 1}]
  - name: tried
    condition: "headers['x-ask'].startsWith('canary')"
    model: first
    canary: {model: second, percent: 10}
  - name: dead-first
    condition: "headers['x-ask'] == 'dead'"
    model: dead
    fallbacks: [abroad, second]
  - name: dead-at-home
    condition: "headers['x-ask'] == 'dead-at-home'"
    model: dead
    fallbacks: [abroad]
    regions: [sa]
  - name: at-home
    condition: "headers['x-ask'] == 'home'"
    model: abroad
    policy: local-only
  - name: cheapest
    condition: "headers['x-ask'] == 'cheap'"
    profile: cost
  - name: tools
    condition: "has_tools && turns == 1"
    model: second
  - name: slow-pattern
    condition: "headers['x-ask'].matches('^(a+)+$')"
    model: abroad
  - name: named-too
    condition: "model == 'first' && headers['x-ask'] == 'named'"
    model: second
    applies_to: all
  - name: fast-path
    condition: "prompt_tokens < 100"
    model: first
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture(scope="module")
def gateway(make_gateway, sim, rules):
    return make_gateway({
        "routing": str(rules),
        "upstreams": {
            "home": {"url": sim.base, "region": "sa", "zone": "test-zone"},
            "far": {"url": sim.base, "region": "de"},
            "gone": {"url": f"http://127.0.0.1:{free_port()}/v1", "region": "sa", "zone": "test-zone", "timeouts": {"connect": "500ms"}}},
        "models": {
            "arabic-large": {"upstream": "home", "endpoints": ["chat"], "price": {"input": 9, "output": 9}},
            "arabic-second": {"upstream": "home", "price": {"input": 8, "output": 8}},
            "first": {"upstream": "home", "aliases": ["one"], "price": {"input": 5, "output": 5}},
            "second": {"upstream": "home", "price": {"input": 4, "output": 4}},
            "abroad": {"upstream": "far", "price": {"input": 1, "output": 1}},
            "dead": {"upstream": "gone", "price": {"input": 7, "output": 7}}}})


def ask(gateway, content=ENGLISH, model="auto-router", status=200, headers=None, key=None, **members):
    body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 5, **members}
    got = gateway.post("/v1/chat/completions", body, headers=headers, key=key)
    assert got.status_code == status, got.text
    return got


def asking(what):
    return {"X-Ask": what}


def shown(got):
    return got.json()["model"], got.headers["x-route-policy"], got.headers["x-data-residency"]


def records(gateway, call_id):
    gateway.command("usage")  # it answers when all records before it are on the disk
    lines = map(json.loads, gateway.command("journal", "print").stdout.splitlines())
    return [line for line in lines if line.get("call") == call_id or line.get("id") == call_id or line.get("request_id") == call_id]


# ---- rules ----

@pytest.mark.parametrize("content,expected", [
    (ARABIC, ("arabic-large", "arabic-native", "sa")),
    ("3ayez a3raf el forn da sho3'al wala la2", ("arabic-large", "arabic-native", "sa")),
    (ENGLISH, ("first", "fast-path", "sa")),
    ("پایتخت ایران کجاست؟", ("first", "fast-path", "sa")),
])
@pytest.mark.parametrize("name", ["auto-router", "auto", "Auto-Router"])
def test_the_first_rule_that_holds_decides(gateway, content, expected, name):
    assert shown(ask(gateway, content, name)) == expected


def test_a_stream_is_routed_and_says_so_before_its_first_event(gateway):
    got = gateway.chat("auto-router", stream=True, content=ARABIC)
    assert got.headers["x-route-policy"] == "arabic-native"
    assert '"model":"arabic-large"' in got.text and got.text.endswith("data: [DONE]\n\n")


def test_the_last_turn_decides_and_the_one_before_where_it_is_short(gateway):
    def chat(*turns):
        got = gateway.post("/v1/chat/completions", {"model": "auto", "messages": [{"role": role, "content": text} for role, text in turns]})
        return got.json()["model"]

    assert chat(("user", ARABIC), ("assistant", "الرياض"), ("user", ENGLISH)) == "first"
    assert chat(("user", ARABIC), ("assistant", "Riyadh"), ("user", "ok go")) == "arabic-large"
    assert chat(("system", ENGLISH * 5), ("user", [{"type": "text", "text": ARABIC}])) == "arabic-large"


def test_a_named_model_is_that_model(gateway):
    assert shown(ask(gateway, ARABIC, "first")) == ("first", "direct", "sa")
    assert shown(ask(gateway, ARABIC, "one"))[1] == "direct"


def test_a_rule_may_bind_named_models_too(gateway):
    assert shown(ask(gateway, model="first", headers=asking("named"))) == ("second", "named-too", "sa")
    assert shown(ask(gateway, model="second", headers=asking("named"))) == ("second", "direct", "sa")


def test_tools_and_turns_are_facts(gateway):
    tool = {"type": "function", "function": {"name": "f"}}
    assert ask(gateway, tools=[tool]).headers["x-route-policy"] == "tools"
    assert ask(gateway, tools=[]).headers["x-route-policy"] == "fast-path"
    two = [{"role": "user", "content": "one two three"}, {"role": "assistant", "content": "x"}, {"role": "user", "content": "four five six"}]
    assert ask(gateway, messages=two, tools=[tool]).headers["x-route-policy"] == "fast-path"


def test_a_team_has_rules_of_its_own(gateway):
    team = gateway.admin("POST", "/admin/v1/teams", json={"name": "bank"}).json()
    key = gateway.new_key("of-bank", team=team["id"])["key"]
    assert shown(ask(gateway, key=key)) == ("second", "of-bank", "sa")
    assert shown(ask(gateway)) == ("first", "fast-path", "sa")


def test_a_pattern_that_takes_too_long_is_not_met_and_counted(gateway):
    before = gateway.metrics()["atlas_conditions_failed_total"]
    assert ask(gateway, headers=asking("a" * 60 + "b")).headers["x-route-policy"] == "fast-path"
    assert gateway.metrics()["atlas_conditions_failed_total"] == before + 1


def test_weights_and_canaries_share_calls_out(gateway):
    seen = collections.Counter(ask(gateway, headers=asking("split")).json()["model"] for _ in range(400))
    assert set(seen) == {"first", "second"} and 240 <= seen["first"] <= 355, seen
    tried = collections.Counter(ask(gateway, headers=asking("canary")).json()["model"] for _ in range(400))
    assert 12 <= tried["second"] <= 75, tried


def test_no_secret_is_a_header_that_rules_see(make_gateway, sim, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("routes:\n  - name: seen\n    condition: \"headers['authorization'].contains('mx4')\"\n    model: m\n")
    gateway = make_gateway({"routing": str(path), "upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    assert ask(gateway).headers["x-route-policy"] == "balanced"


# ---- profiles ----

def test_without_a_rule_the_profile_chooses(make_gateway, sim):
    gateway = make_gateway({
        "upstreams": {"u": {"url": sim.base}},
        "models": {"dear": {"upstream": "u", "price": {"input": 9, "output": 9}}, "cheap": {"upstream": "u", "price": {"input": 1, "output": 1}},
                   "vectors": {"upstream": "u", "endpoints": ["embeddings"], "price": {"input": 0, "output": 0}},
                   "unpriced": {"upstream": "u"}}})
    got = ask(gateway, routing_preference="cost")
    assert (got.json()["model"], got.headers["x-route-policy"]) == ("cheap", "cost")
    assert ask(gateway, headers={"X-Route-Policy": "performance"}).headers["x-route-policy"] == "performance"
    assert ask(gateway).headers["x-route-policy"] == "balanced"
    gateway.reload({**gateway.config, "models": {"vectors": gateway.config["models"]["vectors"]}})
    none = ask(gateway, status=404).json()["error"]
    assert none["code"] == "model_not_found" and "no model is configured" in none["message"]


def test_a_rule_may_leave_the_model_to_the_profile(gateway):
    got = ask(gateway, headers=asking("cheap"))
    assert shown(got) == ("abroad", "cheapest; profile=cost", "de")


@pytest.mark.parametrize("hints", [
    {"routing": {"profile": "local-only"}}, {"routing_preference": "local-only"},
    {"extra_body": {"routing": {"profile": "local-only"}}}, {"extra_body": {"routing_preference": "local-only"}},
    {"routing_preference": "local-only", "routing": {"profile": "cost"}}, {"headers": {"X-Route-Policy": "local-only"}},
    {"headers": {"X-Route-Policy": "cost; local-only"}},
])
def test_a_hint_holds_in_every_form_and_tightens(gateway, hints):
    headers = {**hints.pop("headers", {}), **asking("cheap")}
    got = ask(gateway, headers=headers, **hints)
    assert shown(got) == ("second", "cheapest; profile=cost; local-only", "sa")


@pytest.mark.parametrize("hints,param", [
    ({"routing_preference": "fast"}, "routing_preference"), ({"routing": {"profile": 7}}, "routing.profile"),
    ({"routing": {"profiles": "cost"}}, "routing"), ({"routing": []}, "routing"),
    ({"routing_preference": "cost", "routing": {"profile": "performance"}}, "routing_preference"),
    ({"routing_preference": "cost", "headers": {"X-Route-Policy": "balanced"}}, "X-Route-Policy"),
    ({"headers": {"X-Route-Policy": "nearby"}}, "X-Route-Policy"),
])
@pytest.mark.parametrize("model", ["auto-router", "first"])
def test_hints_that_nobody_knows_or_contradict_are_told(gateway, model, hints, param):
    hints = dict(hints)
    error = ask(gateway, model=model, status=400, headers=hints.pop("headers", None), **hints).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_value", param)


# ---- residency ----

def test_what_may_not_leave_is_451_and_nothing_was_sent(gateway, sim):
    before = sim.counters()["requests"] if "requests" in sim.counters() else None
    for headers, rule in ((asking("home"), "at-home"), ({"X-Route-Policy": "local-only"}, "local-only")):
        got = ask(gateway, model="auto-router" if rule == "at-home" else "abroad", status=451, headers=headers)
        error = got.json()["error"]
        assert error["type"] == "residency_error" and error["code"] == "residency_blocked"
        assert error["rule"] == rule and error["zone"] == "test-zone"
        assert error["journal_id"] == got.headers["x-request-id"] and "home zone test-zone" in error["message"]
        assert got.headers["link"] == '<urn:atlas:zone:test-zone>; rel="blocked-by"'
        assert "x-data-residency" not in got.headers and "retry-after" not in got.headers
        assert error["journal_id"] not in sim.calls()
        [record] = [r for r in records(gateway, error["journal_id"])]
        assert record["status"] == 451 or record.get("outcome") == "refused"
    assert before is None or sim.counters()["requests"] == before


def test_a_stream_that_may_not_leave_is_451_too(gateway):
    ask(gateway, model="abroad", status=451, headers={"X-Route-Policy": "local-only"}, stream=True)


def test_no_other_rule_and_no_fallback_leads_out(gateway):
    """Its one model is dead, and the fallback stands abroad: it is not asked."""
    gateway.announce("call_failed", "upstream_down")
    error = ask(gateway, status=502, headers=asking("dead-at-home")).json()["error"]
    assert error["code"] == "upstream_error"


# ---- fallbacks ----

def test_a_fallback_answers_where_the_first_is_gone_and_its_region_is_told(gateway):
    gateway.announce("upstream_down")
    got = ask(gateway, headers=asking("dead"))
    assert shown(got) == ("abroad", "dead-first", "de")
    call = got.headers["x-request-id"]
    assert [line["policy"] for line in records(gateway, call) if "policy" in line][-1] == "dead-first"
    assert f"{call}: dead at gone failed (UPSTREAM_CONNECT), abroad is asked" in gateway.log()
    assert gateway.metrics()["atlas_fallbacks_total"] >= 1
    until(lambda: f'"call":"{call}"' in (gateway.data / "access.log").read_text(), 5 * SLOWER, "its line in the access log")
    [line] = [json.loads(line) for line in (gateway.data / "access.log").read_text().splitlines() if call in line]
    assert (line["model"], line["policy"], line["upstream"]) == ("abroad", "dead-first", "far")


def test_a_fallback_answers_a_stream_with_headers_that_are_true(gateway):
    gateway.announce("upstream_down")
    body = {"model": "auto", "messages": [{"role": "user", "content": ENGLISH}], "stream": True}
    got = gateway.post("/v1/chat/completions", body, headers=asking("dead"))
    assert (got.headers["x-route-policy"], got.headers["x-data-residency"]) == ("dead-first", "de")
    assert '"model":"abroad"' in got.text and got.text.endswith("data: [DONE]\n\n")


def test_a_key_gets_no_more_than_its_models(gateway):
    key = gateway.new_key("narrow", models=["arabic-second"])["key"]
    assert shown(ask(gateway, ARABIC, key=key)) == ("arabic-second", "arabic-native", "sa")
    assert ask(gateway, ENGLISH, key=key, status=403).json()["error"]["code"] == "model_not_allowed"


def test_a_rule_that_binds_a_named_model_gives_nobody_another(gateway):
    key = gateway.new_key("first-only", models=["first"])["key"]
    assert shown(ask(gateway, model="first", key=key))[0] == "first"
    refused = ask(gateway, model="first", key=key, headers=asking("named"), status=403)
    assert refused.json()["error"]["code"] == "model_not_allowed"
    assert "x-data-residency" not in refused.headers


def test_who_may_use_models_abroad_alone_is_kept_in_and_not_told_of_rights(gateway):
    key = gateway.new_key("abroad-only", models=["abroad"])["key"]
    assert ask(gateway, key=key, headers={**asking("cheap"), "X-Route-Policy": "local-only"}, status=451)


def test_a_rule_that_keeps_in_holds_where_its_condition_cannot_be_decided(make_gateway, sim, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("""
routes:
  - {name: kept, condition: "headers['x-class'].matches('^(s+)+$')", model: near, policy: local-only, applies_to: all}
  - {name: other, condition: "headers['x-class'].matches('^(s+)+$')", model: near}
""")
    gateway = make_gateway({"routing": str(path), "upstreams": {"near": {"url": sim.base, "zone": "test-zone"}, "far": {"url": sim.base}},
                            "models": {"near": {"upstream": "near"}, "far": {"upstream": "far"}}})
    for header in ("s" * 60 + "!", "s" * 6000):
        assert shown(ask(gateway, model="far", headers={"X-Class": header}))[:2] == ("near", "kept; local-only")
    assert shown(ask(gateway, model="far"))[:2] == ("far", "direct")


def test_a_model_that_serves_another_endpoint_is_none(gateway):
    body = {"model": "auto", "input": ARABIC}
    got = gateway.post("/v1/embeddings", body)
    assert (got.status_code, got.headers["x-route-policy"]) == (200, "arabic-native")
    assert got.json()["model"] == "arabic-second"


def test_a_fallback_with_a_budget_of_its_own_is_not_asked(gateway):
    """What is held is held of one model's budgets: no call is written down in another's."""
    gateway.announce("call_failed", "upstream_down")
    team = gateway.admin("POST", "/admin/v1/teams", json={"name": "counted"}).json()
    key = gateway.new_key("counted", team=team["id"])["key"]
    budget = {"team": team["id"], "amount": "1", "window": "day", "model": "abroad"}
    made = gateway.admin("POST", "/admin/v1/budgets", json=budget)
    assert made.status_code == 201, made.text
    assert shown(ask(gateway, headers=asking("dead"), key=key)) == ("second", "dead-first", "sa")


# ---- the file ----

def test_a_change_of_the_file_holds_within_seconds_and_a_broken_one_does_not(gateway, rules):
    try:
        rules.write_text(RULES.replace("model: first\n    canary", "model: second\n    canary").replace("fast-path", "faster"))
        until(lambda: ask(gateway).headers["x-route-policy"] == "faster", 10 * SLOWER, "the new rules")
        gateway.announce("config", "reload_refused")
        refused = gateway.count_log("reload_refused")
        rules.write_text(RULES.replace("prompt_tokens <", "promt_tokens <"))
        until(lambda: gateway.count_log("reload_refused") > refused, 10 * SLOWER, "the refusal")
        assert "there is no fact 'promt_tokens' — did you mean 'prompt_tokens'?" in gateway.log()
        assert ask(gateway).headers["x-route-policy"] == "faster"
    finally:
        rules.write_text(RULES)
    until(lambda: ask(gateway).headers["x-route-policy"] == "fast-path", 10 * SLOWER, "the old rules")


def test_rules_do_not_vanish_with_their_file(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    path = gateway.config_path.parent / "routing_config.yaml"
    path.write_text("routes: [{name: only, model: m}]\n")
    until(lambda: ask(gateway).headers["x-route-policy"] == "only", 10 * SLOWER, "the rule")
    gateway.announce("config", "routing", "reload_refused")
    for wrong in (path.unlink, lambda: path.write_text(""), lambda: path.write_text("routes:\n")):
        refused = gateway.count_log("reload_refused")
        wrong()
        until(lambda: gateway.count_log("reload_refused") > refused, 10 * SLOWER, "the refusal")
        assert ask(gateway).headers["x-route-policy"] == "only"
    path.write_text("routes: []\n")
    until(lambda: ask(gateway).headers["x-route-policy"] == "balanced", 10 * SLOWER, "no rule")


def test_a_gateway_does_not_start_with_rules_that_are_wrong(tmp_path):
    (tmp_path / "routing_config.yaml").write_text("routes:\n  - name: a\n    condition: \"langage == 'ar'\"\n    model: m\n")
    config = tmp_path / "atlas.yaml"
    config.write_text(f"data: {tmp_path}/data\nupstreams: {{u: {{url: 'http://127.0.0.1:1/v1'}}}}\nmodels: {{m: {{upstream: u}}}}\n")
    for command in (("route", "check"), ("config", "check"), ("serve",)):
        said = run(*command, "--config", config)
        assert said.returncode != 0
        assert "routing_config.yaml:3:17: there is no fact 'langage' — did you mean 'language'?" in said.stderr, said.stderr


# ---- explaining ----

def explain(gateway, body, **more):
    said = gateway.command("route", "explain", "--json", input=json.dumps({"request": body, **more} if more else body))
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


@pytest.mark.parametrize("content,headers,members", [
    (ARABIC, {}, {}), (ENGLISH, {}, {}), (ENGLISH, asking("home"), {}), (ENGLISH, asking("cheap"), {}),
    (ENGLISH, asking("cheap"), {"routing_preference": "local-only"}), (ENGLISH, {"X-Route-Policy": "local-only"}, {"model": "abroad"}),
    (ENGLISH, asking("named"), {"model": "first"}),
])
def test_what_is_explained_is_what_happens(gateway, content, headers, members):
    body = {"model": "auto-router", "messages": [{"role": "user", "content": content}], **members}
    told = explain(gateway, body, headers=headers)
    got = gateway.post("/v1/chat/completions", body, headers=headers)
    assert told["status"] == got.status_code
    assert told["policy"] == got.headers["x-route-policy"]
    assert told["residency"] == got.headers.get("x-data-residency")
    if got.status_code == 200:
        assert told["chosen"]["model"] == got.json()["model"]
    else:
        assert told["chosen"] is None and told["code"] == got.json()["error"]["code"]


def test_an_explanation_names_facts_rules_and_who_is_excluded(gateway):
    told = explain(gateway, {"model": "auto", "messages": [{"role": "user", "content": ENGLISH}]}, headers=asking("dead-at-home"))
    assert (told["facts"]["language"], told["facts"]["script"], told["facts"]["turns"]) == ("en", "Latn", 1)
    matched = {rule["name"]: rule["matched"] for rule in told["rules"]}
    assert (matched["arabic-native"], matched["dead-at-home"], matched["fast-path"]) == (False, True, None)
    assert [(c["model"], c["excluded"]) for c in told["candidates"]] == [("dead", None), ("abroad", "residency")]


def test_an_explanation_is_told_to_people_in_lines(gateway):
    body = {"model": "auto", "messages": [{"role": "user", "content": ARABIC}]}
    said = gateway.command("route", "explain", input=json.dumps(body)).stdout.splitlines()
    assert said[0].startswith("facts      language ar (1), ")
    assert "rule       holds   arabic-native: language == 'ar'" in said
    assert "candidate  may     arabic-large at home (target)" in said
    assert said[-4:] == ["status     200 OK", "policy     arabic-native", "chosen     arabic-large", "residency  sa"]


@pytest.mark.parametrize("text,says", [
    ("", "valid JSON"), ("[]", "object"), ("{}", "model"), ('{"request":{"model":"auto","messages":[{}]},"headers":{"a b":"x"}}', "headers"),
    ('{"request":{"model":"auto","messages":[{}]},"at":"x"}', "at"), ('{"request":{"model":"auto","messages":[{}]},"endpoint":"x"}', "endpoint"),
])
def test_what_cannot_be_explained_is_told(gateway, text, says):
    said = gateway.command("route", "explain", input=text)
    assert said.returncode == 1 and says in said.stderr and said.stdout == ""
