# SPDX-License-Identifier: Apache-2.0
"""Prices that are set while the gateway runs: what calls cost from then on, what is refused, and what outlives a kill."""
import contextlib
import json
import signal
import sqlite3
import time

import httpx
import pytest

from harness.processes import PLAIN, SLOWER
from harness.upstream import CHAT, reply
from harness.validator import complaints
from harness.waiting import until

PRICES = "/admin/v1/prices"
BILLION = 10**9
USAGE = {"prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500, "prompt_tokens_details": {"cached_tokens": 1000}}
MODELS = ["plain", "ended", "later", "instant", "killed", "once", "many"]


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    models = {name: {"upstream": "u", "price": {"request": 1, "currency": "SAR"}} for name in MODELS}
    models["free"] = {"upstream": "u", "aliases": ["gratis"]}
    models["dated"] = {"upstream": "u", "prices": [{"request": 2}, {"request": 3, "from": "2999-01-01"}]}
    return make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": models})


@pytest.fixture(scope="module")
def said():
    """Every reply of the module, to be held against the description."""
    return []


def ask(gateway, said, method, path, status, json=None, where=None, **more):
    got = gateway.admin(method, path, json=json, **more)
    assert got.status_code == status, got.text
    said.append((method, where or (PRICES if path.split("?")[0] == PRICES else PRICES + "/{id}"), status, got.json()))
    return got.json()


def set_price(gateway, said, model, status=201, **members):
    return ask(gateway, said, "POST", PRICES, status, {"model": model, **members})


def call(gateway, upstream, model):
    """What a call costs, as its completion says."""
    before = len(completions(gateway, model))
    upstream.script(reply(200, {**CHAT, "usage": USAGE}))
    got = gateway.request("POST", "/v1/chat/completions", json={"model": model, "messages": [{"role": "user", "content": "hi"}]})
    assert got.status_code == 200, got.text
    made = until(lambda: completions(gateway, model)[before:], 5 * SLOWER, "the completion")[0]
    return made.get("currency"), made.get("cost_nano")


def completions(gateway, model):
    gateway.command("usage")  # it answers when all records before it are on the disk
    lines = map(json.loads, gateway.command("journal", "print").stdout.splitlines())
    return [r for r in lines if r["kind"] == "completion" and r["model"] == model]


def test_a_price_goes_before_the_configuration_from_now_on_until_it_is_ended(gateway, upstream, said):
    assert call(gateway, upstream, "plain") == ("SAR", BILLION)
    made = set_price(gateway, said, "plain", input="2.50", cached_input="0.3125", output="10", request="0.002")
    assert (made["status"], made["source"], made["currency"], made["per"]) == ("active", "set", "USD", 1000000)
    assert call(gateway, upstream, "plain") == ("USD", 200 * 2500 + 1000 * 312.5 + 300 * 10000 + 2_000_000)
    second = set_price(gateway, said, "plain", request="7", currency="SAR")
    assert call(gateway, upstream, "plain") == ("SAR", 7 * BILLION)
    assert ask(gateway, said, "DELETE", f"{PRICES}/{second['id']}", 200)["status"] == "ended"
    assert call(gateway, upstream, "plain")[0] == "USD"
    assert ask(gateway, said, "DELETE", f"{PRICES}/{made['id']}", 200)["ended_at"] is not None
    assert call(gateway, upstream, "plain") == ("SAR", BILLION)


def test_cached_input_is_input_unless_it_is_said_and_0_is_said(gateway, upstream, said):
    made = set_price(gateway, said, "free", input="1.000000001", per=1)
    assert (made["cached_input"], made["input"]) == ("1.000000001", "1.000000001")
    assert call(gateway, upstream, "free") == ("USD", 1200 * 1_000_000_001)
    set_price(gateway, said, "free", input="1", per=1, cached_input="0")
    assert call(gateway, upstream, "free") == ("USD", 200 * BILLION)


def test_a_price_that_is_to_come_holds_when_it_has(gateway, upstream, said):
    at = int(time.time()) + 3 * SLOWER
    made = set_price(gateway, said, "later", request="5", **{"from": at})
    assert (made["status"], made["from"]) == ("to come", at)
    if time.time() < at - 1:
        assert call(gateway, upstream, "later") == ("SAR", BILLION)
    until(lambda: time.time() >= at, 10 * SLOWER, "the moment")
    assert call(gateway, upstream, "later") == ("USD", 5 * BILLION)
    assert ask(gateway, said, "GET", f"{PRICES}/{made['id']}", 200)["status"] == "active"
    text = set_price(gateway, said, "later", request="6", **{"from": "2200-01-01T00:00:00+03:00"})
    assert text["from"] == 7258107600
    assert ask(gateway, said, "DELETE", f"{PRICES}/{text['id']}", 200)["status"] == "ended"


def test_the_list_has_those_that_hold_and_the_configurations_in_pages(gateway, said):
    ended = set_price(gateway, said, "ended", request="5")["id"]
    ask(gateway, said, "DELETE", f"{PRICES}/{ended}", 200)
    whole = ask(gateway, said, "GET", PRICES, 200)
    assert not whole["has_more"] and ended not in {one["id"] for one in whole["data"]}
    configured = [one for one in whole["data"] if one["source"] == "configuration"]
    assert sorted((one["model"], one["request"], one["status"]) for one in configured) == sorted(
        [(name, "1.00", "active") for name in MODELS] + [("dated", "2.00", "active"), ("dated", "3.00", "to come")])
    assert all(one["id"] is None and one["created_at"] is None for one in configured)
    every = ask(gateway, said, "GET", f"{PRICES}?include=ended", 200)["data"]
    assert ended in {one["id"] for one in every}
    paged, cursor = [], "0"
    while cursor is not None:
        page = ask(gateway, said, "GET", f"{PRICES}?include=ended&limit=3&after={cursor}", 200)
        assert len(page["data"]) <= 3
        paged, cursor = paged + page["data"], page["next_cursor"]
    assert paged == every


@pytest.mark.parametrize(("body", "param"), [
    ({"request": "1"}, "model"), ({"model": "plain"}, "input"), ({"model": "plain", "cached_input": "1"}, "input"),
    ({"model": "plain", "request": 1}, "request"), ({"model": "plain", "request": "-1"}, "request"),
    ({"model": "plain", "request": "1e3"}, "request"), ({"model": "plain", "request": "1000000.000000001"}, "request"),
    ({"model": "plain", "request": "0.0000000001"}, "request"), ({"model": "plain", "request": None}, "request"),
    ({"model": "plain", "request": "1", "per": 0}, "per"), ({"model": "plain", "request": "1", "currency": "usd"}, "currency"),
    ({"model": "plain", "request": "1", "currency": ""}, "currency"), ({"model": "plain", "request": "1", "from": "soon"}, "from"),
    ({"model": "plain", "request": "1", "from": "2999-01-01T00:00:00Z"}, "from"),
    ({"model": "nothing", "request": "1"}, "model"), ({"model": "gratis", "request": "1"}, "model"),
    ({"model": "plain", "request": "1", "id": "price_AAAAAAAAAAAA"}, "id"), ({"model": "plain", "request": "1", "source": "set"}, "source"),
])
def test_what_is_no_price_is_refused_and_named(gateway, said, body, param):
    before = ask(gateway, said, "GET", PRICES, 200)
    assert ask(gateway, said, "POST", PRICES, 400, body)["error"]["param"] == param
    assert ask(gateway, said, "GET", PRICES, 200) == before


def test_what_is_not_there_or_was_seen_otherwise(gateway, said):
    ask(gateway, said, "GET", f"{PRICES}/price_AAAAAAAAAAAA", 404)
    ask(gateway, said, "DELETE", f"{PRICES}/price_AAAAAAAAAAAA", 404)
    made = set_price(gateway, said, "many", request="5")
    ask(gateway, said, "DELETE", f"{PRICES}/{made['id']}", 412, headers={"If-Match": '"other"'})
    tag = gateway.admin("GET", f"{PRICES}/{made['id']}").headers["etag"]
    first = ask(gateway, said, "DELETE", f"{PRICES}/{made['id']}", 200, headers={"If-Match": tag})
    assert ask(gateway, said, "DELETE", f"{PRICES}/{made['id']}", 200) == first  # it keeps its time
    ask(gateway, said, "GET", f"{PRICES}?include=all", 400)
    assert gateway.admin("PATCH", f"{PRICES}/{made['id']}", json={"request": "1"}).status_code == 405


def test_the_call_that_follows_the_reply_costs_it(gateway, upstream, said):
    for cents in range(1, 8):
        set_price(gateway, said, "instant", request=f"0.0{cents}")
        assert call(gateway, upstream, "instant") == ("USD", cents * BILLION // 100)


def test_prices_outlive_a_kill_and_a_lost_database(gateway, upstream, said):
    made = set_price(gateway, said, "killed", request="0.5")
    gateway.stop(signal.SIGKILL)
    gateway.start()
    assert call(gateway, upstream, "killed") == ("USD", BILLION // 2)
    gateway.stop()
    for path in gateway.data.glob("atlas.db*"):
        path.unlink()
    gateway.announce("store_new")
    gateway.start()
    assert call(gateway, upstream, "killed") == ("USD", BILLION // 2)
    assert ask(gateway, said, "GET", f"{PRICES}/{made['id']}", 200)["request"] == "0.50"


def test_with_an_idempotency_key_it_is_set_once_also_where_that_was_forgotten(gateway, said):
    owner = gateway.new_key("owner", kind="admin")["key"]

    def post():
        headers = {"Authorization": f"Bearer {owner}", "Idempotency-Key": "k"}
        with httpx.Client(base_url=gateway.admin_url, timeout=30 * SLOWER, verify=PLAIN, headers=headers) as asker:
            return asker.post(PRICES, json={"model": "once", "request": "4"})

    first = post()
    assert first.status_code == 201 and post().text == first.text
    gateway.stop()
    with contextlib.closing(sqlite3.connect(gateway.data / "atlas.db")) as db, db:  # as a kill between the two leaves it
        assert db.execute("UPDATE idempotency SET status = 0, reply = x'', tag = ''").rowcount == 1
    gateway.start()
    again = post()
    assert (again.status_code, again.json()) == (201, first.json())
    assert len([one for one in ask(gateway, said, "GET", PRICES, 200)["data"] if one["model"] == "once"]) == 2  # and the configuration's


def test_every_reply_is_as_described(gateway, said):
    assert len(said) > 60
    assert complaints(gateway.admin("GET", "/admin/v1/openapi.json").json(), said) == []
