# SPDX-License-Identifier: Apache-2.0
"""What a call may cost is estimated once: reserved before it, and settled at where nobody counted."""
import json

import pytest

from harness.processes import SLOWER
from harness.raw import Raw
from harness.waiting import until

CHAT = "/v1/chat/completions"
ARABIC = "ما هي أهداف وزارة الطاقة في مجال تحلية المياه، ومتى تُبنى المحطات الجديدة على الساحل الشرقي؟"


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    models = {"one": {"upstream": "u"}, "large": {"upstream": "u", "context": 4096}, "short": {"upstream": "u", "context": 4096, "max_output": 20}}
    return make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": models})


def records(gateway, key):
    """The intent and the completion of the key's one call."""
    def there():
        lines = gateway.command("journal", "print", "--key", key["id"]).stdout.splitlines()
        found = {r["kind"]: r for r in map(json.loads, lines)}
        return found if "completion" in found else None
    found = until(there, 10 * SLOWER, "a completion in the journal")
    return found["intent"], found["completion"]


def ask(gateway, name, body, path=CHAT):
    """Sends `body`, bytes or JSON; returns the call's two records."""
    key = gateway.new_key(name)
    with Raw(gateway.port, key["key"]) as raw:
        raw.request("POST", path, body)
        assert raw.read_reply().status == 200
    return records(gateway, key)


def user(content, **more):
    return {"model": "one", "messages": [{"role": "user", "content": content}], "sim": {"usage": 0}, **more}


def test_a_cut_stream_with_a_picture_of_four_megabytes_costs_a_picture(gateway):
    gateway.announce("call_failed")
    key = gateway.new_key("picture")
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * (4 << 20)}}
    with Raw(gateway.port, key["key"]) as raw:
        raw.request("POST", CHAT, {**user([{"type": "text", "text": "What is it?"}, picture], stream=True),
                                   "sim": {"fault": "close", "at": 2000, "usage": 0}})
        assert raw.read_reply().status == 200
    intent, end = records(gateway, key)
    assert end["tokens_in_estimated"] is True
    assert 1445 < end["tokens_in"] < 1500
    assert intent["tokens_in"] == end["tokens_in"]


def test_arabic_costs_the_same_raw_and_escaped(gateway):
    found = [ask(gateway, f"arabic {ascii_only}", json.dumps(user(ARABIC), ensure_ascii=ascii_only).encode())
             for ascii_only in (False, True)]
    assert found[0][1]["tokens_in"] == found[1][1]["tokens_in"]
    assert len(ARABIC) // 2 < found[0][1]["tokens_in"] < len(ARABIC) + 10
    assert found[0][0]["bytes_in"] < found[1][0]["bytes_in"]


@pytest.mark.parametrize("body", [
    user("Tell me a story. " * 50, max_tokens=30),
    user(ARABIC * 20, max_tokens=30),
    user("call it", max_tokens=30, tools=[{"type": "function", "function": {
        "name": "look_up", "description": "Looks an order up.",
        "parameters": {"type": "object", "properties": {"order": {"type": "string"}}}}}]),
], ids=["English", "Arabic", "tools"])
def test_what_is_reserved_is_what_an_uncounted_call_is_settled_at(gateway, body):
    intent, end = ask(gateway, "reserved", body)
    assert end["tokens_in_estimated"] is True
    assert intent["tokens_in"] == end["tokens_in"] > 0
    assert intent["tokens_reserved"] == intent["tokens_in"] + 30


@pytest.mark.parametrize(("model", "more", "held"), [
    ("one", {}, 0), ("large", {}, 4096), ("large", {"n": 2}, 8192), ("large", {"max_tokens": 30}, 30),
    ("large", {"max_tokens": 100_000}, 4096), ("short", {}, 20), ("short", {"n": 2}, 40), ("short", {"max_tokens": 30}, 30)])
def test_who_says_no_bound_is_held_at_the_model_s(gateway, model, more, held):
    name = f"held {model} {'-'.join(map(str, more.values()))}"
    intent, end = ask(gateway, name, {**user("hi", **more), "model": model, "sim": {"usage": 0, "tokens": 100}})
    assert intent["tokens_reserved"] == intent["tokens_in"] + held
    assert end["tokens_reserved"] == intent["tokens_reserved"]


def test_token_numbers_are_counted_and_not_estimated(gateway):
    intent, end = ask(gateway, "numbers", {"model": "one", "prompt": [1, 2, 3, 4, 5], "sim": {"usage": 0}}, "/v1/completions")
    assert (intent["tokens_in"], end["tokens_in"], end["tokens_in_estimated"]) == (5, 5, False)
