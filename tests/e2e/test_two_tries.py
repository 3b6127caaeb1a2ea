# SPDX-License-Identifier: Apache-2.0
"""The five counts of calls that are tried twice, whatever dies: callers, tries, answers, the gateway itself.

A server that refuses what Atlas adds to a stream is asked once more without it; Atlas learns that with the first answer that comes well, so
there are many servers, whose second answers fail in every way, and a gateway that forgets with each kill."""
import collections

import pytest

from harness.books import KILLS, Books, nano
from harness.processes import Gateway

SERVERS = 48
TOKENS = 8
HI = [{"role": "user", "content": "hi"}]
# What the second try gets; the first is refused. A third of them goes well, or nothing would be learnt nor any call be whole.
ENDS = [{}, {}, {}, {}, {"fault": "refuse"}, {"fault": "reset", "at": 20}, {"fault": "reset", "at": 900}, {"fault": "close", "at": 0},
        {"fault": "close", "at": 900}, {"fault": "stall", "at": 0}, {"fault": "stall", "at": 900}, {"fault": "half_chunk"}, {"fault": "bad_head"},
        {"fault": "bad_sse", "at": 2}, {"fault": "no_done"}, {"fault": "error_event", "at": 0}, {"fault": "error_event", "at": 3},
        {"fault": "status", "status": 500}, {"fault": "status", "status": 429}]


def ask(raw, chance):
    """A stream, of which one in ten is left by its caller, one in five is slow."""
    leaves, is_slow = chance.random() < 0.1, chance.random() < 0.2
    speed = {"tokens_per_second": 300} if is_slow or leaves else {}
    raw.request("POST", "/v1/chat/completions", {
        "model": f"m{chance.randrange(SERVERS)}", "messages": HI, "stream": True,
        "sim": {"strict": True, "tokens": TOKENS, **speed, **({} if leaves else chance.choice(ENDS))}})
    return leaves


@pytest.fixture(scope="module", params=["child", "parent"])
def books(request, tmp_path_factory, sim):
    slow = {"first_byte": "300ms", "idle": "300ms"}
    config = {"upstreams": {f"u{i}": {"url": sim.base, "timeouts": slow} for i in range(SERVERS)},
              "models": {f"m{i}": {"upstream": f"u{i}", "price": {"input": 1, "output": 2, "per": 1}} for i in range(SERVERS)}}
    gateway = Gateway(tmp_path_factory.mktemp(request.param), config)
    gateway.announce("upstream_down")
    return Counted(gateway, sim, ask, request.param)


class Counted(Books):
    """By call."""

    def __init__(self, *what):
        super().__init__(*what)
        self.intents, self.lost = (collections.defaultdict(dict) for _ in range(2))
        for by_call, kind in ((self.intents, "intent"), (self.lost, "try_end")):
            for r in self.of_kind(kind):
                assert r["attempt"] not in by_call[r["call"]], r
                by_call[r["call"]][r["attempt"]] = r
        self.ends = {r["call"]: r for r in self.of_kind("completion")}
        self.twice = [call for call, tries in self.intents.items() if len(tries) == 2]
        self.interrupted = [call for call, r in self.ends.items() if r["outcome"] == "interrupted"]

    def seen(self, call):
        """How many requests the model servers saw of it."""
        return self.upstream.get(call, [0])[0]


def test_most_calls_were_tried_twice_and_ended_in_every_way(books):
    outcomes = collections.Counter(books.ends[call]["outcome"] for call in books.twice)
    assert len(books.twice) > KILLS * 30
    assert {"ok", "failed", "client_gone", "interrupted"} <= set(outcomes), outcomes
    errors = {books.ends[call]["error"] for call in books.twice}
    assert {"UPSTREAM_CLOSED", "UPSTREAM_TIMEOUT", "UPSTREAM_PROTOCOL", "UPSTREAM_STATUS"} <= errors, errors
    assert books.load.broken >= KILLS


def test_what_callers_saw_is_what_is_written_down(books):
    load = books.load
    ends = collections.Counter(r["call"] for r in books.of_kind("completion"))
    for calls, outcomes in ((load.whole, {"ok"}), (load.refused + load.cut, {"failed"}), (load.left, {"client_gone", "failed", "ok", "interrupted"})):
        assert [call for call in calls if ends[call] != 1] == []
        assert [call for call in calls if books.ends[call]["outcome"] not in outcomes] == []


def test_intents_are_completions_and_ends_of_tries(books):
    """Of the calls that a kill cut off, too."""
    assert max(collections.Counter(r["call"] for r in books.of_kind("completion")).values()) == 1
    assert set(books.intents) == {call for call, r in books.ends.items() if r["attempt"] > 0}
    assert [call for call in books.intents if len(books.intents[call]) != len(books.lost[call]) + 1] == []
    assert [call for call in books.intents if books.ends[call]["attempt"] != len(books.intents[call])] == []
    assert len(books.of_kind("intent")) == len(books.of_kind("try_end")) + sum(r["attempt"] > 0 for r in books.ends.values())


def test_requests_that_servers_saw_are_tries_that_were_sent(books):
    cut = set(books.interrupted)
    assert set(books.upstream) <= set(books.ends)
    assert [call for call in books.ends if call not in cut and books.ends[call]["attempts_sent"] != books.seen(call)] == []
    assert [call for call in cut if not books.seen(call) <= books.ends[call]["attempts_sent"] <= len(books.intents[call])] == []
    assert [call for call, ends in books.lost.items() if sum(r["sent"] for r in ends.values()) > books.ends[call]["attempts_sent"]] == []


def test_the_end_of_a_try_that_was_refused_says_so(books):
    ends = [r for tries in books.lost.values() for r in tries.values() if r["outcome"] != "interrupted"]
    assert len(ends) > KILLS * 30
    assert {(r["attempt"], r["outcome"], r["status"], r["sent"], r["tokens_in"] + r["tokens_out"] + r["cost_nano"]) for r in ends} == {(1, "failed", 400, True, 0)}
    assert {r["peer"] for r in ends} == {"127.0.0.1"}


def test_usage_is_the_sum_of_completions_and_ends_of_tries(books):
    ends = books.of_kind("completion")
    tries = ends + books.of_kind("try_end")
    for name in ("tokens_in", "tokens_out", "tokens_cached"):
        assert sum(row[name] for row in books.usage) == sum(r[name] for r in tries), name
    assert sum(map(nano, books.usage)) == sum(r["cost_nano"] for r in tries)
    assert sum(row["calls"] for row in books.usage) == sum(r["attempts_sent"] > 0 for r in ends)
    assert sum(row["refused"] for row in books.usage) == sum(r["attempts_sent"] == 0 for r in ends)
    for name, outcomes in (("failed", ["failed"]), ("interrupted", ["interrupted", "client_gone"])):
        assert sum(row[name] for row in books.usage) == sum(r["attempts_sent"] > 0 and r["outcome"] in outcomes for r in ends), name
    sure = {r["call"] for r in ends if r["outcome"] != "interrupted"}
    cut = sum(row["requests"] for row in books.usage) - sum(books.seen(call) for call in sure)
    assert 0 <= cut <= sum(r["attempts_sent"] for r in ends if r["call"] not in sure)
    assert books.rebuilt == books.usage


def test_the_five_counts(books, capsys, request):
    """Printed, so that whoever runs this sees them."""
    load, cut = books.load, set(books.interrupted)
    saw = load.whole + load.refused + load.cut + load.left
    sent = sum(books.ends[call]["attempts_sent"] for call in books.ends if call not in cut)
    rows = [
        ("calls that callers saw begun", len(saw), "of these with exactly one completion", sum(call in books.ends for call in saw)),
        ("requests that servers saw, of calls not cut off", sum(books.seen(call) for call in books.ends if call not in cut), "tries sent", sent),
        ("requests that servers saw, of calls cut off", sum(books.seen(call) for call in cut), "tries sent, at most",
         sum(books.ends[call]["attempts_sent"] for call in cut)),
        ("intents", len(books.of_kind("intent")), "completions, interruptions, ends of tries",
         len(books.of_kind("try_end")) + sum(r["attempt"] > 0 for r in books.ends.values())),
        ("settled calls in SQL", sum(row["calls"] + row["refused"] for row in books.usage), "completions and interruptions", len(books.ends)),
        ("nano-units in SQL", sum(map(nano, books.usage)), "in completions and ends of tries",
         sum(r["cost_nano"] for r in books.of_kind("completion") + books.of_kind("try_end"))),
    ]
    with capsys.disabled():
        print(f"\n{request.node.callspec.params['books']} killed {KILLS} times, {len(books.twice)} calls tried twice")
        for left, count, right, other in rows:
            print(f"  {left:48} {count:>16,}   {right:42} {other:>16,}")
    assert all(count <= other if "at most" in right else count == other for _, count, right, other in rows)
