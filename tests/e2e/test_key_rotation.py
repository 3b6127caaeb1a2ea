# SPDX-License-Identifier: Apache-2.0
"""A key gets another secret while the one before works on; what ends with the grace; what a kill and a restart leave."""
import concurrent.futures
import json
import os
import re
import signal
import sqlite3
import time
import uuid

import httpx
import pytest

from harness.processes import PLAIN, SLOWER, Gateway, rfc3339
from harness.raw import Raw, events
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]
KEYS = "/admin/v1/keys"
PATH = "/v1/chat/completions"
KEY = re.compile(r"mx4_(sk_live|sk_test|ak)_[0-9A-Za-z]{50}")
WITHIN_S = 1.0 * SLOWER


def config(sim):
    return {"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}}


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway(config(sim))


def rotate(gateway, key_id, expect=200, **body):
    reply = gateway.admin("POST", f"{KEYS}/{key_id}/rotate", json=body)
    assert reply.status_code == expect, reply.text
    return reply.json()


def ask(gateway, key):
    return gateway.request("GET", "/v1/models", key=key)


def show(gateway, key_id):
    return gateway.admin("GET", f"{KEYS}/{key_id}").json()


def test_both_secrets_work_until_the_grace_is_over(gateway):
    made = gateway.new_key("two")
    begun = int(time.time())
    new = rotate(gateway, made["id"], grace_s=2)
    assert new["id"] == made["id"]
    assert KEY.fullmatch(new["key"]) and new["key"] != made["key"]
    assert new["key"][12:24] == made["key"][12:24]
    assert begun + 2 <= new["previous_expires_at"] <= time.time() + 3
    assert begun <= new["rotated_at"] <= time.time()
    assert ask(gateway, made["key"]).status_code == 200
    assert ask(gateway, new["key"]).status_code == 200
    assert show(gateway, made["id"])["previous_expires_at"] == new["previous_expires_at"]
    assert rotate(gateway, made["id"], 409)["error"]["code"] == "rotation_in_progress"
    until(lambda: ask(gateway, made["key"]).status_code == 401)
    assert time.time() >= new["previous_expires_at"]
    error = ask(gateway, made["key"]).json()["error"]
    assert error["code"] == "expired_api_key"
    assert "this secret was replaced" in error["message"]
    assert ask(gateway, new["key"]).status_code == 200
    shown = show(gateway, made["id"])
    assert shown["previous_expires_at"] is None and "key" not in shown
    third = rotate(gateway, made["id"], grace_s=3600)
    assert [ask(gateway, key).status_code for key in (made["key"], new["key"], third["key"])] == [401, 200, 200]
    # What was there before the secret before is nobody's.
    assert ask(gateway, made["key"]).json()["error"]["code"] == "invalid_api_key"


def test_without_a_body_the_grace_is_a_day_and_zero_is_at_once(gateway):
    made = gateway.new_key("graces")
    reply = gateway.admin("POST", f"{KEYS}/{made['id']}/rotate")
    assert reply.status_code == 200, reply.text
    assert abs(reply.json()["previous_expires_at"] - time.time() - 86400) < 60
    other = gateway.new_key("at once")
    new = rotate(gateway, other["id"], grace_s=0)
    assert ask(gateway, other["key"]).status_code == 401
    assert ask(gateway, new["key"]).status_code == 200
    assert rotate(gateway, other["id"], grace_s=0)["key"] != new["key"]


@pytest.mark.parametrize("body", [{"grace_s": -1}, {"grace_s": 7 * 86400 + 1}, {"grace_s": "1d"}, {"grace_s": 1.5}, {"grace": 1}, [], "x"])
def test_a_wrong_grace_changes_nothing(gateway, body):
    made = gateway.new_key("as it was")
    reply = gateway.admin("POST", f"{KEYS}/{made['id']}/rotate", json=body)
    assert reply.status_code == 400, reply.text
    assert ask(gateway, made["key"]).status_code == 200
    assert show(gateway, made["id"])["rotated_at"] is None


def test_what_does_not_work_is_not_rotated(gateway):
    made = gateway.new_key("ended")
    new = rotate(gateway, made["id"], grace_s=3600)
    gateway.revoke(made["id"])
    assert ask(gateway, made["key"]).status_code == 401
    assert ask(gateway, new["key"]).status_code == 401
    assert rotate(gateway, made["id"], 400)["error"]["message"].startswith("the key was revoked")
    assert rotate(gateway, "nobodysKey00", 404)


def test_admin_keys_rotate_and_who_may_not_does_not(gateway):
    owner = gateway.new_key("owner", kind="admin", role="owner")
    operator = gateway.new_key("operator", kind="admin", role="operator")
    new = rotate(gateway, owner["id"], grace_s=0)

    def post(key, key_id):
        return httpx.post(f"{gateway.admin_url}{KEYS}/{key_id}/rotate", json={"grace_s": 0}, verify=PLAIN,
                          headers={"Authorization": f"Bearer {key}"})
    assert post(owner["key"], operator["id"]).status_code == 401
    assert post(operator["key"], owner["id"]).status_code == 403
    assert post(new["key"], operator["id"]).status_code == 200


def test_a_stream_that_was_begun_by_the_old_secret_ends_with_it(gateway):
    made = gateway.new_key("stream")
    body = {"model": "m", "stream": True, "messages": HI, "sim": {"fault": "endless", "tokens_per_second": 20}}
    with Raw(gateway.port, made["key"]) as raw:
        raw.request("POST", PATH, body)
        assert raw.read_head().status == 200
        new = rotate(gateway, made["id"], grace_s=2)
        with Raw(gateway.port, new["key"]) as young:
            young.request("POST", PATH, body)
            assert young.read_head().status == 200
            said = b""
            while (piece := raw.read_chunk()):
                said += piece
            assert 0 <= time.time() - new["previous_expires_at"] < WITHIN_S
            gateway.announce("call_failed")
            assert events(said)[-2]["error"]["code"] == "expired_api_key"
            assert len(events(said)) > 2
            end = time.time() + 0.5
            while time.time() < end:
                assert young.read_chunk()  # goes on


def test_an_idempotency_key_gives_the_same_secret(gateway):
    made, once = gateway.new_key("once"), str(uuid.uuid4())
    headers = {"Idempotency-Key": once}
    first = gateway.admin("POST", f"{KEYS}/{made['id']}/rotate", json={"grace_s": 60}, headers=headers)
    again = gateway.admin("POST", f"{KEYS}/{made['id']}/rotate", json={"grace_s": 60}, headers=headers)
    assert first.status_code == 200 and first.text == again.text
    assert ask(gateway, first.json()["key"]).status_code == 200


def test_secrets_outlive_a_kill_and_the_database(tmp_path, sim):
    gateway = Gateway(tmp_path / "g", config(sim))
    try:
        made = gateway.new_key("kept")
        new = rotate(gateway, made["id"], grace_s=3600)
        gateway.kill()
        gateway.start()
        assert [ask(gateway, key["key"]).status_code for key in (made, new)] == [200, 200]
        assert show(gateway, made["id"])["previous_expires_at"] == new["previous_expires_at"]
        gateway.stop()
        for file in gateway.data.glob("atlas.db*"):
            file.unlink()
        gateway.announce("store_new")
        gateway.start()  # the journal's records alone make the row anew
        assert [ask(gateway, key["key"]).status_code for key in (made, new)] == [200, 200]
        assert rotate(gateway, made["id"], 409)["error"]["code"] == "rotation_in_progress"
    finally:
        gateway.stop()
    assert gateway.unannounced() == []


def test_a_kill_in_the_middle_rotates_none_twice(tmp_path, sim):
    """Between the record and memory, between memory and the reply: whoever asks again with the same Idempotency-Key gets the secret there is."""
    gateway = Gateway(tmp_path / "g", config(sim))
    gateway.announce("gateway_died")
    try:
        made = [gateway.new_key(f"k{i}") for i in range(60)]
        told = {}

        def turn(i, patient):
            while True:
                try:
                    said = gateway.admin("POST", f"{KEYS}/{made[i]['id']}/rotate", json={"grace_s": 3600}, headers={"Idempotency-Key": f"turn-{i}"})
                except httpx.HTTPError:
                    if not patient:
                        return
                    continue
                if said.status_code == 200:
                    assert told.setdefault(i, said.json()["key"]) == said.json()["key"]
                    return
                assert said.status_code in (409, 503), said.text
                if not patient:
                    return

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            running = [pool.submit(turn, i, False) for i in range(60)]
            concurrent.futures.wait(running[:15])
            os.kill(until(gateway.children, 10 * SLOWER)[0], signal.SIGKILL)
            concurrent.futures.wait(running)
        until(lambda: gateway.count_log("ready") == 2, 10 * SLOWER)
        before = len(told)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda i: turn(i, True), range(60)))
        assert 15 <= before and len(told) == 60
        for i, key in told.items():
            assert [ask(gateway, one).status_code for one in (made[i]["key"], key)] == [200, 200]
            assert rotate(gateway, made[i]["id"], 409)
        lines = map(json.loads, gateway.command("journal", "print").stdout.splitlines())
        turned = [line["object"] for line in lines if line["kind"] == "admin" and line["action"] == "key.rotate"]
        assert len(turned) == 60 == len(set(turned))
    finally:
        gateway.stop()
    assert gateway.unannounced() == []


def test_a_rotation_moves_a_key_to_the_newest_pepper(tmp_path, sim):
    gateway = Gateway(tmp_path / "g", config(sim))
    try:
        made = gateway.new_key("old pepper")
        gateway.stop()
        assert gateway.command("pepper", "add").returncode == 0
        gateway.start()
        new = rotate(gateway, made["id"], grace_s=1)
        assert [ask(gateway, key["key"]).status_code for key in (made, new)] == [200, 200]
        until(lambda: ask(gateway, made["key"]).status_code == 401)
        gateway.stop()
        with sqlite3.connect(gateway.data / "atlas.db") as db:
            assert db.execute("SELECT pepper, before_pepper FROM api_key WHERE id = ?", (made["id"],)).fetchall() == [(2, 1)]
        for key in json.loads(gateway.command("key", "list", "--json").stdout)["data"]:
            if key["id"] != made["id"]:
                gateway.command("key", "revoke", key["id"])
        assert gateway.command("pepper", "remove", "1").returncode == 0
        gateway.announce("keys_no_pepper")  # of the revoked ones
        gateway.start()
        assert ask(gateway, new["key"]).status_code == 200
    finally:
        gateway.stop()
    assert gateway.unannounced() == []


def test_the_command_prints_the_new_secret_alone(commands):
    made = json.loads(commands("key", "create", "--name", "c", "--json").stdout)
    said = commands("key", "rotate", made["id"])
    assert (said.returncode, said.stderr) == (0, "")
    assert KEY.fullmatch(said.stdout.rstrip("\n"))
    again = commands("key", "rotate", made["id"])
    assert again.returncode != 0 and again.stdout == "" and "previous secret" in again.stderr
    other = json.loads(commands("key", "create", "--name", "c2", "--json").stdout)
    said = json.loads(commands("key", "rotate", other["key"], "--grace", "1h", "--json").stdout)
    assert sorted(said) == ["id", "key", "previous_expires_at"]
    assert said["id"] == other["id"] and abs(said["previous_expires_at"] - time.time() - 3600) < 60
    for grace in ("8d", "soon", "-1s", "1500ms"):
        said = commands("key", "rotate", other["id"], "--grace", grace)
        assert said.returncode == 2 and "--grace" in said.stderr


def test_a_key_that_is_due_works_on_and_the_log_says_so(tmp_path, sim):
    gateway = Gateway(tmp_path / "g", config(sim))
    try:
        made = json.loads(gateway.command("key", "create", "--name", "quarterly", "--rotate-every", "90d", "--json").stdout)
        assert made["rotate_every_s"] == 90 * 86400
        assert made["rotation_due_at"] == made["created_at"] + 90 * 86400
        soon = gateway.new_key("soon", rotate_every_s=92 * 86400 - 7200)
        ends = gateway.new_key("ends", expires_at=rfc3339(time.time() + 2 * 86400))
        gateway.new_key("young", expires_at=rfc3339(time.time() + 3600), rotate_every_s=3600)
        gateway.stop()
        with sqlite3.connect(gateway.data / "atlas.db") as db:  # as if it were 91 days later, for all but the youngest
            db.execute("UPDATE api_key SET created_us = created_us - ? WHERE name <> 'young'", (91 * 86400 * 1000000,))
        gateway.announce("key_rotation_due", "key_expiring")
        gateway.start()
        until(lambda: gateway.count_log("key_rotation_due") == 2 and gateway.count_log("key_expiring") == 1)
        said = [line for line in gateway.log().splitlines() if "key_rotation_due" in line or "key_expiring" in line]
        assert any(made["id"] in line and "quarterly" in line and "should have been rotated" in line for line in said)
        assert any(soon["id"] in line and "within 1 day" in line for line in said)
        assert not any("young" in line for line in said)  # who made it knew
        assert any(ends["id"] in line and "within 3 days" in line for line in said)
        assert not any(key["key"] in line for line in said for key in (made, soon, ends))
        assert ask(gateway, made["key"]).status_code == 200
        until(lambda: [gateway.metrics()[name] for name in ("atlas_keys_rotation_due", "atlas_keys_expiring")] == [1, 2])
        new = rotate(gateway, made["id"])
        assert new["rotation_due_at"] == new["rotated_at"] + 90 * 86400
        changed = gateway.command("key", "edit", soon["id"], "--rotate-every", "never")
        assert changed.returncode == 0 and show(gateway, soon["id"])["rotation_due_at"] is None
    finally:
        gateway.stop()
    assert gateway.unannounced() == []
