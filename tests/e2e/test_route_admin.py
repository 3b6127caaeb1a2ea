# SPDX-License-Identifier: Apache-2.0
"""The policy in force, seen and changed from the operator's side: explained as a key, read again, remembered, and tried on what was recorded."""
import hashlib
import json
import re

import pytest

from harness.processes import SLOWER
from harness.waiting import until

ARABIC, ENGLISH = "ما هي عاصمة المملكة العربية السعودية؟", "What is the capital of France, please?"
RULES = """
version: "1"
routes:
  - name: of-bank
    condition: "team == 'bank' && tags.env == 'prod'"
    model: small
  - name: arabic
    condition: "language == 'ar'"
    model: arabic
"""
SECRET = "sk-written-in-the-file"


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture(scope="module")
def gateway(make_gateway, sim, rules):
    gateway = make_gateway({
        "routing": str(rules),
        "upstreams": {"home": {"url": sim.base, "region": "sa", "api_key": SECRET}},
        "models": {name: {"upstream": "home"} for name in ("arabic", "small", "large")}})
    made = gateway.admin("POST", "/admin/v1/teams", json={"name": "bank", "models": ["small", "arabic"]})
    assert made.status_code == 201, made.text
    return gateway


@pytest.fixture(scope="module")
def banker(gateway):
    return gateway.new_key("banker", team="bank", tags={"env": "prod"})


def body(content=ENGLISH, model="auto-router", **more):
    return {"model": model, "messages": [{"role": "user", "content": content}], **more}


def explain(gateway, asked, status=200):
    said = gateway.admin("POST", "/admin/v1/routes/explain", json=asked)
    assert said.status_code == status, said.text
    return said.json()


# ---- explaining ----

def test_a_request_is_explained_as_a_key_would_ask_it(gateway, banker):
    told = explain(gateway, {"request": body(), "key": banker["id"]})
    assert told["chosen"]["model"] == "small" and told["policy"] == "of-bank"
    assert told["facts"]["team"] == "bank" and told["facts"]["key"] == banker["id"]
    said = gateway.post("/v1/chat/completions", body(), key=banker["key"])
    assert (said.json()["model"], said.headers["x-route-policy"]) == ("small", "of-bank")

    told = explain(gateway, {"request": body(model="large"), "key": banker["id"]})
    assert (told["status"], told["code"]) == (403, "model_not_allowed")
    assert gateway.post("/v1/chat/completions", body(model="large"), key=banker["key"]).status_code == 403


def test_without_a_key_a_request_is_explained_as_of_one_that_may_use_everything(gateway):
    assert explain(gateway, body(ARABIC))["policy"] == "arabic"
    assert explain(gateway, {"request": body(model="large")})["chosen"]["model"] == "large"


@pytest.mark.parametrize("asked,says", [
    ({"request": body(), "key": "NobodyNobody"}, "there is no key of this id"),
    ({"request": body(), "key": 7}, "a key's id"),
    ({"request": body(), "team": "bank"}, "beside `request`"),
    ({"messages": []}, "model"),
    ({"request": body(), "headers": {"a": "b\nc"}}, "headers"),
])
def test_what_cannot_be_explained_is_told(gateway, asked, says):
    assert says in explain(gateway, asked, 400)["error"]["message"]


def test_of_a_key_that_was_revoked_nothing_is_explained(gateway):
    gone = gateway.new_key("gone")
    assert gateway.admin("DELETE", f"/admin/v1/keys/{gone['id']}").status_code == 200
    assert "revoked" in explain(gateway, {"request": body(), "key": gone["id"]}, 400)["error"]["message"]


def test_as_much_is_explained_as_four_mebibytes_say(gateway):
    assert explain(gateway, body("word " * (800 << 10)))["status"] == 200
    said = gateway.admin("POST", "/admin/v1/routes/explain", json=body("x" * (4 << 20)))
    assert said.status_code == 413, said.text


def test_nothing_of_what_is_explained_is_kept(gateway):
    secret = "whisper-4711"
    explain(gateway, body(secret))
    gateway.until_recorded()
    assert secret not in gateway.log()
    assert secret not in gateway.command("journal", "print").stdout
    for path in gateway.data.rglob("*"):
        assert not path.is_file() or path.is_socket() or secret.encode() not in path.read_bytes(), path


def test_the_command_asks_the_running_gateway_as_a_key(gateway, banker):
    told = gateway.command("route", "explain", "--json", "--key", banker["id"], input=json.dumps({"request": body(), "headers": {"x-a": "b"}}))
    assert told.returncode == 0 and json.loads(told.stdout)["policy"] == "of-bank", told.stderr
    told = gateway.command("route", "explain", "--key", banker["id"], input=json.dumps(body()))
    assert "policy     of-bank" in told.stdout.splitlines(), told.stderr
    told = gateway.command("route", "explain", input=json.dumps({"request": body(), "key": banker["id"]}))
    assert told.returncode == 1 and "only a running gateway knows keys" in told.stderr


# ---- reading again, and what was in force ----

def history(gateway):
    said = gateway.command("route", "history", "--json")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)["data"]


def until_versions(gateway, count):
    until(lambda: len(history(gateway)) >= count, 5 * SLOWER, f"{count} versions")
    return history(gateway)


def records_of(gateway, said):
    gateway.command("usage")  # it answers when all records before it are on the disk
    return list(map(json.loads, gateway.command("journal", "print", "--call", said.headers["x-request-id"]).stdout.splitlines()))


def admin_records(gateway):
    gateway.command("usage")
    lines = map(json.loads, gateway.command("journal", "print").stdout.splitlines())
    return [line for line in lines if line["kind"] == "admin" and line["action"].startswith("policy.")]


def digest_of_a_call(gateway):
    """The policy that the record of a call names."""
    said = gateway.post("/v1/chat/completions", body(ARABIC))
    assert said.status_code == 200
    [intent] = [line for line in records_of(gateway, said) if line["kind"] == "intent"]
    return intent["policy_digest"]


def reload(gateway):
    said = gateway.command("route", "reload", "--json")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def test_every_policy_that_came_in_force_is_kept_with_when_and_by_whom(gateway, rules):
    first = until_versions(gateway, 1)[0]
    assert (first["version"], first["by"]) == (1, "start")
    assert first["digest"] == digest_of_a_call(gateway)

    rules.write_text(RULES.replace("model: arabic", "model: large").replace('"1"', '"2"'))
    second = reload(gateway)
    assert second["version"] == 2 and second["by"].startswith("uid:") and second["digest"] != first["digest"]
    assert gateway.post("/v1/chat/completions", body(ARABIC)).json()["model"] == "large"  # at once, on whichever worker
    assert digest_of_a_call(gateway) == second["digest"]

    rules.write_text(RULES)
    third = until_versions(gateway, 3)[2]
    assert (third["version"], third["by"], third["digest"]) == (3, "file", first["digest"])

    gateway.reload({**gateway.config, "zone": "another"})
    fourth = until_versions(gateway, 4)[3]
    assert (fourth["version"], fourth["by"]) == (4, "SIGHUP")
    gateway.reload({**gateway.config, "zone": "test-zone"})
    assert [row["version"] for row in until_versions(gateway, 5)] == [1, 2, 3, 4, 5]
    assert reload(gateway)["version"] == 5  # nothing has changed

    records = admin_records(gateway)
    assert [(r["action"], r["object"], r["actor"]) for r in records][:3] == [
        ("policy.apply", "policy_1", "start"), ("policy.apply", "policy_2", second["by"]), ("policy.apply", "policy_3", "file")]
    assert records[1]["state"]["digest"] == second["digest"]


def test_all_workers_have_it_when_a_reload_returns(gateway, rules):
    for turn in range(6):
        model = ("large", "arabic")[turn % 2]
        rules.write_text(RULES.replace("model: arabic", f"model: {model}"))
        reload(gateway)
        for _ in range(8):  # a connection each: whichever worker accepts it
            with gateway.client() as client:
                assert client.post("/v1/chat/completions", json=body(ARABIC)).json()["model"] == model


def test_a_reload_is_whole_or_not_at_all_and_says_what_is_wrong(gateway, rules):
    before = history(gateway)
    try:
        gateway.announce("config", "reload_refused")
        rules.write_text(RULES.replace("model: arabic", "model: arabik").replace("language ==", "langauge =="))
        said = gateway.admin("POST", "/admin/v1/routes/reload")
        assert said.status_code == 409 and said.json()["error"]["code"] == "configuration_invalid"
        lines = said.json()["error"]["message"].splitlines()[1:]
        assert len(lines) == 2 and all(line.startswith(f"{rules}:") for line in lines), lines
        assert f"{rules}:8:" in lines[0] and "language" in lines[0] and f"{rules}:9:" in lines[1]
        told = gateway.command("route", "reload")
        assert told.returncode == 1 and all(line in told.stderr for line in lines)
        assert gateway.post("/v1/chat/completions", body(ARABIC)).json()["model"] == "arabic"
    finally:
        rules.write_text(RULES)
        reload(gateway)
    assert history(gateway) == before


def test_a_policy_is_given_back_by_the_digest_of_a_record_without_its_secrets(gateway, rules):
    digest = digest_of_a_call(gateway)
    told = gateway.command("policy", "show", digest, "--json")
    shown = json.loads(told.stdout)
    assert shown["digest"] == digest == hashlib.sha256(shown["policy"].encode()).hexdigest()
    assert shown["rules"] == rules.read_text()
    assert json.loads(shown["policy"])["routing"] == hashlib.sha256(shown["rules"].encode()).hexdigest()
    assert shown["settings"] == gateway.config_path.read_text().replace(f'"{SECRET}"', "***") and SECRET not in told.stdout
    assert shown["models"] is None
    assert gateway.command("policy", "show", digest[:6], "--part", "rules").stdout == RULES
    page = gateway.command("policy", "show", digest[:12]).stdout
    assert "---- settings" in page and RULES in page and SECRET not in page
    for path in (gateway.data / "policies").iterdir():
        assert SECRET not in path.read_text() and path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("digest,status,says", [("ffffffffffff", 1, "no policy of this digest"), ("abc", 1, "six of its digits"), ("xyz", 2, "0-9 a-f")])
def test_what_was_never_in_force_is_not_shown(gateway, digest, status, says):
    said = gateway.command("policy", "show", digest)
    assert said.returncode == status and says in said.stderr


def test_a_file_that_was_changed_is_not_shown_as_what_was_in_force(gateway):
    [path] = list((gateway.data / "policies").glob("*.1.json"))
    kept = path.read_text()
    digest = path.name[:64]
    newest = max((row for row in history(gateway) if row["digest"] == digest), key=lambda row: row["version"])
    path = path.with_name(f"{digest}.{newest['version']}.json")
    kept = path.read_text()
    try:
        path.write_text(kept.replace("language", "longuage"))
        said = gateway.command("policy", "show", digest)
        assert said.returncode == 1 and "it was changed since" in said.stderr
    finally:
        path.write_text(kept)
    assert gateway.command("policy", "show", digest).returncode == 0


def test_history_and_policies_are_there_without_a_gateway_and_after_the_database_is_lost(gateway):
    before = history(gateway)
    gateway.stop()
    try:
        assert history(gateway) == before
        assert gateway.command("policy", "show", before[-1]["digest"]).returncode == 0
        said = gateway.command("route", "reload")
        assert said.returncode == 1 and "no gateway runs" in said.stderr
        said = gateway.command("route", "explain", "--key", "SampleSample", input=json.dumps(body()))
        assert said.returncode == 1 and "no gateway runs" in said.stderr
        for name in ("atlas.db", "atlas.db-wal", "atlas.db-shm"):
            (gateway.data / name).unlink(missing_ok=True)
    finally:
        gateway.announce("store_new")
        gateway.start()
    assert history(gateway) == before  # the same policy again is no new version
    assert gateway.command("policy", "show", before[0]["digest"]).returncode == 0


def test_pages_of_history(gateway):
    rows, cursor = [], None
    while True:
        said = gateway.admin("GET", "/admin/v1/routes/history", params={"limit": 2, **({"after": cursor} if cursor else {})}).json()
        rows += said["data"]
        cursor = said["next_cursor"]
        if not said["has_more"]:
            break
    assert rows == history(gateway) and len(rows) > 4


# ---- trying rules on what was ----

TRIED = """
routes:
  - name: tools-first
    condition: "has_tools && turns == 1"
    model: large
  - name: long-arabic
    condition: "language == 'ar' && language_confidence > 0.9 && max_tokens == 7"
    model: small
  - name: of-bank
    condition: "team == 'bank' && tags.env == 'prod'"
    model: small
  - name: arabic
    condition: "language == 'ar' && script == 'Arab'"
    model: arabic
  - name: by-header
    condition: "headers['x-app'] == 'chat' && language == 'en'"
    model: small
"""


@pytest.fixture(scope="module")
def replayed(make_gateway, sim, tmp_path_factory):
    """A gateway of its own, and the ids of calls that its rules sent somewhere, by what was asked."""
    path = tmp_path_factory.mktemp("replayed") / "rules.yaml"
    path.write_text(RULES.replace("model: arabic", "model: arabic\n  - name: at-home\n    condition: \"prompt_tokens > 900\"\n    model: large\n    policy: local-only"))
    gateway = make_gateway({
        "routing": str(path), "upstreams": {"home": {"url": sim.base}},
        "models": {name: {"upstream": "home", "price": {"input": price, "output": price}} for name, price in (("arabic", 3), ("small", 2), ("large", 1))}})
    assert gateway.admin("POST", "/admin/v1/teams", json={"name": "bank"}).status_code == 201
    banker = gateway.new_key("banker", team="bank", tags={"env": "prod"})
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}

    def ask(status=200, key=None, **more):
        said = gateway.post("/v1/chat/completions", body(**more), key=key)
        assert said.status_code == status, said.text
        return said.headers["x-request-id"]

    ids = {"arabic": [ask(content=ARABIC) for _ in range(5)], "short": [ask(content=ARABIC, max_tokens=7)], "bank": [ask(key=banker["key"])],
           "tools": [ask(tools=[tool])], "cheap": [ask(routing={"profile": "cost"}) for _ in range(2)], "long": [ask(451, content=ENGLISH * 400)]}
    ask(model="small")  # named, and no rule binds it: no facts
    gateway.command("usage")
    return gateway, ids


def replay(gateway, *arguments):
    said = gateway.command("route", "replay", "--json", *arguments)
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def test_a_call_has_its_facts_in_its_record_and_nothing_that_was_said(replayed):
    gateway, ids = replayed
    lines = list(map(json.loads, gateway.command("journal", "print").stdout.splitlines()))
    facts = {line["call"]: line["facts"] for line in lines if "facts" in line}
    assert re.fullmatch(r"language=ar confidence=1000 script=Arab dialect=msa tools=0 images=0 turns=1 prompt_tokens=\d+ by=mean max_tokens=7", facts[ids["short"][0]])
    assert "tools=1 images=0 turns=1 " in facts[ids["tools"][0]]
    assert facts[ids["cheap"][0]].endswith("profile=cost")
    assert [line["kind"] for line in lines if line.get("call") == ids["long"][0]] == ["completion"]
    assert facts[ids["long"][0]].startswith("language=en ")
    assert len(facts) == sum(map(len, ids.values()))


def test_the_rules_in_force_change_nothing_of_what_they_did(replayed):
    gateway, ids = replayed
    told = replay(gateway)
    assert (told["calls"], told["same"], told["changed"], told["untold"]) == (11, 11, 0, 0), str(told["data"])[-160:]


def test_other_rules_are_tried_on_what_was(replayed, tmp_path):
    gateway, ids = replayed
    (tmp_path / "tried.yaml").write_text(TRIED)
    told = replay(gateway, "--rules", str(tmp_path / "tried.yaml"))
    assert (told["calls"], told["same"]) == (11, 6)  # arabic five times, and the bank's
    changes = {(row["from_policy"], row["from_model"], row["to_policy"], row["to_model"]): (row["calls"], row["examples"]) for row in told["data"]}
    assert changes == {("arabic", "arabic", "long-arabic", "small"): (1, ids["short"]), ("balanced", "large", "tools-first", "large"): (1, ids["tools"])}
    assert told["untold"] == 3 and told["untold_by"] == [{"rule": "by-header", "calls": 3}]  # English: a header would decide
    page = gateway.command("route", "replay", "--rules", str(tmp_path / "tried.yaml")).stdout
    assert "3 by by-header, which asks for what records do not have" in page and ids["short"][0] in page


def test_what_no_record_has_cannot_be_told(replayed, tmp_path):
    gateway, _ = replayed
    for condition in ("session != ''", "budget_used_pct > 50.0", "code_share > 0.5"):
        (tmp_path / "rules.yaml").write_text(f'routes: [{{name: asks, condition: "{condition}", model: small}}]\n')
        told = replay(gateway, "--rules", str(tmp_path / "rules.yaml"))
        assert (told["calls"], told["untold_by"]) == (11, [{"rule": "asks", "calls": 11}]), condition


def test_a_refusal_is_tried_too_and_a_profile_that_goes_by_latency_is_told(replayed, tmp_path):
    gateway, ids = replayed
    (tmp_path / "fast.yaml").write_text("routes: []\ndefault_profile: performance\n")
    told = replay(gateway, "--rules", str(tmp_path / "fast.yaml"))
    changes = {(row["from_policy"], row["from_model"], row["to_policy"], row["to_model"]): row["examples"] for row in told["data"]}
    assert changes["at-home; local-only", "refused (451)", "performance", "(by latency)"] == ids["long"]
    examples = changes["arabic", "arabic", "performance", "(by latency)"]
    assert len(examples) == 3 and set(examples) <= {*ids["arabic"], *ids["short"]}
    assert told["same"] == 2 and ("cost", "large", "cost", "large") not in changes


def test_since_leaves_out_what_was_before(replayed):
    gateway, _ = replayed
    assert replay(gateway, "--since", "2100-01-01")["calls"] == 0
    assert replay(gateway, "--since", "1h")["calls"] == 11
    assert gateway.command("route", "replay", "--since", "soon").returncode == 2


def test_rules_that_are_not_valid_are_not_tried(replayed, tmp_path):
    gateway, _ = replayed
    (tmp_path / "bad.yaml").write_text("routes: [{name: a, model: nobody}]\n")
    said = gateway.command("route", "replay", "--rules", str(tmp_path / "bad.yaml"))
    assert said.returncode == 1 and f"{tmp_path / 'bad.yaml'}:1:" in said.stderr
    assert "cannot be read" in gateway.command("route", "replay", "--rules", str(tmp_path / "none.yaml")).stderr


def test_replay_needs_no_gateway(replayed):
    gateway, _ = replayed
    gateway.stop()
    try:
        assert replay(gateway)["same"] == 11
    finally:
        gateway.start()
