# SPDX-License-Identifier: Apache-2.0
"""Replies are guarded, whole and streamed: no byte of a value comes out, however it was cut; what ends in the middle ends well; placeholders are
put back for who sent the values."""
import json

import pytest

from harness.guarded import (CARD, EMAIL, EMAIL_2, IBAN, PATH, PEM, PHONE, SAUDI, SAUDI_EASTERN, SECRET, VALUES, Heard, deltas, guard, keys_of, said)
from harness.raw import Raw
from harness.upstream import TEXT, chunk, data, reply, stream, usage_chunk
from harness.waiting import until

STOP = chunk({}, "stop")
FILTERED = "content_filter"


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    return make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}}, "guard": guard()})


@pytest.fixture(scope="module")
def keys(gateway):
    return keys_of(gateway)


def ask(gateway, key, path=PATH, **members):
    body = {"model": "m", **({"messages": [{"role": "user", "content": "hi"}]} if path == PATH else {"prompt": "hi"}), **members}
    return gateway.post(path, body, key=key)


def whole(gateway, upstream, key, body, **members):
    upstream.script(reply(200, body))
    got = ask(gateway, key, **members)
    assert got.status_code == 200, got.text
    return got.json()


def heard(gateway, upstream, key, *events, **members):
    """What a caller makes of these events; their end is looked at."""
    upstream.script(stream(*events))
    got = ask(gateway, key, stream=True, **members)
    assert got.status_code == 200, got.text
    made = Heard(got.content)
    assert made.events[-1] == "[DONE]" and made.events.count("[DONE]") == 1
    return made


def streamed(gateway, upstream, key, pieces, member="content", **members):
    return heard(gateway, upstream, key, *deltas(pieces, member), STOP, usage_chunk(), stream_options={"include_usage": True}, **members)


# ---- whole replies ----

@pytest.mark.parametrize("kind", VALUES)
def test_every_type_is_found_in_a_whole_reply_and_in_a_stream(gateway, keys, upstream, kind):
    value, around = VALUES[kind]
    text, want = around.format(value), around.format(f"[{kind.upper()}_1]")
    key = keys(replies={kind: "redact"})
    assert whole(gateway, upstream, key, said({"content": text}))["choices"][0]["message"]["content"] == want
    assert streamed(gateway, upstream, key, list(text)).text() == want


MEMBERS = {"content": f"ask {EMAIL} now", "reasoning_content": f"it is {EMAIL}, so", "refusal": f"not for {EMAIL}.", "reasoning": f"it is {EMAIL}, so"}


@pytest.mark.parametrize("member", MEMBERS)
def test_every_text_of_a_message_is_guarded(gateway, keys, upstream, member):
    text = MEMBERS[member]
    got = whole(gateway, upstream, keys(replies={"email": "redact"}), said({member: text}))
    assert EMAIL not in json.dumps(got) and "[EMAIL_1]" in json.dumps(got)
    made = streamed(gateway, upstream, keys(replies={"email": "redact"}), [text[i:i + 3] for i in range(0, len(text), 3)], member)
    assert EMAIL not in "".join(made.texts.values())
    assert made.text(0, "reasoning" if "reasoning" in member else member) == text.replace(EMAIL, "[EMAIL_1]")


def test_arguments_of_calls_are_guarded_and_stay_json(gateway, keys, upstream):
    arguments = json.dumps({"to": EMAIL, "note": json.dumps({"cc": EMAIL_2, "text": "a \"b\"\n"})})
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "send", "arguments": arguments}}
    key = keys(replies={"email": "redact"})
    got = whole(gateway, upstream, key, said({"tool_calls": [{k: v for k, v in call.items() if k != "index"}]}, "tool_calls"))
    for made in (got["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"],
                 heard(gateway, upstream, key, chunk({"role": "assistant", "tool_calls": [{**call, "function": {"name": "send", "arguments": ""}}]}),
                       *(chunk({"tool_calls": [{"index": 0, "function": {"arguments": c}}]}) for c in arguments), chunk({}, "tool_calls")).arguments[0, 0]):
        assert EMAIL not in made and EMAIL_2 not in made
        read = json.loads(made)
        assert read["to"] == "[EMAIL_1]" and json.loads(read["note"]) == {"cc": "[EMAIL_2]", "text": "a \"b\"\n"}


def test_other_endpoints_replies_are_guarded(gateway, keys, upstream):
    key = keys(replies={"email": "redact"})
    body = {**TEXT, "choices": [{**TEXT["choices"][0], "text": f"ask {EMAIL} now"}]}
    assert whole(gateway, upstream, key, body, path="/v1/completions")["choices"][0]["text"] == "ask [EMAIL_1] now"
    events = [{**TEXT, "choices": [{"index": 0, "text": c, "logprobs": None, "finish_reason": None}], "usage": None} for c in f"ask {EMAIL} now"]
    made = heard(gateway, upstream, key, *events, {**TEXT, "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}, path="/v1/completions")
    assert made.text() == "ask [EMAIL_1] now"


@pytest.mark.parametrize("action,want", [("flag", None), ("allow", None), ("mask", "4567"), ("redact", "[PHONE_1]"), ("hash", "")])
def test_actions_of_replies(gateway, keys, upstream, action, want):
    text = f"call me on {PHONE} after noon"
    key = keys(replies={"phone": action})
    made = [whole(gateway, upstream, key, said({"content": text}))["choices"][0]["message"]["content"], streamed(gateway, upstream, key, list(text)).text()]
    assert made[0] == made[1]
    if want is None:
        assert made[0] == text
    else:
        assert PHONE not in made[0] and want in made[0] and made[0].startswith("call me on ") and made[0].endswith(" after noon")


# ---- blocked ----

TAIL = " and more than that was said behind it."


@pytest.mark.parametrize("policy,before", [({}, "The token is "), ({"blocked_reply": "empty"}, "")])
def test_a_blocked_reply_keeps_the_text_before_the_value_or_none(gateway, keys, upstream, policy, before):
    key = keys(replies={"secret": "block"}, **policy)
    got = whole(gateway, upstream, key, said({"content": f"The token is {SECRET}{TAIL}"}))
    choice = got["choices"][0]
    assert choice["finish_reason"] == FILTERED
    assert (choice["message"]["content"] or "").strip() == before.strip()
    assert SECRET not in json.dumps(got) and "behind" not in json.dumps(got)
    assert got["usage"]["completion_tokens"] == 3  # what was generated


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_stream_that_is_blocked_ends_with_its_reason_and_nothing_of_the_value(gateway, keys, upstream, size):
    text = f"The token is {SECRET}{TAIL}"
    made = streamed(gateway, upstream, keys(replies={"secret": "block"}), [text[i:i + size] for i in range(0, len(text), size)])
    assert made.text().strip() == "The token is" and made.finish == {0: FILTERED}
    assert not any(SECRET[:n] in json.dumps(made.events) for n in (6, 10, len(SECRET)))


def test_a_blocked_stream_cancels_the_upstream(gateway, keys, upstream):
    gone = []

    def script(connection, request):
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event in (*deltas([f"The token is {SECRET} "]),):
            piece = data(event)
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        gone.append(connection.wait_gone(10))
    upstream.script(script)
    got = ask(gateway, keys(replies={"secret": "block"}), stream=True)
    made = Heard(got.content)
    assert made.finish == {0: FILTERED} and made.events[-1] == "[DONE]"
    until(lambda: gone == [True], 10, "the model server is left")


def test_the_other_choices_end_with_a_blocked_one(gateway, keys, upstream):
    def choice(index, text, finish=None):
        return {**chunk({}), "choices": [{"index": index, "delta": {"content": text} if text else {}, "finish_reason": finish}]}
    key = keys(replies={"secret": "block"})
    made = heard(gateway, upstream, key, choice(0, "First "), choice(1, "Second "), choice(0, f"has {SECRET} "), choice(1, "goes on "), choice(0, "", "stop"),
                 choice(1, "", "stop"), n=2)
    assert set(made.finish) == {0, 1} and made.finish[0] == FILTERED and SECRET[:8] not in json.dumps(made.events)
    body = said({"content": f"has {SECRET}"})
    body["choices"].append({"index": 1, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"})
    got = whole(gateway, upstream, key, body, n=2)
    assert got["choices"][0]["finish_reason"] == FILTERED and SECRET not in json.dumps(got)


def test_choices_are_scanned_apart(gateway, keys, upstream):
    def choice(index, text):
        return {**chunk({}), "choices": [{"index": index, "delta": {"content": text}, "finish_reason": None}]}
    half = len(EMAIL) // 2
    ends = [{**chunk({}), "choices": [{"index": i, "delta": {}, "finish_reason": "stop"}]} for i in (0, 1)]
    made = heard(gateway, upstream, keys(replies={"email": "redact"}), choice(0, "a " + EMAIL[:half]), choice(1, "b " + EMAIL[:half]), choice(1, EMAIL[half:] + " c"),
                 choice(0, EMAIL[half:] + " d"), *ends, n=2)
    assert made.text(0) == "a [EMAIL_1] d" and made.text(1) == "b [EMAIL_1] c"
    both = {**chunk({}), "choices": [{"index": i, "delta": {"content": f"x {EMAIL} y"}, "finish_reason": None} for i in (0, 1)]}
    made = heard(gateway, upstream, keys(replies={"email": "redact"}), both, *ends, n=2)
    assert made.text(0) == made.text(1) == "x [EMAIL_1] y"


def test_a_private_key_blocks_at_its_first_line(gateway, keys, upstream):
    made = streamed(gateway, upstream, keys(replies={"private_key": "block"}), [f"Here:\n{PEM}\nuse it"[i:i + 5] for i in range(0, 400, 5)])
    assert made.text().strip() == "Here:" and made.finish == {0: FILTERED}
    assert "MIIE" not in json.dumps(made.events)


# ---- however it is cut ----

SPLITS = {kind: around.format(value) for kind, (value, around) in VALUES.items()}
SPLITS["saudi_id, eastern"] = f"رقم الهوية {SAUDI_EASTERN} لو سمحت"
SPLITS["two"] = f"{EMAIL},{SAUDI} ID number;{EMAIL_2}"
SPLITS["no word behind"] = f"mail {EMAIL}"


@pytest.mark.parametrize("case", SPLITS)
def test_a_text_cut_anywhere_comes_out_as_uncut(gateway, keys, upstream, case):
    text = SPLITS[case]
    key = keys(replies={"default": "redact"})
    want = whole(gateway, upstream, key, said({"content": text}))["choices"][0]["message"]["content"]
    assert streamed(gateway, upstream, key, list(text)).text() == want
    for at in range(1, len(text)):
        made = streamed(gateway, upstream, key, [text[:at], text[at:]])
        assert made.text() == want, f"cut at {at}"
        assert made.finish == {0: "stop"} and made.usage["completion_tokens"] == 3


@pytest.mark.parametrize("size", [1, 2, 7])
def test_the_bytes_of_a_stream_may_come_singly(gateway, keys, upstream, size):
    text = f"الى {EMAIL} و {SAUDI_EASTERN} هوية 🦅 done"
    events = b"".join(data(e) for e in (*deltas([text[:9], text[9:20], text[20:]]), STOP)) + b"data: [DONE]\n\n"

    def script(connection, request):
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(events)}\r\n\r\n")
        for at in range(0, len(events), size):
            connection.send(events[at:at + size])
    upstream.script(script)
    made = Heard(ask(gateway, keys(replies={"default": "redact"}), stream=True).content)
    assert made.text() == "الى [EMAIL_1] و [SAUDI_ID_1] هوية 🦅 done"


def test_no_piece_is_released_before_it_is_decided_and_prose_is_hardly_late(gateway, keys, upstream):
    """Event by event: what is out is never a beginning of the value, and prose is behind by a word."""
    pieces = ["Good ", "morning ", "to ", "you ", "all", ": ", "write ", "to ", *EMAIL, " ", "and ", "go ", "home ", "now"]
    release, key = [], keys(replies={"email": "redact"})

    def script(connection, request):
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in [*(data(chunk({"content": p})) for p in pieces), data(STOP), b"data: [DONE]\n\n"]:
            while not release:
                if connection.gone.wait(0.001):
                    return
            release.pop()
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")
    upstream.script(script)
    with Raw(gateway.port, key, timeout=10) as raw:
        raw.request("POST", PATH, {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]})
        release.append(1)
        body, sent = b"", 0
        assert raw.read_head().status == 200
        for word in ("Good", "morning", "to"):  # words that end are out without waiting for more than the next
            while word.encode() not in body:
                release.append(1)
                sent += 1
                assert sent < 8, "prose waits for long"
                raw.socket.settimeout(0.3)
                try:
                    body += raw.read_chunk()
                except TimeoutError:
                    raw.reader = raw.socket.makefile("rb")
                raw.socket.settimeout(10)
        release.extend([1] * (len(pieces) + 2))
        while (piece := raw.read_chunk()):
            body += piece
            assert EMAIL[:6].encode() not in body.replace(b'"', b"")
    assert Heard(body).text() == "".join(pieces).replace(EMAIL, "[EMAIL_1]")


# ---- put back ----

def echoed(upstream, cut=None, change=lambda text: text):
    """The model says again what it was asked, in pieces of `cut`."""
    def script(connection, request):
        text = change(request.json["messages"][-1]["content"])
        if cut is None:
            return reply(200, said({"content": text}))(connection, request)
        return stream(*deltas([text[i:i + cut] for i in range(0, len(text), cut)]), STOP)(connection, request)
    upstream.script(script)


RESTORED = f"{EMAIL} has {SAUDI}; {EMAIL_2} has none, \"{SAUDI_EASTERN}\" is the same"


@pytest.mark.parametrize("cut", [None, 1, 2, 3, 5, 8, 1000])
def test_placeholders_are_put_back_however_they_were_cut(gateway, keys, upstream, cut):
    key = keys(prompts={"email": "redact", "saudi_id": "redact"}, restore=True)
    echoed(upstream, cut)
    messages = [{"role": "user", "content": RESTORED}]
    if cut is None:
        got = ask(gateway, key, messages=messages).json()["choices"][0]["message"]["content"]
    else:
        got = Heard(ask(gateway, key, messages=messages, stream=True).content).text()
    assert EMAIL not in json.dumps(upstream.last.json) and SAUDI not in json.dumps(upstream.last.json)
    assert got.replace(SAUDI_EASTERN, SAUDI) == RESTORED.replace(SAUDI_EASTERN, SAUDI)


@pytest.mark.parametrize("cut", [None, 1, 4])
def test_without_restore_they_stay(gateway, keys, upstream, cut):
    echoed(upstream, cut)
    got = ask(gateway, keys(prompts={"email": "redact"}), messages=[{"role": "user", "content": f"to {EMAIL} now"}], stream=cut is not None)
    text = Heard(got.content).text() if cut else got.json()["choices"][0]["message"]["content"]
    assert text == "to [EMAIL_1] now"


@pytest.mark.parametrize("cut", [None, 1, 4])
def test_what_the_model_changed_or_invented_stays_as_it_is(gateway, keys, upstream, cut):
    key = keys(prompts={"email": "redact"}, restore=True)
    echoed(upstream, cut, lambda text: "[EMAIL_1] [EMAIL_2] [email_1] [EMAIL_1 ] [EMAIL_11] EMAIL_1 [SECRET_1] [[EMAIL_1]")
    got = ask(gateway, key, messages=[{"role": "user", "content": f"to {EMAIL} now"}], stream=cut is not None)
    text = Heard(got.content).text() if cut else got.json()["choices"][0]["message"]["content"]
    assert text == f"{EMAIL} [EMAIL_2] [email_1] [EMAIL_1 ] [EMAIL_11] EMAIL_1 [SECRET_1] [{EMAIL}"


def test_values_of_a_system_message_are_not_put_back(gateway, keys, upstream):
    key = keys(prompts={"email": "redact"}, restore=True)
    upstream.script(reply(200, said({"content": "the system's is [EMAIL_1], yours is [EMAIL_2]"})))
    got = ask(gateway, key, messages=[{"role": "system", "content": f"the operator is {EMAIL}"}, {"role": "user", "content": f"I am {EMAIL_2}"}])
    assert got.json()["choices"][0]["message"]["content"] == f"the system's is [EMAIL_1], yours is {EMAIL_2}"


def test_values_of_another_call_are_not_put_back(gateway, keys, upstream):
    key = keys(prompts={"email": "redact"}, restore=True)
    ask(gateway, key, messages=[{"role": "user", "content": f"I am {EMAIL}"}])
    upstream.script(reply(200, said({"content": "you are [EMAIL_1]"})))
    assert ask(gateway, key).json()["choices"][0]["message"]["content"] == "you are [EMAIL_1]"


def test_a_stricter_rule_of_replies_wins_over_putting_back(gateway, keys, upstream):
    key = keys(prompts={"saudi_id": "redact", "email": "redact"}, replies={"saudi_id": "mask", "email": "block"}, restore=True)
    echoed(upstream)
    got = ask(gateway, key, messages=[{"role": "user", "content": f"ID number {SAUDI} is mine"}]).json()["choices"][0]["message"]["content"]
    assert SAUDI not in got and "5672" in got
    echoed(upstream)
    got = ask(gateway, key, messages=[{"role": "user", "content": f"I am {EMAIL} here"}])
    assert EMAIL not in got.text


def test_a_value_put_back_into_arguments_stays_json(gateway, keys, upstream):
    key = keys(dictionary=[{"name": "quoted", "words": ['the "big" one\\two'], "action": "redact"}], restore=True)
    arguments = json.dumps({"what": "[QUOTED_1]"})
    upstream.script(reply(200, said({"tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}]}, "tool_calls")))
    got = ask(gateway, key, messages=[{"role": "user", "content": 'about the "big" one\\two'}])
    [call] = got.json()["choices"][0]["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"])["what"] in ('the "big" one\\two', "[QUOTED_1]")


# ---- beside the text ----

def logprobs(text):
    return {"content": [{"token": c, "logprob": -0.1, "bytes": list(c.encode()), "top_logprobs": [{"token": c, "logprob": -0.1, "bytes": list(c.encode())}]} for c in text]}


def spoken(probabilities):
    return "".join(t["token"] for t in (probabilities or {}).get("content") or []) if isinstance(probabilities, dict) else ""


@pytest.mark.parametrize("action", ["redact", "mask", "hash", "block"])
def test_tokens_beside_their_probabilities_never_say_the_value(gateway, keys, upstream, action):
    key = keys(replies={"email": action})
    text = f"ask {EMAIL} now"
    body = said({"content": text})
    body["choices"][0]["logprobs"] = logprobs(text)
    got = whole(gateway, upstream, key, body, logprobs=True, top_logprobs=1)
    assert EMAIL not in spoken(got["choices"][0].get("logprobs"))
    made = heard(gateway, upstream, key, *({**chunk({"content": c}), "choices": [{"index": 0, "delta": {"content": c}, "logprobs": logprobs(c), "finish_reason": None}]} for c in text),
                 STOP, logprobs=True, top_logprobs=1)
    tokens = "".join(spoken(c.get("logprobs")) for e in made.chunks for c in e["choices"])
    assert EMAIL not in tokens and EMAIL[:12] not in tokens


@pytest.mark.parametrize("status", [400, 401, 422, 429, 500, 503])
@pytest.mark.parametrize("action", ["flag", "redact", "mask", "hash", "block"])
def test_an_upstreams_error_text_says_no_value(gateway, keys, upstream, status, action):
    gateway.announce("call_failed")
    upstream.script(*[reply(status, {"error": {"message": f"bad request of {EMAIL}: {SECRET}", "type": "x", "code": None}})] * 4)
    got = ask(gateway, keys(replies={"email": action, "secret": action}))
    upstream.scripts.clear()
    assert got.status_code >= 400
    assert EMAIL not in got.text and SECRET not in got.text


def test_an_error_event_says_no_value(gateway, keys, upstream):
    gateway.announce("call_failed")
    upstream.script(stream(*deltas(["Half "]), {"error": {"message": f"lost {EMAIL} and {SECRET}", "code": 500}}))
    got = ask(gateway, keys(replies={"email": "redact", "secret": "block"}), stream=True)
    assert EMAIL not in got.text and SECRET not in got.text


def test_members_that_nobody_knows_are_guarded_in_replies(gateway, keys, upstream):
    key = keys(replies={"email": "redact"})
    body = {**said({"content": "fine", "annotations": [{"note": f"of {EMAIL}"}]}), "debug": f"asked by {EMAIL}"}
    assert EMAIL not in json.dumps(whole(gateway, upstream, key, body))
    made = heard(gateway, upstream, key, *deltas(["fine"]), {**chunk({"content": " too", "debug": f"by {EMAIL}"}), "debug": f"by {EMAIL}"}, STOP)
    assert EMAIL not in json.dumps(made.events)


def test_usage_is_what_was_generated_and_only_where_it_was_asked_for(gateway, keys, upstream):
    key = keys(replies={"email": "redact", "secret": "block"})
    made = streamed(gateway, upstream, key, list(f"ask {EMAIL} now"))
    assert made.usage == usage_chunk()["usage"]
    made = heard(gateway, upstream, key, *deltas(list(f"ask {EMAIL} now")), STOP)
    assert made.usage is None


def test_a_reply_without_values_passes_as_it_came(gateway, keys, upstream):
    text = "ولا شيء هنا. Nothing [here] at 10:30, v1.2.3 \"quoted\" \\ back 🦅\n" * 5
    key = keys(replies={"default": "redact"})
    assert whole(gateway, upstream, key, said({"content": text}))["choices"][0]["message"]["content"] == text
    for size in (1, 4, 1000):
        assert streamed(gateway, upstream, key, [text[i:i + size] for i in range(0, len(text), size)]).text() == text


def test_a_stream_that_breaks_off_says_nothing_of_what_was_held_back(gateway, keys, upstream):
    gateway.announce("call_failed")
    upstream.script(stream(*deltas(["The card is ", CARD[:12]]), cut=True))
    got = ask(gateway, keys(replies={"credit_card": "block", "iban": "block"}), stream=True)
    assert CARD[:12] not in got.text or CARD not in got.text
    upstream.script(stream(*deltas(["It is ", IBAN[:-1], IBAN[-1]]), cut=True))
    got = ask(gateway, keys(replies={"credit_card": "block", "iban": "block"}), stream=True)
    assert IBAN not in "".join(Heard(got.content).texts.values())
