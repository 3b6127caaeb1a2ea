# SPDX-License-Identifier: Apache-2.0
"""What a caller is told of budgets, one call at a time: refusals, cuts, prices, thresholds, and what a call that ends badly costs."""
import datetime
import re
import threading
import time

import pytest

from harness.processes import SLOWER
from harness.raw import Raw, content, events
from harness.tenants import LEVELS, Tree, ask, body_of, budgets, error, make, nano, records
from harness.upstream import CLOSE, chunk, data, reply, stream, usage_chunk
from harness.waiting import stays, until

WORDS = {"key": "API key", "user": "user", "team": "team", "organisation": "organisation", "tag": "tag"}


@pytest.fixture(scope="module")
def gateway(make_gateway, sim, upstream):
    return make_gateway({
        "upstreams": {"sim": {"url": sim.base}, "u": {"url": upstream.url}},
        "models": {
            "m": {"upstream": "sim", "price": {"input": "1", "output": "2"}},
            "u": {"upstream": "u", "price": {"input": "1", "output": "2"}},
            "asked": {"upstream": "sim", "price": {"request": "0.01"}},
            "riyals": {"upstream": "sim", "price": {"request": "0.01", "currency": "SAR"}},
            "free": {"upstream": "sim", "price": {"input": 0, "output": 0}},
            "unpriced": {"upstream": "sim"}}})


def told(gateway, budget, percent):
    """The lines of the log that say that so much of it is spent."""
    bare = budget.removeprefix("budget_")
    return [line for line in gateway.log().splitlines() if " budget_threshold " in line and f" {percent} % " in line and bare in line]


def spend(gateway, tree, count, model="asked"):
    """Calls of 0.01 each."""
    got = [ask(gateway, tree.secret, model).status for _ in range(count)]
    assert got == [200] * count
    return got


def balance(gateway, budget):
    b = budgets(gateway)[budget]
    return nano(b["spent"]), nano(b["held"])


def settled(gateway, budget):
    return until(lambda: (b := balance(gateway, budget))[1] == 0 and b, 10 * SLOWER, "nothing to be held")[0]


# ---- refusals ----


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("window, word", [("day", "daily"), ("week", "weekly"), ("month", "monthly"), ("total", "total")])
def test_a_refusal_names_whose_budget_it_is_its_window_and_when_it_is_whole_again(gateway, level, window, word):
    gateway.announce("budget_threshold")
    tree = Tree(gateway)
    budget = tree.budget(level, "0.025", window=window, time_zone="Asia/Riyadh")
    spend(gateway, tree, 2)
    refused = ask(gateway, tree.secret, "asked")
    said = error(refused)
    assert (refused.status, said["type"], said["code"]) == (429, "insufficient_quota", "insufficient_quota")
    assert WORDS[level] in said["message"] and word in said["message"], said
    others = level in ("organisation", "tag")  # what they have is not told
    assert ("0.005 USD left" if others else "0.005 USD of 0.025 USD left") in said["message"], said
    resets_at = budgets(gateway)[budget]["resets_at"]
    if window == "total":
        assert resets_at is None and "does not reset" in said["message"]
    else:
        moment = datetime.datetime.fromtimestamp(resets_at, datetime.timezone.utc)
        assert moment.hour == 21 and moment.minute == 0  # a midnight of Riyadh
        assert moment.strftime("%Y-%m-%dT%H:%M:%S") in said["message"], said
    if resets_at is None or resets_at - time.time() > 70:
        assert refused.header("x-should-retry") == "false"
    assert 1 <= int(refused.header("Retry-After")) <= 60
    assert balance(gateway, budget) == (20_000_000, 0)
    until(lambda: told(gateway, budget, 80), 5 * SLOWER)


def test_a_refusal_of_one_level_holds_nothing_of_the_others(gateway):
    gateway.announce("budget_threshold")
    tree = Tree(gateway)
    wide = [tree.budget(level, "1.00") for level in ("key", "user", "organisation")]
    narrow = tree.budget("team", "0.015")
    spend(gateway, tree, 1)
    for _ in range(5):
        assert ask(gateway, tree.secret, "asked").status == 429
    assert [balance(gateway, b) for b in (*wide, narrow)] == [(10_000_000, 0)] * 4
    until(lambda: told(gateway, narrow, 50), 5 * SLOWER)


def test_an_amount_that_is_raised_lets_calls_through_and_one_that_is_lowered_stops_them(gateway):
    gateway.announce("budget_threshold")
    tree = Tree(gateway)
    budget = tree.budget("team", "0.02")
    spend(gateway, tree, 2)
    until(lambda: told(gateway, budget, 100), 5 * SLOWER)
    assert ask(gateway, tree.secret, "asked").status == 429
    gateway.admin("PATCH", f"/admin/v1/budgets/{budget}", json={"amount": "0.04"}).raise_for_status()
    spend(gateway, tree, 1)
    gateway.admin("PATCH", f"/admin/v1/budgets/{budget}", json={"amount": "0.01"}).raise_for_status()
    assert ask(gateway, tree.secret, "asked").status == 429
    assert balance(gateway, budget) == (30_000_000, 0)
    gateway.admin("DELETE", f"/admin/v1/budgets/{budget}").raise_for_status()
    spend(gateway, tree, 3)
    until(lambda: told(gateway, budget, 100), 5 * SLOWER)


def test_each_key_of_a_team_has_a_budget_of_its_own(gateway):
    gateway.announce("budget_threshold")
    tree = Tree(gateway)
    budget = make(gateway, "budgets", team=tree.team, each="key", amount="0.02", window="total")["id"]
    keys = [(tree.key, tree.secret)] + [(k["id"], k["key"]) for k in (tree.new_key(), tree.new_key(user=None))]
    for _, secret in keys:
        assert [ask(gateway, secret, "asked").status for _ in range(3)] == [200, 200, 429]
    until(lambda: all(any(id_ in line for line in told(gateway, budget, 100)) for id_, _ in keys), 5 * SLOWER)


def test_a_budget_of_a_model_counts_that_model_alone(gateway):
    gateway.announce("budget_threshold")
    tree = Tree(gateway)
    budget = tree.budget("user", "0.02", model="asked")
    spend(gateway, tree, 2)
    assert ask(gateway, tree.secret, "asked").status == 429
    assert ask(gateway, tree.secret, "m").status == 200
    assert ask(gateway, tree.secret, "unpriced").status == 200  # it is not of this budget
    until(lambda: told(gateway, budget, 100), 5 * SLOWER)


# ---- prices ----


def test_under_a_budget_of_money_a_model_without_a_price_in_its_currency_is_refused(gateway):
    tree = Tree(gateway)
    budget = tree.budget("organisation", "5.00")
    for model in ("unpriced", "riyals"):
        refused = ask(gateway, tree.secret, model)
        assert (refused.status, error(refused)["code"]) == (503, "price_unknown")
        assert refused.header("x-should-retry") == "false" and 1 <= int(refused.header("Retry-After")) <= 60
    assert balance(gateway, budget) == (0, 0)
    other = Tree(gateway)
    other.budget("team", "1000", unit="tokens")  # tokens need no price
    assert ask(gateway, other.secret, "unpriced").status == 200


def test_a_model_that_costs_nothing_stays_usable_when_the_budget_is_spent(gateway):
    gateway.announce("budget_threshold")
    tree = Tree(gateway)
    budget = tree.budget("team", "0.01")
    spend(gateway, tree, 1)
    assert ask(gateway, tree.secret, "asked").status == 429
    assert [ask(gateway, tree.secret, "free").status for _ in range(3)] == [200] * 3
    assert balance(gateway, budget) == (10_000_000, 0)
    until(lambda: told(gateway, budget, 100), 5 * SLOWER)


# ---- what is held, and what a call costs that ends badly ----


def held_stream(go, after=()):
    """A script: a stream that waits in its midst."""
    def script(connection, request):
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event in (chunk({"role": "assistant", "content": ""}), chunk({"content": "Salam"})):
            piece = data(event)
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        go.wait(30 * SLOWER)
        for event in after:
            piece = data(event)
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")
    return script


def test_what_a_call_may_come_to_is_held_while_it_runs_at_every_level(gateway, upstream):
    tree = Tree(gateway)
    all_ = [tree.budget(level, "1.00") for level in LEVELS]
    go = threading.Event()
    upstream.script(held_stream(go, (chunk({}, "stop"), usage_chunk(7, 3), "[DONE]")))
    with Raw(gateway.port, tree.secret, timeout=30) as raw:
        raw.request("POST", "/v1/chat/completions", body_of("u", stream=True, max_tokens=100))
        assert raw.read_head().status == 200
        held = {balance(gateway, b) for b in all_}
        assert len(held) == 1
        [(spent, most)] = held
        assert spent == 0 and 100 * 2000 + 7 * 1000 <= most <= 100 * 2000 + 200 * 1000
        go.set()
        while raw.read_chunk():
            pass
    assert [settled(gateway, b) for b in all_] == [7 * 1000 + 3 * 2000] * len(LEVELS)


@pytest.mark.parametrize("moment", ["before a byte", "in the midst"])
def test_a_client_that_leaves_pays_for_what_was_sent_for_it(gateway, upstream, moment):  # row 10 of the complaints, too
    tree = Tree(gateway)
    budget = tree.budget("key", "1.00")
    go = threading.Event()
    if moment == "in the midst":
        upstream.script(held_stream(go))
    else:
        upstream.script(lambda connection, request: go.wait(30 * SLOWER) and CLOSE)
    before = len(upstream.requests)
    raw = Raw(gateway.port, tree.secret)
    raw.request("POST", "/v1/chat/completions", body_of("u", stream=True, max_tokens=100))
    until(lambda: len(upstream.requests) > before and balance(gateway, budget)[1] > 0)
    if moment == "in the midst":
        raw.read_head()
        raw.read_chunk()
    raw.close()
    spent = settled(gateway, budget)
    go.set()
    [end] = [r for r in records(gateway) if r["key"] == tree.key]
    assert end["outcome"] == "client_gone" and spent == end["cost_nano"] > 0


def test_a_server_that_fails_before_it_answers_costs_nothing(gateway, upstream):
    gateway.announce("call_failed")
    tree = Tree(gateway)
    budget = tree.budget("team", "1.00")
    upstream.script(reply(400, {"error": {"message": "no"}}))
    assert ask(gateway, tree.secret, "u").status == 400
    assert settled(gateway, budget) == 0


def test_a_stream_ends_at_what_is_held_for_it(gateway, upstream):
    """A server that does not keep to max_tokens is cut: with a finish_reason, and no error."""
    tree = Tree(gateway)
    budget = tree.budget("team", "1.00")
    words = [chunk({"content": f"word{i} "}) for i in range(2000)]
    upstream.script(stream(chunk({"role": "assistant", "content": ""}), *words, chunk({}, "stop"), usage_chunk(7, 2000)))
    got = ask(gateway, tree.secret, "u", stream=True, max_tokens=50)
    said = events(got.body)
    assert said[-1] == "[DONE]"
    [reason] = [c["choices"][0]["finish_reason"] for c in said[:-1] if c.get("choices") and c["choices"][0]["finish_reason"]]
    assert reason == "length"
    assert 10 <= len(content(said).split()) <= 60
    [end] = [r for r in records(gateway) if r["key"] == tree.key]
    assert end["cost_nano"] <= end["reserved_nano"]
    assert settled(gateway, budget) == end["cost_nano"]


# ---- thresholds ----


def test_each_threshold_is_told_once(gateway):
    gateway.announce("budget_threshold")
    tree = Tree(gateway)
    budget = tree.budget("organisation", "0.10")
    shown = []
    for _ in range(10):
        spend(gateway, tree, 1)
        shown.append(budgets(gateway)[budget]["thresholds_passed"])
    assert shown == [[]] * 4 + [[50]] * 3 + [[50, 80]] * 2 + [[50, 80, 100]]
    until(lambda: told(gateway, budget, 100), 5 * SLOWER)
    assert ask(gateway, tree.secret, "asked").status == 429
    assert [len(told(gateway, budget, percent)) for percent in (50, 80, 100)] == [1, 1, 1]
    assert all(re.search(r"organisation \d+", line) for percent in (50, 80, 100) for line in told(gateway, budget, percent))
    spend(gateway, Tree(gateway), 1)
    stays(lambda: len(told(gateway, budget, 100)) == 1, 1.2)


def test_a_threshold_that_a_lower_amount_passes_is_told(gateway):
    gateway.announce("budget_threshold")
    tree = Tree(gateway)
    budget = tree.budget("team", "1.00")
    spend(gateway, tree, 6)
    gateway.admin("PATCH", f"/admin/v1/budgets/{budget}", json={"amount": "0.10"}).raise_for_status()
    until(lambda: told(gateway, budget, 50), 5 * SLOWER)
    assert [len(told(gateway, budget, percent)) for percent in (50, 80, 100)] == [1, 0, 0]


@pytest.mark.parametrize("zone", ["+03:00", "UTC0", "<+03>-3", "EST5EDT,M3.2.0,M11.1.0", ":Asia/Riyadh", "posixrules", "localtime", "Factory", "right/Asia/Riyadh", "../zoneinfo/UTC", "asia/riyadh", "Asia//Riyadh", "Asia"])
def test_a_time_zone_is_a_name_of_the_database(gateway, zone):
    said = gateway.admin("POST", "/admin/v1/budgets", json={"team": Tree(gateway).team, "amount": "1", "time_zone": zone})
    assert (said.status_code, said.json()["error"]["param"]) == (400, "time_zone"), said.text


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_a_threshold_that_was_told_is_not_told_again_after_a_start(gateway, end):
    gateway.announce("budget_threshold")
    tree = Tree(gateway)
    budget = tree.budget("team", "0.10")
    spend(gateway, tree, 6)
    until(lambda: told(gateway, budget, 50), 5 * SLOWER)
    settled(gateway, budget)
    gateway.command("usage")  # all records are on the disk
    if end == "stopped":
        assert gateway.stop() == 0
    else:
        gateway.kill()
    gateway.start()
    assert budgets(gateway)[budget]["thresholds_passed"] == [50]
    spend(gateway, tree, 2)
    until(lambda: told(gateway, budget, 80), 5 * SLOWER)
    assert len(told(gateway, budget, 50)) == 1


# ---- whom it tells ----


def test_a_key_reads_the_budgets_that_its_calls_count_in_and_no_others(gateway):
    tree, other = Tree(gateway), Tree(gateway)
    mine = {tree.budget(level, "1.00") for level in LEVELS}
    other.budget("team", "1.00")
    spend(gateway, tree, 1)
    said = gateway.request("GET", "/v1/budget", key=tree.secret)
    assert said.status_code == 200, said.text
    shown = {b["id"]: b for b in said.json()["data"]}
    assert set(shown) == mine
    assert {nano(b["left"]) for b in shown.values()} == {990_000_000}
    own = [b for b in shown.values() if b["level"] in ("key", "user", "team")]
    assert len(own) == 3 and {(nano(b["spent"]), nano(b["held"])) for b in own} == {(10_000_000, 0)}
