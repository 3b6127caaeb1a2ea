# SPDX-License-Identifier: Apache-2.0
"""Prompts are guarded: every text that a model would read, whatever member holds it and however it is written down; and what each action does."""
import hashlib
import json
import re

import pytest

from harness.guarded import (CARD, EGYPT, EMAIL, EMAIL_2, IBAN, IQAMA, JWT_LIKE_KEY, PATH, PEM, PHONE, SAUDI, SAUDI_2, SAUDI_EASTERN, SECRET, VALUES, guard,
                             is_blocked, key_of, keys_of, seen)
from harness.upstream import reply

MODEL = "m"


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    """Allows everything; each test's team is stricter."""
    kinds = ["vllm", "sglang", "llama.cpp", "ollama", "tgi", "openai"]
    return make_gateway({
        "zone": "home", "region": "sa", "regions": ["sa", "de"],
        "upstreams": {"u": {"url": upstream.url, "region": "sa", "zone": "home", "clearance": "secret"}, "abroad": {"url": upstream.url, "region": "de"},
                      **{kind: {"url": upstream.url, "kind": kind, "region": "sa", "zone": "home"} for kind in kinds}},
        "models": {MODEL: {"upstream": "u"}, "far": {"upstream": "abroad"}, **{kind: {"upstream": kind} for kind in kinds}},
        "guard": guard()})


@pytest.fixture(scope="module")
def keys(gateway):
    return keys_of(gateway)


REDACT = {"default": "redact"}


def user(text):
    return [{"role": "user", "content": text}]


def ask(gateway, key, path=PATH, model=MODEL, **members):
    body = {"model": model, **({"messages": user("hi")} if path == PATH and "messages" not in members else {}), **members}
    return gateway.post(path, body, key=key)


# ---- where a value may stand ----

TOOL = {"type": "function", "function": {"name": "find", "description": "Finds it.", "parameters": {"type": "object", "properties": {}}}}
NESTED = json.dumps({"who": json.dumps({"deep": f"{EMAIL}"})})


def with_call(arguments, **more):
    return [*user("hi"), {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "find", "arguments": arguments}}], **more},
            {"role": "tool", "tool_call_id": "a", "content": "found"}]


CHANNELS = {
    "a user's text": {"messages": user(f"to {EMAIL} now")},
    "the system's": {"messages": [{"role": "system", "content": f"answer as {EMAIL}"}, *user("hi")]},
    "a developer's": {"messages": [{"role": "developer", "content": f"answer as {EMAIL}"}, *user("hi")]},
    "an assistant's": {"messages": [*user("hi"), {"role": "assistant", "content": f"it is {EMAIL}"}, *user("ok")]},
    "a role that nobody knows": {"messages": [{"role": "ghost", "content": f"it is {EMAIL}"}, *user("hi")]},
    "a part": {"messages": user([{"type": "text", "text": "before"}, {"type": "text", "text": f"to {EMAIL} now"}])},
    "a part that nobody knows": {"messages": user([{"type": "note", "note": {"body": f"to {EMAIL} now"}}, {"type": "text", "text": "x"}])},
    "a refusal": {"messages": [*user("hi"), {"role": "assistant", "content": None, "refusal": f"not for {EMAIL}"}, *user("ok")]},
    "a reasoning": {"messages": [*user("hi"), {"role": "assistant", "content": "ok", "reasoning_content": f"it is {EMAIL}"}, *user("ok")]},
    "a tool's answer": {"messages": [*with_call("{}")[:2], {"role": "tool", "tool_call_id": "a", "content": f"found {EMAIL}"}]},
    "arguments of a call": {"messages": with_call(json.dumps({"to": EMAIL}))},
    "arguments within arguments": {"messages": with_call(NESTED)},
    "a description": {"tools": [{"type": "function", "function": {**TOOL["function"], "description": f"Writes to {EMAIL}."}}]},
    "a parameter's description": {"tools": [{"type": "function", "function": {**TOOL["function"], "parameters": {
        "type": "object", "properties": {"to": {"type": "string", "description": f"such as {EMAIL}"}}}}}]},
    "a schema's description": {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {
        "type": "object", "description": f"of {EMAIL}", "properties": {}}}}},
    "a member that nobody knows": {"banana": {"peel": [f"to {EMAIL} now"]}},
    "documents": {"documents": [{"title": "letter", "text": f"to {EMAIL} now"}]},
    "a template's words": {"chat_template_kwargs": {"greeting": f"to {EMAIL} now"}},
    "extra_body": {"extra_body": {"hint": f"to {EMAIL} now"}},
    "metadata": {"metadata": {"who": EMAIL}},
    "the user": {"user": EMAIL},
    "a prediction": {"prediction": {"type": "content", "content": f"to {EMAIL} now"}},
}


@pytest.mark.parametrize("where", CHANNELS)
@pytest.mark.parametrize("stream", [False, True])
def test_no_channel_lets_a_value_through(gateway, keys, upstream, where, stream):
    got = ask(gateway, keys(prompts={"email": "redact"}), stream=stream, **CHANNELS[where])
    assert got.status_code == 200, got.text
    assert EMAIL not in seen(upstream)
    json.loads(upstream.last.body)


@pytest.mark.parametrize("where", CHANNELS)
def test_every_channel_can_block(gateway, keys, upstream, where):
    is_blocked(ask(gateway, keys(prompts={"email": "block"}), **CHANNELS[where]), "pii_detected", "email")
    assert upstream.requests == []


@pytest.mark.parametrize("kind", ["vllm", "sglang", "llama.cpp", "ollama", "tgi", "openai"])
def test_no_kind_of_server_is_sent_a_value(gateway, keys, upstream, kind):
    for where, members in CHANNELS.items():
        got = ask(gateway, keys(prompts={"email": "redact"}), model=kind, **members)
        assert got.status_code == 200, (where, got.text)
        assert EMAIL not in seen(upstream), where


@pytest.mark.parametrize("path,members", [
    ("/v1/completions", {"prompt": f"to {EMAIL} now"}), ("/v1/completions", {"prompt": [f"to {EMAIL} now", f"and {EMAIL_2}"]}),
    ("/v1/completions", {"prompt": "x", "suffix": f"to {EMAIL} now"}), ("/v1/embeddings", {"input": f"to {EMAIL} now"}),
    ("/v1/embeddings", {"input": ["a", f"to {EMAIL} now"]})])
def test_other_endpoints_are_guarded_alike(gateway, keys, upstream, path, members):
    got = ask(gateway, keys(prompts={"email": "redact"}), path=path, **members)
    assert got.status_code == 200, got.text
    assert EMAIL not in seen(upstream) and EMAIL_2 not in seen(upstream)
    assert "[EMAIL_1]" in seen(upstream)
    is_blocked(ask(gateway, keys(prompts={"email": "block"}), path=path, **members), "pii_detected", "email")


def escapes(text):
    """The text in JSON with every character escaped."""
    return "".join(f"\\u{unit:04x}" for unit in memoryview(text.encode("utf-16-le")).cast("H"))


@pytest.mark.parametrize("write", [escapes, lambda t: t.replace("@", "\\u0040"), lambda t: "".join(f"\\u{ord(c):04X}" if i % 2 else c for i, c in enumerate(t))])
def test_what_is_escaped_is_read_as_a_model_reads_it(gateway, keys, upstream, write):
    body = '{"model": "%s", "messages": [{"role": "user", "content": "to %s now"}]}' % (MODEL, write(EMAIL))
    got = gateway.request("POST", PATH, key=keys(prompts={"email": "redact"}), content=body.encode(), headers={"Content-Type": "application/json"})
    assert got.status_code == 200
    assert upstream.last.json["messages"][0]["content"] == "to [EMAIL_1] now"


def test_arguments_stay_json_at_every_depth(gateway, keys, upstream):
    deep = json.dumps({"note": json.dumps({"mail": EMAIL, "text": "a \"quoted\" \\ line\n"})})
    assert ask(gateway, keys(prompts={"email": "redact"}), messages=with_call(deep)).status_code == 200
    [call] = upstream.last.json["messages"][1]["tool_calls"]
    inner = json.loads(json.loads(call["function"]["arguments"])["note"])
    assert inner == {"mail": "[EMAIL_1]", "text": "a \"quoted\" \\ line\n"}


@pytest.mark.parametrize("kind", VALUES)
def test_every_type_is_found_in_a_prompt(gateway, keys, upstream, kind):
    value, text = VALUES[kind]
    assert ask(gateway, keys(prompts={kind: "redact"}), messages=user(text.format(value))).status_code == 200
    assert upstream.last.json["messages"][0]["content"] == text.format(f"[{kind.upper()}_1]")
    is_blocked(ask(gateway, keys(prompts={kind: "block"}), messages=user(text.format(value))),
               "secret_detected" if kind in ("secret", "url_credentials") else "pii_detected", kind)


def test_a_private_key_is_found(gateway, keys, upstream):
    is_blocked(ask(gateway, keys(prompts={"private_key": "block"}), messages=user(f"is this right?\n{PEM}\nor not")), "secret_detected", "private_key")
    assert ask(gateway, keys(prompts={"private_key": "redact"}), messages=user(f"is this right?\n{PEM}\nor not")).status_code == 200
    assert upstream.last.json["messages"][0]["content"] == "is this right?\n[PRIVATE_KEY_1]\nor not"


# ---- how it may be written ----

@pytest.mark.parametrize("value", [SAUDI, SAUDI_EASTERN, "۱۰۱۲۳۴۵۶۷۲", "１０１２３４５６７２", "10123\u200b45672", "1\u202a01234567\u202c2", "10\u00ad12345672", "101ـ2345672",
                                   "\u200e" + SAUDI[:5] + "\u2066" + SAUDI[5:]])
def test_digits_of_all_scripts_and_what_has_no_width_do_not_hide_it(gateway, keys, upstream, value):
    assert ask(gateway, keys(prompts={"saudi_id": "redact"}), messages=user(f"رقم الهوية {value} لو سمحت")).status_code == 200
    got = upstream.last.json["messages"][0]["content"]
    assert re.fullmatch("رقم الهوية \u200e?\\[SAUDI_ID_1\\] لو سمحت", got), got


# ---- what is done ----

def test_placeholders_are_numbered_by_value_in_order_of_arrival_through_the_whole_call(gateway, keys, upstream):
    messages = [{"role": "system", "content": f"cc {EMAIL_2}"}, {"role": "user", "content": f"{EMAIL}, {SAUDI} and {EMAIL_2}"},
                {"role": "assistant", "content": f"{SAUDI_EASTERN} is the same as {SAUDI}"},
                {"role": "user", "content": [{"type": "text", "text": f"{SAUDI_2} is not; {EMAIL.upper()}?"}]}]
    key = keys(prompts={"email": "redact", "saudi_id": "redact"})
    assert ask(gateway, key, messages=messages).status_code == 200
    got = [m["content"] for m in upstream.last.json["messages"]]
    assert got[:3] == ["cc [EMAIL_1]", "[EMAIL_2], [SAUDI_ID_1] and [EMAIL_1]", "[SAUDI_ID_1] is the same as [SAUDI_ID_1]"]
    assert got[3][0]["text"].startswith("[SAUDI_ID_2] is not; [EMAIL_")
    assert ask(gateway, key, messages=user(f"only {SAUDI_2}")).status_code == 200
    assert upstream.last.json["messages"][0]["content"] == "only [SAUDI_ID_1]"  # a call has a numbering of its own


def test_mask_leaves_the_last_four_letters_or_digits_and_nothing_of_what_is_short(gateway, keys, upstream):
    key = keys(prompts={"phone": "mask", "saudi_id": "mask", "iban": "mask"})
    assert ask(gateway, key, messages=user(f"call {PHONE} of ID number {SAUDI}")).status_code == 200
    text = upstream.last.json["messages"][0]["content"]
    assert PHONE not in text and SAUDI not in text and "4567" in text and "5672" in text
    assert PHONE[:8] not in text and SAUDI[:6] not in text
    assert ask(gateway, keys(patterns=[{"name": "short_code", "regex": "Q[0-9]{4}", "action": "mask"}]), messages=user("it is Q1234.")).status_code == 200
    assert "1234" not in upstream.last.json["messages"][0]["content"] and "Q" not in upstream.last.json["messages"][0]["content"]


def test_hash_is_the_same_for_a_team_in_every_call_and_another_for_another_team(gateway, upstream):
    first, second = (key_of(gateway, prompts={"iban": "hash"}) for _ in range(2))
    texts = []
    for key, value in ((first, IBAN), (first, " ".join(re.findall(".{1,4}", IBAN))), (second, IBAN)):
        assert ask(gateway, key, messages=user(f"transfer it to IBAN {value} please")).status_code == 200
        texts.append(upstream.last.json["messages"][0]["content"])
    found = [re.search("[0-9a-f]{16}", text) for text in texts]
    assert all(found) and all(IBAN[-8:] not in text for text in texts)
    assert found[0][0] == found[1][0] != found[2][0]
    assert found[0][0] != hashlib.sha256(IBAN.encode()).hexdigest()[:16]


def test_flag_changes_nothing_and_is_told(gateway, keys, upstream):
    text = f"write to {EMAIL} today"
    got = ask(gateway, keys(prompts={"email": "flag"}), messages=user(text))
    assert got.status_code == 200 and upstream.last.json["messages"][0]["content"] == text


def test_allow_is_allowed(gateway, keys, upstream):
    text = " ".join(around.format(value) for value, around in VALUES.values())
    assert ask(gateway, keys(), messages=user(text)).status_code == 200
    assert upstream.last.json["messages"][0]["content"] == text


def test_a_blocked_prompt_says_what_kind_and_which_types_and_never_the_value(gateway, keys, upstream):
    key = keys(prompts={"credit_card": "block", "saudi_id": "block", "email": "redact"})
    got = ask(gateway, key, messages=user(f"card number {CARD} of ID number {SAUDI}, {EMAIL}"))
    error = is_blocked(got, "pii_detected")
    assert {"credit_card", "saudi_id"} <= set(error["details"]["entities"])
    assert not any(value in got.text for value in (CARD, SAUDI, EMAIL))
    assert upstream.requests == []


def test_of_several_kinds_the_gravest_is_told(gateway, keys):
    own = {"patterns": [{"name": "project_code", "regex": "PRJ-[0-9]{6}", "action": "block"}],
           "wordlists": [{"name": "codenames", "words": ["desert falcon"], "action": "block"}]}
    key = keys(prompts={"secret": "block", "email": "block"}, **own)
    for text, kind in ((f"{EMAIL} has {SECRET}", "secret_detected"), (f"{EMAIL} of PRJ-123456", "pii_detected"), ("PRJ-123456 is Desert Falcon", "pattern_matched"),
                       ("about the DESERT FALCON", "word_listed")):
        is_blocked(ask(gateway, key, messages=user(text)), kind)


def test_own_patterns_lists_and_dictionaries_have_placeholders_in_capitals(gateway, keys, upstream):
    key = keys(patterns=[{"name": "project_code", "regex": "PRJ-[0-9]{6}", "action": "redact"}], wordlists=[{"name": "codenames", "words": ["desert falcon", "صقر الصحراء"], "action": "redact"}],
               dictionary=[{"name": "clients", "words": ["Nejd Trading"], "action": "redact"}])
    assert ask(gateway, key, messages=user("PRJ-123456 by Nejd Trading is Desert Falcon, or صقر الصحراء; not nejd trading, PRJ-12345 or desert falconry")).status_code == 200
    assert upstream.last.json["messages"][0]["content"] == (
        "[PROJECT_CODE_1] by [CLIENTS_1] is [CODENAMES_1], or [CODENAMES_2]; not nejd trading, PRJ-12345 or desert falconry")


def test_local_only_stays_at_home(gateway, keys, upstream):
    key = keys(prompts={"iqama": "local_only"})
    text = user(f"my iqama number is {IQAMA}")
    assert ask(gateway, key, messages=text).status_code == 200
    assert upstream.last.json["messages"] == text
    got = ask(gateway, key, model="far", messages=text)
    assert (got.status_code, got.json()["error"]["code"]) == (451, "residency_blocked")
    assert IQAMA not in got.text
    assert ask(gateway, key, model="far").status_code == 200  # without a value it may go
    for _ in range(5):
        assert ask(gateway, key, model="auto", messages=text).json()["model"] != "far"


def test_a_value_raises_the_class_which_routing_honours(gateway, keys, upstream):
    key = keys(classes={"egypt_id": "secret"}, prompts={"egypt_id": "flag"})
    text = user(f"national ID number {EGYPT}")
    assert ask(gateway, key, messages=text).status_code == 200
    got = ask(gateway, key, model="far", messages=text)
    assert (got.status_code, got.json()["error"]["code"]) == (451, "classification_blocked")


def test_a_dry_run_changes_nothing(make_gateway, upstream):
    gateway = make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {MODEL: {"upstream": "u"}},
                            "guard": guard("dry-run", prompts={"email": "redact", "saudi_id": "block", "iqama": "local_only"}, replies={"email": "block"})})
    text = f"to {EMAIL} about ID number {SAUDI} and iqama {IQAMA}"
    upstream.script(reply(200, {"id": "x", "object": "chat.completion", "created": 1, "model": "m",
                                "choices": [{"index": 0, "message": {"role": "assistant", "content": f"ask {EMAIL}"}, "finish_reason": "stop"}]}))
    got = gateway.chat(MODEL, content=text)
    assert got.status_code == 200 and got.json()["choices"][0]["message"]["content"] == f"ask {EMAIL}"
    assert upstream.last.json["messages"][0]["content"] == text


def test_off_looks_for_nothing(make_gateway, upstream):
    gateway = make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {MODEL: {"upstream": "u"}}, "guard": guard("off", prompts={"email": "block"})})
    assert gateway.chat(MODEL, content=f"to {EMAIL}").status_code == 200
    assert EMAIL in seen(upstream)


# ---- where a placeholder would break the call ----

BREAKS = {
    "a tool's name": {"tools": [{"type": "function", "function": {**TOOL["function"], "name": f"f_{JWT_LIKE_KEY}"}}]},
    "an enum": {"tools": [{"type": "function", "function": {**TOOL["function"], "parameters": {"type": "object", "properties": {"to": {"enum": ["x", EMAIL]}}}}}]},
    "a const": {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"to": {"const": EMAIL}}}}}},
    "a pattern": {"tools": [{"type": "function", "function": {**TOOL["function"], "parameters": {"type": "object", "properties": {"to": {"type": "string", "pattern": f"^{EMAIL}$"}}}}}]},
    "a grammar": {"guided_grammar": f'root ::= "{EMAIL}"'},
    "a guided choice": {"guided_choice": ["x", EMAIL]},
    "a number": {"messages": with_call(json.dumps({"id": int(SAUDI), "what": "national id"}))},
}


@pytest.mark.parametrize("where", BREAKS)
def test_redact_blocks_where_a_placeholder_would_break_the_call(gateway, keys, upstream, where):
    is_blocked(ask(gateway, keys(prompts={"email": "redact", "saudi_id": "redact", "secret": "redact"}), **BREAKS[where]), "secret_detected" if "name" in where else "pii_detected")
    assert upstream.requests == []


def test_keys_of_arguments_are_texts_too(gateway, keys, upstream):
    got = ask(gateway, keys(prompts={"email": "redact"}), messages=with_call(json.dumps({EMAIL: 1})))
    assert got.status_code in (200, 400)
    assert got.status_code == 400 or EMAIL not in seen(upstream)


# ---- what a caller wrote like a placeholder ----

def test_a_placeholder_of_the_callers_own_comes_back_as_he_wrote_it(gateway, upstream):
    key = key_of(gateway, prompts={"email": "redact"}, restore=True)

    def echo(connection, request):
        text = request.json["messages"][-1]["content"]
        return reply(200, {"id": "x", "object": "chat.completion", "created": 1, "model": "m",
                           "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]})(connection, request)
    for text in (f"[EMAIL_1] is what I call {EMAIL}", "[EMAIL_1]", f"{EMAIL} [EMAIL_1] [EMAIL_2] [EMAIL_01] [email_1]", f"[[EMAIL_1]] {EMAIL}"):
        upstream.script(echo)
        got = ask(gateway, key, messages=user(text))
        assert got.json()["choices"][0]["message"]["content"] == text
        assert EMAIL not in seen(upstream)


# ---- teams ----

def test_a_team_may_be_stricter_and_never_milder(make_gateway, upstream):
    gateway = make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {MODEL: {"upstream": "u"}}, "guard": guard(prompts={"email": "redact"})})
    made = gateway.admin("POST", "/admin/v1/teams", json={"name": "t"}).json()
    for milder in ({"prompts": {"email": "flag"}}, {"mode": "off"}, {"mode": "dry-run"}, {"prompts": {"email": "allow"}}):
        got = gateway.admin("PATCH", f"/admin/v1/teams/{made['id']}", json={"guard": milder})
        assert got.status_code == 403, (milder, got.text)
    assert gateway.admin("PATCH", f"/admin/v1/teams/{made['id']}", json={"guard": {"prompts": {"email": "block"}}}).status_code == 200
    key = gateway.new_key("k", team="t")["key"]
    is_blocked(ask(gateway, key, messages=user(f"to {EMAIL}")), "pii_detected", "email")
    assert ask(gateway, None, messages=user(f"to {EMAIL}")).status_code == 200 and EMAIL not in seen(upstream)


def test_a_reload_takes_a_new_policy_and_drops_no_call(make_gateway, upstream):
    config = {"upstreams": {"u": {"url": upstream.url}}, "models": {MODEL: {"upstream": "u"}}}
    gateway = make_gateway({**config, "guard": guard(prompts={"email": "redact"})})
    assert gateway.chat(MODEL, content=EMAIL).status_code == 200
    gateway.reload({**config, "guard": guard(prompts={"email": "block"})})
    is_blocked(gateway.chat(MODEL, content=EMAIL), "pii_detected", "email")
    gateway.reload({**config, "guard": guard()})
    assert gateway.chat(MODEL, content=EMAIL).status_code == 200 and EMAIL in seen(upstream)


# ---- large and hostile ----

def test_a_value_in_a_megabyte_is_found_at_either_end(gateway, keys, upstream):
    filler = "النص طويل وليس فيه شيء. " * 30000
    for text in (f"{EMAIL} {filler}", f"{filler} {EMAIL}", f"{filler} {EMAIL} {filler}"):
        got = ask(gateway, keys(prompts={"email": "redact"}), messages=user(text))
        assert got.status_code == 200 and EMAIL not in seen(upstream)
        assert "[EMAIL_1]" in seen(upstream)


def test_three_thousand_values_in_one_prompt(gateway, keys, upstream):
    text = " ".join(f"user{i}@stc.com.sa" for i in range(3000))
    got = ask(gateway, keys(prompts={"email": "redact"}), messages=user(text))
    assert got.status_code in (200, 400, 413), got.text  # whatever the limit: never a value
    assert got.status_code != 200 or "@" not in seen(upstream)


@pytest.mark.parametrize("text", ["[" * 5000, "1" * 100000, "@" * 100000, "a@" * 50000, "-----BEGIN " * 1000, "٠" * 50000, "\u200b" * 50000 + SAUDI, "1 " * 50000, "00966" * 5000, "a." * 50000 + "@x"],
                         ids=lambda text: f"{len(text)} characters from {text[:6]!a}")
def test_what_looks_like_much_and_is_little_takes_no_long_time(gateway, keys, upstream, text):
    got = ask(gateway, keys(prompts=REDACT), messages=user(text))
    assert got.status_code in (200, 400) and got.elapsed.total_seconds() < 5
