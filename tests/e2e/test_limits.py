# SPDX-License-Identifier: Apache-2.0
"""How many requests, tokens and calls at once are let through, at each level, and what the replies say of it."""
import collections
import concurrent.futures
import os
import random
import re
import threading
import time

import pytest

from harness import crowd
from harness.processes import SLOWER
from harness.raw import Raw
from harness.tenants import LEVELS, Tree, ask, body_of, error, make, seconds
from harness.upstream import chunk, data, usage_chunk
from harness.waiting import until

REQUEST_FIELDS = ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")
TOKEN_FIELDS = ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens")
PLAIN_FIELDS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


@pytest.fixture(scope="module")
def gateway(make_gateway, sim, upstream):
    return make_gateway({
        "upstreams": {"sim": {"url": sim.base}, "u": {"url": upstream.url}},
        "models": {"m": {"upstream": "sim", "price": {"input": "1", "output": "2"}}, "u": {"upstream": "u"},
                   "unpriced": {"upstream": "sim"}}})


def remaining(reply):
    return int(reply.header("X-RateLimit-Remaining"))


class Held:
    """Calls whose streams have begun and go on until they are let go."""

    def __init__(self, gateway, upstream):
        self.gateway, self.upstream = gateway, upstream
        self.go = threading.Event()
        self.open = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go.set()
        for raw in self.open:
            raw.close()

    def script(self, connection, request):
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._send(connection, chunk({"role": "assistant", "content": "a"}))
        self.go.wait(30 * SLOWER)
        self._send(connection, chunk({}, "stop"))
        self._send(connection, usage_chunk())
        connection.send(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")

    @staticmethod
    def _send(connection, event):
        piece = data(event)
        connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))

    def begin(self, secret, **members):
        """The head of its reply; a refusal's is whole."""
        self.upstream.script(self.script)
        raw = Raw(self.gateway.port, secret, timeout=30)
        raw.request("POST", "/v1/chat/completions", body_of("u", stream=True, **members))
        head = raw.read_head()
        if head.status == 200:
            self.open.append(raw)
        else:
            self.upstream.scripts.pop()
            head.body = raw.reader.read(int(head.header("content-length")))
            raw.close()
        return head

    def end(self, raw):
        """One of them is read to its end."""
        self.go.set()
        while raw.read_chunk():
            pass


# ---- requests a minute ----


@pytest.mark.parametrize("level", LEVELS)
def test_so_many_requests_pass_at_once_and_not_one_more(gateway, level):
    tree = Tree(gateway)
    tree.limit(level, requests_per_minute=1, burst=7)
    secrets = [tree.secret] if level == "key" else [tree.secret, tree.sibling(level)]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        got = [r.status for r in pool.map(lambda i: ask(gateway, secrets[i % len(secrets)]), range(40))]
    if time.monotonic() - began < 60:  # then the eighth is not back yet
        assert (got.count(200), got.count(429)) == (7, 33)
    assert ask(gateway, Tree(gateway).secret).status == 200  # nobody else pays for it


@pytest.mark.parametrize("level", LEVELS)
def test_after_the_burst_one_passes_an_interval(gateway, level):
    interval, burst, more = 0.25, 3, 6
    tree = Tree(gateway)
    tree.limit(level, requests_per_minute=240, burst=burst)
    passed, promised = [], None
    began = now = time.monotonic()
    with Raw(gateway.port, tree.secret) as raw:
        while len(passed) < burst + more:
            sent = until(lambda: time.monotonic() >= now + 0.005 and time.monotonic())  # so often is enough
            reply = ask(gateway, None, raw=raw)
            now = time.monotonic()
            assert now - began < 60 * SLOWER
            if reply.status == 200:
                passed.append(now)
                promised = None
                continue
            assert reply.status == 429 and error(reply)["code"] == "rate_limit_exceeded"
            assert promised is None or sent < promised, "Retry-After had passed"
            promised = promised or now + int(reply.header("Retry-After"))
    for i, at in enumerate(passed):
        assert at - began >= (i + 1 - burst) * interval, f"call {i + 1} came through too early"


def test_reset_is_when_the_whole_allowance_is_back(gateway):
    tree = Tree(gateway)
    tree.limit("team", requests_per_minute=120, burst=4)
    before = time.time()
    first = ask(gateway, tree.secret)
    asked_last = time.time()
    last = ask(gateway, tree.secret)
    after = time.time()
    assert (remaining(first), remaining(last)) == (3, 2)
    # Each takes half a second to come back; what passed since the first is back already.
    said = seconds(last.header("x-ratelimit-reset-requests"))
    assert 1.0 - (after - before) <= said <= 1.0 + 0.002
    reset = int(last.header("X-RateLimit-Reset"))
    assert asked_last + said - 0.1 <= reset <= after + said + 1
    until(lambda: time.time() >= reset, 5)
    again = ask(gateway, tree.secret)
    assert remaining(again) == 3 and 0.4 < seconds(again.header("x-ratelimit-reset-requests")) <= 0.502


def test_remaining_never_rises_without_time_passing(gateway):
    tree = Tree(gateway)
    tree.limit("user", requests_per_minute=60, burst=30)
    said, began = [], time.monotonic()
    with Raw(gateway.port, tree.secret) as raw:
        for _ in range(40):
            said.append((remaining(ask(gateway, None, raw=raw)), time.monotonic() - began))
    for (left, then), (now_left, now) in zip(said, said[1:]):
        assert now_left <= left + int(now) - int(then) + 1 and now_left <= max(left, 30 - 1)
    assert [left for left, _ in said[:5]] == [29, 28, 27, 26, 25]


def test_the_headers_tell_of_the_limit_that_is_tightest(gateway):
    tree = Tree(gateway)
    for level, burst in zip(LEVELS, (9, 5, 7, 8)):
        tree.limit(level, requests_per_minute=1, burst=burst)
    assert [remaining(ask(gateway, tree.secret)) for _ in range(5)] == [4, 3, 2, 1, 0]
    refused = ask(gateway, tree.secret)
    assert refused.status == 429 and "user" in error(refused)["message"]
    assert remaining(refused) == 0


def test_a_refusal_takes_nothing_of_the_other_levels(gateway):
    tree = Tree(gateway)
    tree.limit("key", requests_per_minute=1, burst=10)
    tree.limit("organisation", requests_per_minute=1, burst=2)
    assert [ask(gateway, tree.secret).status for _ in range(12)] == [200] * 2 + [429] * 10
    tree.limit("organisation")
    assert [ask(gateway, tree.secret).status for _ in range(9)] == [200] * 8 + [429]


# ---- what replies say ----


def all_fields(reply, fields):
    return {name: reply.header(name) for name in fields}


def refusal(gateway, tree, status):
    """A reply of this status to a known key."""
    if status == 200:
        return ask(gateway, tree.secret)
    if status == 403:
        return ask(gateway, tree.new_key(scopes=["embeddings"])["key"])
    if status == 404:
        return ask(gateway, tree.secret, model="nothing")
    if status == 400:
        return ask(gateway, tree.secret, messages=3)
    if status == 503:
        tree.budget("team", "5.00")
        return ask(gateway, tree.secret, model="unpriced")
    if status == 413:
        return ask(gateway, tree.secret, messages=[{"role": "user", "content": "a" * 34_000_000}])
    tree.limit("team", requests_per_minute=10, burst=1, tokens_per_minute=5000)
    ask(gateway, tree.secret)
    return ask(gateway, tree.secret)


@pytest.mark.parametrize("status", [200, 400, 403, 404, 429, 503])
def test_every_reply_to_a_known_key_says_how_its_limits_stand(gateway, status):
    tree = Tree(gateway)
    tree.limit("team", requests_per_minute=10, burst=5, tokens_per_minute=5000)
    reply = refusal(gateway, tree, status)
    assert reply.status == status, reply.body
    for fields, limit in ((REQUEST_FIELDS, "10"), (TOKEN_FIELDS, "5000")):
        said = all_fields(reply, fields)
        assert None not in said.values(), said
        assert said[fields[0]] == limit and 0 <= int(said[fields[1]]) <= int(limit)
        assert 0 <= seconds(said[fields[2]]) <= 60
    plain = all_fields(reply, PLAIN_FIELDS)
    assert plain["X-RateLimit-Limit"] == "10" and 0 <= int(plain["X-RateLimit-Remaining"]) <= 5
    assert -1 <= int(plain["X-RateLimit-Reset"]) - time.time() <= 61
    if status in (429, 503):
        assert 1 <= int(reply.header("Retry-After")) <= 60


def test_the_list_of_models_says_how_the_limits_of_a_known_key_stand(gateway):
    tree = Tree(gateway)
    tree.limit("key", requests_per_minute=10, burst=5, tokens_per_minute=5000)
    for path, status in (("/v1/models", 200), ("/v1/models/m", 200), ("/v1/models/nothing", 404)):
        reply = gateway.request("GET", path, key=tree.secret)
        assert reply.status_code == status
        missing = [name for name in (*PLAIN_FIELDS, *REQUEST_FIELDS, *TOKEN_FIELDS) if name not in reply.headers]
        assert missing == [], path


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/nothing", 404), ("POST", "/nothing", 404), ("DELETE", "/v1/chat/completions", 405)])
def test_a_known_key_is_told_its_limits_where_it_asks_for_what_is_not_there(gateway, method, path, status):
    tree = Tree(gateway)
    tree.limit("key", requests_per_minute=60)
    for key, told in ((tree.secret, "60"), (tree.secret[:-9] + "A" * 9, None), ("", None)):
        got = gateway.request(method, path, key=key)
        assert (got.status_code, got.headers.get("X-RateLimit-Limit")) == (status, told), got.text


def test_who_has_no_limits_is_told_none(gateway):
    reply = ask(gateway, Tree(gateway).secret)
    assert not [name for name, _ in reply.fields if "ratelimit" in name.lower()]


# ---- tokens a minute ----


@pytest.mark.parametrize("level", LEVELS)
def test_tokens_are_held_while_a_call_runs_and_given_back_where_it_used_fewer(gateway, upstream, level):
    tree = Tree(gateway)
    tree.limit(level, tokens_per_minute=600)
    with Held(gateway, upstream) as held:
        began = time.monotonic()
        fit = 0
        while (reply := held.begin(tree.secret, max_tokens=100)).status == 200:
            assert int(reply.header("x-ratelimit-remaining-tokens")) == 600  # nothing was used yet
            fit += 1
        refused = reply
        holds = int(re.search(r"may come to (\d+)", error(refused)["message"])[1])
        assert 100 < holds <= 200 and 600 // holds <= fit
        lacking = holds - (600 - fit * holds)
        if time.monotonic() - began < lacking / 10:  # ten come back a second
            assert refused.status == 429
            said = error(refused)
            assert (said["type"], said["code"]) == ("tokens", "rate_limit_exceeded")
            assert 1 <= int(refused.header("Retry-After")) <= -(-lacking // 10)
        for raw in held.open:
            held.end(raw)
        # Each used ten.
        after = until(lambda: (r := ask(gateway, tree.secret, "u")).status == 200 and r, 5)
        taken = 600 - int(after.header("x-ratelimit-remaining-tokens"))
        assert taken <= 10 * (fit + 1) + holds


def test_more_tokens_than_a_minute_s_are_never_let_through_and_no_retry_is_asked_for(gateway):
    tree = Tree(gateway)
    tree.limit("team", tokens_per_minute=300)
    refused = ask(gateway, tree.secret, max_tokens=1000)
    assert refused.status == 429 and error(refused)["code"] == "rate_limit_exceeded"
    assert refused.header("x-should-retry") == "false"
    assert ask(gateway, tree.secret, max_tokens=10).status == 200


def test_an_answer_that_nobody_bounds_is_held_within_what_a_minute_allows(gateway, sim):
    tree = Tree(gateway)
    tree.limit("key", tokens_per_minute=1000)
    assert ask(gateway, tree.secret, max_tokens=None).status == 200
    bound = sim.last()[1]
    assert 0 < (bound.get("max_tokens") or bound.get("max_completion_tokens")) <= 1000


@pytest.mark.parametrize("level", LEVELS)
def test_a_day_s_tokens_are_spent_once_and_the_refusal_says_when_they_are_back(gateway, level):
    gateway.announce("budget_threshold")
    tree = Tree(gateway)
    id_ = tree.limit(level, tokens_per_day=400)["id"]
    statuses = []
    while len(statuses) < 50 and 429 not in statuses:
        reply = ask(gateway, tree.secret)
        statuses.append(reply.status)
    assert statuses[0] == 200 and statuses[-1] == 429
    said = error(reply)
    assert said["code"] == "insufficient_quota" and "daily" in said["message"]
    name = {"key": "API key"}.get(level, level)
    assert name in said["message"] and "T00:00:00" in said["message"], said
    assert 1 <= int(reply.header("Retry-After")) <= 60
    left = 86400 - time.time() % 86400
    if left > 120:
        assert reply.header("x-should-retry") == "false"
    told = until(lambda: [line for line in gateway.log().splitlines() if f"day/{id_} " in line and " 80 % " in line], 5 * SLOWER)
    assert len(told) == 1


# ---- calls at once ----


@pytest.mark.parametrize("level", LEVELS)
def test_so_many_calls_run_at_once_and_one_that_ends_makes_room(gateway, upstream, level):
    tree = Tree(gateway)
    tree.limit(level, concurrent=3)
    other = tree.secret if level == "key" else tree.sibling(level)
    with Held(gateway, upstream) as held:
        assert [held.begin(s).status for s in (tree.secret, other, tree.secret)] == [200] * 3
        refused = held.begin(other)
        assert refused.status == 429 and error(refused)["code"] == "concurrency_exceeded"
        assert 1 <= int(refused.header("Retry-After")) <= 60
        assert refused.header("x-should-retry") != "false"
        held.open.pop().close()  # its client leaves
        until(lambda: held.begin(tree.secret).status == 200, 5 * SLOWER, "the place of one that left")
        assert held.begin(other).status == 429
        held.end(held.open[0])
    until(lambda: ask(gateway, other, "u").status == 200, 5 * SLOWER, "the places of those that ended")


def test_places_are_given_back_whatever_ends_the_call(gateway, upstream):
    gateway.announce("call_failed")
    tree = Tree(gateway)
    tree.limit("team", concurrent=1)
    for ask_badly in (lambda: ask(gateway, tree.secret, model="nothing"), lambda: ask(gateway, tree.secret, messages=3),
                      lambda: ask(gateway, tree.secret, sim={"fault": "reset"}), lambda: ask(gateway, tree.secret, sim={"fault": "bad_json"}),
                      lambda: ask(gateway, tree.secret, stream=True, sim={"fault": "no_done"}),
                      lambda: ask(gateway, tree.new_key(scopes=["embeddings"])["key"])):
        ask_badly()
        assert ask(gateway, tree.secret).status == 200


# ---- what is changed ----


def test_a_plan_that_is_changed_holds_at_once_on_open_connections(gateway):
    tree = Tree(gateway)
    plan = make(gateway, "plans", name=f"plan {tree.number}", limits={"requests_per_minute": 1, "burst": 100})["id"]
    gateway.admin("PATCH", f"/admin/v1/teams/{tree.team}", json={"plan": plan}).raise_for_status()
    with Raw(gateway.port, tree.secret) as raw:
        assert remaining(ask(gateway, None, raw=raw)) == 99
        gateway.admin("PATCH", f"/admin/v1/plans/{plan}", json={"limits": {"requests_per_minute": 1, "burst": 3}}).raise_for_status()
        got = [ask(gateway, None, raw=raw) for _ in range(3)]
        # One was taken before: what was taken stays taken.
        assert [(r.status, r.header("X-RateLimit-Remaining")) for r in got] == [(200, "1"), (200, "0"), (429, "0")]
        gateway.admin("PATCH", f"/admin/v1/teams/{tree.team}", json={"plan": None}).raise_for_status()
        free = ask(gateway, None, raw=raw)
        assert free.status == 200 and free.header("X-RateLimit-Limit") is None


def test_a_plan_goes_by_key_and_team_and_what_is_set_goes_before_it(gateway):
    tree = Tree(gateway)
    plan = make(gateway, "plans", name=f"plan {tree.number}", limits={"requests_per_minute": 1, "burst": 4})["id"]
    keys = [tree.new_key(plan=plan, user=None)["key"] for _ in range(2)]
    for secret in keys:  # each has its own count
        assert [ask(gateway, secret).status for _ in range(5)] == [200] * 4 + [429]
    own = tree.new_key(plan=plan, limits={"requests_per_minute": 1, "burst": 6})["key"]
    assert [ask(gateway, own).status for _ in range(7)] == [200] * 6 + [429]


def test_each_key_of_a_team_has_what_the_team_gives_each(gateway):
    tree = Tree(gateway)
    set_ = gateway.admin("POST", "/admin/v1/limits", json={"team": tree.team, "each": "key", "requests_per_minute": 1, "burst": 2})
    assert set_.status_code in (200, 201), set_.text
    later = tree.new_key()["key"]  # made after it
    other = tree.new_key(limits={"requests_per_minute": 1, "burst": 5})["key"]
    for secret, most in ((tree.secret, 2), (later, 2), (other, 5)):
        assert [ask(gateway, secret).status for _ in range(most + 1)] == [200] * most + [429]
    gateway.admin("DELETE", f"/admin/v1/limits/{set_.json()['id']}".replace("/key", "%2Fkey")).raise_for_status()
    assert ask(gateway, tree.secret).status == 200


def test_each_user_of_a_team_has_what_the_team_gives_each(gateway):
    tree = Tree(gateway)
    assert gateway.admin("POST", "/admin/v1/limits", json={"team": tree.team, "each": "user", "requests_per_minute": 1, "burst": 3}).status_code in (200, 201)
    another = make(gateway, "users", name="another", team=tree.team)["id"]
    pairs = ((tree.secret, tree.new_key()["key"]), (tree.new_key(user=another)["key"], tree.new_key(user=another)["key"]))
    for pair in pairs:  # both keys of a user count in one
        assert [ask(gateway, pair[i % 2]).status for i in range(4)] == [200] * 3 + [429]
    assert ask(gateway, tree.new_key(user=None)["key"]).status == 200


def test_what_was_taken_stays_taken_when_a_limit_is_set_again(gateway):
    tree = Tree(gateway)
    tree.limit("team", requests_per_minute=1, burst=5)
    for _ in range(5):
        assert ask(gateway, tree.secret).status == 200
        tree.limit("team", requests_per_minute=1, burst=5)
    assert ask(gateway, tree.secret).status == 429


def test_a_limit_that_is_raised_lets_calls_through_at_once(gateway):
    tree = Tree(gateway)
    for level, count in (("key", 2), ("team", 1)):  # the second is tight when the first is wide
        tree.limit(level, requests_per_minute=1, burst=count)
    assert [ask(gateway, tree.secret).status for _ in range(2)] == [200, 429]
    for level in ("key", "team"):
        tree.limit(level, requests_per_minute=600, burst=10)
    reply = until(lambda: (r := ask(gateway, tree.secret)).status == 200 and r, 1 * SLOWER, "a call at the new rate")
    assert 1 <= remaining(reply) <= 9


# ---- very many at once ----

KEYS, CALLS = map(int, os.environ.get("CROWD", "60x20").split("x"))  # CROWD=1000x100 by hand


def test_a_crowd_of_keys_gets_what_is_allowed_and_not_one_more(gateway):
    gateway.announce("log_lost")  # of the access log, at tens of thousands of calls a second
    tree = Tree(gateway)
    each, all_ = CALLS // 2, KEYS * CALLS // 4
    assert gateway.admin("POST", "/admin/v1/limits", json={"team": tree.team, "each": "key", "requests_per_minute": 1, "burst": each}).is_success
    secrets = [tree.new_key()["key"] for _ in range(KEYS)]
    order = [i for i in range(KEYS) for _ in range(CALLS)]
    random.Random(10).shuffle(order)
    passed = collections.Counter()

    def ask_all():
        seen = collections.Counter()

        def tell(i, status, _):
            seen[status] += 1
            passed[i] += status == 200

        crowd.run(gateway.port, secrets, order, body_of("m", max_tokens=1, sim={"tokens": 1}), 100, tell)
        assert set(seen) <= {200, 429}, seen

    rate = -(-all_ // 1440)  # what a burst takes to come back is a day at most
    tree.limit("organisation", requests_per_minute=rate, burst=all_)
    began = time.monotonic()
    ask_all()
    took, total = time.monotonic() - began, sum(passed.values())
    print(f"{KEYS} keys, {len(order)} calls, {total} of {all_} passed, {took:.1f} s")
    assert all_ <= total <= all_ + int(took * rate / 60)
    assert max(passed.values()) <= each + int(took / 60)

    tree.limit("organisation")  # no limit of all together any more: each has what is left of its own
    ask_all()
    took = time.monotonic() - began
    print(f"then {sum(passed.values())} of {each * KEYS} passed, {took:.1f} s")
    assert all(each <= count <= each + int(took / 60) for count in passed.values())
    assert len(passed) == KEYS


def test_remaining_tokens_never_rise_but_with_time(gateway, upstream):
    gateway.announce("budget_threshold")
    tree = Tree(gateway)
    tree.limit("team", tokens_per_minute=6000)  # a hundred a second
    budget = tree.budget("key", "0.000200")
    seen = []
    for i in range(30):
        began = time.monotonic()
        if i % 3 == 0:
            reply = ask(gateway, tree.secret, "m", max_tokens=1000)  # more than its budget has
        elif i % 3 == 1:
            reply = ask(gateway, tree.secret, "m", max_tokens=5, sim={"tokens": 5})
        else:
            reply = ask(gateway, tree.secret, "unpriced")
        seen.append((began, time.monotonic(), int(reply.header("x-ratelimit-remaining-tokens"))))
    for (began, _, before), (_, ended, after) in zip(seen, seen[1:]):
        assert after <= before + (ended - began) * 100 + 1, seen
    assert seen[-1][2] < 6000
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0, 10 * SLOWER, "the last to be settled")
    passed = gateway.admin("GET", f"/admin/v1/budgets/{budget}").json()["thresholds_passed"]
    until(lambda: gateway.log().count(f" budget {budget.removeprefix('budget_')} ") == len(passed), 10 * SLOWER, "what it told")


def test_a_whole_answer_says_what_is_left_behind_it(gateway):
    tree = Tree(gateway)
    tree.limit("team", tokens_per_minute=600)  # ten a second
    reply = ask(gateway, tree.secret, max_tokens=5, sim={"tokens": 5})
    used = reply.json["usage"]["total_tokens"]
    assert reply.status == 200 and 600 - used <= int(reply.header("x-ratelimit-remaining-tokens")) <= 600 - used + 20 * SLOWER
