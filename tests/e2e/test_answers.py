# SPDX-License-Identifier: Apache-2.0
"""What model servers say otherwise than OpenAI does, and what a client and the record get of it, streamed and whole."""
import json
import time

import pytest

from harness.raw import content, events
from harness.upstream import CHAT, TEXT, chunk, reply, stream, usage_chunk
from harness.waiting import until

DETAILS = {"prompt_tokens": 300, "completion_tokens": 16, "total_tokens": 316, "prompt_tokens_details": {"cached_tokens": 5},
           "completion_tokens_details": {"reasoning_tokens": 9}, "cost": 1.50, "queue": {"ms": [1]}}


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    models = {"m": {"upstream": "u"}, "older": {"upstream": "u", "reasoning": "reasoning_content"},
              "newer": {"upstream": "u", "reasoning": "reasoning"}}
    return make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": models})


def streamed(gateway, upstream, *sent, model="m", **more):
    members = {k: more.pop(k) for k in ("stream_options", "max_tokens", "n") if k in more}
    upstream.script(stream(*sent, **more))
    got = gateway.chat(model, stream=True, **members)
    assert got.status_code == 200, got.text
    return events(got.text)


def whole(gateway, upstream, message, finish="stop", model="m", **members):
    upstream.script(reply(200, {**CHAT, "choices": [{"index": 0, "message": {"role": "assistant", "content": None, **message},
                                                     "finish_reason": finish}], **members}))
    return gateway.chat(model)


def calls(*deltas, finish=None):
    return chunk({"tool_calls": list(deltas)}, finish)


def put_together(got):
    """The tool calls as OpenAI's clients put them together, each made when its first piece is seen."""
    made = []
    for delta in (c["choices"][0]["delta"] for c in got[:-1] if c["choices"]):
        for piece in delta.get("tool_calls", []):
            assert 0 <= piece["index"] <= len(made)
            function = piece.get("function", {})
            if piece["index"] == len(made):
                assert piece["id"] and piece["type"] == "function"
                assert function["name"]
                made.append({"id": piece["id"], "name": "", "arguments": ""})
            else:
                assert "id" not in piece
            made[piece["index"]]["name"] += function.get("name", "")
            made[piece["index"]]["arguments"] += function.get("arguments", "")
    return [(c["name"], c["arguments"]) for c in made]


def reason(got):
    return [c["choices"][0]["finish_reason"] for c in got[:-1] if c["choices"] and c["choices"][0].get("finish_reason")]


def record(gateway, got):
    """What the journal has of a call's end."""
    def ends():
        said = gateway.command("journal", "print", "--call", got.headers["x-request-id"])
        return [r for r in map(json.loads, said.stdout.splitlines()) if r["kind"] == "completion"]
    return until(ends, 10, "the call's completion")[0]


def tokens(gateway, got):
    """In and out as recorded; what is estimated as a text."""
    end = record(gateway, got)
    return tuple(f"about {end[name]}" if end[name + "_estimated"] else end[name] for name in ("tokens_in", "tokens_out"))


# ---- who an answer is ----

IDENTITY = ("id", "object", "created")


def nameless(answer, said):
    """An answer that says nothing of itself: a value for each member of IDENTITY, or nothing at all."""
    return {**{k: v for k, v in answer.items() if k not in IDENTITY}, **said}


@pytest.mark.parametrize("said", [{}, {"id": None, "object": None, "created": None}, {"id": "", "object": "", "created": 0},
                                  {"id": 7, "object": "answer", "created": 1.5}])
def test_an_answer_says_who_it_is_what_and_when(gateway, upstream, said):
    def identity(got, answers):
        made, = {tuple(answer[k] for k in IDENTITY) for answer in answers}
        assert abs(made[2] - time.time()) < 3600 and isinstance(made[2], int)
        return made[0].removesuffix(got.headers["x-request-id"]), made[1]
    upstream.script(stream(*(nameless(c, said) for c in (chunk({"content": "x"}), chunk({}, "stop"), usage_chunk()))),
                    reply(200, nameless(CHAT, said)), reply(200, nameless(TEXT, said)))
    got = gateway.chat("m", stream=True, stream_options=ASKED)
    assert identity(got, events(got.text)[:-1]) == ("chatcmpl-", "chat.completion.chunk")
    got = gateway.chat("m")
    assert identity(got, [got.json()]) == ("chatcmpl-", "chat.completion")
    got = gateway.post("/v1/completions", {"model": "m", "prompt": "x"})
    assert identity(got, [got.json()]) == ("cmpl-", "text_completion")


def test_all_chunks_have_the_id_and_the_time_of_the_first(gateway, upstream):
    late = {"id": "late", "created": 9}
    got = streamed(gateway, upstream, chunk({"content": "a"}), {**chunk({"content": "b"}), **late}, nameless(chunk({"content": "c"}), {}),
                   chunk({}, "stop"))[:-1]
    assert {(c["id"], c["created"]) for c in got} == {("chatcmpl-1", 1)}
    first = nameless({**chunk({}), "choices": []}, {"id": "", "created": 0, "prompt_filter_results": []})
    got = streamed(gateway, upstream, first, {**chunk({"content": "a"}), **late}, {**chunk({}, "stop"), **late})[:-1]
    assert len({(c["id"], c["created"]) for c in got}) == 1 and got[0]["id"] not in ("", "late")


def test_vectors_are_a_list(gateway, upstream):
    upstream.script(reply(200, {"data": [{"index": 0, "embedding": [1.0]}]}))
    got = gateway.post("/v1/embeddings", {"model": "m", "input": "x"}).json()
    assert (got["object"], got["model"]) == ("list", "m")


# ---- tool calls ----

def test_tool_calls_are_numbered_from_0(gateway, upstream):
    got = streamed(gateway, upstream,
                   calls({"index": 1, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}),
                   calls({"index": 1, "function": {"arguments": "{}"}}),
                   calls({"index": 2, "id": "b", "type": "function", "function": {"name": "g", "arguments": "[]"}}),
                   chunk({}, "tool_calls"))
    assert put_together(got) == [("f", "{}"), ("g", "[]")]


def test_a_name_in_pieces_is_read_as_one(gateway, upstream):
    got = streamed(gateway, upstream,
                   calls({"index": 0, "id": "a", "type": "function", "function": {"name": "look_up_"}}),
                   calls({"index": 0, "function": {"name": "order"}}),
                   calls({"index": 0, "function": {"name": "look_up_order", "arguments": "{}"}}), chunk({}, "tool_calls"))
    assert put_together(got) == [("look_up_order", "{}")]


@pytest.mark.parametrize("late", [{"index": 0, "function": {"name": "f", "arguments": ":1}"}},
                                  {"function": {"name": "f", "arguments": ":1}"}}])
def test_the_first_piece_that_a_client_sees_has_the_name(gateway, upstream, late):
    got = streamed(gateway, upstream, calls({"id": "call_a", "function": {"arguments": "{\"n\""}}), calls(late),
                   chunk({}, "tool_calls"))
    assert put_together(got) == [("f", "{\"n\":1}")]
    assert any(d.get("tool_calls", [{}])[0].get("id") == "call_a" for d in (c["choices"][0]["delta"] for c in got[:-1]))


def test_an_end_that_the_server_left_out_says_that_tools_are_called(gateway, upstream):
    got = streamed(gateway, upstream, calls({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}))
    assert reason(got) == ["tool_calls"]


def test_who_calls_tools_has_not_just_stopped(gateway, upstream):
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    got = streamed(gateway, upstream, calls({"index": 0, **call}), chunk({}, "stop"))
    assert reason(got) == ["tool_calls"]
    for finish in ("stop", None):
        got = whole(gateway, upstream, {"tool_calls": [call]}, finish).json()["choices"][0]
        assert (got["finish_reason"], got["message"]["tool_calls"]) == ("tool_calls", [call])


def test_a_whole_replys_calls_are_what_clients_read(gateway, upstream):
    made = whole(gateway, upstream, {"tool_calls": [{"function": {"name": "f", "arguments": {"n": 1}}, "type": ""},
                                                    {"id": "b", "function": {"name": "g"}}]}).json()
    first, second = made["choices"][0]["message"]["tool_calls"]
    assert first["id"] and (first["type"], json.loads(first["function"]["arguments"])) == ("function", {"n": 1})
    assert second == {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}


def test_what_is_empty_and_makes_clients_stumble_is_left_away(gateway, upstream):
    empty = {"tool_calls": [], "function_call": None, "name": ""}
    got = streamed(gateway, upstream, chunk({"role": "", "content": "a", **empty}), chunk({"role": "", "content": "b", **empty}),
                   chunk({}, "stop"))
    assert [c["choices"][0]["delta"] for c in got[:2]] == [{"role": "assistant", "content": "a"}, {"content": "b"}]
    made = whole(gateway, upstream, {"content": "a", "role": None, **empty}).json()["choices"][0]["message"]
    assert made == {"role": "assistant", "content": "a"}


# ---- reasons ----

@pytest.mark.parametrize("said,told", [("MAX_TOKENS", "length"), ("end_turn", "stop"), ("tired", "stop"), ("safety", "content_filter"),
                                       ("tool-calls", "tool_calls"), ("abort", "stop"), ({"type": "eos"}, "stop")])
def test_reasons_are_told_in_openais_words(gateway, upstream, said, told):
    assert reason(streamed(gateway, upstream, chunk({"content": "x"}), chunk({}, said))) == [told]
    assert whole(gateway, upstream, {"content": "x"}, said).json()["choices"][0]["finish_reason"] == told


@pytest.mark.parametrize("broken", [{"finish_reason": "error"}, {"finish_reason": "insufficient_system_resource"},
                                    {"finish_reason": "stop", "error": {"code": 502, "message": "provider went away"}}])
def test_a_failure_that_is_told_in_a_choice_is_a_failure(gateway, upstream, broken):
    gateway.announce("call_failed")
    before = gateway.metrics()['atlas_calls_total{outcome="failed"}']
    last = {**chunk({}), "choices": [{"index": 0, "delta": {"content": ""}, **broken}]}
    got = streamed(gateway, upstream, chunk({"content": "a"}), last)
    assert (content(got[:1]), got[1]["error"]["code"], got[2]) == ("a", "upstream_error", "[DONE]")
    upstream.script(stream(last))  # nothing was said: a status
    assert gateway.chat("m", stream=True).status_code == 502
    upstream.script(reply(200, {**CHAT, "choices": [{"index": 0, "message": {"role": "assistant", "content": "half"}, **broken}]}))
    got = gateway.chat("m")
    assert (got.status_code, got.json()["error"]["code"]) == (502, "upstream_error")
    assert "half" not in got.text
    assert gateway.metrics()['atlas_calls_total{outcome="failed"}'] - before == 3


# ---- reasoning ----

@pytest.mark.parametrize("model,said,told", [
    ("m", {"reasoning": "Let me "}, {"reasoning": "Let me "}),
    ("m", {"reasoning": "a", "reasoning_content": "a"}, {"reasoning_content": "a"}),
    ("older", {"reasoning": "a"}, {"reasoning_content": "a"}),
    ("older", {"reasoning": "a", "reasoning_content": None}, {"reasoning_content": "a"}),
    ("newer", {"reasoning_content": "a"}, {"reasoning": "a"}),
    ("newer", {"reasoning_content": "a", "reasoning": "a"}, {"reasoning": "a"})])
def test_reasoning_is_told_once(gateway, upstream, model, said, told):
    got = streamed(gateway, upstream, chunk(said), chunk({}, "stop"), model=model)
    assert got[0]["choices"][0]["delta"] == {**told, "role": "assistant"}
    got = whole(gateway, upstream, said, model=model).json()["choices"][0]["message"]
    assert {k: v for k, v in got.items() if k.startswith("reasoning")} == told


# ---- characters ----

def test_a_character_whose_halves_come_in_two_events_is_read_whole(gateway, upstream):
    halves = [json.dumps(chunk({"content": "S"})).replace("S", half) for half in ("a\\ud83d", "\\ude00b")]
    assert content(streamed(gateway, upstream, *halves, chunk({}, "stop"))) == "a😀b"
    assert content(streamed(gateway, upstream, halves[0], chunk({"content": "b"}), chunk({}, "stop"))) == "a\ufffdb"


# ---- usage ----

ASKED = {"include_usage": True}


def test_usage_is_told_with_all_members_that_the_server_wrote(gateway, upstream):
    for sent in ([chunk({"content": "x"}), chunk({}, "stop", usage=DETAILS)],
                 [chunk({"content": "x"}), chunk({}, "stop"), {**usage_chunk(), "usage": DETAILS}],
                 [chunk({"content": "x"}), {**usage_chunk(), "usage": DETAILS}, chunk({}, "stop")]):
        got = streamed(gateway, upstream, *sent, stream_options=ASKED, n=2)  # the server knows no n
        assert [c["usage"] for c in got[:-1] if c.get("usage")] == [DETAILS]
        assert (got[-2]["choices"], got[-2]["usage"]) == ([], DETAILS)
    assert whole(gateway, upstream, {"content": "x"}, usage=DETAILS).json()["usage"] == DETAILS


def test_usage_has_three_counts_that_are_numbers(gateway, upstream):
    for said in ({"prompt_tokens": 9, "completion_tokens": None, "total_tokens": 11, "cost": None},
                 {"prompt_tokens": 9, "total_tokens": 11, "cost": None}, {"prompt_tokens": 9, "completion_tokens": 2.0, "cost": None},
                 {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": -1, "cost": None}):
        told = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "cost": None}
        got = streamed(gateway, upstream, chunk({"content": "x"}), chunk({}, "stop"), {**usage_chunk(), "usage": said}, stream_options=ASKED)
        assert got[-2]["usage"] == told
        assert all(isinstance(got[-2]["usage"][name], int) for name in told if name != "cost")
        assert whole(gateway, upstream, {"content": "x"}, usage=said).json()["usage"] == told


def test_usage_that_came_before_the_text_is_not_final(gateway, upstream):
    gateway.announce("call_failed")
    said = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    for cut in (True, False):
        upstream.script(stream(chunk({"role": "assistant"}, usage=said), *[chunk({"content": "word "})] * 500,
                               *([] if cut else [chunk({}, "stop")]), cut=cut))
        got = gateway.chat("m", stream=True, stream_options=ASKED)
        assert tokens(gateway, got) == (9, f"about {1 + 500 * 5 * 2 // 8}")  # a letter or space is two eighths
        assert not any(c.get("usage") for c in events(got.text)[:-1])


def test_a_smaller_usage_does_not_replace_a_larger(gateway, upstream):
    upstream.script(stream(chunk({"content": "x"}), chunk({}, "stop"), usage_chunk(9, 70), usage_chunk(9, 2)))
    assert tokens(gateway, gateway.chat("m", stream=True)) == (9, 70)


def test_tokens_that_the_server_did_not_count_are_estimated(gateway, upstream):
    said = {"prompt_tokens": 9, "total_tokens": 9}
    upstream.script(reply(200, {**CHAT, "usage": said}), stream(chunk({"content": "Salam"}), chunk({}, "stop", usage=said)))
    assert tokens(gateway, gateway.chat("m")) == (9, "about 2")
    assert tokens(gateway, gateway.chat("m", stream=True)) == (9, "about 2")


ARABIC = "تُبنى المحطات الجديدة على الساحل الشرقي 😀 "


def test_what_a_cut_stream_said_counts_by_its_texts_however_they_are_written(gateway, upstream):
    gateway.announce("call_failed")
    found = set()
    for pieces in ([ARABIC * 8], [ARABIC] * 8, [ARABIC[i % len(ARABIC)] for i in range(8 * len(ARABIC))]):
        for is_escaped in (False, True):
            sent = [json.dumps(chunk({"content": piece}), ensure_ascii=is_escaped) for piece in pieces]
            upstream.script(stream(*sent, cut=True))
            found.add(tokens(gateway, gateway.chat("m", stream=True))[1])
    assert len(found) == 1
    assert len(ARABIC) * 8 * 6 // 8 < int(found.pop().split()[1]) < len(ARABIC) * 8 * 2


def test_thoughts_refusals_and_calls_are_counted_pictures_and_sound_are_not(gateway, upstream):
    gateway.announce("call_failed")
    said = "abcdefgh" * 40  # 80 tokens
    for delta, about in (({"content": said}, 80), ({"reasoning": said}, 80), ({"refusal": said}, 80),
                         ({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "abcd", "arguments": said}}]}, 81),
                         ({"content": said, "images": [{"image_url": {"url": "data:image/png;base64," + "A" * 100000}}]}, 80),
                         ({"content": said, "audio": {"data": "A" * 100000}}, 80)):
        upstream.script(stream(chunk(delta), cut=True))
        assert tokens(gateway, gateway.chat("m", stream=True))[1] == f"about {about}"
        upstream.script(reply(200, {**CHAT, "usage": None, "choices": [{"index": 0, "message": delta, "finish_reason": "stop"}]}))
        assert tokens(gateway, gateway.chat("m"))[1] == f"about {about}"


def test_tokens_that_cannot_be_are_bounded(gateway, upstream):
    huge = {"prompt_tokens": 1 << 40, "completion_tokens": 1 << 40, "total_tokens": 1 << 41}
    before = gateway.metrics()['atlas_tokens_total{direction="output"}']
    for asked, out in (({"max_tokens": 50}, 50), ({}, 2)):
        upstream.script(reply(200, {**CHAT, "usage": huge}), stream(chunk({"content": "Salam"}), chunk({}, "stop", usage=huge)))
        for is_stream in (False, True):
            said = tokens(gateway, gateway.chat("m", stream=is_stream, **asked))
            assert said[1] == f"about {out}"
            assert said[0].startswith("about ") and int(said[0].split()[1]) < 100
    assert gateway.metrics()['atlas_tokens_total{direction="output"}'] - before == 2 * (50 + 2)
    for out, about in ((1, 40), (0, 1250)):  # fewer, of so much text, there cannot be; and none is nothing that was counted
        upstream.script(reply(200, {**CHAT, "choices": [{"index": 0, "message": {"role": "assistant", "content": "word " * 1000},
                                                         "finish_reason": "stop"}],
                                    "usage": {"prompt_tokens": 9, "completion_tokens": out}}))
        assert tokens(gateway, gateway.chat("m")) == (9, f"about {about}")
