# SPDX-License-Identifier: Apache-2.0
"""`atlas guard test` and POST /admin/v1/guard/test: what is found, where, and what would be done about it."""
import json
import time

import pytest

from harness.processes import SANITIZED, SLOWER, run

GUARD = {"mode": "enforce", "prompts": {"default": "allow", "email": "flag"}, "replies": {"project_code": "mask"},
         "patterns": [{"name": "project_code", "regex": "PRJ-[0-9]{6}", "action": "block"}],
         "wordlists": [{"name": "codenames", "words": ["desert falcon"], "action": "redact"}],
         "dictionary": [{"name": "clients", "words": ["شركة نجد"], "action": "allow"}]}


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    made = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}, "guard": GUARD})
    assert made.admin("POST", "/admin/v1/teams", json={"name": "strict", "guard": {
        "prompts": {"email": "block"}, "patterns": [{"name": "case_number", "regex": "CASE-[0-9]{4}", "action": "redact"}]}}).status_code == 201
    return made


def try_out(gateway, text, *options):
    done = gateway.command("guard", "test", *options, "--json", input=text)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return json.loads(done.stdout)


def finding(text, value, kind, action, rule="builtin"):
    start = text.encode().index(value.encode())
    return {"type": kind, "start": start, "end": start + len(value.encode()), "action": action, "rule": rule}


def without_confidence(said):
    return [{name: value for name, value in f.items() if name != "confidence"} for f in said["findings"]]


def test_findings_have_type_place_confidence_action_and_rule(gateway):
    text = "قال: ask desert falcon about PRJ-123456 for شركة نجد"
    said = try_out(gateway, text + "\n")
    assert list(said) == ["findings", "output", "blocked"]
    assert without_confidence(said) == [
        finding(text, "desert falcon", "codenames", "redact", "codenames"), finding(text, "PRJ-123456", "project_code", "block", "project_code"),
        finding(text, "شركة نجد", "clients", "allow", "clients")]
    assert all(list(f) == ["type", "start", "end", "confidence", "action", "rule"] and 0 <= f["confidence"] <= 1 for f in said["findings"])
    assert said["blocked"] is True


def test_a_built_in_type_is_found_too_and_allowed_ones_are_listed(gateway):
    text = "write to sara@ministry.gov.sa, id 1000000008"
    said = try_out(gateway, text)
    assert without_confidence(said) == [finding(text, "sara@ministry.gov.sa", "email", "flag"), finding(text, "1000000008", "saudi_id", "allow")]
    assert said["blocked"] is False and said["output"] == text


def test_replies_have_actions_of_their_own(gateway):
    text = "see PRJ-123456"
    assert without_confidence(try_out(gateway, text, "--direction", "reply")) == [finding(text, "PRJ-123456", "project_code", "mask", "project_code")]
    assert gateway.command("guard", "test", "--direction", "sideways", input=text).returncode == 2


def test_a_team_adds_to_what_the_gateway_does(gateway):
    text = "mail a@ministry.gov.sa on CASE-1234"
    assert without_confidence(try_out(gateway, text)) == [finding(text, "a@ministry.gov.sa", "email", "flag")]
    said = try_out(gateway, text, "--team", "strict")
    assert without_confidence(said) == [finding(text, "a@ministry.gov.sa", "email", "block"), finding(text, "CASE-1234", "case_number", "redact", "case_number")]
    assert said["blocked"] is True
    refused = gateway.command("guard", "test", "--team", "nobody", input=text)
    assert refused.returncode == 1 and "no team of this id or name" in refused.stderr


def test_a_data_folder_alone_will_do(tmp_path):
    (tmp_path / "atlas.yaml").write_text(f"data: {tmp_path}/data\nguard:\n  mode: enforce\n  prompts: {{ email: flag }}\n")
    assert run("init", "--config", tmp_path / "atlas.yaml").returncode == 0
    assert run("team", "create", "--name", "t", "--guard", '{"prompts":{"email":"block"}}', "--config", tmp_path / "atlas.yaml").returncode == 0
    for options, action in ((), "flag"), (("--team", "t"), "block"):
        said = json.loads(run("guard", "test", "--json", *options, "--config", tmp_path / "atlas.yaml", input="a@ministry.gov.sa").stdout)
        assert [f["action"] for f in said["findings"]] == [action]


def test_a_table_is_for_people(gateway):
    done = gateway.command("guard", "test", input="ask PRJ-123456\n")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["type", "start", "end", "confidence", "action", "rule"]
    assert lines[1].split() == ["project_code", "4", "14", "1.00", "block", "project_code"]
    assert "mode     enforce" in lines and "blocked  yes" in lines and lines[-1].startswith("output   ")


@pytest.mark.parametrize("text,count", [("", 0), ("\n", 1), ("one\n", 1), ("one\ntwo", 2), ("one\n\ntwo\n", 3), ("one\n\n", 2)])
def test_each_line_is_a_text(gateway, text, count):
    lines = gateway.command("guard", "test", "--lines", input=text).stdout.splitlines()
    assert [json.loads(line)["output"] for line in lines] == text.removesuffix("\n").split("\n")[:count]


def test_the_last_line_feed_alone_is_no_part_of_the_text(gateway):
    assert try_out(gateway, "one\n\n")["output"] == "one\n"
    assert try_out(gateway, "")["output"] == ""


def test_text_is_the_string_that_a_model_reads(gateway):
    assert try_out(gateway, '{"a":"PRJ\\u002d123456"}')["findings"] == []
    body = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "see PRJ-123456"}]}], "metadata": {"a": ["PRJ-654321"]}}
    said = try_out(gateway, json.dumps(body).replace("PRJ-", "PRJ\\u002d"), "--request")
    assert [(f["path"], f["start"], f["end"]) for f in said["findings"]] == [("messages[0].content[0].text", 4, 14), ("metadata.a[0]", 0, 10)]
    assert said["blocked"] is True
    assert gateway.command("guard", "test", "--request", "--json", input="no JSON").returncode == 1


def test_a_request_comes_out_as_a_call_would_go_on(gateway):
    body = {"model": "m", "messages": [{"role": "user", "content": "is desert falcon the desert falcon"}, {"role": "user", "content": "desert falcon!"}]}
    said = try_out(gateway, json.dumps(body), "--request")
    assert [m["content"] for m in said["output"]["messages"]] == ["is [CODENAMES_1] the [CODENAMES_1]", "[CODENAMES_1]!"]
    assert said["output"]["model"] == "m" and said["blocked"] is False
    body["tools"] = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"enum": ["desert falcon"]}}}}}]
    assert try_out(gateway, json.dumps(body), "--request")["blocked"] is True  # nothing can stand in its place


def test_ten_thousand_lines_take_a_second(gateway):
    text = "".join(f"my project is PRJ-{i:06} and my mail is a{i}@ministry.gov.sa, ask me tomorrow\n" for i in range(10000))
    began = time.monotonic()
    done = gateway.command("guard", "test", "--lines", input=text)
    took = time.monotonic() - began
    assert len(done.stdout.splitlines()) == 10000
    assert SANITIZED or took < SLOWER, took


@pytest.mark.parametrize("mode", ["dry-run", "off"])
def test_where_nothing_is_done_it_is_told_all_the_same(tmp_path, mode):
    (tmp_path / "atlas.yaml").write_text(f"data: {tmp_path}\nguard:\n  mode: {mode}\n  patterns: [ {{ name: code, regex: 'P-[0-9]{{4}}', action: block }} ]\n")
    said = json.loads(run("guard", "test", "--json", "--config", tmp_path / "atlas.yaml", input="P-1234").stdout)
    assert [f["action"] for f in said["findings"]] == ["block"]
    assert said["blocked"] is False and said["output"] == "P-1234"


def test_without_a_guard_all_is_allowed(tmp_path):
    (tmp_path / "atlas.yaml").write_text(f"data: {tmp_path}\n")
    said = json.loads(run("guard", "test", "--json", "--config", tmp_path / "atlas.yaml", input="a@ministry.gov.sa").stdout)
    assert [(f["type"], f["action"]) for f in said["findings"]] == [("email", "allow")]


# ---- the API ----

def api(gateway, **members):
    return gateway.admin("POST", "/admin/v1/guard/test", json=members)


def test_the_api_says_the_same(gateway):
    text = "mail a@ministry.gov.sa on CASE-1234 for PRJ-123456"
    for team in None, "strict":
        for direction in "prompt", "reply":
            options = ("--direction", direction, *(("--team", team) if team else ()))
            assert api(gateway, text=text, direction=direction, **({"team": team} if team else {})).json() == try_out(gateway, text, *options)
    said = api(gateway, messages=[{"role": "user", "content": "see PRJ-123456"}]).json()
    assert [f["path"] for f in said["findings"]] == ["messages[0].content"] and said["blocked"] is True
    assert said["output"]["messages"][0]["role"] == "user"


@pytest.mark.parametrize("members,param", [
    ({}, "text"), ({"text": 1}, "text"), ({"text": "a", "messages": []}, "text"), ({"messages": "a"}, "messages"), ({"text": "a", "direction": "up"}, "direction"),
    ({"text": "a", "team": "nobody"}, "team"), ({"text": "a", "teams": "b"}, "teams")])
def test_what_the_api_does_not_take(gateway, members, param):
    got = api(gateway, **members)
    assert got.status_code == 400 and got.json()["error"]["param"] == param


def test_a_text_of_megabytes_is_taken_and_nothing_of_it_is_kept(gateway):
    secret = "canary-PRJ-424242-canary"
    said = api(gateway, text="word " * 700000 + secret).json()
    assert [f["type"] for f in said["findings"]] == ["project_code"]
    for path in gateway.data.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
