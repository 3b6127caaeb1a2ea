# SPDX-License-Identifier: Apache-2.0
"""Usage adds up to what the model servers saw, by whatever it is asked for; in JSON, in CSV, on the command line; and when it is old."""
import collections
import csv
import decimal
import io
import itertools
import sqlite3
import time

import pytest

from harness.processes import SLOWER
from harness.raw import Raw
from harness.upstream import Upstream, reply
from harness.waiting import until

DIMENSIONS = ("organisation", "team", "user", "key", "model", "upstream", "route", "day", "hour")
SUMS = ("calls", "failed", "interrupted", "refused", "requests", "estimated", "tokens_in", "tokens_cached", "tokens_out", "tokens_reasoning", "bytes_in",
        "bytes_out")
PATH = "/v1/chat/completions"
HI = [{"role": "user", "content": "hi"}]
DAY = 24


@pytest.fixture(scope="module")
def world(make_gateway):
    one, other = Upstream(), Upstream()
    gateway = make_gateway({
        "upstreams": {"one": {"url": one.url}, "other": {"url": other.url}, "nobody": {"url": "http://127.0.0.1:1/v1"}},
        "models": {"a": {"upstream": "one", "price": {"input": "0.000001", "output": "0.000003", "per": 1}},
                   "=b,\"c\"": {"upstream": "other", "price": {"input": "0.0000001", "output": 0, "per": 1}},
                   "d": {"upstream": "other"}, "gone": {"upstream": "nobody"}}})
    gateway.announce("call_failed")
    world = World(gateway, {"one": one, "other": other})
    world.call_in_every_way()
    yield world
    one.close()
    other.close()


class World:
    def __init__(self, gateway, servers):
        self.gateway, self.servers = gateway, servers
        self.keys = [gateway.new_key(name) for name in ("first", "=second, \"the\"")]
        self.calls = collections.Counter()  # by key and model, those that reach a server

    def call(self, key, model, stream=False):
        with Raw(self.gateway.port, key["key"]) as raw:
            raw.request("POST", PATH, {"model": model, "messages": HI, "stream": stream})
            return raw.read_reply()

    def call_in_every_way(self):
        for i, (key, model) in enumerate(itertools.product(self.keys, ("a", "=b,\"c\"", "d"))):
            for n in range(3 + i):
                assert self.call(key, model, stream=n % 2 == 0).status == 200
                self.calls[key["id"], model] += 1
        self.servers["one"].script(reply(500, {"error": {"message": "no"}}))
        assert self.call(self.keys[0], "a").status == 502
        self.calls[self.keys[0]["id"], "a"] += 1
        assert self.call(self.keys[1], "gone").status == 502
        assert self.call(self.keys[1], "unknown").status == 404
        assert self.call(self.keys[1], "a", stream=True).status == 200
        self.calls[self.keys[1]["id"], "a"] += 1

    def ask(self, query="", **more):
        said = self.gateway.admin("GET", f"/admin/v1/usage?{query}", **more)
        assert said.status_code == 200, said.text
        return said

    def rows(self, query=""):
        return self.ask(query).json()["data"]

    def saw(self):
        return {name: sum(r.method == "POST" for r in server.requests) for name, server in self.servers.items()}


def totals(rows):
    return {name: sum(row[name] for row in rows) for name in SUMS} | {"cost": sum(decimal.Decimal(row["cost"]) for row in rows)}


def test_by_each_dimension_and_by_all_it_adds_up_to_the_same(world):
    [whole] = world.rows()
    expect = totals([whole])
    assert (expect["calls"], expect["failed"], expect["refused"]) == (sum(world.calls.values()), 1, 2)
    assert expect["requests"] == sum(world.saw().values())
    for by in [*DIMENSIONS, "team,model", "key,model,day", ",".join(DIMENSIONS)]:
        rows = world.rows(f"by={by}")
        assert all(set(row) == {*by.split(","), *SUMS, "cost", "currency", "energy_wh", "gco2e"} for row in rows), by
        assert {**totals(rows), "cost": 0} == {**expect, "cost": 0}, by
        # Each row is rounded for itself, to six places.
        assert abs(totals(rows)["cost"] - expect["cost"]) <= decimal.Decimal("0.0000005") * len(rows), by
        places = [tuple((row[name] is not None, row[name]) for name in by.split(",")) for row in rows]
        assert places == sorted(places) and len(set(places)) == len(places), by


def test_each_model_server_is_said_to_have_been_sent_what_it_saw(world):
    rows = {row["upstream"]: row for row in world.rows("by=upstream")}
    assert {name: rows[name]["requests"] for name in world.servers} == world.saw()
    assert {name: rows[name]["calls"] for name in world.servers} == world.saw()
    assert (rows["nobody"]["calls"], rows["nobody"]["refused"], rows["nobody"]["requests"]) == (0, 1, 0)
    assert (rows[None]["calls"], rows[None]["refused"]) == (0, 1)


def test_each_key_and_model_has_its_calls_and_filters_choose_the_same(world):
    rows = [row for row in world.rows("by=key,model") if row["calls"] > 0]
    assert {(row["key"], row["model"]): row["calls"] for row in rows} == dict(world.calls)
    for key in world.keys:
        mine = [row for row in rows if row["key"] == key["id"]]
        assert [row for row in world.rows(f"by=key,model&key={key['id']}") if row["calls"] > 0] == mine
    assert totals(world.rows("upstream=one")) == totals([row for row in world.rows("by=upstream") if row["upstream"] == "one"])
    assert world.rows("by=model&model=d") == [row for row in world.rows("by=model") if row["model"] == "d"]
    assert world.rows("by=model&route=none") == []


def test_pages_put_together_are_the_whole(world):
    whole, paged, after = world.rows("by=key,model"), [], 0
    while after is not None:
        page = world.ask(f"by=key,model&limit=2&after={after}").json()
        assert len(page["data"]) <= 2 and page["has_more"] is (page["next_cursor"] is not None)
        paged += page["data"]
        after = page["next_cursor"]
    assert paged == whole


def test_csv_says_what_json_says_and_holds_no_formula(world):
    rows = world.rows("by=key,model&names=true")
    for said in (world.ask("by=key,model&names=true&format=csv"), world.ask("by=key,model&names=true", headers={"Accept": "text/csv, */*"})):
        assert said.headers["content-type"].startswith("text/csv")
        assert said.text.endswith("\r\n") and "\r\n=" not in said.text and ",=" not in said.text and "\"=" not in said.text
        sheet = list(csv.DictReader(io.StringIO(said.text, newline="")))
        assert [{name: cell.removeprefix("'") for name, cell in row.items()} for row in sheet] == \
            [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    assert world.ask("", headers={"Accept": "application/json, text/csv"}).headers["content-type"] == "application/json"


def test_the_command_line_says_the_same(world):
    for arguments, query in (([], ""), (["--by", "team,model"], "by=team,model"), (["--by", "key,day", "--model", "a"], "by=key,day&model=a")):
        printed = world.gateway.command("usage", "--csv", *arguments)
        assert printed.returncode == 0, printed.stderr
        sheet = list(csv.DictReader(io.StringIO(printed.stdout, newline="")))
        rows = world.rows(query)
        assert [{name: row[name] for name in (*SUMS, "cost")} for row in sheet] == [{name: str(row[name]) for name in (*SUMS, "cost")} for row in rows]
        table = world.gateway.command("usage", *arguments).stdout.splitlines()
        assert len(table) == len(rows) + 1
    both = world.gateway.command("usage", "--csv", "--json")
    assert (both.returncode, both.stderr) == (2, "atlas usage: give --json or --csv, not both\n")
    wrong = world.gateway.command("usage", "--by", "colour")
    assert wrong.returncode == 1 and "organisation, team, user, key" in wrong.stderr


def test_a_call_is_there_within_two_seconds(world):
    before = world.rows("model=d")[0]["calls"]
    assert world.call(world.keys[0], "d").status == 200
    world.calls[world.keys[0]["id"], "d"] += 1
    answered = time.monotonic()
    until(lambda: world.rows("model=d")[0]["calls"] == before + 1, 2 * SLOWER, "the call in the usage")
    assert time.monotonic() - answered < 2 * SLOWER


def test_what_is_old_is_kept_by_days_and_nothing_of_it_is_lost(world):
    """The database's hours are moved 40 days back while no gateway runs."""
    gateway = world.gateway
    gateway.stop()
    with sqlite3.connect(gateway.data / "atlas.db") as db:
        db.execute(f"UPDATE usage SET hour = hour / {DAY} * {DAY} + 5 - 40 * {DAY}")
        names = [row[1] for row in db.execute("PRAGMA table_info(usage)")]
        later = ", ".join("hour + 9" if name == "hour" else f'"{name}"' for name in names)
        db.execute(f"INSERT INTO usage SELECT {later} FROM usage")
        db.commit()
        before = db.execute("SELECT sum(calls), sum(requests), sum(cost_nano), min(hour) FROM usage").fetchone()
    db.close()
    gateway.start()

    def hours():
        with sqlite3.connect(f"file:{gateway.data}/atlas.db?mode=ro", uri=True) as reader:
            return {row[0] % DAY for row in reader.execute("SELECT DISTINCT hour FROM usage")}
    until(lambda: hours() == {0}, 10 * SLOWER, "days in the place of hours")
    with sqlite3.connect(f"file:{gateway.data}/atlas.db?mode=ro", uri=True) as reader:
        assert reader.execute("SELECT sum(calls), sum(requests), sum(cost_nano) FROM usage").fetchone() == before[:3]
    day = time.strftime("%Y-%m-%d", time.gmtime(before[3] * 3600))
    [row] = world.rows("by=day")
    assert (row["day"], row["calls"], row["requests"]) == (day, before[0], before[1])
    refused = gateway.admin("GET", f"/admin/v1/usage?by=hour&from={day}")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "from")
    assert "only days are kept" in refused.json()["error"]["message"]
    assert world.call(world.keys[0], "d").status == 200
    today = time.strftime("%Y-%m-%d", time.gmtime())
    until(lambda: [row for row in world.rows(f"by=hour&from={today}") if row["calls"] == 1], 5 * SLOWER)


def test_a_team_is_said_what_its_keys_used_by_its_id_and_by_its_name(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u", "price": {"input": 1, "output": 2, "per": 1000}}}})
    teams = {name: gateway.admin("POST", "/admin/v1/teams", json={"name": name}).json()["id"] for name in ("treasury", "audit")}
    keys = {"treasury": [gateway.new_key("a", team=teams["treasury"]), gateway.new_key("b", team=teams["treasury"])],
            "audit": [gateway.new_key("c", team=teams["audit"])], None: [gateway.new_key("free")]}
    calls = {"treasury": 5, "audit": 3, None: 2}
    for team, count in calls.items():
        for key in keys[team]:
            for _ in range(count):
                assert gateway.post(PATH, {"model": "m", "messages": HI}, key=key["key"]).status_code == 200

    def rows(query):
        return gateway.admin("GET", f"/admin/v1/usage?{query}").json()["data"]
    found = {row["team"]: row for row in rows("by=team")}
    assert {teams.get(team): count * len(keys[team]) for team, count in calls.items()} == {team: row["calls"] for team, row in found.items()}
    for name, id in teams.items():
        assert rows(f"by=team&team={name}") == rows(f"by=team&team={id}") == [found[id]]
        assert {row["key"] for row in rows(f"by=key&team={name}")} == {key["id"] for key in keys[name]}
        table = gateway.command("usage", "--by", "team,model", "--team", name).stdout.splitlines()
        assert table[1].split()[:3] == [name, "m", str(found[id]["calls"])]
    gateway.stop()
    assert rebuilt(gateway) == {row["team"]: row["calls"] for row in found.values()}


def rebuilt(gateway):
    """The calls by team that the journal alone tells."""
    for path in gateway.data.glob("atlas.db*"):
        path.unlink()
    gateway.announce("store_new")
    gateway.start()
    return {row["team"]: row["calls"] for row in gateway.usage("team")}
