# SPDX-License-Identifier: Apache-2.0
"""`atlas sim`: what it can be asked, and what it says that it saw."""
import concurrent.futures
import contextlib
import json
import re
import time

import httpx
import pytest

from harness.processes import PLAIN, get, run
from harness.raw import Raw, content, events
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]


def port(sim):
    return int(sim.url.rsplit(":", 1)[1])


def ask(server, path="/v1/chat/completions", headers=None, **body):
    return httpx.post(server.url + path, json={"model": "x", "messages": HI, **body}, headers=headers or {}, verify=PLAIN, timeout=10)


def test_it_answers_in_openais_shape(sim):
    got = ask(sim, sim={"tokens": 3})
    assert got.json()["choices"][0]["message"]["content"] == "The quick falcon "
    assert got.json()["usage"]["completion_tokens"] == 3
    assert ask(sim, "/v1/completions", prompt="x").json()["object"] == "text_completion"
    assert len(ask(sim, "/v1/embeddings", input=["a", "b"], sim={"dimensions": 5}).json()["data"][1]["embedding"]) == 5
    assert get(sim.base + "/models").json()["data"][0]["object"] == "model"


def test_headers_and_members_set_the_same_plan(sim):
    assert ask(sim, headers={"X-Sim-Tokens": "2"}).json()["usage"]["completion_tokens"] == 2
    assert ask(sim, sim={"tokens": 2}).json()["usage"]["completion_tokens"] == 2
    assert "usage" not in ask(sim, headers={"X-Sim-Usage": "off"}).json()


def test_a_stream_has_role_pieces_finish_usage_and_done(sim):
    got = events(ask(sim, stream=True, stream_options={"include_usage": True}, sim={"tokens": 4}).text)
    assert got[0]["choices"][0]["delta"]["role"] == "assistant"
    assert content(got) == "The quick falcon crosses "
    assert got[-3]["choices"][0]["finish_reason"] == "stop"
    assert got[-2]["usage"]["completion_tokens"] == 4
    assert got[-1] == "[DONE]"


ASKED = {"messages": [{"role": "user", "content": "before"}, {"role": "user", "content": [{"type": "text", "text": "هوية \u0661 \"q\"\n"}, {"type": "text", "text": "🦅"}]},
                      {"role": "assistant", "content": None}]}
TEXT = "هوية \u0661 \"q\"\n🦅"


@pytest.mark.parametrize("piece", [1, 2, 3, 16, 1000])
def test_an_echo_is_the_last_text_in_pieces_of_whole_characters(sim, piece):
    assert ask(sim, sim={"echo": True}, **ASKED).json()["choices"][0]["message"]["content"] == TEXT
    said = events(ask(sim, stream=True, sim={"echo": True, "piece": piece}, **ASKED).content)
    assert content(said) == TEXT
    assert len(said) == 1 + -(-len(TEXT.encode()) // piece) + 1 + 1  # the role, the pieces, the finish, [DONE]
    assert ask(sim, "/v1/completions", messages=None, prompt="again", sim={"echo": True}).json()["choices"][0]["text"] == "again"


def test_what_the_model_saw_is_printed_when_it_is_asked_for(make_sim):
    sim = make_sim("--print", "on")
    ask(sim, **ASKED)
    ask(sim, "/v1/embeddings", input="of a vector", messages=None)
    ask(sim, sim={"print": False})
    assert sim.printed() == [TEXT, "of a vector"]


def test_tools_are_called_once_and_their_result_is_answered(sim):
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    got = ask(sim, tools=tools).json()["choices"][0]
    assert got["finish_reason"] == "tool_calls"
    assert got["message"]["tool_calls"][0]["function"]["name"] == "weather"
    got = ask(sim, tools=tools, messages=[*HI, got["message"], {"role": "tool", "tool_call_id": "call_sim", "content": "40"}])
    assert got.json()["choices"][0]["finish_reason"] == "stop"


def test_prompts_are_read_one_after_the_other_and_what_is_known_at_once(make_sim):
    sim = make_sim("--prefill-tokens-per-second", 2000, "--cache-tokens", 10000)
    messages = [{"role": "user", "content": 250 * "wait "}]

    def timed(**more):
        began = time.monotonic()
        usage = ask(sim, messages=messages, **more).json()["usage"]
        return time.monotonic() - began, usage["prompt_tokens"], usage.get("prompt_tokens_details", {}).get("cached_tokens")

    took, tokens, cached = timed()
    assert tokens > 300 and cached == 0 and took >= tokens / 2000
    took, tokens, cached = timed()
    assert tokens - 64 < cached <= tokens and took < tokens / 2000
    took, tokens, cached = timed(sim={"cache_tokens": 0})  # one that is not remembered
    assert cached is None and took >= tokens / 2000
    page = get(sim.url + "/metrics").text
    assert re.search(r"^vllm:prefix_cache_hits_total\S* (\d+)$", page, re.M)[1] == str(timed()[2])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:  # two at once wait for each other
        began = time.monotonic()
        rows = list(pool.map(lambda c: ask(sim, messages=[{"role": "user", "content": 400 * c}]).json()["usage"]["prompt_tokens"], "yz"))
    assert time.monotonic() - began >= sum(rows) / 2000


@pytest.mark.parametrize("fault,stream,seen", [
    ("refuse", False, "cut"), ("reset", False, "cut"), ("close", False, "cut"), ("half_chunk", False, "cut"),
    ("half_chunk", True, "cut"), ("bad_head", False, "cut"), ("bad_json", False, "bad json"), ("bad_json", True, "bad json"),
    ("bad_sse", True, "no done"), ("no_done", True, "no done"), ("no_finish", True, "no finish"),
    ("error_event", True, "error"), ("status", False, 418), ("status", True, 418),
])
def test_every_fault_is_done(sim, fault, stream, seen):
    try:
        got = ask(sim, stream=stream, sim={"fault": fault, "status": 418, "at": 1})
    except httpx.TransportError:
        assert seen == "cut"
        return
    if isinstance(seen, int):
        assert got.status_code == seen
        assert got.json()["error"]["message"]
        return
    assert got.status_code == 200
    if seen == "bad json":
        with pytest.raises(ValueError):
            events(got.text) if stream else json.loads(got.text)
    elif seen == "no done":
        assert "[DONE]" not in got.text
        assert ("html" in got.text) == (fault == "bad_sse")
    elif seen == "no finish":
        assert '"stop"' not in got.text
    else:
        assert any("error" in event for event in events(got.text) if event != "[DONE]")


def test_a_fault_can_be_set_for_all_answers_at_start(make_sim):
    made = make_sim("--fault", "status", "--status", "503", "--retry-after", "7")
    got = ask(made)
    assert (got.status_code, got.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize("stream", [False, True])
def test_a_strict_one_refuses_stream_options_by_name(sim, stream):
    got = ask(sim, stream=stream, stream_options={"include_usage": True}, sim={"strict": True})
    assert got.status_code == 400 and "does not know stream_options" in got.json()["error"]["message"]
    assert ask(sim, stream=stream, sim={"strict": True}).status_code == 200


@pytest.mark.parametrize("fault,at,seen,end", [
    ("reset", 0, 0, "reset"), ("reset", 1, 1, "reset"), ("reset", 200, 200, "reset"), ("close", 0, 0, "end"), ("close", 200, 200, "end"),
    ("stall", 0, 0, "silence"), ("stall", 200, 200, "silence"),
])
@pytest.mark.parametrize("stream", [False, True])
def test_reset_close_and_stall_happen_at_the_byte_that_was_asked_for(sim, stream, fault, at, seen, end):
    with Raw(port(sim), timeout=0.3 if end == "silence" else 10) as raw:
        raw.request("POST", "/v1/chat/completions", {"model": "x", "messages": HI, "stream": stream},
                    headers=[("X-Sim-Fault", fault), ("X-Sim-At", str(at))])
        got, how = b"", "end"
        try:
            while (more := raw.socket.recv(65536)):
                got += more
        except ConnectionResetError:
            how = "reset"
        except TimeoutError:
            how = "silence"
    assert (len(got), how) == (seen, end)


@pytest.mark.parametrize("fault,how", [("reset", "reset"), ("close", "end"), ("stall", "end")])
def test_a_fault_behind_the_end_of_the_answer_leaves_it_whole_and_ends_the_connection(sim, fault, how):
    with Raw(port(sim)) as raw:
        raw.request("POST", "/v1/chat/completions", {"model": "x", "messages": HI, "sim": {"fault": fault, "at": 100000}})
        assert raw.read_reply().json["usage"]
        try:
            assert (raw.socket.recv(1), how) == (b"", "end")
        except ConnectionResetError:
            assert how == "reset"
    until(lambda: sim.counters()["running"] == 0)


@pytest.mark.parametrize("stream", [False, True])
def test_an_endless_answer_goes_on_for_as_long_as_it_is_read(sim, stream):
    with Raw(port(sim)) as raw:
        raw.request("POST", "/v1/chat/completions", {"model": "x", "messages": HI, "stream": stream, "sim": {"fault": "endless"}})
        assert raw.read_head().status == 200
        got = 0
        while got < 3_000_000:
            got += len(raw.read_chunk())


@pytest.mark.parametrize("name,value,said", [
    ("fault", "nonsense", "fault takes one of none, refuse"), ("status", 5, "status takes a whole number from 400 to 599"),
    ("usage", 7, "usage takes on or off"), ("tokens", -1, "tokens takes"), ("tokens", 10**12, "tokens takes"),
    ("dimensions", 0, "dimensions takes"), ("tokenz", 3, "does not know tokenz"),
])
def test_what_it_cannot_do_it_refuses_in_a_sentence(sim, name, value, said):
    for got in (ask(sim, headers={f"X-Sim-{name}": str(value)}), ask(sim, stream=True, sim={name: value}),
                ask(sim, "/v1/embeddings", input="x", sim={name: value})):
        assert got.status_code == 400
        assert said in got.json()["error"]["message"]


def test_an_option_that_cannot_be_is_named_with_what_it_takes():
    for given, said in ((("--status", "5"), "from 400 to 599"), (("--fault", "x"), "one of none, refuse"), (("--usage", "x"), "on or off")):
        done = run("sim", "--listen", "127.0.0.1:0", *given)
        assert done.returncode == 2
        assert f"'{given[1]}'" in done.stderr and said in done.stderr


def test_the_help_names_every_ability():
    said = run("sim", "--help").stdout
    for word in ("--first-token-ms", "--tokens-per-second", "--tokens", "--usage", "X-Sim-Tokens: 5", '"sim":{"tokens":5}', "refuse", "reset",
                 "stall", "half_chunk", "bad_json", "bad_sse", "no_done", "status", "endless", "/metrics", "/sim/counters", "/sim/calls", "curl"):
        assert word in said


def test_latency_and_speed_are_kept(make_sim):
    made = make_sim("--first-token-ms", "200", "--tokens-per-second", "100", "--tokens", "30")
    begun = time.monotonic()
    ask(made, stream=True)
    assert 0.45 < time.monotonic() - begun < 5


def test_it_counts_what_it_saw(sim):
    before = sim.counters()
    ask(sim, headers={"X-Request-Id": "one"})
    ask(sim, headers={"X-Request-Id": "one"})
    with Raw(port(sim)) as raw:
        raw.request("POST", "/v1/chat/completions", {"model": "x", "stream": True, "messages": HI,
                                                     "sim": {"fault": "endless", "tokens_per_second": 5}},
                    headers=[("X-Request-Id", "left")])
        raw.read_head()
        assert sim.counters()["running"] == 1
    until(lambda: sim.counters()["aborted"] == before["aborted"] + 1)
    after = sim.counters()
    assert after["calls"] - before["calls"] == 3
    assert after["finished"] - before["finished"] == 2
    assert sim.calls()["one"] == (2, 2, 0)
    assert sim.calls()["left"] == (1, 0, 1)


def test_its_metrics_have_vllms_names(sim):
    page = get(sim.url + "/metrics").text
    for name in ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:prompt_tokens_total",
                 "vllm:generation_tokens_total"):
        assert name in page


@pytest.mark.parametrize("kind,running,waiting", [
    ("vllm", "vllm:num_requests_running", "vllm:num_requests_waiting"), ("sglang", "sglang:num_running_reqs", "sglang:num_queue_reqs"),
    ("llama.cpp", "llamacpp:requests_processing", "llamacpp:requests_deferred"), ("tgi", "tgi_batch_current_size", "tgi_queue_size")])
def test_calls_wait_for_a_slot_and_the_metrics_say_so(make_sim, kind, running, waiting):
    made = make_sim("--metrics", kind, "--slots", 2)

    def told():
        text = get(made.url + "/metrics").text
        return tuple(int(float(re.search(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M)[1])) for name in (running, waiting))
    assert told() == (0, 0)
    with contextlib.ExitStack() as ends:
        held = [ends.enter_context(Raw(port(made))) for _ in range(4)]
        for n, raw in enumerate(held):
            raw.request("POST", "/v1/chat/completions", {"messages": HI, "sim": {"first_token_ms": 600000 if n < 2 else 0}})
            until(lambda n=n: sum(told()) == n + 1)
        assert told() == (2, 2)
        held[2].close()  # it waits no more
        until(lambda: told() == (2, 1))
        held[0].close()  # whose turn the last one has
        assert held[3].read_head().status == 200
        until(lambda: told() == (1, 0))
    until(lambda: told() == (0, 0) and made.counters()["running"] == 0)
    assert (made.counters()["finished"], made.counters()["aborted"]) == (1, 3)


def test_it_may_have_no_metrics(make_sim):
    assert get(make_sim("--metrics", "none").url + "/metrics").status_code == 404
    done = run("sim", "--listen", "127.0.0.1:0", "--metrics", "nobody's")
    assert done.returncode == 2 and "'nobody's' is not valid" in done.stderr


def test_tokens_are_counted_as_they_are_generated(make_sim):
    def generated():
        return int(re.search(r"^vllm:generation_tokens_total\S* (\d+)$", get(made.url + "/metrics").text, re.M)[1])
    made = make_sim("--tokens", "7")
    for path, members, tokens in (("/v1/chat/completions", {}, 7), ("/v1/chat/completions", {"stream": True}, 7),
                                  ("/v1/completions", {"stream": True}, 7), ("/v1/embeddings", {"input": "x"}, 0)):
        before = generated()
        ask(made, path, **members)
        until(lambda: generated() == before + tokens)


@pytest.mark.parametrize("address", ["nope", "18080", ""])
def test_the_simulator_says_what_an_address_is(address):
    said = run("sim", "--listen", address)
    assert said.returncode == 2
    assert f"--listen takes an address with its port, such as 127.0.0.1:18080 or 127.0.0.1:0 for any free one, not '{address}'" in said.stderr
