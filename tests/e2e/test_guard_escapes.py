# SPDX-License-Identifier: Apache-2.0
"""Arguments and results of tools are JSON in a string: their own escapes hide nothing from the guard."""
import json

import pytest

from harness.guarded import EMAIL, PATH, SAUDI, SAUDI_EASTERN, Heard, guard, is_blocked, said, seen
from harness.upstream import chunk, reply, stream as stream_of

GUARD = guard(prompts={"saudi_id": "redact", "email": "redact", "credit_card": "block"}, replies={"saudi_id": "mask", "email": "redact"}, restore=True)
HIDDEN = {
    "digits of Arabic": (json.dumps({"id": SAUDI_EASTERN}), SAUDI_EASTERN), "an at sign": (json.dumps({"to": EMAIL}).replace("@", "\\u0040"), EMAIL),
    "every second letter": ('{"to":"' + "".join(f"\\u{ord(c):04x}" if i % 2 else c for i, c in enumerate(EMAIL)) + '"}', EMAIL),
    "behind a line feed": (json.dumps({"text": f"ids:\n{SAUDI}\nend"}), SAUDI),
}


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    return make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}}, "guard": GUARD})


def with_call(arguments, answer="found"):
    return [{"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "find", "arguments": arguments}}]},
            {"role": "tool", "tool_call_id": "a", "content": answer}]


def ask(gateway, messages, **more):
    return gateway.post(PATH, {"model": "m", "messages": messages, **more})


@pytest.mark.parametrize("how", HIDDEN)
@pytest.mark.parametrize("where", ["arguments", "answer"])
def test_a_prompt_s_tools_hide_nothing(gateway, upstream, how, where):
    text, value = HIDDEN[how]
    got = ask(gateway, with_call(text) if where == "arguments" else with_call("{}", text))
    assert got.status_code == 200, got.text
    sent = upstream.last.json["messages"]
    written = sent[1]["tool_calls"][0]["function"]["arguments"] if where == "arguments" else sent[2]["content"]
    assert json.dumps(json.loads(written), ensure_ascii=False).find(value) == -1 and "_1]" in written and value not in seen(upstream)


def test_a_value_is_one_however_it_was_written_and_comes_back_readable(gateway, upstream):
    messages = with_call(json.dumps({"id": SAUDI_EASTERN}), json.dumps({"id": SAUDI}))
    upstream.script(reply(200, said({"content": "it is [SAUDI_ID_1]"})))
    ask(gateway, messages)
    assert json.loads(upstream.last.json["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {"id": "[SAUDI_ID_1]"}
    assert json.loads(upstream.last.json["messages"][2]["content"]) == {"id": "[SAUDI_ID_1]"}


def test_a_card_in_escapes_is_blocked(gateway):
    is_blocked(ask(gateway, with_call('{"card":"' + "".join(f"\\u{ord(c):04x}" for c in "4539578763621486") + '"}')), "pii_detected", "credit_card")


@pytest.mark.parametrize("how", HIDDEN)
@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_s_arguments_hide_nothing(gateway, upstream, how, stream):
    text, value = HIDDEN[how]
    call = {"id": "a", "type": "function", "function": {"name": "send", "arguments": text}}
    if not stream:
        upstream.script(reply(200, said({"tool_calls": [call]}, "tool_calls")))
        made = ask(gateway, [{"role": "user", "content": "hi"}]).json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    else:
        pieces = [chunk({"tool_calls": [{"index": 0, "function": {"arguments": c}}]}) for c in text]
        first = chunk({"role": "assistant", "tool_calls": [{**call, "index": 0, "function": {"name": "send", "arguments": ""}}]})
        upstream.script(stream_of(first, *pieces, chunk({}, "tool_calls")))
        made = Heard(ask(gateway, [{"role": "user", "content": "hi"}], stream=True).content).arguments[0, 0]
    read = json.dumps(json.loads(made), ensure_ascii=False)
    assert value not in read and ("*" in read or "EMAIL" in read), made
