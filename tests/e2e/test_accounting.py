# SPDX-License-Identifier: Apache-2.0
"""The books balance whatever dies: kill -9 of the child and of the parent under load."""
import collections

import pytest

from harness.books import KILLS, Books, nano
from harness.processes import Gateway

TOKENS = 8  # of every chat reply
HI = [{"role": "user", "content": "hi"}]


def ask(raw, chance):
    kind = chance.randrange(4)
    if kind == 3:
        raw.request("POST", "/v1/embeddings", {"model": "m", "input": ["a", "b"], "sim": {"dimensions": 16}})
    else:
        raw.request("POST", "/v1/chat/completions", {
            "model": "m", "messages": HI, "stream": kind > 0,
            "sim": {"tokens": TOKENS, "tokens_per_second": 400 if kind == 2 else 0}})
    return False


@pytest.fixture(scope="module", params=["child", "parent"])
def books(request, tmp_path_factory, sim):
    """What stands in the journal, the usage and the simulator after the kills."""
    config = {"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u", "price": {"input": 1, "output": 2, "per": 1}}}}
    return Books(Gateway(tmp_path_factory.mktemp(request.param), config), sim, ask, request.param)


def test_the_kills_met_calls_under_way(books):
    load = books.load
    interrupted = [r for r in books.of_kind("completion") if r["outcome"] == "interrupted"]
    assert len(load.whole) > KILLS * 30
    assert load.broken >= KILLS
    assert interrupted, "no call was interrupted: the kills proved nothing"


def test_every_call_whose_last_byte_came_has_exactly_one_completion(books):
    load = books.load
    ends = collections.Counter(r["call"] for r in books.of_kind("completion"))
    missing = [call for call in load.whole if ends[call] != 1]
    assert missing == []
    assert len(set(load.whole)) == len(load.whole)


def test_no_call_is_completed_twice_and_none_is_left_open(books):
    ends = collections.Counter(r["call"] for r in books.of_kind("completion"))
    assert [call for call, count in ends.items() if count > 1] == []
    begun = {r["call"] for r in books.of_kind("intent")}
    assert begun - set(ends) == set()


def test_each_attempt_that_the_model_server_saw_has_its_own_intent(books):
    upstream = books.upstream
    intents = collections.Counter(r["call"] for r in books.of_kind("intent"))
    assert {call: row[0] for call, row in upstream.items() if row[0] > intents[call]} == {}
    twice = collections.Counter((r["call"], r["attempt"]) for r in books.of_kind("intent"))
    assert [key for key, count in twice.items() if count > 1] == []


def test_each_attempt_that_the_model_server_saw_is_counted_as_sent(books):
    upstream = books.upstream
    ends = {r["call"]: r for r in books.of_kind("completion")}
    intents = collections.Counter(r["call"] for r in books.of_kind("intent"))
    assert {call: row[0] for call, row in upstream.items() if row[0] > ends[call]["attempts_sent"]} == {}
    assert [call for call, r in ends.items() if not r["attempts_sent"] <= r["attempt"] == intents[call]] == []
    assert [call for call, r in ends.items() if r["outcome"] != "interrupted" and r["attempts_sent"] > upstream.get(call, [0])[0]] == []
    assert [call for call, r in ends.items() if r["attempts_sent"] == 0 and r["tokens_in"] + r["tokens_out"] + r["cost_nano"] > 0] == []


def test_each_try_that_lost_has_an_end_of_its_own(books):
    intents = collections.Counter(r["call"] for r in books.of_kind("intent"))
    lost = collections.Counter(r["call"] for r in books.of_kind("try_end"))
    ends = {r["call"]: r for r in books.of_kind("completion")}
    whole = [call for call, r in ends.items() if r["outcome"] != "interrupted" and r["attempt"] > 0]
    assert [call for call in whole if intents[call] != lost[call] + 1] == []
    assert [call for call in lost if lost[call] >= intents[call]] == []


def test_the_intent_stands_before_the_completion(books):
    place = {}
    for r in books.of_kind("intent"):
        place.setdefault(r["call"], r["seq"])
    assert [r["call"] for r in books.of_kind("completion") if r["attempt"] > 0 and place[r["call"]] > r["seq"]] == []


def test_records_have_no_gap(books):
    records = books.records
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1))


def test_usage_is_the_sum_of_the_completions(books):
    usage = books.usage
    ends = books.of_kind("completion")
    for name, of in {"calls": lambda r: r["attempts_sent"] > 0, "refused": lambda r: r["attempts_sent"] == 0,
                     "tokens_in": lambda r: r["tokens_in"], "tokens_out": lambda r: r["tokens_out"],
                     "bytes_in": lambda r: r["bytes_in"], "bytes_out": lambda r: r["bytes_out"],
                     "requests": lambda r: r["attempts_sent"], "failed": lambda r: r["attempts_sent"] > 0 and r["outcome"] == "failed",
                     "interrupted": lambda r: r["attempts_sent"] > 0 and r["outcome"] in ("interrupted", "client_gone")}.items():
        assert sum(row[name] for row in usage) == sum(of(r) for r in ends), name
    assert sum(map(nano, usage)) == sum(r["cost_nano"] for r in ends)


def test_usage_is_what_the_model_server_saw(books):
    """All but what was under way when a process died: of that nobody knows whether it was sent."""
    cut = sum(r["attempts_sent"] for r in books.of_kind("completion") if r["outcome"] == "interrupted")
    saw = sum(row[0] for row in books.upstream.values())
    requests = sum(row["requests"] for row in books.usage)
    assert saw <= requests <= saw + cut
    sure = {r["call"] for r in books.of_kind("completion") if r["outcome"] != "interrupted"}
    assert sum(row[0] for call, row in books.upstream.items() if call in sure) == requests - cut


def test_usage_is_what_the_journal_alone_tells(books):
    assert books.rebuilt == books.usage


def test_tokens_of_whole_replies_are_the_model_servers(books):
    whole = [r for r in books.of_kind("completion") if r["outcome"] == "ok" and r["endpoint"] == "chat"]
    assert whole
    assert [r for r in whole if r["tokens_out"] != TOKENS or r["tokens_out_estimated"] or r["tokens_in_estimated"]] == []


def test_tokens_of_cut_replies_are_estimated_marked_and_priced(books):
    cut = [r for r in books.of_kind("completion") if r["outcome"] == "interrupted" and r["attempts_sent"] > 0]
    assert cut
    for r in cut:
        assert r["tokens_in_estimated"] is True
        assert r["tokens_out_estimated"] is (r["endpoint"] == "chat")
        assert r["tokens_out"] <= 4 * TOKENS
        used = (r["tokens_in"] * 1_000_000 + r["tokens_out"] * 2_000_000) * 1000
        assert r["cost_nano"] == (max(used, r["reserved_nano"]) if r["attempts_sent"] > 0 else 0)
        assert r["currency"] == "USD" and r["price"].count("/") == 2
        assert r["status"] == (200 if r["bytes_out"] > 0 else 0)
