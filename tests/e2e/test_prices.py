# SPDX-License-Identifier: Apache-2.0
"""What a call costs, to the billionth: cached input, requests, time at the model server, and when a price holds."""
import concurrent.futures
import datetime
import decimal
import decimal
import json
import sqlite3
import time

import pytest

from harness.processes import SLOWER, run
from harness.raw import Raw
from harness.upstream import CHAT, chunk, reply, stream
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]
BILLION = 10**9
CACHED = {"prompt_tokens": 1201, "completion_tokens": 333, "total_tokens": 1534, "prompt_tokens_details": {"cached_tokens": 1024}}
NEW_FROM_S = 3  # after the start: until then the announced price does not hold


@pytest.fixture(scope="module")
def announced():
    """When the announced price begins, in whole milliseconds."""
    return int(time.time() * 1000) + NEW_FROM_S * 1000 * SLOWER


@pytest.fixture(scope="module")
def gateway(make_gateway, sim, upstream, announced):
    def at(ms):
        return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone(datetime.timedelta(hours=3))).isoformat(timespec="milliseconds")

    return make_gateway({
        "upstreams": {"u": {"url": upstream.url}, "sim": {"url": sim.base, "timeouts": {"total": "1m"}},
                      "one": {"url": sim.base, "timeouts": {"total": "1m"}, "connections_max": 1}},
        "models": {
            "cached": {"upstream": "u", "price": {"input": "2.50", "cached_input": "0.3125", "output": "10", "currency": "SAR"}},
            "asked": {"upstream": "u", "price": {"request": "0.002"}},
            "timed": {"upstream": "sim", "price": {"gpu_second": "0.000700001"}},
            "queued": {"upstream": "one", "price": {"gpu_second": "0.0007"}},
            "free": {"upstream": "u", "price": {"input": 0, "output": 0}},
            "none": {"upstream": "u"},
            "held": {"upstream": "u", "price": {"request": 1, "gpu_second": "0.001"}},
            "dated": {"upstream": "u", "price": {"request": 1, "from": "2001-01-01"}, "prices": [
                {"request": 7, "from": "2999-12-31"}, {"request": 3, "currency": "SAR", "from": at(announced)}, {"request": 9}]},
        }})


def ask(gateway, model, status=200, key=None, **members):
    with Raw(gateway.port, key or gateway.key) as raw:
        raw.request("POST", "/v1/chat/completions", {"model": model, "messages": HI, "max_tokens": 500, **members})
        got = raw.read_reply()
    assert status in (None, got.status), got.body
    return got


def records(gateway, model, kind="completion"):
    gateway.command("usage")  # it answers when all records before it are on the disk
    said = gateway.command("journal", "print")
    assert said.returncode == 0, said.stderr
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    return [r for r in lines if r["kind"] == kind and r["model"] == model]


@pytest.mark.parametrize("streamed", [False, True])
def test_cached_tokens_cost_what_cached_tokens_cost(gateway, upstream, streamed):
    before = len(records(gateway, "cached"))
    if streamed:
        upstream.script(stream(chunk({"role": "assistant", "content": "a"}), chunk({}, "stop"), {**chunk({}), "choices": [], "usage": CACHED}))
    else:
        upstream.script(reply(200, {**CHAT, "usage": CACHED}))
    ask(gateway, "cached", stream=streamed)
    made = until(lambda: records(gateway, "cached")[before:], 5 * SLOWER, "the completion")[0]
    assert (made["tokens_in"], made["tokens_cached"], made["tokens_out"]) == (1201, 1024, 333)
    assert made["cost_nano"] == 177 * 2500 + 1024 * 312.5 + 333 * 10000
    assert (made["currency"], made["price"]) == ("SAR", "2500000000/10000000000/1000000c312500000")
    assert "server_us" not in made
    [held] = [r for r in records(gateway, "cached", "intent") if r["call"] == made["call"]]
    assert held["reserved_nano"] == held["tokens_in"] * 2500 + 500 * 10000  # nothing of it cached


def test_a_request_costs_once_and_one_that_failed_nothing(gateway, upstream):
    gateway.announce("call_failed")
    upstream.script(reply(200, CHAT), reply(400, {"error": {"message": "no"}}))
    ask(gateway, "asked")
    ask(gateway, "asked", status=400)
    good, bad = until(lambda: (got := records(gateway, "asked")) and len(got) == 2 and got, 5 * SLOWER, "both completions")
    assert (good["cost_nano"], good["price"]) == (BILLION // 500, "0/0/1000000r2000000")
    assert bad["cost_nano"] == 0 and bad["reserved_nano"] == BILLION // 500


@pytest.mark.parametrize("streamed", [False, True])
def test_time_at_the_server_is_counted_to_the_microsecond(gateway, streamed):
    before = len(records(gateway, "timed"))
    ask(gateway, "timed", stream=streamed, sim={"first_token_ms": 300})
    made = until(lambda: records(gateway, "timed")[before:], 5 * SLOWER, "the completion")[0]
    assert 300_000 <= made["server_us"] <= (made["ended_ms"] - made["attempt_ms"] + 2) * 1000
    assert made["cost_nano"] == -(-made["server_us"] * 700_001 // 1_000_000)
    assert made["price"] == "0/0/1000000g700001"
    assert made["reserved_nano"] == 60 * 700_001


def test_who_waits_for_a_connection_does_not_pay_for_it(gateway):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: ask(gateway, "queued", sim={"first_token_ms": 400}), range(3)))
    made = until(lambda: (got := records(gateway, "queued")) and len(got) == 3 and got, 5 * SLOWER, "three completions")
    waited = sorted((r["ended_ms"] - r["attempt_ms"]) * 1000 - r["server_us"] for r in made)
    assert min(r["server_us"] for r in made) >= 400_000
    assert waited[-1] >= 600_000, made  # two others were served meanwhile
    assert all(r["cost_nano"] == -(-r["server_us"] * 700 // 1000) for r in made)


def test_a_price_of_0_is_one_and_no_price_is_none(gateway, upstream):
    ask(gateway, "free")
    ask(gateway, "none")
    [free] = until(lambda: records(gateway, "free"), 5 * SLOWER, "a completion")
    [none] = until(lambda: records(gateway, "none"), 5 * SLOWER, "a completion")
    assert (free["cost_nano"], free["currency"], free["price"]) == (0, "USD", "0/0/1000000")
    assert none["cost_nano"] == 0 and "price" not in none and "currency" not in none


def test_an_announced_price_holds_from_its_moment_on_without_a_reload(gateway, upstream, announced):
    def is_new():
        ask(gateway, "dated")
        return any(r["currency"] == "SAR" for r in records(gateway, "dated"))

    until(is_new, (NEW_FROM_S + 10) * SLOWER, "a call at the new price")
    for r in records(gateway, "dated"):
        expected = ("SAR", 3 * BILLION) if r["started_ms"] >= announced else ("USD", BILLION)
        assert (r["currency"], r["cost_nano"]) == expected
    usage = json.loads(gateway.command("usage", "--json", "--model", "dated").stdout)["data"]
    sums = {row["currency"]: (row["calls"], decimal.Decimal(row["cost"])) for row in usage}
    calls = sums["SAR"][0]
    assert calls > 0 and sums["SAR"] == (calls, 3 * calls)


def test_a_budget_of_money_holds_the_time_that_a_call_may_take_and_wants_a_price(gateway):
    gateway.announce("budget_threshold")
    team = gateway.admin("POST", "/admin/v1/teams", json={"name": "payers"}).json()["id"]
    budget = gateway.admin("POST", "/admin/v1/budgets", json={"team": team, "amount": "10.00", "window": "total"}).json()["id"]
    key = gateway.admin("POST", "/admin/v1/keys", json={"team": team, "name": "payer"}).json()["key"]

    def said(model):
        got = ask(gateway, model, status=None, key=key)
        return got.status, got.json.get("error", {}).get("code")

    assert [said("held") for _ in range(7)] == [(200, None)] * 6 + [(429, "insufficient_quota")]  # the seventh: 6 are spent, 4.60 is what it may come to
    assert said("free") == (200, None)
    assert said("none") == (503, "price_unknown")
    assert said("cached") == (503, "price_unknown")  # it has one in another currency
    done = until(lambda: (got := records(gateway, "held")) and len(got) == 7 and got, 5 * SLOWER, "the completions")
    assert {r["reserved_nano"] for r in done if r["outcome"] == "ok"} == {4_600_000_000}
    shown = gateway.admin("GET", f"/admin/v1/budgets/{budget}").json()
    assert decimal.Decimal(shown["spent"]) * BILLION == sum(r["cost_nano"] for r in done)
    assert decimal.Decimal(shown["held"]) == 0
    until(lambda: "budget_threshold" in gateway.log(), 5 * SLOWER, "the word of a threshold")


# ---- what config check and doctor say before a caller does ----

UP = "upstreams: {u: {url: 'http://127.0.0.1:1/v1'}}\n"
MIXED = UP + """models:
  good: {upstream: u, price: {input: 1, output: 2}}
  zero: {upstream: u, price: {input: 0, output: 0}}
  none: {upstream: u}
  later: {upstream: u, prices: [{input: 3, from: 2999-01-01}]}
  'any/*': {upstream: u}
"""
NO_PRICE = "have no price now"


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    assert run("init", "--config", tmp_path / "atlas.yaml").returncode == 0
    return tmp_path


def write(folder, text=UP):
    (folder / "atlas.yaml").write_text(f"data: {folder}/data\n{text}")


def checked(folder, text):
    write(folder, text)
    said = run("config", "check", "--config", folder / "atlas.yaml")
    assert said.returncode == 0 and "is valid" in said.stdout
    return said.stderr.splitlines()


def prices_in_doctor(folder):
    said = run("doctor", "--config", folder / "atlas.yaml").stdout
    return [line for line in said.splitlines() if line[6:].startswith("prices:")]


def insert(folder, table, **columns):
    with sqlite3.connect(folder / "data" / "atlas.db") as db:
        names = {name: 0 if kind == "INTEGER" else "" for _, name, kind, *_ in db.execute(f"pragma table_info({table})")}
        row = {**names, "revision": 1, **columns}
        db.execute(f"insert into {table} ({','.join(chr(34) + name + chr(34) for name in row)}) values ({','.join('?' * len(row))})", list(row.values()))
    db.close()


def test_a_model_without_a_price_beside_others_is_warned_of(folder):
    lines = checked(folder, MIXED)
    assert len(lines) == 2 and all(": warning: " in line for line in lines)
    assert f"none, later, any/* {NO_PRICE}" in lines[0]
    assert "the price of zero is 0 in all it says" in lines[1]
    assert [line[:6] for line in prices_in_doctor(folder)] == ["warn  "] * 2


def test_where_nothing_has_a_price_and_no_budget_asks_for_one_nothing_is_said(folder):
    assert checked(folder, UP + "models: {a: {upstream: u}, b: {upstream: u}}\n") == []
    assert prices_in_doctor(folder) == []
    many = "".join(f"  m{i}: {{upstream: u}}\n" for i in range(9))
    [line] = checked(folder, UP + "models:\n  a: {upstream: u, price: {request: 1}}\n" + many)
    assert f"m0, m1, m2, m3, m4 and 4 more {NO_PRICE}" in line
    assert checked(folder, UP + "models: {a: {upstream: u, price: {request: 1}}}\n") == []
    assert prices_in_doctor(folder) == ["ok    prices: every model has one"]


def test_doctor_knows_budgets_and_the_prices_that_were_set(folder):
    write(folder, UP + "models: {a: {upstream: u}, b: {upstream: u}}\n")
    insert(folder, "budget", number=1, id="budget_t", subject="team_x", currency="", amount=5, zone="UTC")
    insert(folder, "budget", number=2, id="budget_o", subject="team_x", currency="SAR", amount=5, zone="UTC", ended_us=1)
    assert prices_in_doctor(folder) == []  # one of tokens, and one that is over
    insert(folder, "budget", number=3, id="budget_m", subject="team_x", currency="SAR", amount=5, zone="UTC")
    unpriced, currency = prices_in_doctor(folder)
    assert f"a, b {NO_PRICE}" in unpriced and "a budget is in SAR, and no model has a price in it" in currency
    insert(folder, "price", number=1, id="price_a", model="a", request=1, per=1, currency="SAR")
    [unpriced] = prices_in_doctor(folder)
    assert "prices: b has no price now" in unpriced
    insert(folder, "price", number=2, id="price_b", model="b", request=1, per=1, currency="USD")
    [other] = prices_in_doctor(folder)
    assert "a budget is in SAR, and 1 model has a price in another currency alone" in other
    with sqlite3.connect(folder / "data" / "atlas.db") as db:
        db.execute("update budget set model = 'a' where id = 'budget_m'")
    assert prices_in_doctor(folder) == ["ok    prices: every model has one"]
    insert(folder, "price", number=3, id="price_c", model="b", request=1, per=0, currency="USD")
    assert "1 price with a damaged row" in prices_in_doctor(folder)[0]
