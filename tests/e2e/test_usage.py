# SPDX-License-Identifier: Apache-2.0
"""`atlas usage`, the journal and the access log say what was called, no more and no less."""
import collections
import json
import re
import decimal
import time

import httpx
import pytest

from harness.processes import SLOWER
from harness.raw import Raw
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]
PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway({
        "upstreams": {"u": {"url": sim.base, "region": "sa", "zone": "z1"}, "nobody": {"url": "http://127.0.0.1:1/v1"}},
        "models": {"one": {"upstream": "u", "price": {"input": 2, "output": 10, "per": 1000}, "aliases": ["uno"]},
                   "two": {"upstream": "u"}, "nobody": {"upstream": "nobody"}}})


def today():
    return time.strftime("%Y-%m-%d", time.gmtime())


def usage(gateway, *arguments, by="key,model,day"):
    said = gateway.command("usage", "--json", "--by", by, *arguments)
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)["data"]


def rows_of(gateway, key, calls):
    """The rows of a key, once they hold that many calls."""
    def there():
        rows = usage(gateway, "--key", key["id"])
        return rows if sum(row["calls"] + row["refused"] for row in rows) >= calls else None
    return until(there, 10 * SLOWER, f"{calls} calls in the usage")


def journal(gateway, *arguments):
    gateway.command("usage")  # it answers when all records before it are on the disk
    said = gateway.command("journal", "print", *arguments)
    assert said.returncode == 0, said.stderr
    return [json.loads(line) for line in said.stdout.splitlines()]


def call(gateway, key, model="one", **members):
    with Raw(gateway.port, key["key"]) as raw:
        raw.request("POST", PATH, {"model": model, "messages": HI, **members})
        return raw.read_reply()


def test_usage_of_a_key_that_is_not_there_fails_with_a_sentence(gateway):
    said = gateway.command("usage", "--key", "nope")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr == "atlas usage: there is no key of this id, and none is called 'nope'; `atlas key list` shows their ids\n"
    key = gateway.new_key("idle")
    said = gateway.command("usage", "--key", key["id"])
    assert (said.returncode, said.stderr, said.stdout.split()) == (0, "", ["CALLS", "IN", "OUT", "0", "0", "0"])
    said = gateway.command("usage", "--key", key["id"], "--by", "model")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "no calls are on record for this\n")


def test_usage_of_days_that_end_before_they_begin_is_refused(gateway):
    said = gateway.command("usage", "--from", "2026-12-01", "--to", "2026-11-01")
    assert (said.returncode, said.stderr) == (1, "atlas usage: 'to' is before 'from'\n")


def test_the_table_of_usage_shows_what_it_cost_and_leaves_zeros_out(gateway):
    key = gateway.new_key("spender")
    call(gateway, key)
    [row] = rows_of(gateway, key, 1)
    said = gateway.command("usage", "--key", key["id"], "--by", "day,key,model").stdout.splitlines()
    assert said[0].split() == ["DAY", "KEY", "ITS", "ID", "MODEL", "CALLS", "IN", "OUT", "COST", "CURRENCY"]
    assert said[1].split()[1:4] == ["spender", key["id"], "one"]
    assert said[1].split()[-2] == row["cost"] and decimal.Decimal(row["cost"]) > 0
    assert said[1].split()[-1] == row["currency"] == "USD"


def test_usage_is_what_was_called_per_key_model_and_day(gateway):
    keys = [gateway.new_key(f"team {i}") for i in range(2)]
    expected = collections.defaultdict(lambda: [0, 0, 0])
    for i in range(30):
        key, model, stream = keys[i % 2], ["one", "two", "uno"][i % 3], i % 5 == 0
        got = call(gateway, key, model, stream=stream, stream_options={"include_usage": True} if stream else None,
                   sim={"tokens": i + 1})
        assert got.status == 200
        if stream:
            said = json.loads(got.body.decode().split("\n\n")[-3][6:])["usage"]
        else:
            said = got.json["usage"]
        row = expected[key["id"], "one" if model == "uno" else model]
        row[0] += 1
        row[1] += said["prompt_tokens"]
        row[2] += said["completion_tokens"]
    for key in keys:
        rows = rows_of(gateway, key, 15)
        assert {(row["key"], row["model"]): [row["calls"], row["tokens_in"], row["tokens_out"]] for row in rows} == \
            {k: v for k, v in expected.items() if k[0] == key["id"]}
        for row in rows:
            assert row["day"] == today()
            assert (row["failed"], row["interrupted"], row["estimated"]) == (0, 0, 0)
            assert row["bytes_in"] > 0 < row["bytes_out"]
            price = (2000 * row["tokens_in"] + 10000 * row["tokens_out"]) if row["model"] == "one" else 0
            assert decimal.Decimal(row["cost"]) * 10**6 == price
            assert row["currency"] == ("USD" if price > 0 else None)


def test_the_table_shows_the_same_numbers(gateway):
    key = gateway.new_key("for the table")
    for _ in range(3):
        call(gateway, key)
    [row] = rows_of(gateway, key, 3)
    table = gateway.command("usage", "--key", key["id"], "--by", "key,model,day").stdout
    [line] = [line for line in table.splitlines() if "for the table" in line]
    for value in (row["day"], "one", str(row["calls"]), str(row["tokens_in"]), str(row["tokens_out"])):
        assert value in line


def test_days_keys_and_models_choose_rows(gateway):
    key = gateway.new_key("chooser")
    call(gateway, key, "one")
    call(gateway, key, "two")
    rows_of(gateway, key, 2)
    assert {row["model"] for row in usage(gateway, "--key", key["id"], "--model", "two")} == {"two"}
    assert usage(gateway, "--key", key["id"], "--from", "2001-01-01", "--to", "2001-12-31") == []
    assert len(usage(gateway, "--key", key["id"], "--from", today(), "--to", "2999-12-31")) == 2
    assert usage(gateway, "--key", key["id"], "--to", today()) == []
    wrong = gateway.command("usage", "--from", "yesterday")
    assert wrong.returncode != 0
    assert "yesterday" in wrong.stderr or "from" in wrong.stderr


def test_a_call_that_the_client_left_counts_as_interrupted_with_an_estimate(gateway, sim):
    key = gateway.new_key("leaver")
    raw = Raw(gateway.port, key["key"])
    raw.request("POST", PATH, {"model": "one", "stream": True, "messages": HI,
                               "sim": {"fault": "endless", "tokens_per_second": 200}})
    assert raw.read_head().status == 200
    for _ in range(5):
        raw.read_chunk()
    raw.close()
    [row] = rows_of(gateway, key, 1)
    assert (row["calls"], row["interrupted"], row["estimated"]) == (1, 1, 1)
    assert row["tokens_in"] > 0
    assert row["tokens_out"] > 0
    [_, end] = [r for r in journal(gateway) if r.get("key") == key["id"]]
    assert (end["outcome"], end["error"]) == ("client_gone", "CLIENT_GONE")
    assert end["tokens_out_estimated"] is True


def test_where_the_model_server_counts_nothing_it_is_estimated_and_marked(gateway):
    key = gateway.new_key("estimated")
    for stream in (False, True):
        assert call(gateway, key, stream=stream, sim={"usage": 0, "tokens": 50}).status == 200
    [row] = rows_of(gateway, key, 2)
    assert row["estimated"] == 2
    assert 2 <= row["tokens_in"] <= 200
    assert 50 <= row["tokens_out"] <= 400  # 100 in truth
    ends = [r for r in journal(gateway) if r.get("key") == key["id"] and r["kind"] == "completion"]
    assert all(end["tokens_in_estimated"] and end["tokens_out_estimated"] for end in ends)


def test_failures_and_refusals_are_counted_and_cost_nothing(gateway):
    gateway.announce("call_failed")
    key = gateway.new_key("unlucky")
    assert call(gateway, key, sim={"fault": "status", "status": 500}).status == 502
    assert call(gateway, key, sim={"fault": "refuse"}).status == 502
    assert call(gateway, key, model="none").status == 404
    rows = rows_of(gateway, key, 3)
    assert [sum(row[what] for row in rows) for what in ("calls", "failed", "refused", "requests")] == [2, 2, 1, 2]
    assert sum(row["tokens_in"] + row["tokens_out"] + decimal.Decimal(row["cost"]) for row in rows) == 0


def test_each_attempt_has_its_intent_and_each_call_its_completion(gateway, sim):
    key = gateway.new_key("recorded")
    replies = [call(gateway, key, stream=i % 2 == 0) for i in range(6)]
    rows_of(gateway, key, 6)
    mine = [r for r in journal(gateway) if r.get("key") == key["id"]]
    for reply in replies:
        call_id = reply.header("x-request-id")
        intent, end = [r for r in mine if r["call"] == call_id]
        assert (intent["kind"], end["kind"]) == ("intent", "completion")
        assert intent["seq"] < end["seq"]
        for r in (intent, end):
            assert (r["model"], r["upstream"], r["upstream_model"], r["endpoint"], r["region"], r["zone"], r["policy"]) == \
                ("one", "u", "one", "chat", "sa", "z1", "direct")
            assert r["attempt"] == 1
            assert r["home_region"] == "sa"
        assert (end["outcome"], end["status"], end["error"], end["attempts_sent"]) == ("ok", 200, "", 1)
        assert end["started_ms"] <= end["first_byte_ms"] <= end["ended_ms"]
        assert end["peer"].startswith("127.0.0.1")
        assert sim.calls()[call_id] == (1, 1, 0)


def test_an_attempt_that_never_had_a_connection_is_recorded_as_not_sent(gateway, sim):
    gateway.announce("call_failed")
    key = gateway.new_key("nobody there")
    got = call(gateway, key, "nobody")
    assert got.status == 502
    rows_of(gateway, key, 1)
    intent, end = [r for r in journal(gateway) if r.get("call") == got.header("x-request-id")]
    assert (intent["kind"], intent["attempt"]) == ("intent", 1)
    assert (end["outcome"], end["attempt"], end["attempts_sent"], end["peer"]) == ("failed", 1, 0, "")
    assert (end["tokens_in"], end["tokens_out"], end["cost_nano"]) == (0, 0, 0)
    counts = dict(line.split(None, 1) for line in gateway.command("journal", "check").stdout.splitlines())
    records = journal(gateway)
    assert int(counts["intents"]) == sum(r["kind"] == "intent" for r in records)
    assert int(counts["sent"]) == sum(r.get("attempts_sent", 0) for r in records) < int(counts["intents"])


def test_records_are_numbered_without_a_gap_and_check_finds_nothing(gateway):
    numbers = [r["seq"] for r in journal(gateway)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert journal(gateway, "--from", numbers[-1])[0]["seq"] == numbers[-1]
    checked = gateway.command("journal", "check")
    assert checked.returncode == 0
    assert str(numbers[-1]) in checked.stdout


def test_the_access_log_has_a_line_a_call_that_says_who_called_when_and_for_how_long(gateway):
    key = gateway.new_key("in the access log")
    ids = [call(gateway, key, stream=i == 1).header("x-request-id") for i in range(3)]
    path = gateway.data / "access.log"

    def lines():
        found = [json.loads(line) for line in path.read_text().splitlines()]
        mine = {line["call"]: line for line in found if line["key"] == key["id"]}
        return mine if len(mine) == 3 else None
    mine = until(lines, 5 * SLOWER)
    ends = {r["call"]: r for r in journal(gateway) if r["kind"] == "completion"}
    for call_id in ids:
        shared = set(mine[call_id]) & set(ends[call_id])
        assert {"call", "key", "model", "upstream", "status", "tokens_in", "tokens_out", "bytes_in", "bytes_out"} <= shared
        for name in shared:
            assert mine[call_id][name] == ends[call_id][name], name
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", mine[call_id]["time"])
        assert mine[call_id]["client"] == "127.0.0.1"
        assert mine[call_id]["duration_ms"] == ends[call_id]["ended_ms"] - ends[call_id]["started_ms"]
    assert path.stat().st_mode & 0o007 == 0


def test_usage_works_without_a_running_gateway(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"one": {"upstream": "u"}}})
    key = gateway.new_key("k")
    for _ in range(5):
        call(gateway, key)
    gateway.stop()
    [row] = usage(gateway)
    assert row["calls"] == 5
    gateway.start()
    call(gateway, key)
    [row] = rows_of(gateway, key, 6)
    assert row["calls"] == 6


DIMENSIONS = ("organisation", "team", "user", "key", "model", "upstream", "route", "day", "hour")
SUMS = ("calls", "failed", "interrupted", "refused", "requests", "estimated", "tokens_in", "tokens_cached", "tokens_out", "tokens_reasoning", "bytes_in",
        "bytes_out")


def test_of_a_key_the_journal_prints_what_was_done_to_it_and_what_it_did(gateway):
    operator = gateway.new_key("operator", kind="admin")
    made = httpx.post(gateway.admin_url + "/admin/v1/keys", json={"name": "\"object\":\"" + operator["id"] + "\""},
                      headers={"Authorization": f"Bearer {operator['key']}"}).json()
    gateway.revoke(made["id"])
    until(lambda: len(journal(gateway, "--key", made["id"])) == 2, 5 * SLOWER)
    told = [(row["action"], row["actor"] == operator["id"]) for row in journal(gateway, "--key", made["id"])]
    assert told == [("key.create", True), ("key.revoke", False)]
    assert [row["object"] for row in journal(gateway, "--key", operator["id"])] == [operator["id"], made["id"]]


def test_the_journal_is_asked_for_a_call_a_key_or_a_time(gateway):
    one, other = gateway.new_key("one"), gateway.new_key("other")
    before = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    got = gateway.post(PATH, {"model": "one", "messages": HI}, key=one["key"])
    call(gateway, one)
    call(gateway, other)
    rows_of(gateway, one, 2)
    rows_of(gateway, other, 1)
    mine = journal(gateway, "--call", got.headers["x-request-id"])
    assert [row["kind"] for row in mine] == ["intent", "completion"]
    assert {row["call"] for row in mine} == {got.headers["x-request-id"]}
    assert [row["kind"] for row in journal(gateway, "--key", one["id"])] == ["admin"] + ["intent", "completion"] * 2
    assert len(journal(gateway, "--key", other["key"])) == 3  # the whole key stands for its id
    since = journal(gateway, "--since", before)
    assert [row for row in since if one["id"] in (row.get("key"), row.get("object"))] == journal(gateway, "--key", one["id"], "--since", before)
    assert len(since) >= 6
    none = gateway.command("journal", "print", "--until", "1h")
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "no records are as asked for\n")
    wrong = gateway.command("journal", "print", "--since", "Tuesday")
    assert wrong.returncode == 2 and "2026-11-24T10:30" in wrong.stderr


def test_refusals_in_a_row_are_summed_up_to_the_last(gateway):
    key = gateway.new_key("hurries", limits={"requests_per_minute": 1})
    with gateway.client(key["key"]) as client:
        said = [client.post(PATH, json={"model": "one", "messages": HI}).status_code for _ in range(150)]
    assert said.count(429) == 149 and said[0] != 429

    def refused():
        rows = json.loads(gateway.command("usage", "--json", "--key", key["id"]).stdout)["data"]
        return rows[0]["refused"] if rows else 0
    until(lambda: refused() == 149, 10 * SLOWER, "all of them in the sums")
