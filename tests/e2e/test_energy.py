# SPDX-License-Identifier: Apache-2.0
"""What calls took of electricity, and what that stood for: by the numbers that held when each began, in every view of usage."""
import csv
import decimal
import io
import json

import pytest

from harness.waiting import until

SUMS = ("energy_wh", "gco2e")


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway({
        "grid": {"gco2e_per_kwh": 400},
        "upstreams": {"u": {"url": sim.base}},
        "models": {"measured": {"upstream": "u", "energy": {"wh_per_1k_tokens": 0.4}}, "unknown": {"upstream": "u"}}})


def call(gateway, key, model="measured", **members):
    body = {"model": model, "messages": [{"role": "user", "content": "How tall is Everest?"}], **members}
    got = gateway.post("/v1/chat/completions", body, key=key["key"])
    assert got.status_code == 200, got.text
    return got


def row_of(gateway, key, calls):
    def found():
        rows = gateway.admin("GET", f"/admin/v1/usage?key={key['id']}").json()["data"]
        return rows and rows[0]["calls"] == calls and rows[0]

    return until(found, what="the sums")


def took(tokens, per_thousand="0.4", grid="400"):
    wh = decimal.Decimal(tokens) * decimal.Decimal(per_thousand) / 1000
    return wh, wh * decimal.Decimal(grid) / 1000


def said(row):
    return tuple(decimal.Decimal(row[name]) for name in SUMS)


def test_usage_says_what_tokens_took_streamed_or_not(gateway):
    key = gateway.new_key("measured")
    call(gateway, key)
    call(gateway, key, stream=True)
    row = row_of(gateway, key, 2)
    assert said(row) == took(row["tokens_in"] + row["tokens_out"]) and said(row)[0] > 0


def test_a_model_that_says_nothing_takes_nothing(gateway):
    key = gateway.new_key("unknown")
    call(gateway, key, "unknown")
    assert said(row_of(gateway, key, 1)) == (0, 0)


def test_all_views_say_the_same(gateway):
    key = gateway.new_key("viewer")
    call(gateway, key)
    row = row_of(gateway, key, 1)
    own = gateway.request("GET", "/v1/usage", key=key["key"]).json()["data"][0]
    printed = gateway.command("usage", "--csv", "--key", key["id"]).stdout
    [line] = csv.DictReader(io.StringIO(printed, newline=""))
    assert [own[name] for name in SUMS] == [line[name] for name in SUMS] == [row[name] for name in SUMS]
    table = gateway.command("usage", "--key", key["id"]).stdout.split()
    assert table[table.index("OUT") + 1:table.index("OUT") + 3] == ["WH", "GCO2E"] and table[-2:] == [row[name] for name in SUMS]
    records = map(json.loads, gateway.command("journal", "print").stdout.splitlines())
    [record] = [r for r in records if r["kind"] == "completion" and r["key"] == key["id"]]
    assert record["energy_nano"] == (record["tokens_in"] + record["tokens_out"]) * 400_000
    assert record["co2e_nano"] * 1000 == record["energy_nano"] * 400


def test_what_was_taken_stays_when_the_numbers_change(gateway):
    key = gateway.new_key("changer")
    call(gateway, key)
    before = row_of(gateway, key, 1)
    models = {**gateway.config["models"], "measured": {"upstream": "u", "energy": {"wh_per_1k_tokens": "1.5"}}}
    gateway.reload({**gateway.config, "models": models, "grid": {"gco2e_per_kwh": 100}})
    call(gateway, key)
    after = row_of(gateway, key, 2)
    tokens = after["tokens_in"] + after["tokens_out"] - before["tokens_in"] - before["tokens_out"]
    assert tuple(b - a for a, b in zip(said(before), said(after))) == took(tokens, "1.5", "100")
