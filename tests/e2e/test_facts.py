# SPDX-License-Identifier: Apache-2.0
"""What rules know of a call beside its words: how much of it is code, its session, what its budgets have left."""
import hashlib
import json
import time

import pytest

from harness.processes import SLOWER
from harness.waiting import until

ENGLISH = "What is the capital of France, please?"
ARABIC = "ما هي عاصمة المملكة العربية السعودية؟ https://example.com/a?b=c&d=e"
C = "int add(int a, int b)\n{\n    return a + b;\n}\n"
TRACE = "Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\n    x = 1 / 0\nZeroDivisionError: division by zero"
RULES = """
routes:
  - name: nearly-spent
    condition: "budget_used_pct >= 80"
    model: cheap
  - name: coding
    condition: "code_share > 0.5"
    model: coder
  - name: kept
    condition: "session.startsWith('chat-')"
    model: keeper
  - name: opened
    condition: "session == '%s'"
    model: opener
  - name: rest
    model: general
"""
NOBODY = "0" * 16


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(RULES % NOBODY)
    return path


@pytest.fixture(scope="module")
def gateway(make_gateway, sim, rules):
    dear, cheap = ({"input": price, "output": price, "per": "1"} for price in ("0.001", "0.000001"))
    return make_gateway({
        "routing": str(rules),
        "upstreams": {"u": {"url": sim.base}},
        "models": {"cheap": {"upstream": "u", "price": cheap},
                   **{name: {"upstream": "u", "price": dear} for name in ("coder", "keeper", "opener", "general")}}})


def ask(gateway, content=ENGLISH, headers=None, key=None, **members):
    body = {"model": "auto", "messages": [{"role": "user", "content": content}], "max_tokens": 5, **members}
    got = gateway.post("/v1/chat/completions", body, headers=headers, key=key)
    assert got.status_code == 200, got.text
    return got.headers["x-route-policy"]


def explain(gateway, body, **more):
    said = gateway.command("route", "explain", "--json", input=json.dumps({"request": body, **more}))
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)["facts"]


# ---- code ----

@pytest.mark.parametrize("content,policy", [
    (C, "coding"), (TRACE, "coding"), (f"```python\n{ENGLISH}\n```", "coding"), (ENGLISH, "rest"), (ARABIC, "rest"),
    (f"{ENGLISH * 20}\n{C}", "rest"), ([{"type": "text", "text": C}], "coding"),
])
def test_code_goes_to_who_writes_it(gateway, content, policy):
    assert ask(gateway, content) == policy


def test_the_last_turn_is_looked_at(gateway):
    def chat(*turns):
        return ask(gateway, messages=[{"role": role, "content": text} for role, text in turns])

    assert chat(("user", C), ("assistant", C), ("user", ENGLISH)) == "rest"
    assert chat(("system", C), ("user", ENGLISH)) == "rest"
    assert chat(("user", C), ("assistant", "it adds"), ("user", "and now?")) == "coding"  # too short to say anything itself


# ---- sessions ----

@pytest.mark.parametrize("headers,members", [
    ({"X-OpenWebUI-Chat-Id": "chat-1"}, {}), ({"x-claude-code-session-id": "chat-1"}, {}), ({"session_id": "chat-1"}, {}),
    ({"X-Session-Id": "chat-1"}, {}), ({}, {"session_id": "chat-1"}), ({}, {"prompt_cache_key": "chat-1"}),
    ({}, {"metadata": {"session_id": "chat-1"}}), ({}, {"extra_body": {"session_id": "chat-1"}}), ({}, {"conversation": {"id": "chat-1"}}),
    ({"X-OpenWebUI-Chat-Id": "chat-1", "X-Session-Id": "other"}, {"session_id": "other"}),
])
def test_a_client_names_its_session(gateway, headers, members):
    assert ask(gateway, headers=headers, **members) == "kept"


@pytest.mark.parametrize("headers,members", [
    ({}, {"user": "chat-1"}), ({}, {"safety_identifier": "chat-1"}), ({"X-Request-Id": "chat-1"}, {}),
    ({"X-Session-Id": "chat-" + "x" * 124}, {}), ({"X-Session-Id": "chat- 1"}, {}), ({}, {"session_id": ["chat-1"]}),
])
def test_what_names_no_session_is_passed_over(gateway, headers, members):
    assert ask(gateway, headers=headers, **members) == "rest"


def turns(*texts, system="Be short."):
    roles = ("user", "assistant")
    return [{"role": "system", "content": system}] + [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]


def session_of(gateway, messages, **members):
    return explain(gateway, {"model": "auto", "messages": messages, **members})["session"]


def test_a_session_is_the_same_in_all_turns_and_another_of_another_chat(gateway):
    first = session_of(gateway, turns("How tall is Everest?"))
    assert len(first) == 16 and set(first) <= set("0123456789abcdef")
    assert session_of(gateway, turns("How tall is Everest?", "8,849 m", "And K2?")) == first
    assert session_of(gateway, turns("How tall is Everest?", "8,849 m", "And K2?", "8,611 m", "And that?"), temperature=0) == first
    assert session_of(gateway, turns("How tall is K2?")) != first
    assert session_of(gateway, turns("How tall is Everest?", system="Be long.")) != first
    assert explain(gateway, {"model": "auto", "input": "How tall is Everest?"})["session"] == ""


def test_a_session_of_one_key_is_none_of_another(gateway, rules):
    """What is said of its digest holds: of key, opening and model."""
    chat = turns("How tall is Everest?", "8,849 m", "And K2?")
    mine, other = gateway.new_key("mine"), gateway.new_key("other")
    opening = hashlib.sha256(mine["id"].removeprefix("key_").encode() + b"\0" + b"Be short.\0How tall is Everest?").digest()
    rules.write_text(RULES % hashlib.sha256(opening + b"auto").hexdigest()[:16])
    until(lambda: ask(gateway, key=mine["key"], messages=chat) == "opened", 10 * SLOWER, "the new rules")
    assert ask(gateway, key=mine["key"], messages=chat[:2], temperature=0) == "opened"
    assert ask(gateway, key=other["key"], messages=chat) == "rest"
    assert ask(gateway, key=mine["key"], messages=turns("How tall is K2?")) == "rest"


# ---- budgets ----

def test_a_team_that_has_nearly_spent_its_budget_gets_the_cheap_model(gateway):
    gateway.announce("budget_threshold")
    team = gateway.admin("POST", "/admin/v1/teams", json={"name": "spender"}).json()
    key = gateway.new_key("spender", team=team["id"])["key"]
    assert ask(gateway, key=key) == "rest"
    made = gateway.admin("POST", "/admin/v1/budgets", json={"team": team["id"], "amount": "1000", "window": "total"})
    assert made.status_code == 201, made.text
    assert ask(gateway, key=key) == "rest"
    spent = float(gateway.admin("GET", f"/admin/v1/budgets/{made.json()['id']}").json()["spent"])
    assert spent > 0
    changed = gateway.admin("PATCH", f"/admin/v1/budgets/{made.json()['id']}", json={"amount": f"{spent * 1.2:.4f}"})
    assert changed.status_code == 200, changed.text
    assert ask(gateway, key=key) == "nearly-spent"
    assert ask(gateway) == "rest"
    until(lambda: gateway.count_log("budget_threshold") == 2, 10 * SLOWER, "half and four fifths to be told")


def test_what_is_explained_of_other_times_leaves_budgets_as_they_are(gateway):
    team = gateway.admin("POST", "/admin/v1/teams", json={"name": "looked at"}).json()
    key = gateway.new_key("looked at", team=team["id"])
    budget = gateway.admin("POST", "/admin/v1/budgets", json={"team": team["id"], "amount": "1000", "window": "month"}).json()["id"]
    assert ask(gateway, key=key["key"]) == "rest"
    until(lambda: float(gateway.admin("GET", f"/admin/v1/budgets/{budget}").json()["spent"]) > 0, 10 * SLOWER, "the call to be settled")
    before = gateway.admin("GET", f"/admin/v1/budgets/{budget}").json()["spent"]
    for months in range(1, 7):
        body = {"request": {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}, "key": key["id"], "at": int(time.time()) + months * 31 * 86400}
        assert gateway.admin("POST", "/admin/v1/routes/explain", json=body).status_code == 200
    assert gateway.admin("GET", f"/admin/v1/budgets/{budget}").json()["spent"] == before


def test_an_explanation_tells_all_facts(gateway):
    told = explain(gateway, {"model": "auto", "messages": [{"role": "user", "content": C}]}, headers={"X-Session-Id": "chat-9"})
    assert told["code_share"] == 1 and told["session"] == "chat-9" and told["budget_used_pct"] == 0
    assert "pii" not in told


# ---- tokens ----

def test_tokens_are_of_the_dearest_models_family_or_of_the_named_ones(make_gateway, sim):
    def model(known_as, price):
        return {"upstream": "u", "catalogue": known_as, "price": {"input": price, "output": price, "per": "1"}}

    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}},
                            "models": {"small": model("Qwen3-8B", "0.000001"), "large": model("Llama-3.1-8B", "0.001"), "unknown": {"upstream": "u", "catalogue": "none"}}})

    def told(name, content):
        facts = explain(gateway, {"model": name, "messages": [{"role": "user", "content": content}]})
        return facts["prompt_tokens_by"], facts["prompt_tokens"]

    text = "السلام عليكم ورحمة الله " * 20
    assert [told(name, text)[0] for name in ("auto", "large", "small", "unknown")] == ["llama3", "llama3", "qwen2", "mean"]
    assert told("auto", text) == told("large", text)
    assert 100 < told("auto", text)[1] < len(text) / 1.5  # the high estimate is about a token a letter
    assert told("small", "hello\nyou") == told("small", "hello\u000ayou")
    asked = explain(gateway, {"model": "small", "prompt": [1, 2, 3]}, endpoint="completions")
    assert (asked["prompt_tokens"], asked["prompt_tokens_by"]) == (3, "counted")
