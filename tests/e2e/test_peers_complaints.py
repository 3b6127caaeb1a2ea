# SPDX-License-Identifier: Apache-2.0
"""What users of other gateways complain of, each complaint a test: none of it may happen here. Numbers of issues are those of their trackers."""
import collections
import contextlib
import json
import os
import pathlib
import re
import signal
import sqlite3
import statistics
import threading
import time

import pytest

from harness import crowd
from harness.processes import SLOWER, Gateway
from harness.raw import Raw
from harness.tenants import HI, LEVELS, Tree, ask, body_of, budgets, error, make, nano, records
from harness.upstream import CHAT, chunk, reply, stream, usage_chunk
from harness.waiting import until

ROUTES = pathlib.Path(__file__).parents[2] / "src/policy/routes.def"
ASKED = 10_000_000  # what a call of the model `asked` costs, in billionths


@pytest.fixture(scope="module")
def gateway(make_gateway, sim, upstream):
    made = make_gateway({
        "workers": 4,
        "upstreams": {"sim": {"url": sim.base}, "u": {"url": upstream.url}},
        "models": {"m": {"upstream": "sim", "price": {"input": "1", "output": "2"}},
                   "u": {"upstream": "u", "price": {"input": "1", "output": "2"}},
                   "asked": {"upstream": "sim", "price": {"request": "0.01"}},
                   "unpriced": {"upstream": "sim"}}})
    return made


@pytest.fixture(autouse=True)
def thresholds(request):
    """Budgets are spent here; which lines tell of it is another test's."""
    if "gateway" in request.fixturenames:
        gateway = request.getfixturevalue("gateway")
        gateway.announce("budget_threshold", "log_lost", "store_failing")  # row 9 locks the database: it may be told a while later
        yield
        until(lambda: all_told(gateway), 10 * SLOWER, "the lines of thresholds")
    else:
        yield


def all_told(gateway):
    """Whether the log has each threshold that a budget passed."""
    log = gateway.log()
    return all(f" {percent} % " in log and id_.removeprefix("budget_") in log
               for id_, b in budgets(gateway).items() for percent in b["thresholds_passed"])


def spent(gateway, budget):
    """When nothing is held any more."""
    def stood():
        b = budgets(gateway)[budget]
        return nano(b["held"]) == 0 and b
    return nano(until(stood, 10 * SLOWER, "nothing to be held")["spent"])


def at_once(gateway, secrets, order, model="asked", connections=60, **members):
    """How many calls had which status."""
    seen = collections.Counter()
    crowd.run(gateway.port, secrets, order, body_of(model, **members), connections, lambda i, status, fields: seen.update([status]))
    return seen


# ---- row 1: a budget is checked and never reserved, so parallel calls all pass (litellm 34732) ----


@pytest.mark.parametrize("level", LEVELS)
def test_row_1_of_many_parallel_calls_as_many_pass_as_the_budget_has_room_for(gateway, level):
    tree = Tree(gateway)
    budget = tree.budget(level, "0.035")
    seen = at_once(gateway, [tree.secret], [0] * 120, sim={"first_token_ms": 50})
    assert seen[200] <= 3 and seen[200] + seen[429] == 120, seen
    while ask(gateway, tree.secret, "asked").status == 200:
        seen[200] += 1
    assert seen[200] == 3 and spent(gateway, budget) == 3 * ASKED


# ---- row 2: the first parallel calls of somebody new skip the default budget (litellm 40095) ----


def test_row_2_the_first_parallel_calls_of_a_new_user_and_key_meet_their_default_budget(gateway):
    tree = Tree(gateway)
    make(gateway, "budgets", team=tree.team, each="user", amount="0.02", window="total")
    make(gateway, "budgets", team=tree.team, each="key", amount="0.01", window="total")
    for number in range(5):
        user = make(gateway, "users", name=f"new {number}", team=tree.team)["id"]
        secrets = [tree.new_key(user=user)["key"] for _ in range(4)]
        seen = at_once(gateway, secrets, list(range(4)) * 10, sim={"first_token_ms": 20})
        assert seen[200] <= 2, seen
        for secret in secrets:
            seen[ask(gateway, secret, "asked").status] += 1
        assert seen[200] == 2, seen


# ---- row 3: nothing is reserved where a price is not known, and for some kinds of input (litellm 35524) ----


def test_row_3_what_has_no_price_is_refused_and_all_that_has_one_is_held(gateway, upstream):
    tree = Tree(gateway)
    budget = tree.budget("team", "1.00")
    refused = ask(gateway, tree.secret, "unpriced")
    assert (refused.status, error(refused)["code"]) == (503, "price_unknown")
    picture = [{"role": "user", "content": [{"type": "text", "text": "what is it"},
                                            {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 40_000}}]}]
    sound = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "A" * 40_000, "format": "wav"}}]}]
    held = []

    def script(connection, request):
        held.append(nano(budgets(gateway)[budget]["held"]))
        reply(200, {**CHAT, "object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [1]}]})(connection, request)

    for path, members in (("/v1/chat/completions", {"messages": HI}), ("/v1/chat/completions", {"messages": picture}),
                          ("/v1/chat/completions", {"messages": sound}), ("/v1/completions", {"prompt": "say", "messages": None}),
                          ("/v1/embeddings", {"input": "words " * 50, "messages": None, "max_tokens": None})):
        upstream.script(script)
        with Raw(gateway.port, tree.secret) as raw:
            raw.request("POST", path, {k: v for k, v in body_of("u", **members).items() if v is not None})
            raw.read_reply()
        spent(gateway, budget)
    plain, with_picture, with_sound, text, embedded = held
    assert min(held) >= 50_000
    assert with_picture > plain + 1_000_000 and with_sound > plain + 50_000 and embedded > 80_000 and text > 50_000, held


# ---- row 4: worst-case holds refuse callers whose real use is small; no max_tokens takes all there is (litellm 38647, 27509) ----


def test_row_4_who_says_no_bound_holds_little_and_gives_it_back(gateway):
    tree = Tree(gateway)
    plan = make(gateway, "plans", name=f"plan {tree.number}", limits={"max_tokens": 100})["id"]
    gateway.admin("PATCH", f"/admin/v1/teams/{tree.team}", json={"plan": plan}).raise_for_status()
    budget = tree.budget("team", "0.001000")
    count = 0
    while ask(gateway, tree.secret, "m", max_tokens=None, sim={"tokens": 5}).status == 200:
        count += 1
    used = spent(gateway, budget)
    assert count > 20 and used > 600_000, (count, used)  # three fifths were used before a call did not fit
    free = Tree(gateway)
    wide = free.budget("key", "0.05")
    seen = at_once(gateway, [free.secret], [0] * 5, "m", 5, max_tokens=None, sim={"tokens": 5, "first_token_ms": 300})
    assert seen == {200: 5}, seen  # five at once, none of whom says a bound
    assert spent(gateway, wide) < 1_000_000


# ---- row 5: a cap is set and not kept: of key and user, of everybody (litellm 26672, 27381, 40020) ----


def test_row_5_a_cap_holds_whatever_else_is_set_and_arms_nothing_else(gateway):
    for tight in LEVELS:
        tree = Tree(gateway)
        all_ = {level: tree.budget(level, "0.02" if level == tight else "5.00") for level in LEVELS}
        assert [ask(gateway, tree.secret, "asked").status for _ in range(3)] == [200, 200, 429]
        assert {spent(gateway, b) for b in all_.values()} == {2 * ASKED}
        gateway.admin("DELETE", f"/admin/v1/budgets/{all_[tight]}").raise_for_status()
        assert [ask(gateway, tree.secret, "asked").status for _ in range(3)] == [200] * 3  # nothing of it goes on counting


def test_row_5_every_number_of_a_plan_is_kept(gateway, sim):
    def of_plan(**limits):
        tree = Tree(gateway)
        plan = make(gateway, "plans", name=f"plan {tree.number}", limits=limits)["id"]
        return tree.new_key(plan=plan)["key"]

    assert at_once(gateway, [of_plan(requests_per_minute=1, burst=2)], [0] * 9) == {200: 2, 429: 7}
    assert ask(gateway, of_plan(tokens_per_minute=50), "m", max_tokens=100).status == 429
    assert ask(gateway, of_plan(tokens_per_day=50), "m", max_tokens=100).status == 429
    assert at_once(gateway, [of_plan(concurrent=1)], [0] * 9, connections=9, sim={"first_token_ms": 500})[200] < 9
    assert ask(gateway, of_plan(max_tokens=7), "m", max_tokens=None).status == 200
    assert 7 in sim.last()[1].values()


# ---- row 6: ways around the budget; a field that is dropped silently; "99 %" at $0.40 (bifrost 2873, 5673, 5770) ----


def test_row_6_every_endpoint_that_costs_counts_in_the_budget(gateway):
    free = {"/v1/moderations"}  # it asks no model
    costly = [m for m in re.findall(r'^ROUTE\(\w+,\s*"([^"]+)",.*JSON', ROUTES.read_text(), re.M)]
    bodies = {"/v1/chat/completions": {"messages": HI}, "/v1/completions": {"prompt": "say"}, "/v1/embeddings": {"input": "say"}}
    assert sorted(set(costly) - free) == sorted(bodies), "an endpoint of which this test knows nothing"
    for path, body in bodies.items():
        for streamed in ([{}] if path == "/v1/embeddings" else [{}, {"stream": True}]):
            tree = Tree(gateway)
            budget = tree.budget("team", "0.02")
            got = []
            for _ in range(3):
                with Raw(gateway.port, tree.secret) as raw:
                    raw.request("POST", path, {"model": "asked", **body, **streamed})
                    got.append(raw.read_reply().status)
            assert got == [200, 200, 429], path
            assert spent(gateway, budget) == 2 * ASKED


@pytest.mark.parametrize("what, body", [
    ("keys", {"name": "k", "budget": 5}), ("keys", {"name": "k", "max_budget": "5.00"}), ("teams", {"name": "t", "budget": "5.00"}),
    ("limits", {"team": None, "rpm": 5}), ("budgets", {"team": None, "amount": "5.00", "budget_duration": "30d"}),
    ("plans", {"name": "p", "limits": {"rpm": 3}})])
def test_row_6_a_field_that_is_not_known_is_refused(gateway, what, body):
    tree = Tree(gateway)
    said = gateway.admin("POST", f"/admin/v1/{what}", json={k: tree.team if v is None else v for k, v in body.items()})
    assert said.status_code == 400, said.text
    assert said.json()["error"]["param"] is not None


def test_row_6_thresholds_are_passed_at_what_they_say(gateway):
    tree = Tree(gateway)
    budget = tree.budget("team", "1.00")
    for _ in range(40):
        assert ask(gateway, tree.secret, "asked").status == 200
    assert spent(gateway, budget) == 40 * ASKED and budgets(gateway)[budget]["thresholds_passed"] == []
    for _ in range(10):
        assert ask(gateway, tree.secret, "asked").status == 200
    assert spent(gateway, budget) == 50 * ASKED and budgets(gateway)[budget]["thresholds_passed"] == [50]


# ---- row 7: N replicas let N times the cap through (bifrost 3547, litellm 40291) ----


def test_row_7_all_workers_share_one_count(gateway):
    assert gateway.config["workers"] == 4
    tree = Tree(gateway)
    tree.limit("team", requests_per_minute=1, burst=10)
    began = time.monotonic()
    seen = at_once(gateway, [tree.secret, tree.sibling("team")], [0, 1] * 60)
    if time.monotonic() - began < 60:
        assert seen == {200: 10, 429: 110}
    other = Tree(gateway)
    other.limit("team", tokens_per_minute=600)
    # What a call holds is 64 and some beyond its 100 tokens: three of these fit.
    seen = at_once(gateway, [other.secret], [0] * 40, "m", 40, max_tokens=100, sim={"first_token_ms": 500})
    assert 1 <= seen[200] <= 3, seen


# ---- row 8: 544 of 1,022 calls passed a limit of 100 a minute; tokens bite 30 % early (litellm 6938, 24677) ----


def test_row_8_of_1022_calls_100_pass_a_limit_of_100_a_minute(gateway):
    tree = Tree(gateway)
    tree.limit("key", requests_per_minute=100)
    began = time.monotonic()
    seen = at_once(gateway, [tree.secret], [0] * 1022, max_tokens=1)
    back = int((time.monotonic() - began) * 100 / 60)
    assert 100 <= seen[200] <= 100 + back and seen[200] + seen[429] == 1022, (seen, back)


def test_row_8_tokens_are_not_used_up_before_they_are_used(gateway, upstream):
    tree = Tree(gateway)
    tree.limit("key", requests_per_minute=100_000, tokens_per_minute=1200)  # twenty come back a second
    used, began = 0, time.monotonic()
    while True:
        upstream.script(reply(200, {**CHAT, "usage": {"prompt_tokens": 7, "completion_tokens": 13, "total_tokens": 20}}))
        got = ask(gateway, tree.secret, "u", max_tokens=15)
        if got.status != 200:
            upstream.scripts.clear()
            break
        used += 20
    holds = 15 + 64 + 20  # of one call, at most
    assert error(got)["type"] == "tokens"
    assert 1200 - holds <= used <= 1200 + (time.monotonic() - began) * 20
    # Neither counts in the other: almost all requests are left.
    assert int(got.header("x-ratelimit-remaining-requests")) > 90_000


# ---- row 9: limits wait for rows of a database (tensorzero 5623, 5663, 5548) ----


@contextlib.contextmanager
def locked(gateway):
    """Another program that holds the database for itself."""
    other = sqlite3.connect(gateway.data / "atlas.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.close()


def test_row_9_limits_and_budgets_wait_for_no_database(gateway):
    tree = Tree(gateway)
    for level in LEVELS:
        tree.limit(level, requests_per_minute=100_000, tokens_per_minute=100_000_000, concurrent=1000)
        tree.budget(level, "100.00")

    def times(count=150):
        took = []
        with Raw(gateway.port, tree.secret) as raw:
            for _ in range(count):
                began = time.monotonic()
                assert ask(gateway, None, "asked", raw=raw).status == 200
                took.append(time.monotonic() - began)
        return took

    usual = times()
    with locked(gateway):
        then = times()
    assert statistics.median(then) < 3 * statistics.median(usual) + 0.002
    assert sorted(then)[-3] < 0.5 * SLOWER


# ---- row 10: a stream whose client left was billed nothing (litellm 14457, 33736, 37558, 36008) ----


@pytest.mark.parametrize("after", [1, 10, 40])
def test_row_10_a_client_that_leaves_in_a_stream_pays_for_all_that_it_saw(gateway, upstream, after):
    tree = Tree(gateway)
    budget = tree.budget("user", "1.00")
    words, gone = [f" word{i}" for i in range(after)], threading.Event()

    def script(connection, request):
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event in (chunk({"role": "assistant", "content": ""}), *(chunk({"content": word}) for word in words)):
            piece = b"data: " + json.dumps(event).encode() + b"\n\n"
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        if connection.wait_gone(10 * SLOWER):
            gone.set()

    upstream.script(script)
    with Raw(gateway.port, tree.secret) as raw:
        raw.request("POST", "/v1/chat/completions", body_of("u", stream=True, max_tokens=500))
        raw.read_head()
        body = b""
        while words[-1].encode() not in body:
            body += raw.read_chunk()
    assert gone.wait(10 * SLOWER)  # row 12: the server is told
    used = spent(gateway, budget)
    [end] = [r for r in records(gateway) if r["key"] == tree.key]
    assert end["outcome"] == "client_gone"
    assert end["tokens_out"] >= after and end["tokens_in"] >= 1
    assert used == end["cost_nano"] == end["tokens_in"] * 1000 + end["tokens_out"] * 2000 <= end["reserved_nano"]


# ---- row 11: usage is dropped where the last chunk has choices; a zero becomes an estimate (litellm 36168, 37992) ----


def usage(prompt, completion):
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


SAID = (chunk({"role": "assistant", "content": ""}), chunk({"content": "Salam to all"}))
WAYS = {
    "beside a choice": (stream(*SAID, chunk({}, "stop", usage=usage(7, 3))), 7, 3),
    "beside an empty delta": (stream(*SAID, chunk({}, "stop"), chunk({"content": ""}, usage=usage(7, 3))), 7, 3),
    "with every chunk": (stream(*({**c, "usage": usage(7, i)} for i, c in enumerate((*SAID, chunk({"content": " who"})), 1)),
                                {**chunk({}, "stop"), "usage": usage(7, 4)}), 7, 4),
    "twice": (stream(*SAID, chunk({}, "stop", usage=usage(7, 3)), usage_chunk(7, 3)), 7, 3),
    "nothing was said, and it says 0": (stream(SAID[0], chunk({}, "stop"), usage_chunk(7, 0)), 7, 0),
    "a whole reply that says 0": (reply(200, {**CHAT, "choices": [{"index": 0, "message": {"role": "assistant", "content": ""},
                                                                   "finish_reason": "stop"}], "usage": usage(7, 0)}), 7, 0),
}


@pytest.mark.parametrize("way", WAYS)
def test_row_11_usage_is_what_the_server_said_however_it_says_it(gateway, upstream, way):
    script, prompt, completion = WAYS[way]
    tree = Tree(gateway)
    budget = tree.budget("key", "1.00")
    upstream.script(script)
    got = ask(gateway, tree.secret, "u", stream="reply" not in way)
    assert got.status == 200
    assert spent(gateway, budget) == prompt * 1000 + completion * 2000
    [end] = [r for r in records(gateway) if r["key"] == tree.key]
    assert (end["tokens_in"], end["tokens_out"], end["tokens_in_estimated"], end["tokens_out_estimated"]) == (prompt, completion, False, False)


# ---- row 17: the database is gone, and valid keys get 401 for hours (litellm 29986, 34483, 30154, 18708) ----


UNAPPLIED = 1000


@pytest.fixture
def small(tmp_path, sim):
    made = Gateway(tmp_path / "g", {
        "journal": {"unapplied_max": UNAPPLIED}, "upstreams": {"sim": {"url": sim.base}},
        "models": {"asked": {"upstream": "sim", "price": {"request": "0.01"}}}})
    made.announce("budget_threshold", "log_lost", "gateway_died", "keys_untold", "store_behind", "store_failing")
    yield made
    if made.process.poll() is None:
        made.stop()


@pytest.mark.parametrize("killed", [False, True], ids=["", "and it is killed meanwhile"])
def test_row_17_a_database_that_stands_still_costs_no_key_its_calls_until_too_much_is_unapplied_and_nothing_is_forgotten(small, killed):
    tree = Tree(small)
    all_ = [tree.budget(level, "100.00") for level in LEVELS]
    tree.limit("team", requests_per_minute=1_000_000, concurrent=100)
    seen, replies = collections.Counter(), []

    def tell(_, status, fields):
        seen[status] += 1
        replies.append((status, fields))

    with locked(small):
        def ask_many():
            crowd.run(small.port, [tree.secret], [0] * 500, body_of("asked", max_tokens=1, sim={"tokens": 1}), 20, tell)
            return seen[503]

        until(ask_many, 30 * SLOWER, "calls to be refused")
        assert set(seen) == {200, 503}, seen  # never a 401
        assert seen[200] >= UNAPPLIED // 2 - 100, seen
        passed = seen[200]
        ask_many()
        assert seen[200] == passed  # from now on none passes
        assert all(1 <= int(fields["retry-after"]) <= 60 for status, fields in replies if status == 503)
        if killed:
            port = small.port
            small.write({**small.config, "listen": [{"address": f"127.0.0.1:{port}"}]})
            os.kill(until(small.children)[0], signal.SIGKILL)
            until(lambda: small.count_log("gateway_died"), 10 * SLOWER)
    if killed:
        until(lambda: small.count_log("ready") >= 2, 30 * SLOWER)
    until(lambda: ask(small, tree.secret, "asked").status == 200, 20 * SLOWER, "calls to go on")
    seen[200] += 1
    for budget in all_:
        got = until(lambda: (b := budgets(small)[budget]) and nano(b["held"]) == 0 and b, 10 * SLOWER)
        assert nano(got["spent"]) == seen[200] * ASKED
    until(lambda: sum(row["calls"] for row in json.loads(small.command("usage", "--json").stdout)["data"]) == seen[200], 10 * SLOWER)
    assert small.stop() == 0
    assert small.unannounced() == []
