# SPDX-License-Identifier: Apache-2.0
"""What is done to keys is recorded first: nothing loses it, nothing does it twice."""
import collections
import contextlib
import json
import os
import signal
import sqlite3
import threading

import pytest

from harness.processes import SLOWER, Gateway
from harness.waiting import until


def config(sim):
    return {"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}}


@pytest.fixture
def gateway(tmp_path, sim):
    made = Gateway(tmp_path / "g", config(sim))
    yield made
    made.stop()


def status(gateway, key):
    return gateway.request("GET", "/v1/models", key=key).status_code


def listed(gateway):
    return {key["id"]: key["status"] for key in gateway.admin("GET", "/admin/v1/keys").json()["data"]}


def listed_names(gateway):
    return {(key["id"], key["name"], key["status"]) for key in gateway.admin("GET", "/admin/v1/keys").json()["data"]}


def made_alone(gateway, name):
    said = gateway.command("key", "create", "--name", name, "--json")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def records(gateway, key_id=None):
    lines = map(json.loads, gateway.command("journal", "print").stdout.splitlines())
    return [line for line in lines if line["kind"] == "admin" and line["action"].startswith("key.") and key_id in (None, line["object"])]


def actions(gateway, key_id):
    return [line["action"] for line in records(gateway, key_id)]


def backup_of(gateway):
    return {path: path.read_bytes() for path in gateway.data.glob("atlas.db*")}


def restore(gateway, backup):
    for path in gateway.data.glob("atlas.db*"):
        path.unlink()
    for path, content in backup.items():
        path.write_bytes(content)


def test_a_database_from_a_backup_gets_all_that_was_done_since(gateway):
    ended = gateway.new_key("ended")
    gone = gateway.new_key("gone")
    gateway.stop()
    backup = backup_of(gateway)
    gateway.start()
    gateway.revoke(ended["id"])
    gateway.revoke(gone["id"])
    assert gateway.command("key", "delete", gone["id"]).returncode == 0
    later = gateway.new_key("made later")
    gateway.stop()
    restore(gateway, backup)
    (gateway.data / "revoked").unlink()  # the journal alone must do
    gateway.start()
    assert [status(gateway, made["key"]) for made in (ended, gone, later)] == [401, 401, 200]
    assert listed(gateway)[ended["id"]] == "revoked"
    assert listed(gateway)[later["id"]] == "active"
    assert gone["id"] not in listed(gateway)
    assert actions(gateway, ended["id"]) == ["key.create", "key.revoke"]
    assert actions(gateway, gone["id"]) == ["key.create", "key.revoke", "key.delete"]
    assert actions(gateway, later["id"]) == ["key.create"]


def test_a_database_that_is_lost_gets_its_keys_from_the_journal(gateway):
    made = gateway.new_key("made")
    gateway.stop()
    for path in gateway.data.glob("atlas.db*"):
        path.unlink()
    gateway.announce("store_new")
    gateway.start()
    assert status(gateway, made["key"]) == 200
    assert gateway.chat("m").status_code == 200


def test_what_a_command_does_alone_is_recorded_by_the_next_gateway_once(gateway):
    gateway.stop()
    before = len(records(gateway))
    ended, kept = made_alone(gateway, "ended"), made_alone(gateway, "kept")
    assert gateway.command("key", "revoke", ended["id"]).returncode == 0
    assert len(records(gateway)) == before
    for _ in range(3):
        gateway.start()
        until(lambda: actions(gateway, ended["id"]) == ["key.create", "key.revoke"], 5 * SLOWER)
        assert actions(gateway, kept["id"]) == ["key.create"]
        assert gateway.stop() == 0
    assert {line["actor"] for line in records(gateway)} == {f"uid:{os.geteuid()}"}
    gateway.start()
    assert [status(gateway, made["key"]) for made in (ended, kept)] == [401, 200]


def test_a_record_says_who_did_what_and_holds_no_key(gateway):
    made = gateway.new_key("a name")
    gateway.revoke(made["id"])
    until(lambda: len(actions(gateway, made["id"])) == 2, 5 * SLOWER)
    created, revoked = records(gateway, made["id"])
    assert (created["actor"], revoked["actor"]) == (f"uid:{os.geteuid()}",) * 2
    assert created["state"]["name"] == "a name"
    assert (created["state"]["revoked_us"], revoked["state"]["revoked_us"] > 0) == (0, True)
    said = gateway.command("journal", "print").stdout
    assert made["key"] not in said
    assert made["key"][-20:] not in said


@pytest.mark.parametrize("pause_s", [0, 0.001, 0.003, 0.01, 0.03])
def test_a_kill_at_any_moment_loses_nothing_and_doubles_nothing(gateway, pause_s):
    told, asked = {}, []

    def make():
        for i in range(20):
            said = gateway.command("key", "create", "--name", f"n{i}", "--json")
            asked.append(i)
            if said.returncode == 0:
                key = json.loads(said.stdout)
                told[key["id"]] = key["key"]

    maker = threading.Thread(target=make)
    maker.start()
    gateway.announce("gateway_died")
    for round_ in range(3):
        until(lambda: len(asked) > 4 * round_, 30 * SLOWER)
        threading.Event().wait(pause_s)
        os.kill(until(gateway.children, 10 * SLOWER)[0], signal.SIGKILL)
    maker.join()
    until(lambda: status(gateway, gateway.key) == 200, 10 * SLOWER)
    assert told
    assert {status(gateway, key) for key in told.values()} == {200}
    until(lambda: set(told) <= {line["object"] for line in records(gateway)}, 5 * SLOWER)
    made = collections.Counter(line["object"] for line in records(gateway))
    assert set(made.values()) == {1}
    assert set(listed(gateway)) == set(made)


@contextlib.contextmanager
def locked(path):
    """Another program holds the database."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_what_the_rows_lack_is_undone_by_no_later_change(gateway):
    gateway.announce("keys_untold", "store_failing")
    ended, changed = gateway.new_key("ended"), gateway.new_key("changed")

    def change(key_id, **members):
        return gateway.admin("PATCH", f"/admin/v1/keys/{key_id}", json=members, headers={"If-Match": "*"}, timeout=30 * SLOWER)

    gateway.until_recorded()
    with locked(gateway.data / "atlas.db"):
        gateway.revoke(ended["id"])
        until(lambda: actions(gateway, ended["id"]) == ["key.create", "key.revoke"], 20 * SLOWER)
        assert change(ended["id"], name="of a row that is behind").status_code == 409
        assert change(changed["id"], name="of a row that is behind", scopes=["chat"]).status_code == 200
        assert change(changed["id"], name="new").status_code == 200
        gateway.revoke(changed["id"])
        until(lambda: actions(gateway, changed["id"]) == ["key.create", "key.change", "key.change", "key.revoke"], 20 * SLOWER)
    last = records(gateway, changed["id"])[-1]
    assert (last["state"]["name"], last["state"]["scopes"]) == ("new", 1)
    assert actions(gateway, ended["id"]) == ["key.create", "key.revoke"]
    assert [row["actor"] for row in records(gateway, ended["id"])] == [f"uid:{os.geteuid()}"] * 2
    assert records(gateway, ended["id"])[-1]["state"]["revoked_us"] > 0
    until(lambda: listed_names(gateway) >= {(ended["id"], "ended", "revoked"), (changed["id"], "new", "revoked")}, 20 * SLOWER)


def test_a_clock_that_is_set_back_brings_no_key_back(gateway):
    ended = gateway.new_key("ended")
    gateway.stop()
    assert gateway.command("key", "edit", ended["id"], "--name", "made by a clock that was ahead").returncode == 0
    with contextlib.closing(sqlite3.connect(gateway.data / "atlas.db")) as db, db:
        db.execute("UPDATE unrecorded SET at_us = at_us + 3600000000")
    for verb in ("revoke", "delete"):
        assert gateway.command("key", verb, ended["id"]).returncode == 0
    gateway.start()
    until(lambda: actions(gateway, ended["id"]) == ["key.create", "key.change", "key.revoke", "key.delete"], 5 * SLOWER)
    gateway.stop()
    (gateway.data / "revoked").unlink()  # the rows alone must do
    gateway.start()
    assert status(gateway, ended["key"]) == 401
    assert ended["id"] not in listed(gateway)
