# SPDX-License-Identifier: Apache-2.0
"""Keys of another gateway, taken over by their SHA-256: clients keep what they have, until the first rotation."""
import hashlib
import json
import secrets
import sqlite3
import time

import pytest

from harness.processes import Gateway

KEYS = "/admin/v1/keys"


def config(sim):
    return {"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}}


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway(config(sim))


def foreign(length=43):
    return "sk-proj-" + secrets.token_urlsafe(64)[:length]


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()


def ask(gateway, key):
    return gateway.request("GET", "/v1/models", key=key)


def code(reply):
    return (reply.status_code, reply.json()["error"]["code"])


def take_over(gateway, key, **more):
    reply = gateway.admin("POST", KEYS, json={"name": "taken over", "sha256": digest(key), **more})
    assert reply.status_code == 201, reply.text
    return reply.json()


def test_a_key_of_another_gateway_works_as_it_is(gateway):
    key = foreign()
    assert code(ask(gateway, key)) == (401, "invalid_api_key")
    made = take_over(gateway, key, scopes=["models"])
    assert made["imported"] is True
    assert "key" not in made and "sha256" not in made
    assert ask(gateway, key).status_code == 200
    assert gateway.request("POST", "/v1/chat/completions", key=key, json={"model": "m", "messages": []}).status_code == 403
    assert ask(gateway, digest(key)).status_code == 401  # what the database holds opens nothing
    assert ask(gateway, key + "x").status_code == 401
    own = gateway.new_key("own")
    assert own["imported"] is False
    gateway.revoke(made["id"])
    assert ask(gateway, key).status_code == 401


def test_the_same_key_is_taken_over_once(gateway):
    key = foreign()
    made = take_over(gateway, key)
    again = gateway.admin("POST", KEYS, json={"name": "twice", "sha256": digest(key).upper()})
    assert code(again) == (409, "already_exists")
    once = {"Idempotency-Key": "taken"}
    other = foreign()
    first = gateway.admin("POST", KEYS, json={"name": "once", "sha256": digest(other)}, headers=once)
    second = gateway.admin("POST", KEYS, json={"name": "once", "sha256": digest(other)}, headers=once)
    assert first.status_code == 201 and first.text == second.text and first.json()["id"] != made["id"]


def test_the_digest_of_a_key_that_was_deleted_is_free(gateway):
    key = foreign()
    first = take_over(gateway, key)["id"]
    gateway.revoke(first)
    assert code(gateway.admin("POST", KEYS, json={"name": "again", "sha256": digest(key)})) == (409, "already_exists")  # it is there still
    assert gateway.admin("DELETE", f"{KEYS}/{first}?forget=true").status_code == 200
    assert ask(gateway, key).status_code == 401
    second = take_over(gateway, key)["id"]
    assert second != first and ask(gateway, key).status_code == 200


@pytest.mark.parametrize("body", [
    {"sha256": "ab"}, {"sha256": "x" * 64}, {"sha256": "0" * 65}, {"sha256": 5}, {"sha256": "0" * 64, "kind": "admin", "role": "auditor"},
])
def test_what_is_no_digest_or_for_an_admin_key_is_refused(gateway, body):
    reply = gateway.admin("POST", KEYS, json={"name": "no", **body})
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["param"] == "sha256"


@pytest.mark.parametrize("key,works", [
    ("sk-1234", True), ("s", True), ("k" * 256, True), ("k" * 257, False), ("mx4_of_another_gateway_1", False),
])
def test_the_shape_of_what_is_looked_for_is_bounded(gateway, key, works):
    take_over(gateway, key)
    assert ask(gateway, key).status_code == (200 if works else 401)


def test_the_first_rotation_replaces_it(gateway):
    key = foreign()
    made = take_over(gateway, key)
    new = gateway.admin("POST", f"{KEYS}/{made['id']}/rotate", json={"grace_s": 3600}).json()
    assert new["key"][12:24] == made["id"] and new["imported"] is False
    assert [ask(gateway, one).status_code for one in (key, new["key"])] == [200, 200]
    other = foreign()
    ended = take_over(gateway, other)
    new = gateway.admin("POST", f"{KEYS}/{ended['id']}/rotate", json={"grace_s": 0}).json()
    assert code(ask(gateway, other)) == (401, "expired_api_key")
    assert ask(gateway, new["key"]).status_code == 200


def test_taken_over_keys_outlive_a_kill_and_the_database(tmp_path, sim):
    gateway = Gateway(tmp_path / "g", config(sim))
    try:
        key, rotated = foreign(), foreign()
        take_over(gateway, key)
        made = take_over(gateway, rotated)
        new = gateway.admin("POST", f"{KEYS}/{made['id']}/rotate", json={"grace_s": 3600}).json()["key"]
        gateway.kill()
        gateway.start()
        assert [ask(gateway, one).status_code for one in (key, rotated, new)] == [200, 200, 200]
        gateway.stop()
        with sqlite3.connect(gateway.data / "atlas.db") as db:
            assert db.execute("SELECT count(*) FROM api_key WHERE pepper = 0 AND mac = ?", (hashlib.sha256(key.encode()).digest(),)).fetchone() == (1,)
        for file in gateway.data.glob("atlas.db*"):
            file.unlink()
        gateway.announce("store_new")
        gateway.start()
        assert [ask(gateway, one).status_code for one in (key, rotated, new)] == [200, 200, 200]
    finally:
        gateway.stop()
    assert gateway.unannounced() == []


def test_the_command_takes_a_file_of_digests(commands, tmp_path):
    keys = [foreign() for _ in range(3)]
    file = tmp_path / "digests"
    file.write_text(f"# from the other gateway\n{digest(keys[0])}\r\n\n{digest(keys[1]).upper()}\t team b \n{digest(keys[2])}")
    said = commands("key", "import", "--sha256", file, "--name", "old")
    assert (said.returncode, said.stderr) == (0, "")
    assert [line.split("  ")[1] for line in said.stdout.splitlines()] == ["old", "team b", "old"]
    listed = {key["id"]: key for key in json.loads(commands("key", "list", "--json").stdout)["data"]}
    assert all(listed[line.split()[0]]["imported"] for line in said.stdout.splitlines())
    again = commands("key", "import", "--sha256", file)
    assert again.returncode == 1 and again.stdout == ""
    assert [line.split(": ")[1] for line in again.stderr.splitlines()] == ["line 2", "line 4", "line 5"]
    assert again.stderr.count("taken over before") == 3


def test_a_file_with_a_mistake_makes_no_key(commands, tmp_path):
    file = tmp_path / "digests"
    for wrong in ("nothing", "a" * 63, "a" * 64 + "b", foreign()):
        file.write_text(f"{digest(foreign())} good\n{wrong}\n")
        before = commands("key", "list", "--json").stdout
        said = commands("key", "import", "--sha256", file)
        assert said.returncode == 1 and "line 2" in said.stderr and "no key was made" in said.stderr
        assert wrong not in said.stderr  # it may be a key that somebody pasted
        assert len(json.loads(commands("key", "list", "--json").stdout)["data"]) == len(json.loads(before)["data"])
    assert commands("key", "import", "--sha256", tmp_path / "none").returncode == 1


def test_the_commands_keys_open_the_gateway(gateway, tmp_path):
    key = foreign()
    file = tmp_path / "digests"
    file.write_text(digest(key))
    made = json.loads(gateway.command("key", "import", "--sha256", file, "--json").stdout)
    assert made["imported"] is True and made["created_at"] <= time.time()
    assert ask(gateway, key).status_code == 200
