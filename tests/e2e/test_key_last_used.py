# SPDX-License-Identifier: Apache-2.0
"""When a key was used last, from where and by which of its secrets: soon, in lists, after a restart."""
import json
import sqlite3
import time

import httpx
import pytest

from harness.processes import PLAIN, Gateway
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]
KEYS = "/admin/v1/keys"
USED = ("last_used_at", "last_used_ip", "last_used_secret")


def config(sim, **more):
    return {"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}, **more}


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway(config(sim))


def used(gateway, key_id):
    shown = gateway.admin("GET", f"{KEYS}/{key_id}").json()
    return tuple(shown[name] for name in USED)


def chat(gateway, key, expect=200, **more):
    reply = gateway.request("POST", "/v1/chat/completions", key=key, json={"model": "m", "messages": HI}, **more)
    assert reply.status_code == expect, reply.text


@pytest.mark.parametrize("path", ["chat", "models"])
def test_a_key_tells_its_last_use(gateway, path):
    made = gateway.new_key("used")
    assert (made["last_used_at"], made["last_used_ip"], made["last_used_secret"]) == (None, None, None)
    tag = gateway.admin("GET", f"{KEYS}/{made['id']}").headers["etag"]
    begun = int(time.time())
    if path == "chat":
        chat(gateway, made["key"])
    else:
        assert gateway.request("GET", "/v1/models", key=made["key"]).status_code == 200
    at, address, secret = used(gateway, made["id"])
    assert begun <= at <= time.time()
    assert (address, secret) == ("127.0.0.1", "current")
    # Who changes the key sees it as it is, however often it is used meanwhile.
    assert gateway.admin("GET", f"{KEYS}/{made['id']}").headers["etag"] == tag
    listed = [key for key in gateway.admin("GET", KEYS).json()["data"] if key["id"] == made["id"]]
    assert listed[0]["last_used_at"] == at


def test_what_is_refused_is_no_use_of_a_key(gateway):
    made = gateway.new_key("refused", ip_allowlist=["192.0.2.0/24"])
    chat(gateway, made["key"], 403)
    assert used(gateway, made["id"])[0] is None
    chat(gateway, made["key"][:-1] + ("0" if made["key"][-1] != "0" else "1"), 401)
    assert used(gateway, made["id"])[0] is None


def test_the_secret_is_told(gateway):
    made = gateway.new_key("secrets")
    new = gateway.admin("POST", f"{KEYS}/{made['id']}/rotate").json()
    chat(gateway, made["key"])
    assert used(gateway, made["id"])[2] == "previous"

    def is_current():
        chat(gateway, new["key"])  # the next second tells it
        return used(gateway, made["id"])[2] == "current"
    until(is_current)


def test_an_admin_keys_use_is_told(gateway):
    made = gateway.new_key("auditor", kind="admin", role="auditor")
    reply = httpx.get(f"{gateway.admin_url}{KEYS}", verify=PLAIN, headers={"Authorization": f"Bearer {made['key']}"})
    assert reply.status_code == 200
    assert used(gateway, made["id"])[1:] == ("127.0.0.1", "current")


def test_it_outlives_a_restart_and_is_soon_written(tmp_path, sim):
    gateway = Gateway(tmp_path / "g", config(sim))
    try:
        made, other = gateway.new_key("kept"), gateway.new_key("killed")
        chat(gateway, made["key"])
        told = used(gateway, made["id"])
        gateway.stop()
        assert used_by_command(gateway, made["id"]) == told
        gateway.start()
        assert used(gateway, made["id"]) == told
        chat(gateway, other["key"])
        told = used(gateway, other["id"])
        until(lambda: written(gateway, other["id"]) == 1)
        gateway.kill()
        gateway.start()
        assert used(gateway, other["id"]) == told
        # It goes with its key.
        gateway.revoke(other["id"])
        assert used(gateway, other["id"]) == told
        assert gateway.admin("DELETE", f"{KEYS}/{other['id']}", params={"forget": "true"}).status_code == 200
        assert written(gateway, other["id"]) == 0
    finally:
        gateway.stop()
    assert gateway.unannounced() == []


def written(gateway, key_id):
    with sqlite3.connect(gateway.data / "atlas.db") as db:
        return db.execute("SELECT count(*) FROM key_use WHERE id = ?", (key_id,)).fetchone()[0]


def used_by_command(gateway, key_id):
    shown = json.loads(gateway.command("key", "show", key_id, "--json").stdout)
    return tuple(shown[name] for name in USED)


def test_the_commands_show_it(gateway):
    made = gateway.new_key("shown")
    chat(gateway, made["key"])
    assert used_by_command(gateway, made["id"]) == used(gateway, made["id"])
    shown = gateway.command("key", "show", made["id"]).stdout
    assert "127.0.0.1" in shown and "current" in shown
    table = gateway.command("key", "list").stdout.splitlines()
    assert "LAST_USED" in table[0]
