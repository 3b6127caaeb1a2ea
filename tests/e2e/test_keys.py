# SPDX-License-Identifier: Apache-2.0
"""`atlas key` and `atlas usage`, beside a running gateway and without one."""
import json
import re
import sqlite3
import threading
import time

import pytest

from harness import processes
from harness.processes import SLOWER
from harness.waiting import until

KEY = re.compile(r"^mx4_sk_live_[0-9A-Za-z]{50}\n$")


@pytest.fixture(scope="module")
def sim(make_sim):
    return make_sim("--tokens", 100000, "--tokens-per-second", 50)


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway({"upstreams": {"s": {"url": sim.base}}, "models": {"m": {"upstream": "s"}}})


@pytest.fixture
def idle(tmp_path):
    """A configuration and data folder that no gateway holds: idle("key", "list") runs a command on it."""
    config = tmp_path / "atlas.yaml"

    def run(*arguments):
        return processes.run(*arguments, "--config", config)

    assert run("init").returncode == 0
    return run


def may_call(gateway, key):
    return gateway.request("GET", "/v1/models", key=key).status_code == 200


def listed(command):
    said = command("key", "list", "--json")
    assert said.returncode == 0, said.stderr
    return {key["id"]: key for key in json.loads(said.stdout)["data"]}


def test_a_key_made_beside_a_running_gateway_works_at_once(gateway):
    made = gateway.command("key", "create", "--name", "beside")
    assert made.returncode == 0, made.stderr
    assert KEY.match(made.stdout)
    assert may_call(gateway, made.stdout.strip())


def test_a_key_made_without_a_gateway_works_once_one_runs(make_gateway, tmp_path):
    gateway = make_gateway({})
    gateway.stop()
    made = gateway.command("key", "create", "--name", "before")
    assert made.returncode == 0, made.stderr
    gateway.start()
    assert may_call(gateway, made.stdout.strip())


def test_a_key_is_printed_once_and_kept_nowhere(gateway):
    key = gateway.command("key", "create", "--name", "secret").stdout.strip()
    secret = key[24:56].encode()
    said = gateway.command("key", "list").stdout + gateway.command("key", "list", "--json").stdout
    assert key[12:24] in said
    assert secret.decode() not in said
    may_call(gateway, key)
    for path in [gateway.log_path, *gateway.data.rglob("*")]:
        if path.is_file():
            assert secret not in path.read_bytes(), path


def test_json_holds_id_and_key(idle):
    made = json.loads(idle("key", "create", "--name", "ci", "--test", "--expires", "30d", "--json").stdout)
    assert made["key"].startswith("mx4_sk_test_" + made["id"])
    assert listed(idle)[made["id"]] == {name: value for name, value in made.items() if name != "key"}
    assert made["kind"] == "test"
    assert made["expires"] is not None


def test_a_key_revoked_by_command_is_refused_within_a_second(gateway):
    key = gateway.command("key", "create", "--name", "gone").stdout.strip()
    assert may_call(gateway, key)
    said = gateway.command("key", "revoke", key[12:24])
    assert (said.returncode, said.stdout) == (0, f"revoked {key[12:24]}\n")
    until(lambda: not may_call(gateway, key), 1.0 * SLOWER)
    assert listed(gateway.command)[key[12:24]]["status"] == "revoked"


def test_a_revocation_ends_an_open_stream_within_a_second(gateway):
    gateway.announce("call_failed")
    made = gateway.new_key("streaming")
    client = gateway.client(made["key"])
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    revoked_at = []

    def revoke():
        gateway.command("key", "revoke", made["id"])
        revoked_at.append(time.monotonic())

    with client.stream("POST", "/v1/chat/completions", json=body) as reply:
        lines = reply.iter_lines()
        assert next(lines).startswith("data: ")
        thread = threading.Thread(target=revoke)
        thread.start()
        events = [line.strip() for line in lines if line.startswith("data: ")]
        ended_at = time.monotonic()
        thread.join()
    assert ended_at - revoked_at[0] < 1.0 * SLOWER
    assert "error" in json.loads(events[-2].removeprefix("data: "))
    assert events[-1] == "data: [DONE]"


def test_revoking_survives_a_restart(make_gateway):
    gateway = make_gateway({})
    made = gateway.new_key("gone")
    gateway.revoke(made["id"])
    gateway.stop()
    gateway.start()
    assert not may_call(gateway, made["key"])
    assert may_call(gateway, gateway.key)


@pytest.mark.parametrize("arguments, status, says", [
    (("create",), 2, "--name is missing"),
    (("create", "--name", "n", "--expires", "soon"), 2, "such as 12h or 30d"),
    (("create", "--name", "n", "--test", "--admin"), 2, "do not go together"),
    (("create", "--name", "two\nlines"), 1, "'name' must be"),
    (("create", "--name", "n", "--scopes", "chat,root"), 1, "'scopes' must be"),
    (("revoke", "short"), 2, "not a key's id"),
    (("revoke", "AAAAAAAAAAAA"), 1, "there is no key of this id"),
    (("creat",), 2, "did you mean 'create'"),
    ((), 2, "usage: atlas key"),
])
def test_what_cannot_be_done_is_said(idle, gateway, arguments, status, says):
    """The same with a gateway and without."""
    for command in (idle, gateway.command):
        said = command("key", *arguments)
        assert says in said.stderr
        assert (said.returncode, said.stdout) == (status, "")
    assert listed(idle) == {}


def test_lists_are_tables_for_people(idle):
    assert "there are no keys" in idle("key", "list").stderr
    idle("key", "create", "--name", "فريق")
    head, row = idle("key", "list").stdout.splitlines()
    assert head.split() == ["ID", "KIND", "STATUS", "CREATED", "EXPIRES", "NAME"]
    assert row.split()[1:3] == ["live", "active"]
    assert row.split()[4:] == ["never", "فريق"]


def test_without_its_pepper_no_key_is_made(make_gateway):
    gateway = make_gateway({})
    gateway.stop()
    pepper = gateway.data / "pepper"
    pepper.rename(gateway.data / "elsewhere")
    said = gateway.command("key", "create", "--name", "n")
    assert said.returncode == 1
    assert "pepper" in said.stderr
    assert gateway.command("key", "list").returncode == 0
    (gateway.data / "elsewhere").rename(pepper)


def test_a_store_of_a_newer_atlas_is_left_alone(make_gateway):
    gateway = make_gateway({})
    gateway.stop()
    with sqlite3.connect(gateway.data / "atlas.db") as db:
        db.execute("INSERT INTO migration VALUES (1000000, 'later', 0)")
    db.close()
    said = gateway.command("key", "list")
    assert said.returncode == 1
    assert "newer Atlas" in said.stderr


def test_a_gateway_that_starts_waits_for_a_command_at_work(make_gateway):
    """Commands come and go while it starts; it must not take them for another gateway."""
    gateway = make_gateway({})
    gateway.stop()
    done = threading.Event()

    def keep_listing():
        while not done.is_set():
            gateway.command("key", "list")

    thread = threading.Thread(target=keep_listing)
    thread.start()
    try:
        gateway.start()
    finally:
        done.set()
        thread.join()
    assert may_call(gateway, gateway.key)


def test_usage_without_calls_says_so(idle):
    assert "no calls are on record" in idle("usage").stderr
    assert json.loads(idle("usage", "--json").stdout) == {"object": "list", "data": []}
    assert "such as 2026-11-24" in idle("usage", "--from", "yesterday").stderr


def test_usage_sums_calls_by_key_model_and_day(gateway):
    made = gateway.new_key("counted")
    for _ in range(3):
        assert gateway.request("POST", "/v1/embeddings", key=made["key"], json={"model": "m", "input": "a"}).status_code == 200
    rows = until(lambda: [row for row in json.loads(gateway.command("usage", "--key", made["id"], "--json").stdout)["data"]
                          if row["calls"] == 3], 5 * SLOWER, "three calls in the sums")
    assert len(rows) == 1
    assert (rows[0]["key_name"], rows[0]["model"]) == ("counted", "m")
    assert rows[0]["tokens_in"] > 0
    table = gateway.command("usage", "--key", made["id"]).stdout.splitlines()
    assert table[1].split()[:5] == [rows[0]["day"], made["id"], "counted", "m", "3"]
