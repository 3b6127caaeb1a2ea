# SPDX-License-Identifier: Apache-2.0
"""The books balance whatever dies: kill -9 of the child and of the parent under load."""
import collections
import json
import os
import random
import signal
import threading
import time

import pytest

from harness.processes import SANITIZED, SLOWER, Gateway
from harness.raw import Raw
from harness.waiting import until

KILLS = 3 if SANITIZED else 10
CLIENTS = 6
TOKENS = 8  # of every chat reply
HI = [{"role": "user", "content": "hi"}]


class Load:
    """Clients that call for ever and remember the calls whose last byte reached them."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.whole, self.refused, self.broken = [], [], 0
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        chance = random.Random(number)
        while not self.stopped.is_set():
            try:
                with Raw(self.gateway.port, self.gateway.key, timeout=20 * SLOWER) as raw:
                    while not self.stopped.is_set():
                        self._call(raw, chance)
            except (OSError, AttributeError, ValueError):
                self.broken += 1  # it died under us, or is not back yet

    def _call(self, raw, chance):
        kind = chance.randrange(4)
        if kind == 3:
            raw.request("POST", "/v1/embeddings", {"model": "m", "input": ["a", "b"], "sim": {"dimensions": 16}})
        else:
            raw.request("POST", "/v1/chat/completions", {
                "model": "m", "messages": HI, "stream": kind > 0,
                "sim": {"tokens": TOKENS, "tokens_per_second": 400 if kind == 2 else 0}})
        head = raw.read_head()
        call_id = head.header("x-request-id")
        body = b""
        if head.header("transfer-encoding") == "chunked":
            while True:
                piece = raw.read_chunk()
                if piece is None:
                    raise OSError("cut")
                if piece == b"":
                    break
                body += piece
        else:
            length = int(head.header("content-length"))
            body = raw.reader.read(length)
            if len(body) < length:
                raise OSError("cut")
        (self.whole if head.status == 200 else self.refused).append(call_id)

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def usage_of(gateway):
    return json.loads(gateway.command("usage", "--json").stdout)["data"]


def rebuild(gateway):
    """The usage that the journal alone tells."""
    for path in gateway.data.glob("atlas.db*"):
        path.unlink()
    gateway.announce("store_new")
    gateway.start()
    assert gateway.stop() == 0
    assert gateway.unannounced() == []
    return usage_of(gateway)


def kill_again_and_again(gateway, load, whom):
    chance = random.Random(7)
    for _ in range(KILLS):
        done, ready = len(load.whole), gateway.count_log("ready")
        until(lambda: len(load.whole) > done + 30, 30 * SLOWER, "calls to go on")
        time.sleep(chance.random() * 0.02)  # at any point of what it does
        if whom == "child":
            os.kill(until(gateway.children)[0], signal.SIGKILL)
            until(lambda: gateway.count_log("ready") > ready, 30 * SLOWER)
        else:
            gateway.kill()
            until(lambda: not os.path.exists(f"/proc/{gateway.process.pid}"), 5)
            gateway.start()
    done = len(load.whole)
    until(lambda: len(load.whole) > done + 30, 30 * SLOWER)


@pytest.fixture(scope="module", params=["child", "parent"])
def books(request, tmp_path_factory, sim):
    """What stands in the journal, the usage and the simulator after the kills."""
    config = {"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u", "price": {"input": 1, "output": 2, "per": 1}}}}
    gateway = Gateway(tmp_path_factory.mktemp(request.param), config)
    seen_before = set(sim.calls())
    load = Load(gateway)
    try:
        # The next start must be found at the same place.
        gateway.write({**gateway.config, "listen": [{"address": f"127.0.0.1:{gateway.port}"}]})
        kill_again_and_again(gateway, load, request.param)
    except BaseException:
        gateway.kill()
        raise
    finally:
        load.stop()
    until(lambda: sim.counters()["running"] == 0, 10 * SLOWER)
    assert gateway.stop() == 0
    gateway.announce("gateway_died", "call_failed", "journal_torn")
    assert gateway.unannounced() == []
    checked = gateway.command("journal", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    printed = gateway.command("journal", "print")
    assert printed.returncode == 0
    records = [json.loads(line) for line in printed.stdout.splitlines()]
    usage = usage_of(gateway)
    load.rebuilt = rebuild(gateway)
    upstream = {call: row for call, row in sim.calls().items() if call not in seen_before}
    return load, records, usage, upstream


def of_kind(records, kind):
    return [r for r in records if r["kind"] == kind]


def test_the_kills_met_calls_under_way(books):
    load, records, _, _ = books
    interrupted = [r for r in of_kind(records, "completion") if r["outcome"] == "interrupted"]
    assert len(load.whole) > KILLS * 30
    assert load.broken >= KILLS
    assert interrupted, "no call was interrupted: the kills proved nothing"


def test_every_call_whose_last_byte_came_has_exactly_one_completion(books):
    load, records, _, _ = books
    ends = collections.Counter(r["call"] for r in of_kind(records, "completion"))
    missing = [call for call in load.whole if ends[call] != 1]
    assert missing == []
    assert len(set(load.whole)) == len(load.whole)


def test_no_call_is_completed_twice_and_none_is_left_open(books):
    _, records, _, _ = books
    ends = collections.Counter(r["call"] for r in of_kind(records, "completion"))
    assert [call for call, count in ends.items() if count > 1] == []
    begun = {r["call"] for r in of_kind(records, "intent")}
    assert begun - set(ends) == set()


def test_each_attempt_that_the_model_server_saw_has_its_own_intent(books):
    _, records, _, upstream = books
    intents = collections.Counter(r["call"] for r in of_kind(records, "intent"))
    assert {call: row[0] for call, row in upstream.items() if row[0] > intents[call]} == {}
    twice = collections.Counter((r["call"], r["attempt"]) for r in of_kind(records, "intent"))
    assert [key for key, count in twice.items() if count > 1] == []


def test_each_attempt_that_the_model_server_saw_is_counted_as_sent(books):
    _, records, _, upstream = books
    ends = {r["call"]: r for r in of_kind(records, "completion")}
    intents = collections.Counter(r["call"] for r in of_kind(records, "intent"))
    assert {call: row[0] for call, row in upstream.items() if row[0] > ends[call]["attempts_sent"]} == {}
    assert [call for call, r in ends.items() if not r["attempts_sent"] <= r["attempt"] == intents[call]] == []
    assert [call for call, r in ends.items() if r["outcome"] != "interrupted" and r["attempts_sent"] > upstream.get(call, [0])[0]] == []
    assert [call for call, r in ends.items() if r["attempts_sent"] == 0 and r["tokens_in"] + r["tokens_out"] + r["cost_micro"] > 0] == []


def test_the_intent_stands_before_the_completion(books):
    _, records, _, _ = books
    place = {}
    for r in of_kind(records, "intent"):
        place.setdefault(r["call"], r["seq"])
    assert [r["call"] for r in of_kind(records, "completion") if r["attempt"] > 0 and place[r["call"]] > r["seq"]] == []


def test_records_have_no_gap(books):
    _, records, _, _ = books
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1))


def test_usage_is_the_sum_of_the_completions(books):
    _, records, usage, _ = books
    ends = of_kind(records, "completion")
    for name, of in {"calls": lambda r: 1, "tokens_in": lambda r: r["tokens_in"], "tokens_out": lambda r: r["tokens_out"],
                     "bytes_in": lambda r: r["bytes_in"], "bytes_out": lambda r: r["bytes_out"],
                     "cost_micro": lambda r: r["cost_micro"],
                     "interrupted": lambda r: r["outcome"] in ("interrupted", "client_gone")}.items():
        assert sum(row[name] for row in usage) == sum(of(r) for r in ends), name


def test_usage_is_what_the_journal_alone_tells(books):
    load, _, usage, _ = books
    assert load.rebuilt == [{**row, "key_name": ""} for row in usage]


def test_tokens_of_whole_replies_are_the_model_servers(books):
    _, records, _, _ = books
    whole = [r for r in of_kind(records, "completion") if r["outcome"] == "ok" and r["endpoint"] == "chat"]
    assert whole
    assert [r for r in whole if r["tokens_out"] != TOKENS or r["tokens_out_estimated"] or r["tokens_in_estimated"]] == []


def test_tokens_of_cut_replies_are_estimated_marked_and_priced(books):
    _, records, _, _ = books
    cut = [r for r in of_kind(records, "completion") if r["outcome"] == "interrupted" and r["attempts_sent"] > 0]
    assert cut
    for r in cut:
        assert r["tokens_in_estimated"] is True
        assert r["tokens_out_estimated"] is (r["endpoint"] == "chat")
        assert r["tokens_out"] <= 4 * TOKENS
        assert r["cost_micro"] == r["tokens_in"] * 1_000_000 + r["tokens_out"] * 2_000_000
        assert r["status"] == (200 if r["bytes_out"] > 0 else 0)
