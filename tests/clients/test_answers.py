# SPDX-License-Identifier: Apache-2.0
"""Answers of servers that speak OpenAI's language badly, as the official SDKs for Python and Node read them through Atlas:
streamed, put together by the SDK's own helper, and whole. What counts is the object that an application gets."""
import json

import openai
import pytest

from harness.upstream import CHAT, chunk, data, reply, stream, usage_chunk

STOP = chunk({}, "stop")
USAGE = {"prompt_tokens": 300, "completion_tokens": 16, "total_tokens": 316, "prompt_tokens_details": {"cached_tokens": 5},
         "completion_tokens_details": {"reasoning_tokens": 9}, "cost": 1.5}
CASES = {}


def case(name, streamed, whole=None, model="m"):
    """What the server says: the events of a stream (or a script), and a whole body."""
    CASES[name] = (streamed if callable(streamed) else stream(*streamed), whole, model)


def calls(*deltas, finish=None):
    return chunk({"tool_calls": list(deltas)}, finish)


def call(name="f", arguments="{}", **more):
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


def choice(delta, index=0, finish=None, **more):
    return {**chunk({}), "choices": [{"index": index, "delta": delta, "finish_reason": finish, **more}]}


def whole(message, finish="stop", **more):
    return {**CHAT, "choices": [{"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": finish}],
            **more}


def nameless(answer):
    return {k: v for k, v in answer.items() if k not in ODD}


def body(events, cut=1 << 30):
    """A stream of these bytes, in pieces of `cut`."""
    def script(connection, request):
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(events)}\r\n\r\n")
        for at in range(0, len(events), cut):
            connection.send(events[at:at + cut])
    return script


ODD = {"id": 7, "object": None, "created": 1.5}
SALAM = chunk({"role": "assistant", "content": "Salam"})
PLAIN = data(SALAM) + data(STOP) + b"data: [DONE]\n\n"

# ---- the rows of the list of bad answers ----

case("calls numbered from 1", [calls(call(index=1, id="a", arguments="")), calls({"index": 1, "function": {"arguments": "{}"}}),
                               calls(call("g", index=2, id="b", arguments="[]")), chunk({}, "tool_calls")])
case("a name in pieces", [calls({"index": 0, "id": "a", "type": "function", "function": {"name": "look_up_"}}),
                          calls({"index": 0, "function": {"name": "order"}}),
                          calls({"index": 0, "function": {"name": "look_up_order", "arguments": "{}"}}), chunk({}, "tool_calls")])
case("a name that comes late", [calls({"id": "call_a", "function": {"arguments": "{\"n\""}}),
                                calls({"index": 0, "function": {"name": "f", "arguments": ":1}"}}), chunk({}, "tool_calls")])
case("calls without an end", [calls(call(index=0, id="a"))], whole({"tool_calls": [call(id="a")]}, None))
case("calls that stop", [calls(call(index=0, id="a")), STOP], whole({"tool_calls": [call(id="a")]}, "stop"))
case("an end that is an error", [chunk({"content": "half"}), chunk({}, "error")], whole({"content": "half"}, "error"))
case("a lack of resources", [chunk({"content": "half"}), chunk({}, "insufficient_system_resource")],
     whole({"content": "half"}, "insufficient_system_resource"))
case("an error in a choice", [chunk({"content": "half"}), choice({}, error={"message": "gone"})],
     {**CHAT, "choices": [{**CHAT["choices"][0], "error": {"message": "gone"}}]})
case("usage on the last choice", [SALAM, chunk({}, "stop", usage=USAGE)], whole({"content": "Salam"}, usage=USAGE))
case("usage before the text", [chunk({"role": "assistant"}, usage=usage_chunk(9, 1)["usage"]), *[chunk({"content": "word "})] * 500,
                               STOP])
case("usage before the text, and a cut", stream(chunk({"role": "assistant"}, usage=usage_chunk(9, 1)["usage"]),
                                                *[chunk({"content": "word "})] * 500, cut=True))
case("usage without output", [SALAM, chunk({}, "stop", usage={"prompt_tokens": 9})], whole({"content": "Salam"}, usage={"prompt_tokens": 9}))
case("reasoning", [chunk({"reasoning": "Let me "}), chunk({"content": "x"}), STOP], whole({"reasoning": "Let me "}))
case("reasoning under two names", [chunk({"reasoning": "a", "reasoning_content": "a"}), STOP],
     whole({"reasoning": "a", "reasoning_content": "a"}))
case("reasoning by its older name", [chunk({"reasoning": "a"}), STOP], whole({"reasoning": "a"}), model="older")

# ---- what a liar says ----

case("no role", [chunk({"content": "Salam"}), STOP], {**CHAT, "choices": [{**CHAT["choices"][0], "message": {"content": "Salam"}}]})
case("a role in every delta", [SALAM, chunk({"role": "assistant", "content": " b"}), STOP], whole({"role": "bot", "content": "Salam b"}))
case("choices from 1", [choice({"content": "Sal"}, 1), choice({"content": "am"}, 1), choice({}, 1, "stop")])
case("choices below zero", [choice({"content": "Salam"}, -1), choice({}, -1, "stop")],
     {**CHAT, "choices": [{**CHAT["choices"][0], "index": -7}]})
case("choices beyond all bounds", [choice({"content": "Salam"}, 1 << 40), choice({}, 1 << 40, "stop")],
     {**CHAT, "choices": [{**CHAT["choices"][0], "index": 0.0}]})
case("choices out of order", [choice({"content": "a"}, 1), choice({"content": "b"}, 0), choice({}, 0, "stop"), choice({}, 1, "stop")])
case("no end", [SALAM], whole({"content": "Salam"}, None))
case("an end in every chunk", [chunk({"content": "Sal"}, ""), chunk({"content": "am"}, "null"), STOP], whole({"content": "Salam"}, "EOS"))
case("an end of a kind unknown", [SALAM, chunk({}, "tired")], whole({"content": "Salam"}, {"type": 7}))
case("text as the delta itself", [choice("Salam"), STOP], {**CHAT, "choices": [{"index": 0, "message": "Salam", "finish_reason": "stop"}]})
case("text beside the delta", [{**chunk({}), "choices": [{"index": 0, "text": "Salam"}]}, STOP],
     {**CHAT, "choices": [{"index": 0, "text": "Salam", "finish_reason": "stop"}]})
case("calls that are none", [calls(None, 7, "x"), chunk({"tool_calls": {"id": "a"}}), SALAM, STOP],
     whole({"tool_calls": [None, call(id="a"), 7]}, "tool_calls"))
case("calls that jump", [calls(call("f", "{", index=7, id="a")), calls({"index": 7, "function": {"arguments": "}"}}),
                         calls(call("g", index=-3, id="b")), calls(call("h", index=1 << 60, id="c")), chunk({}, "tool_calls")])
case("a call held behind another", [calls({"index": 0, "id": "a"}), calls(call("g", index=1, id="b")), chunk({}, "tool_calls")])
case("a call without arguments", [calls({"index": 0, "id": "a", "type": "function", "function": {"name": "f"}}), chunk({}, "tool_calls")],
     whole({"tool_calls": [call(id="a", arguments="")]}))
case("calls after the end", [SALAM, STOP, calls(call(index=0, id="a"))])
case("logprobs that are a list", [choice({"content": "Salam"}, logprobs=[]), STOP],
     {**CHAT, "choices": [{**CHAT["choices"][0], "logprobs": []}]})
case("usage that is a word", [SALAM, STOP, {**usage_chunk(), "usage": "much"}], whole({"content": "Salam"}, usage="much"))
case("usage twice", [SALAM, STOP, usage_chunk(), usage_chunk()])
case("no choices", [], {k: v for k, v in CHAT.items() if k != "choices"})
case("an error that says nothing", [{**SALAM, "error": ""}, {**STOP, "error": {}}], {**CHAT, "error": False})
case("members said twice", [json.dumps(SALAM)[:-1] + ', "model": "secret"}', json.dumps(STOP).replace('"stop"', 'null, "finish_reason": "tired"')],
     json.dumps(CHAT)[:-1] + ', "model": "secret", "choices": [{"index": 0, "message": {"role": "bot", "content": "Salam"},'
     ' "finish_reason": "tired"}]}')
case("no id, object or time", [nameless(SALAM), nameless(STOP)], nameless(CHAT))
case("an id, object and time of other types", [{**SALAM, **ODD}, {**STOP, **ODD}], {**CHAT, **ODD})
case("an id of a megabyte", [{**SALAM, "id": "x" * (1 << 20)}, STOP], {**CHAT, "id": "x" * (1 << 20)})
case("a depth beyond all bounds", [SALAM, json.dumps(STOP)[:-1] + ', "x": ' + "[" * 10000 + "]" * 10000 + "}"],
     json.dumps(CHAT)[:-1] + ', "x": ' + "[" * 10000 + "]" * 10000 + "}")

# ---- lines ----

case("lines that end in CR", body(PLAIN.replace(b"\n", b"\r")))
case("lines that end in CRLF, a byte at a time", body(PLAIN.replace(b"\n", b"\r\n"), 1))
case("a byte order mark", body(b"\xef\xbb\xbf" + PLAIN))
case("a character cut in two", body(data(chunk({"content": "@"})).replace(b"@", "😀".encode()) + data(STOP) + b"data: [DONE]\n\n", 1))
case("a torn character", body(data(chunk({"content": "a@"})).replace(b"@", b"\xf0\x9f\x98") + data(STOP) + b"data: [DONE]\n\n"))
case("blanks behind the end", body(PLAIN.replace(b"[DONE]", b"[DONE] \t")))
case("many blanks behind the end", body(PLAIN.replace(b"[DONE]", b"[DONE]" + b" " * 100_000)))
case("an end on three lines", body(PLAIN.replace(b"data: [DONE]", b"data:\ndata: [DONE]\ndata:")))
case("an event of blanks", body(PLAIN.replace(b"data: [DONE]", b"data: " + b" " * 100_000 + b"\n\ndata: [DONE]")))
case("a stream as text/plain", lambda connection, request: reply(200, PLAIN, {"Content-Type": "text/plain"})(connection, request))
case("comments before the text", [b": hello\n\n", b":\n\n", SALAM, STOP])

# ---- errors in answers of status 200 ----

WORDS = {"object": "error", "message": "boom", "type": "server_error", "code": 500}
ERRORS = {"vLLM": {"error": {**WORDS, "param": None}}, "older vLLM, SGLang": WORDS, "llama.cpp": {"error": {"code": 500, "message": "boom"}},
          "Ollama": {"error": "boom"}, "TGI": {"error": "boom", "error_type": "generation"}, "FastAPI": {"detail": "boom"}}
for dialect, error in ERRORS.items():
    case(dialect, [SALAM, error], error)
case("older llama.cpp, in a field of its own", [SALAM, b"error: " + json.dumps(ERRORS["llama.cpp"]["error"]).encode() + b"\n\n"])
case("an object on a line of its own", [SALAM, STOP, b'{"error":"boom"}\n'])
case("an event of that name", [SALAM, b"event: error\ndata: boom\n\n"])


def python(client, name, model):
    """The same as node/answers.mjs."""
    asked = {"model": model, "messages": [{"role": "user", "content": name}]}
    out = {"chunks": []}

    def told(error):
        return {"error": {"kind": type(error).__name__, "status": getattr(error, "status_code", None),
                          "code": getattr(error, "code", None), "message": str(error)}}
    try:
        with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as events:
            out["chunks"] = [e.chunk.model_dump(exclude_unset=True) for e in events if e.type == "chunk"]
            out["streamed"] = events.get_final_completion().model_dump(exclude_unset=True)
    except (openai.OpenAIError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        out["streamed"] = told(error)
    try:
        out["whole"] = client.chat.completions.create(**asked).model_dump(exclude_unset=True)
    except openai.OpenAIError as error:
        out["whole"] = told(error)
    return out


@pytest.fixture(scope="module", params=["python", "node"])
def heard(request, scripted):
    """What each case became, by its name."""
    site, upstream = scripted
    upstream.forget()
    for said, body_, _ in CASES.values():
        upstream.script(said, reply(200, CHAT if body_ is None else body_))
    if request.param == "node":
        return site.node("answers.mjs", cases=json.dumps([{"name": n, "model": m} for n, (_, _, m) in CASES.items()]))
    client = openai.OpenAI(base_url=site.url, api_key=site.key, max_retries=0)
    return {name: python(client, name, model) for name, (_, _, model) in CASES.items()}


def message(answer):
    assert "error" not in answer, answer
    return answer["choices"][0]["message"]


def called(answer):
    return [(c["function"]["name"], c["function"]["arguments"]) for c in message(answer)["tool_calls"]]


def end(answer):
    return answer["choices"][0]["finish_reason"]


@pytest.mark.parametrize("name, wanted", [
    ("calls numbered from 1", [("f", "{}"), ("g", "[]")]), ("a name in pieces", [("look_up_order", "{}")]), ("a name that comes late", [("f", '{"n":1}')]), ("calls without an end", [("f", "{}")]), ("calls that stop", [("f", "{}")]),
    ("calls that jump", [("f", "{}"), ("g", "{}"), ("h", "{}")]), ("a call held behind another", [("g", "{}"), ("", "{}")]),
    ("a call without arguments", [("f", "{}")]), ("calls after the end", [("f", "{}")])])
def test_tool_calls_are_put_together(heard, name, wanted):
    got = heard[name]["streamed"]
    assert called(got) == wanted
    assert end(got) == "tool_calls"
    assert all(c["id"] and c["type"] == "function" for c in message(got)["tool_calls"])
    assert len({c["id"] for c in message(got)["tool_calls"]}) == len(wanted)


@pytest.mark.parametrize("name", ["calls without an end", "calls that stop", "a call without arguments", "calls that are none"])
def test_a_whole_reply_that_calls_says_so(heard, name):
    assert called(heard[name]["whole"]) == [("f", "{}")]
    assert end(heard[name]["whole"]) == "tool_calls"


@pytest.mark.parametrize("name", ["an end that is an error", "a lack of resources", "an error in a choice", *ERRORS])
def test_a_failure_is_raised_streamed_and_whole(heard, name):
    assert "error" in heard[name]["streamed"], heard[name]
    assert heard[name]["whole"]["error"]["status"] == 502


@pytest.mark.parametrize("name", ["older llama.cpp, in a field of its own", "an object on a line of its own", "an event of that name",
                                  "usage before the text, and a cut", "no choices", "a depth beyond all bounds"])
def test_what_breaks_a_stream_is_raised(heard, name):
    assert heard[name]["streamed"]["error"]["kind"] in ("APIError", "InternalServerError")


@pytest.mark.parametrize("name", ["no choices", "a depth beyond all bounds"])
def test_a_reply_that_answers_nothing_is_raised(heard, name):
    assert heard[name]["whole"]["error"]["status"] == 502


def test_usage_has_all_members_that_the_server_wrote(heard):
    got = heard["usage on the last choice"]
    for usage in (got["chunks"][-1]["usage"], got["whole"]["usage"]):
        assert {k: usage[k] for k in USAGE} == USAGE
    assert got["chunks"][-1]["choices"] == []
    assert not any(c.get("usage") for c in got["chunks"][:-1])


def test_usage_that_came_before_the_text_is_not_told(heard):
    got = heard["usage before the text"]
    assert not any(c.get("usage") for c in got["chunks"])
    assert message(got["streamed"])["content"] == "word " * 500


def test_usage_that_lacks_a_count_is_told_as_it_came(heard):
    assert heard["usage without output"]["whole"]["usage"]["prompt_tokens"] == 9
    assert heard["usage without output"]["chunks"][-1]["usage"]["prompt_tokens"] == 9


def test_usage_is_told_once_and_not_as_a_word(heard):
    assert sum(bool(c.get("usage")) for c in heard["usage twice"]["chunks"]) == 1
    assert not any(c.get("usage") for c in heard["usage that is a word"]["chunks"])
    assert not heard["usage that is a word"]["whole"].get("usage")


@pytest.mark.parametrize("name, told", [("reasoning", {"reasoning": "Let me "}), ("reasoning under two names", {"reasoning_content": "a"}),
                                        ("reasoning by its older name", {"reasoning_content": "a"})])
def test_reasoning_is_told_once(heard, name, told):
    deltas = [c["choices"][0]["delta"] for c in heard[name]["chunks"] if c["choices"]]
    streamed = {k: v for d in deltas for k, v in d.items() if k.startswith("reasoning") and v}
    assert streamed == told
    assert {k: v for k, v in message(heard[name]["whole"]).items() if k.startswith("reasoning") and v} == told


SALAMS = ["no role", "choices from 1", "choices below zero", "choices beyond all bounds", "no end", "an end in every chunk",
          "an end of a kind unknown", "text as the delta itself", "text beside the delta", "calls that are none",
          "logprobs that are a list", "usage that is a word", "usage twice", "an error that says nothing", "members said twice",
          "an id of a megabyte", "no id, object or time", "an id, object and time of other types"]
LINES = ["lines that end in CR", "lines that end in CRLF, a byte at a time", "a byte order mark", "blanks behind the end",
         "many blanks behind the end", "an end on three lines", "an event of blanks", "a stream as text/plain", "comments before the text"]


@pytest.mark.parametrize("name", SALAMS + LINES)
def test_a_stream_becomes_one_answer_of_the_assistant(heard, name):
    got = heard[name]["streamed"]
    assert (message(got)["role"], message(got)["content"], end(got)) == ("assistant", "Salam", "stop")
    assert (len(got["choices"]), got["choices"][0]["index"]) == (1, 0)
    assert got["model"] == CASES[name][2]


@pytest.mark.parametrize("name", [n for n in SALAMS if n != "calls that are none"])
def test_a_whole_reply_becomes_one_answer_of_the_assistant(heard, name):
    got = heard[name]["whole"]
    assert (message(got)["role"], message(got)["content"], end(got)) == ("assistant", "Salam", "stop")
    assert got["choices"][0]["index"] == 0 and isinstance(got["choices"][0]["index"], int)
    assert got["model"] == CASES[name][2]


@pytest.mark.parametrize("name", ["no id, object or time", "an id, object and time of other types", "no role"])
def test_an_answer_says_who_it_is_what_and_when(heard, name):
    got = heard[name]
    assert len({(c["id"], c["created"]) for c in got["chunks"]}) == 1
    assert {c["object"] for c in got["chunks"]} == {"chat.completion.chunk"}
    for answer in (got["chunks"][0], got["streamed"], got["whole"]):
        assert answer["id"].startswith("chatcmpl-") and isinstance(answer["created"], int)
    assert got["whole"]["object"] == "chat.completion"


def test_a_role_is_told_once(heard):
    got = heard["a role in every delta"]
    assert (message(got["streamed"])["role"], message(got["streamed"])["content"]) == ("assistant", "Salam b")
    assert message(got["whole"])["role"] == "assistant"


def test_choices_are_numbered_as_they_come(heard):
    got = heard["choices out of order"]["streamed"]
    assert [(c["index"], c["message"]["content"], c["finish_reason"]) for c in got["choices"]] == [(0, "a", "stop"), (1, "b", "stop")]


def test_characters_are_whole_or_replaced(heard):
    assert message(heard["a character cut in two"]["streamed"])["content"] == "😀"
    assert message(heard["a torn character"]["streamed"])["content"] == "a\ufffd"
