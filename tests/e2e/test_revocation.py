# SPDX-License-Identifier: Apache-2.0
"""A revocation holds within one second, whatever else is wrong, and nothing brings the key back."""
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from harness.processes import ATLAS, SLOWER, Gateway, rfc3339, run
from harness.raw import Raw, events
from harness.turns import before_others, put_first
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]
PATH = "/v1/chat/completions"
WITHIN_S = 1.0 * SLOWER
OTHERS_S = 0.1 * SLOWER
MANY = 200_000


def config(sim):
    return {"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}}


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway(config(sim))


def status(gateway, key):
    return gateway.request("GET", "/v1/models", key=key).status_code


def revoke(gateway, key_id, *where):
    """`atlas key revoke`, with nothing in its environment; how it went, and when it was begun."""
    begun = time.monotonic()
    said = run("key", "revoke", key_id, *(where or ("--data", gateway.data)))
    return said, begun


def assert_ends(gateway, made, begun):
    until(lambda: status(gateway, made["key"]) == 401, 5 * SLOWER, "the key's end")
    assert time.monotonic() - begun < WITHIN_S


def admin_records(gateway, key_id):
    """What the journal says was done to a key."""
    lines = map(json.loads, gateway.command("journal", "print").stdout.splitlines())
    return [line["action"] for line in lines if line["kind"] == "admin" and line["object"] == key_id]


def test_it_is_said_to_hold_though_somebody_keeps_the_file_locked(gateway):
    made = gateway.new_key("locked")
    with open(gateway.data / "revoked", "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        said, begun = revoke(gateway, made["id"])
        assert (said.returncode, said.stdout) == (0, f"revoked {made['id']}\n"), said.stderr
        assert_ends(gateway, made, begun)
        until(lambda: admin_records(gateway, made["id"]) == ["key.create", "key.revoke"], 5 * SLOWER)


class Caller(threading.Thread):
    """Another key's calls, one after the other, and the longest that one took. What else the machine does comes after
    them: their lateness is to be the gateway's."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.client = gateway.client()
        self.over = threading.Event()
        self.longest, self.statuses = 0.0, set()
        put_first(*gateway.children())
        self.start()

    def run(self):
        with before_others():
            while not self.over.is_set():
                begun = time.monotonic()
                got = self.client.post(PATH, json={"model": "m", "messages": HI})
                self.longest = max(self.longest, time.monotonic() - begun)
                self.statuses.add(got.status_code)

    def __enter__(self):
        until(lambda: self.statuses, 5 * SLOWER)
        return self

    def __exit__(self, *why):
        self.over.set()
        self.join()


@contextlib.contextmanager
def locked(path):
    """Another program that holds the database for itself."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield other
    finally:
        other.close()


def test_a_key_that_only_the_journal_knows_is_refused_from_the_next_start_on(make_gateway, sim):
    gateway = make_gateway(config(sim))
    gateway.announce("keys_untold", "store_failing", "keys_denied")
    with locked(gateway.data / "atlas.db"):
        made = gateway.new_key("young")
        assert status(gateway, made["key"]) == 200
        gateway.kill()
    until(lambda: "used by" not in gateway.command("key", "list").stderr, 5 * SLOWER)
    said, _ = revoke(gateway, made["id"])
    assert said.returncode == 1 and "no key of this id" in said.stderr
    gateway.start()
    assert status(gateway, made["key"]) == 401
    until(lambda: admin_records(gateway, made["id"]) == ["key.create", "key.revoke"], 5 * SLOWER)


def test_a_database_that_another_program_locks_keeps_no_key_alive(gateway):
    gateway.announce("keys_untold", "store_failing")  # the latter if it is locked for long
    made = gateway.new_key("to end")
    with locked(gateway.data / "atlas.db"), Caller(gateway) as others:
        said, begun = revoke(gateway, made["id"])
        assert (said.returncode, said.stdout) == (0, f"revoked {made['id']}\n"), said.stderr
        assert_ends(gateway, made, begun)
    assert others.statuses == {200}
    assert others.longest < OTHERS_S

    def in_store():
        with contextlib.closing(sqlite3.connect(gateway.data / "atlas.db")) as db:
            return db.execute("SELECT revoked_us FROM api_key WHERE id = ?", (made["id"],)).fetchone()[0]
    until(in_store, 20 * SLOWER, "the store is told when it can be")


def test_a_configuration_that_is_not_valid_here_keeps_no_key_alive(gateway, tmp_path):
    made = gateway.new_key("to end")
    broken = tmp_path / "atlas.yaml"
    broken.write_text(json.dumps({
        "data": str(gateway.data), "nonsense": 1,
        "upstreams": {"u": {"url": "http://[", "api_key": "${NOT_SET_IN_THIS_SHELL}"}},
        "models": {"m": {"upstream": "gone", "price": {"input": "file:/nonexistent"}}}}))
    said, begun = revoke(gateway, made["id"], "--config", broken)
    assert (said.returncode, said.stderr) == (0, "")
    assert_ends(gateway, made, begun)


def test_a_list_of_many_keys_keeps_no_key_alive(make_gateway, sim, tmp_path):
    gateway = make_gateway(config(sim))
    gateway.until_recorded()
    with contextlib.closing(sqlite3.connect(gateway.data / "atlas.db")) as db, db:
        row = {name: 0 if kind.upper() == "INTEGER" else "" for _, name, kind, *_ in db.execute("PRAGMA table_info(api_key)")}
        row |= {"kind": 1, "pepper": 1, "mac": bytes(32), "before_mac": bytes(32), "scopes": 15, "created_us": 1, "revision": 1}
        db.executemany(f"INSERT INTO api_key ({', '.join(row)}) VALUES ({', '.join(':' + name for name in row)})",
                       ({**row, "number": i + 1000, "id": f"many{i:08}", "name": f"key number {i}"} for i in range(MANY)))
        db.execute("INSERT OR REPLACE INTO meta VALUES ('revision', ?, '')", (MANY + 1000,))
    made = gateway.new_key("to end")
    with open(tmp_path / "list", "wb") as out:
        lists = [subprocess.Popen([ATLAS, "key", "list", "--json", "--config", gateway.config_path], stdout=out)
                 for _ in range(2)]
        with Caller(gateway) as others:
            said, begun = revoke(gateway, made["id"])
            assert (said.returncode, said.stderr) == (0, "")
            assert_ends(gateway, made, begun)
            assert all(one.poll() is None for one in lists), "the lists were over before the key was revoked"
        assert [one.wait(120 * SLOWER) for one in lists] == [0, 0]
    assert others.statuses == {200}
    assert others.longest < OTHERS_S
    listed = gateway.command("key", "list").stdout.splitlines()
    assert len(listed) == MANY + 3  # the head, the key of the tests, and this one
    assert listed[1].split()[0] == gateway.admin("GET", "/admin/v1/keys").json()["data"][0]["id"]


def test_an_admin_socket_that_does_not_answer_keeps_no_key_alive(gateway):
    """The housekeeping loop may stand still: nothing of it is needed."""
    made = gateway.new_key("to end")
    (gateway.data / "admin.sock").rename(gateway.data / "away.sock")
    try:
        said, begun = revoke(gateway, made["id"])
        assert (said.returncode, said.stdout) == (0, f"revoked {made['id']}\n")
        assert "warning" in said.stderr
        assert_ends(gateway, made, begun)
    finally:
        (gateway.data / "away.sock").rename(gateway.data / "admin.sock")
    listed = {key["id"]: key["status"] for key in gateway.admin("GET", "/admin/v1/keys").json()["data"]}
    assert listed[made["id"]] == "revoked"


def test_a_file_of_revoked_keys_that_was_moved_away_keeps_no_key_alive(gateway):
    made = [gateway.new_key("to end") for _ in range(2)]
    (gateway.data / "revoked").rename(gateway.data / "moved")
    (gateway.data / "admin.sock").rename(gateway.data / "away.sock")
    try:
        said, begun = revoke(gateway, made[0]["id"])
        assert (said.returncode, said.stdout) == (0, f"revoked {made[0]['id']}\n")
        assert_ends(gateway, made[0], begun)
    finally:
        (gateway.data / "away.sock").rename(gateway.data / "admin.sock")
    said, begun = revoke(gateway, made[1]["id"])
    assert (said.returncode, said.stderr) == (0, "")
    assert_ends(gateway, made[1], begun)
    assert made[1]["id"] in (gateway.data / "revoked").read_text()


@pytest.fixture()
def small_disk(tmp_path):
    """A file system of its own that can be filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("a file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    with open(folder / "filler", "wb", buffering=0) as f, contextlib.suppress(OSError):  # then it is full
        while True:
            f.write(b"x" * 65536)
    with open(folder / "filler", "ab", buffering=0) as f, contextlib.suppress(OSError):  # then it is full
        while True:
            f.write(b"x")


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_a_full_disk_keeps_no_key_alive(small_disk, sim, running):
    gateway = Gateway(small_disk / "g", config(sim))
    try:
        made = gateway.new_key("to end")
        if not running:
            gateway.stop()
        fill(small_disk)
        said, begun = revoke(gateway, made["id"])
        assert (said.returncode, said.stdout) == (0, f"revoked {made['id']}\n"), said.stderr
        if running:
            assert_ends(gateway, made, begun)
            gateway.kill()
        else:
            assert "warning" in said.stderr
        (small_disk / "filler").unlink()
        until(lambda: run("key", "list", "--config", gateway.config_path).returncode == 0, 10 * SLOWER, "the child is gone")
        gateway.start()
        assert status(gateway, made["key"]) == 401
        assert gateway.chat("m").status_code == 200
    finally:
        gateway.stop()


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_a_restored_backup_brings_no_revoked_key_back(tmp_path, sim, running):
    gateway = Gateway(tmp_path / "g", config(sim))
    made = gateway.new_key("to end")
    assert gateway.stop() == 0
    backup = {path: path.read_bytes() for path in gateway.data.glob("atlas.db*")}
    if running:
        gateway.start()
        gateway.revoke(made["id"])
        assert gateway.stop() == 0
    else:
        assert gateway.command("key", "revoke", made["id"]).returncode == 0
    for path in gateway.data.glob("atlas.db*"):
        path.unlink()
    for path, content in backup.items():
        path.write_bytes(content)
    if not running:  # no record tells of it: the file does
        gateway.announce("keys_denied")
    gateway.start()
    try:
        assert status(gateway, made["key"]) == 401
        assert gateway.chat("m").status_code == 200
        listed = {key["id"]: key["status"] for key in gateway.admin("GET", "/admin/v1/keys").json()["data"]}
        assert listed[made["id"]] == "revoked"
        until(lambda: admin_records(gateway, made["id"]) == ["key.create", "key.revoke"], 5 * SLOWER)
    finally:
        gateway.stop()
    assert gateway.unannounced() == []
    assert gateway.command("key", "list").stdout.count(" revoked ") == 1  # the store was told


def test_a_gateway_that_is_stopped_right_after_a_revocation_records_whose_it_was(tmp_path, sim):
    gateway = Gateway(tmp_path / "g", config(sim))
    made = [gateway.new_key(f"to end {i}")["id"] for i in range(20)]
    for key_id in made:
        gateway.revoke(key_id)
        assert gateway.stop() == 0
        gateway.start()
    assert gateway.stop() == 0
    lines = map(json.loads, gateway.command("journal", "print").stdout.splitlines())
    actors = {line["object"]: line["actor"] for line in lines if line.get("action") == "key.revoke"}
    assert actors == dict.fromkeys(made, f"uid:{os.geteuid()}")
    assert gateway.unannounced() == []


@pytest.mark.parametrize("trouble", ["locked database", "full disk"])
def test_a_revocation_that_cannot_be_recorded_keeps_no_gateway_from_ending(small_disk, sim, trouble):
    gateway = Gateway(small_disk / "g", config(sim))
    gateway.announce("store_failing", "store_busy", "keys_untold", "keys_denied", "disk_full", "journal_full")
    made = gateway.new_key("to end")
    with contextlib.ExitStack() as held:
        if trouble == "full disk":
            fill(small_disk)
        else:
            held.enter_context(locked(gateway.data / "atlas.db"))
        gateway.revoke(made["id"])
        begun = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - begun < 4 * SLOWER
    (small_disk / "filler").unlink(missing_ok=True)
    gateway.start()
    assert status(gateway, made["key"]) == 401
    assert gateway.stop() == 0


def test_a_stream_that_gets_no_event_ends_when_its_key_does(gateway, sim):
    gateway.announce("call_failed")
    expires = time.time() + 1.5
    brief = gateway.new_key("brief", expires_at=rfc3339(expires))
    made = gateway.new_key("to end")
    with Raw(gateway.port, brief["key"]) as expiring, Raw(gateway.port, made["key"]) as revoked:
        for raw in (expiring, revoked):
            raw.request("POST", PATH, {"model": "m", "stream": True, "messages": HI,
                                       "sim": {"fault": "stall", "at": 600}})
            assert raw.read_head().status == 200

        def rest_of(raw):
            rest = b""
            while (piece := raw.read_chunk()):
                rest += piece
            return events(rest)[-2]["error"]["code"]
        begun = time.monotonic()
        gateway.revoke(made["id"])
        assert rest_of(revoked) == "invalid_api_key"
        assert time.monotonic() - begun < WITHIN_S
        assert rest_of(expiring) == "expired_api_key"
        assert expires <= time.time() < expires + WITHIN_S


def test_a_child_that_is_killed_at_once_brings_no_revoked_key_back(gateway):
    gateway.announce("gateway_died", "keys_denied")
    made = gateway.new_key("to end")
    child = gateway.children()[0]
    gateway.revoke(made["id"])
    os.kill(child, signal.SIGKILL)
    until(lambda: gateway.children() not in ([], [child]), 10 * SLOWER)
    until(lambda: gateway.count_log("ready") == 2, 10 * SLOWER)
    assert status(gateway, made["key"]) == 401


def test_a_key_that_is_not_there_is_told_and_written_nowhere(gateway):
    before = (gateway.data / "revoked").read_bytes()
    said, _ = revoke(gateway, "nobodysKey00")
    assert said.returncode == 1 and "no key of this id" in said.stderr and said.stdout == ""
    assert (gateway.data / "revoked").read_bytes() == before
    said, _ = revoke(gateway, "nobodysKey00", "--data", gateway.folder / "nowhere")
    assert said.returncode == 1 and "no data folder" in said.stderr


def test_a_key_is_deleted_once_it_is_revoked_and_its_usage_stays(gateway):
    made = gateway.new_key("to go")
    assert gateway.chat("m").status_code == 200
    refused = gateway.command("key", "delete", made["id"])
    assert refused.returncode == 1 and "revoke it first" in refused.stderr
    assert status(gateway, made["key"]) == 200
    assert gateway.command("key", "revoke", made["id"]).returncode == 0
    assert gateway.command("key", "delete", made["id"]).stdout == f"deleted {made['id']}\n"
    assert status(gateway, made["key"]) == 401
    assert made["id"] not in gateway.command("key", "list").stdout
    assert gateway.command("key", "delete", made["id"]).returncode == 1


def test_keys_are_listed_in_pages(gateway):
    ids = [gateway.new_key(f"page {i}")["id"] for i in range(5)]
    seen, cursor = [], None
    while True:
        page = gateway.admin("GET", "/admin/v1/keys?limit=2" + (f"&after={cursor}" if cursor else "")).json()
        assert len(page["data"]) <= 2
        seen += [key["id"] for key in page["data"]]
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        if cursor is None:
            break
    assert seen[-5:] == ids and len(set(seen)) == len(seen)
    for wrong in ("limit=0", "limit=1001", "limit=x", "after=x"):
        assert gateway.admin("GET", f"/admin/v1/keys?{wrong}").status_code == 400


@pytest.mark.parametrize("how", ["damaged row", "pepper gone"])
def test_one_key_that_cannot_be_used_stops_no_other(tmp_path, sim, how):
    gateway = Gateway(tmp_path / "g", config(sim))
    made = gateway.new_key("of no use")
    assert gateway.stop() == 0
    with contextlib.closing(sqlite3.connect(gateway.data / "atlas.db")) as db, db:
        if how == "damaged row":
            db.execute("PRAGMA ignore_check_constraints = ON")
            db.execute("UPDATE api_key SET mac = x'00' WHERE id = ?", (made["id"],))
        else:
            db.execute("UPDATE api_key SET pepper = 7 WHERE id = ?", (made["id"],))
    gateway.announce("keys_damaged", "keys_no_pepper")
    gateway.start()
    try:
        assert status(gateway, made["key"]) == 401
        assert gateway.chat("m").status_code == 200
        rows = {line.split()[0]: line for line in gateway.command("key", "list").stdout.splitlines()}
        assert (" damaged " if how == "damaged row" else " no pepper ") in rows[made["id"]]
    finally:
        gateway.stop()
    assert gateway.unannounced() == []


def test_a_pepper_is_replaced_and_only_keys_that_need_the_old_one_end(tmp_path, sim):
    gateway = Gateway(tmp_path / "g", config(sim))
    assert gateway.command("pepper", "add").stdout.startswith("version 2 was added")
    assert gateway.stop() == 0
    gateway.start()
    late = gateway.new_key("late")
    assert gateway.chat("m").status_code == 200
    assert status(gateway, late["key"]) == 200
    assert [line.split()[:2] for line in gateway.command("pepper", "list").stdout.splitlines()[1:]] == [["1", "1"], ["2", "1"]]
    refused = gateway.command("pepper", "remove", "1")
    assert refused.returncode == 1 and "1 key made with version 1" in refused.stderr
    refused = gateway.command("pepper", "remove", "2", "--anyway")
    assert refused.returncode == 1 and "add another first" in refused.stderr
    assert gateway.command("pepper", "remove", "9").returncode == 1
    assert gateway.command("pepper", "remove", "1", "--anyway").returncode == 0
    assert (gateway.data / "pepper").stat().st_mode & 0o777 == 0o600
    assert gateway.stop() == 0
    gateway.announce("keys_no_pepper")
    gateway.start()
    try:
        assert status(gateway, late["key"]) == 200
        assert status(gateway, gateway.key) == 401
        assert gateway.command("key", "list").stdout.count(" no pepper ") == 1
        assert "not in the file" in gateway.command("pepper", "list").stdout
    finally:
        gateway.stop()
    assert gateway.unannounced() == []


def test_another_installations_pepper_is_refused_at_the_start(tmp_path, sim):
    gateway = Gateway(tmp_path / "g", config(sim))
    assert gateway.stop() == 0
    other = tmp_path / "other.yaml"
    other.write_text(f"data: {tmp_path}/other\n")
    assert run("init", "--config", other).returncode == 0
    shutil.copy(gateway.data / "pepper", tmp_path / "right")
    shutil.copy(tmp_path / "other" / "pepper", gateway.data / "pepper")
    before = len(gateway.log())
    gateway.start(ready=False)
    assert gateway.process.wait(20 * SLOWER) == 1
    assert "another installation's" in gateway.log(before)
    made = gateway.command("key", "create", "--name", "x")
    assert made.returncode == 1 and "another installation's" in made.stderr
    assert gateway.command("init").returncode == 1
    shutil.copy(tmp_path / "right", gateway.data / "pepper")
    gateway.start()
    assert gateway.chat("m").status_code == 200
    assert gateway.stop() == 0
