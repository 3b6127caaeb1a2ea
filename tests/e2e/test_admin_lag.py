# SPDX-License-Identifier: Apache-2.0
"""A database that another program holds locked: what was done is known all the same, and nobody waits for it."""
import contextlib
import fcntl
import json
import sqlite3
import threading
import time

import pytest

from harness.processes import SLOWER, Gateway, rfc3339
from harness.waiting import until

KEYS = "/admin/v1/keys"
SOON_S = 1.0 * SLOWER


@pytest.fixture
def gateway(tmp_path, sim):
    made = Gateway(tmp_path / "g", {"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    yield made
    made.stop()


@contextlib.contextmanager
def locked(gateway):
    """Another program that holds the database for itself."""
    gateway.announce("keys_untold")
    gateway.until_recorded()
    other = sqlite3.connect(gateway.data / "atlas.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.close()


def quick(gateway, method, path, **more):
    begun = time.monotonic()
    said = gateway.admin(method, path, **more)
    assert time.monotonic() - begun < SOON_S, (method, path)
    return said


def status(gateway, key):
    return gateway.request("GET", "/v1/models", key=key).status_code


def row(gateway, key_id):
    with contextlib.closing(sqlite3.connect(gateway.data / "atlas.db")) as db:
        return db.execute("SELECT name, revoked_us > 0 FROM api_key WHERE id = ?", (key_id,)).fetchone()


def test_a_change_is_judged_by_what_was_changed_last_though_the_database_is_locked(gateway):
    made = gateway.new_key("before", scopes=["chat"])
    of = f"{KEYS}/{made['id']}"
    with locked(gateway):
        tags = [quick(gateway, "GET", of).headers["etag"]]
        for name in ("first", "second", "third"):
            said = quick(gateway, "PATCH", of, json={"name": name, "scopes": ["models"]}, headers={"If-Match": tags[-1]})
            assert (said.status_code, said.json()["name"]) == (200, name)
            tags.append(said.headers["etag"])
            shown = quick(gateway, "GET", of)
            assert (shown.json()["name"], shown.headers["etag"]) == (name, tags[-1])
        for stale in tags[:-1]:
            for method in ("PATCH", "DELETE"):
                said = quick(gateway, method, of, headers={"If-Match": stale}, **({"json": {"name": "lost"}} if method == "PATCH" else {}))
                assert (said.status_code, said.json()["error"]["code"]) == (412, "revision_mismatch")
        assert status(gateway, made["key"]) == 200
        assert row(gateway, made["id"]) == ("before", 0)
        listed = {key["id"]: key["name"] for key in quick(gateway, "GET", KEYS).json()["data"]}
        assert listed[made["id"]] == "third"
    until(lambda: row(gateway, made["id"]) == ("third", 0), 5 * SLOWER, "the rows follow")
    assert gateway.admin("GET", of).headers["etag"] == tags[-1]
    assert gateway.admin("PATCH", of, json={"name": "fourth"}, headers={"If-Match": tags[-1]}).status_code == 200


def test_a_key_that_was_made_while_the_database_was_locked_can_be_shown_changed_revoked_and_deleted(gateway):
    with locked(gateway):
        made = quick(gateway, "POST", KEYS, json={"name": "made"}).json()
        of = f"{KEYS}/{made['id']}"
        assert status(gateway, made["key"]) == 200
        shown = quick(gateway, "GET", of)
        used = {name: shown.json()[name] for name in ("last_used_at", "last_used_ip", "last_used_secret")}
        assert shown.json() == {name: value for name, value in made.items() if name != "key"} | used
        listed = quick(gateway, "GET", KEYS)  # it has no place in the order yet
        assert (listed.status_code, listed.json()["error"]["code"]) == (503, "overloaded")
        assert quick(gateway, "PATCH", of, json={"name": "changed"}, headers={"If-Match": shown.headers["etag"]}).status_code == 200
        assert quick(gateway, "DELETE", of).json()["status"] == "revoked"
        assert status(gateway, made["key"]) == 401
        assert quick(gateway, "DELETE", of + "?forget=true").status_code == 200
        assert quick(gateway, "GET", of).status_code == 404
        kept = quick(gateway, "POST", KEYS, json={"name": "kept"}).json()
    until(lambda: row(gateway, kept["id"]) == ("kept", 0), 5 * SLOWER, "the rows follow")
    assert row(gateway, made["id"]) is None
    listed = [key["id"] for key in gateway.admin("GET", KEYS).json()["data"]]
    assert kept["id"] in listed and made["id"] not in listed


def test_what_was_done_while_the_database_was_locked_outlives_a_kill(gateway):
    gateway.announce("gateway_died", "keys_denied")
    changed, ended = gateway.new_key("before"), gateway.new_key("to end")
    with locked(gateway):
        made = quick(gateway, "POST", KEYS, json={"name": "made"}).json()
        assert quick(gateway, "PATCH", f"{KEYS}/{changed['id']}", json={"name": "after"}, headers={"If-Match": "*"}).status_code == 200
        tag = quick(gateway, "GET", f"{KEYS}/{changed['id']}").headers["etag"]
        assert quick(gateway, "DELETE", f"{KEYS}/{ended['id']}").status_code == 200
        gateway.kill()
    gateway.start()
    assert [status(gateway, one["key"]) for one in (made, changed, ended)] == [200, 200, 401]
    shown = gateway.admin("GET", f"{KEYS}/{changed['id']}")
    assert (shown.json()["name"], shown.headers["etag"]) == ("after", tag)


def test_usage_says_at_once_that_the_database_is_locked(gateway):
    with locked(gateway):
        assert gateway.chat("m").status_code == 200
        said = quick(gateway, "GET", "/admin/v1/usage")
        assert (said.status_code, said.json()["error"]["message"]) == (503, "the store is locked by another program")
    assert gateway.admin("GET", "/admin/v1/usage").json()["data"][0]["calls"] == 1


def test_a_revocation_holds_at_once_though_its_file_and_the_database_are_locked_and_others_ask(gateway):
    made = [gateway.new_key("to end") for _ in range(3)]
    over = threading.Event()

    def ask_on():
        while not over.is_set():
            gateway.admin("PATCH", f"{KEYS}/{made[2]['id']}", json={"name": "again"}, headers={"If-Match": "*"})
            gateway.admin("GET", "/admin/v1/usage")

    others = [threading.Thread(target=ask_on) for _ in range(8)]
    with locked(gateway), open(gateway.data / "revoked", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for other in others:
            other.start()
        for one in made[:2]:
            answers = []
            asker = threading.Thread(target=lambda of=f"{KEYS}/{one['id']}", said=answers: said.append(gateway.admin("DELETE", of)))
            begun = time.monotonic()
            asker.start()
            until(lambda key=one["key"]: status(gateway, key) == 401, 5 * SLOWER)
            assert time.monotonic() - begun < SOON_S
            asker.join()
            assert answers[0].json()["status"] == "revoked"  # by its record: half a second went to the file
            assert time.monotonic() - begun < 2 * SOON_S
        over.set()
        for other in others:
            other.join()
    printed = gateway.command("journal", "print", "--key", made[0]["id"]).stdout.splitlines()
    assert [json.loads(line)["action"] for line in printed] == ["key.create", "key.revoke"]


def test_a_key_whose_end_comes_nearer_ends_in_time_though_the_database_is_locked(gateway):
    made = gateway.new_key("brief")
    with locked(gateway):
        end = time.time() + 0.5
        assert quick(gateway, "PATCH", f"{KEYS}/{made['id']}", json={"expires_at": rfc3339(end)}, headers={"If-Match": "*"}).status_code == 200
        until(lambda: status(gateway, made["key"]) == 401, 5 * SLOWER)
        assert time.time() < end + SOON_S
