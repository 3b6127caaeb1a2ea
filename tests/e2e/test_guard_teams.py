# SPDX-License-Identifier: Apache-2.0
"""What a team's guard does beyond the gateway's: the form, what is refused, and that it is never milder."""
import json

import pytest

GATEWAYS = {"mode": "enforce", "prompts": {"saudi_id": "redact", "email": "flag", "iban": "hash"}, "replies": {"secret": "block"},
            "restore": False, "blocked_reply": "empty", "min_confidence": {"phone": 0.6}, "classes": {"iqama": "restricted"},
            "injection": {"action": "flag", "threshold": 0.8},
            "patterns": [{"name": "project_code", "regex": "PRJ-[0-9]{6}", "action": "redact"}]}
WHOLE = {"mode": "enforce", "prompts": {"default": "flag", "saudi_id": "block", "iban": "mask"}, "replies": {"secret": "block"},
         "restore": False, "blocked_reply": "empty", "min_confidence": {"phone": 0.5}, "classes": {"iqama": "secret"},
         "injection": {"action": "block", "threshold": 0.7},
         "patterns": [{"name": "case_number", "regex": "CASE-[0-9]{4}", "action": "block"}],
         "wordlists": [{"name": "names", "words": ["desert falcon"], "action": "redact"}],
         "dictionary": [{"name": "clients", "words": ["Nejd Trading"], "action": "redact"}]}


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway({"upstreams": {"home": {"url": sim.base}}, "models": {"home": {"upstream": "home"}}, "guard": GATEWAYS})


def team(gateway, name, guard):
    return gateway.admin("POST", "/admin/v1/teams", json={"name": name, "guard": guard})


def change(gateway, name, **members):
    return gateway.admin("PATCH", f"/admin/v1/teams/{name}", json=members)


def error_of(got):
    error = got.json()["error"]
    return got.status_code, error["code"], error.get("param")


def test_a_team_has_the_guard_that_it_was_given_until_it_is_taken_away(gateway):
    assert team(gateway, "whole", WHOLE).json()["guard"] == WHOLE
    assert gateway.admin("GET", "/admin/v1/teams/whole").json()["guard"] == WHOLE
    assert change(gateway, "whole", region="sa").json()["guard"] == WHOLE
    assert change(gateway, "whole", guard={"mode": "enforce"}).json()["guard"] == {"mode": "enforce"}  # given whole
    assert change(gateway, "whole", guard=None).json()["guard"] is None
    assert gateway.admin("POST", "/admin/v1/teams", json={"name": "without"}).json()["guard"] is None


@pytest.mark.parametrize("guard,member,words", [
    ([], "guard", "an object"), ("enforce", "guard", "an object"),
    ({"mod": "enforce"}, "guard.mod", "did you mean 'mode'"),
    ({"mode": "enforced"}, "guard.mode", "did you mean 'enforce'"),
    ({"mode": 1}, "guard.mode", "a text"),
    ({"prompts": {"saudi_idd": "block"}}, "guard.prompts.saudi_idd", "did you mean 'saudi_id'"),
    ({"prompts": {"saudi_id": "blok"}}, "guard.prompts.saudi_id", "did you mean 'block'"),
    ({"prompts": ["block"]}, "guard.prompts", "an object"),
    ({"prompts": {"injection": "block"}}, "guard.prompts.injection", "`injection:`"),
    ({"replies": {"saudi_id": "local_only"}}, "guard.replies.saudi_id", "where a prompt goes"),
    ({"restore": "yes"}, "guard.restore", "true or false"),
    ({"blocked_reply": "none"}, "guard.blocked_reply", "partial"),
    ({"min_confidence": {"email": 1.5}}, "guard.min_confidence.email", "from 0 to 1"),
    ({"min_confidence": {"email": "high"}}, "guard.min_confidence.email", "from 0 to 1"),
    ({"classes": {"saudi_id": "sekret"}}, "guard.classes.saudi_id", "did you mean 'secret'"),
    ({"injection": {"action": "redact"}}, "guard.injection.action", "no value"),
    ({"injection": {"threshold": 2}}, "guard.injection.threshold", "from 0 to 1"),
    ({"patterns": [{"regex": "a{3}"}]}, "guard.patterns[0].name", "needs a `name`"),
    ({"patterns": [{"name": "Code", "regex": "a{3}"}]}, "guard.patterns[0].name", "small letter"),
    ({"patterns": [{"name": "email", "regex": "a{3}"}]}, "guard.patterns[0].name", "another name"),
    ({"patterns": [{"name": "one", "regex": "a{3}"}, {"name": "one", "regex": "b{3}"}]}, "guard.patterns[1].name", "two rules"),
    ({"patterns": [{"name": "one", "regex": "ab(c"}]}, "guard.patterns[0].regex", "parenthesis"),
    ({"wordlists": [{"name": "list", "file": "/etc/passwd"}]}, "guard.wordlists[0].file", "`words`"),
    ({"wordlists": [{"name": "list"}]}, "guard.wordlists[0]", "`words`"),
    ({"wordlists": [{"name": "list", "words": ["a\nb"]}]}, "guard.wordlists[0].words", "line"),
    ({"dictionary": [{"name": "list", "words": "a"}]}, "guard.dictionary[0].words", "list of texts"),
    ({"external": []}, "guard.external", "gateway's configuration"),
])
def test_what_is_no_guard_is_refused_by_its_member(gateway, guard, member, words):
    got = team(gateway, "never", guard)
    assert error_of(got) == (400, got.json()["error"]["code"], member), got.text
    assert words in got.json()["error"]["message"]
    assert gateway.admin("GET", "/admin/v1/teams/never").status_code == 404


def test_what_is_too_long_or_said_twice_is_refused(gateway):
    got = team(gateway, "long", {"wordlists": [{"name": "w", "words": ["w%04d" % i for i in range(900)], "action": "block"}]})
    assert error_of(got)[0::2] == (400, "guard")
    got = gateway.admin("POST", "/admin/v1/teams", content='{"name":"twice","guard":{"mode":"off","mode":"enforce"}}',
                        headers={"content-type": "application/json"})
    assert got.status_code == 400 and "twice" in got.json()["error"]["message"]


@pytest.mark.parametrize("guard,member", [
    ({"mode": "dry-run"}, "guard.mode"), ({"mode": "off"}, "guard.mode"),
    ({"prompts": {"saudi_id": "mask"}}, "guard.prompts.saudi_id"), ({"prompts": {"saudi_id": "allow"}}, "guard.prompts.saudi_id"),
    ({"prompts": {"iban": "flag"}}, "guard.prompts.iban"), ({"replies": {"secret": "redact"}}, "guard.replies.secret"),
    ({"restore": True}, "guard.restore"), ({"blocked_reply": "partial"}, "guard.blocked_reply"),
    ({"min_confidence": {"phone": 0.7}}, "guard.min_confidence.phone"), ({"min_confidence": {"email": 0.9}}, "guard.min_confidence.email"),
    ({"classes": {"iqama": "internal"}}, "guard.classes.iqama"),
    ({"injection": {"action": "allow"}}, "guard.injection.action"), ({"injection": {"threshold": 0.9}}, "guard.injection.threshold"),
])
def test_a_milder_guard_is_403(gateway, guard, member):
    got = team(gateway, "mild", guard)
    assert error_of(got) == (403, "sovereignty_rule", member), got.text
    assert team(gateway, "strict", WHOLE).status_code in (201, 409)
    assert error_of(change(gateway, "strict", guard=guard)) == (403, "sovereignty_rule", member)
    assert gateway.admin("GET", "/admin/v1/teams/strict").json()["guard"] == WHOLE


@pytest.mark.parametrize("guard", [
    {"prompts": {"saudi_id": "redact"}}, {"prompts": {"saudi_id": "local_only"}}, {"prompts": {"iban": "mask"}}, {"prompts": {"phone": "flag"}},
    {"min_confidence": {"phone": 0.6}}, {"min_confidence": {"passport": 0.9}}, {"classes": {"iqama": "restricted"}}, {"injection": {"action": "flag"}},
    {"restore": False}, {"blocked_reply": "empty"}, {}])
def test_one_that_is_as_strict_or_stricter_is_taken(gateway, guard):
    got = team(gateway, f"strict-{json.dumps(guard)}", guard)
    assert got.status_code == 201 and got.json()["guard"] == guard


def test_a_gateway_that_became_stricter_leaves_teams_as_they_are(make_gateway, sim):
    config = {"upstreams": {"home": {"url": sim.base}}, "models": {"home": {"upstream": "home"}}}
    gateway = make_gateway(config)
    assert team(gateway, "early", {"mode": "dry-run", "prompts": {"email": "flag"}}).status_code == 201
    gateway.reload({**config, "guard": {"mode": "enforce", "prompts": {"email": "block"}}})
    assert change(gateway, "early", region="sa").status_code == 200  # what it says of its guard is not asked again
    assert error_of(change(gateway, "early", guard={"prompts": {"email": "redact"}}))[:2] == (403, "sovereignty_rule")


def test_changes_of_a_guard_are_in_the_record(gateway):
    assert team(gateway, "recorded", {"mode": "enforce"}).status_code == 201
    changed = change(gateway, "recorded", guard={"mode": "enforce", "prompts": {"passport": "block"}}).json()
    page = gateway.command("journal", "print").stdout
    records = [json.loads(line) for line in page.splitlines() if changed["id"] in line]
    said = [json.loads(record["state"]["guard"]) for record in records if record.get("state", {}).get("guard")]
    assert said == [{"mode": "enforce"}, {"mode": "enforce", "prompts": {"passport": "block"}}]


def test_the_command_line_takes_json_and_files(gateway, tmp_path):
    made = gateway.command("team", "create", "--name", "typed", "--guard", '{"mode":"enforce","prompts":{"email":"block"}}', "--json")
    assert json.loads(made.stdout)["guard"] == {"mode": "enforce", "prompts": {"email": "block"}}
    form = tmp_path / "guard.json"
    form.write_text(json.dumps(WHOLE, indent=2) + "\n")
    assert json.loads(gateway.command("team", "edit", "typed", "--guard", str(form), "--json").stdout)["guard"] == WHOLE
    assert "PRJ" not in gateway.command("team", "show", "typed").stderr
    assert json.loads(gateway.command("team", "edit", "typed", "--guard", "none", "--json").stdout)["guard"] is None
    for wrong in ("{", "[]", str(tmp_path / "none.json")):
        refused = gateway.command("team", "edit", "typed", "--guard", wrong)
        assert refused.returncode != 0 and "JSON" in refused.stderr
    refused = gateway.command("team", "edit", "typed", "--guard", '{"mode":"off"}')
    assert refused.returncode != 0 and "milder" in refused.stderr
