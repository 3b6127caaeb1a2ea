# SPDX-License-Identifier: Apache-2.0
"""The policy in force, seen and changed from the operator's side: explained as a key, read again, remembered, and tried on what was recorded."""
import json

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
