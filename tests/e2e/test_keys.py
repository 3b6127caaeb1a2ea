# SPDX-License-Identifier: Apache-2.0
"""Keys: made, listed and revoked, with a gateway running and without, and what a revocation ends."""
import json
import re
import time

import pytest

from harness.processes import SLOWER, Gateway, rfc3339
from harness.raw import Raw, events
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]
PATH = "/v1/chat/completions"
KEY = re.compile(r"mx4_(sk_live|sk_test|ak)_[0-9A-Za-z]{50}")
WITHIN_S = 1.0 * SLOWER


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})


def test_key_create_prints_the_key_alone(commands):
    made = commands("key", "create", "--name", "a name")
    assert (made.returncode, made.stderr) == (0, "")
    assert KEY.fullmatch(made.stdout.rstrip("\n"))
    assert made.stdout.count("\n") == 1


def test_key_create_as_json_has_id_and_key(commands):
    made = commands("key", "create", "--name", "فريق", "--json")
    key = json.loads(made.stdout)
    assert key["name"] == "فريق"
    assert KEY.fullmatch(key["key"])
    assert key["key"][12:24] == key["id"]


def test_key_list_shows_everything_but_the_secret(commands):
    made = json.loads(commands("key", "create", "--name", "listed", "--json").stdout)
    ended = json.loads(commands("key", "create", "--name", "ended", "--json").stdout)
    assert commands("key", "revoke", ended["id"]).returncode == 0
    table = commands("key", "list").stdout
    rows = {line.split()[0]: line for line in table.splitlines()[1:]}
    assert " active " in rows[made["id"]]
    assert "listed" in rows[made["id"]]
    assert " revoked " in rows[ended["id"]]
    assert made["key"] not in table
    assert made["key"][24:] not in table
    listed = json.loads(commands("key", "list", "--json").stdout)
    of = {key["id"]: key for key in (listed["data"] if isinstance(listed, dict) else listed)}
    assert of[made["id"]]["status"] == "active"
    assert of[ended["id"]]["revoked_at"] is not None
    assert "key" not in of[made["id"]]


@pytest.mark.parametrize("arguments,word", [
    (["create"], "name"), (["create", "--name", ""], "name"), (["create", "--name", "x" * 256], "name"),
    (["create", "--name", "x", "--kind", "root"], "kind"), (["create", "--name", b"\xff"], "UTF-8"),
    (["create", "--name", "x", "--scopes", "everything"], "chat, completions, embeddings, models"), (["create", "--name", "x", "--expires", "soon"], "expires"),
    (["revoke", "nobodysKey00"], ""), (["revoke"], ""), (["frobnicate"], ""), (["list", "--nonsense"], "nonsense"),
])
def test_a_wrong_command_says_why_and_fails(commands, arguments, word):
    said = commands("key", *arguments)
    assert said.returncode != 0
    assert said.stdout == ""
    assert word in said.stderr
    assert len(said.stderr.strip()) > 10


def test_a_key_made_beside_the_gateway_works_at_once(gateway):
    key = gateway.command("key", "create", "--name", "now").stdout.strip()
    assert gateway.request("GET", "/v1/models", key=key).status_code == 200


def test_keys_outlive_the_gateway(tmp_path, sim):
    gateway = Gateway(tmp_path / "g", {"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    gone = gateway.new_key("gone")
    gateway.revoke(gone["id"])
    gateway.stop()
    between = gateway.command("key", "create", "--name", "between").stdout.strip()
    early = json.loads(gateway.command("key", "create", "--name", "early", "--json").stdout)
    assert gateway.command("key", "revoke", early["id"]).returncode == 0
    gateway.start()
    try:
        assert gateway.chat("m").status_code == 200
        assert gateway.request("GET", "/v1/models", key=between).status_code == 200
        assert gateway.request("GET", "/v1/models", key=gone["key"]).status_code == 401
        assert gateway.request("GET", "/v1/models", key=early["key"]).status_code == 401
    finally:
        gateway.stop()
    assert gateway.unannounced() == []


@pytest.mark.parametrize("how", ["command", "socket"])
def test_a_revoked_key_fails_within_a_second_on_a_keep_alive_connection(gateway, how):
    made = gateway.new_key("to end")
    with Raw(gateway.port, made["key"]) as raw:
        raw.request("POST", PATH, {"model": "m", "messages": HI})
        assert raw.read_reply().status == 200
        begun = time.monotonic()
        if how == "command":
            assert gateway.command("key", "revoke", made["id"]).returncode == 0
        else:
            gateway.revoke(made["id"])

        def is_refused():
            raw.request("POST", PATH, {"model": "m", "messages": HI})
            return raw.read_reply().status == 401
        until(is_refused, 5)
        assert time.monotonic() - begun < WITHIN_S
        raw.request("GET", "/v1/models")
        assert raw.read_reply().json["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("speed", [1, 50], ids=["idle", "flowing"])
def test_a_revoked_keys_streams_end_within_a_second_with_an_error_event(gateway, sim, speed):
    gateway.announce("call_failed")
    made = gateway.new_key("to end")
    streams = [Raw(gateway.port, made["key"]) for _ in range(4)]
    others = Raw(gateway.port, gateway.key)
    for raw in [*streams, others]:
        raw.request("POST", PATH, {"model": "m", "stream": True, "messages": HI,
                                   "sim": {"fault": "endless", "tokens_per_second": speed}})
        assert raw.read_head().status == 200
        raw.read_chunk()
    aborted = sim.counters()["aborted"]
    begun = time.monotonic()
    gateway.revoke(made["id"])
    for raw in streams:
        rest = b""
        while (piece := raw.read_chunk()):
            rest += piece
        said = events(rest)
        assert said[-1] == "[DONE]"
        assert said[-2]["error"]["code"] == "invalid_api_key"
        assert said[-2]["error"]["type"] == "invalid_request_error"
    assert time.monotonic() - begun < WITHIN_S
    until(lambda: sim.counters()["aborted"] == aborted + 4)
    assert others.read_chunk()  # nobody else is disturbed
    for raw in [*streams, others]:
        raw.close()


def test_a_revoked_keys_waiting_calls_end_within_a_second(gateway, sim):
    gateway.announce("call_failed")
    made = gateway.new_key("to end")
    with Raw(gateway.port, made["key"]) as raw:
        raw.request("POST", PATH, {"model": "m", "messages": HI, "sim": {"first_token_ms": 60000}})
        until(lambda: sim.counters()["running"] > 0)
        begun = time.monotonic()
        gateway.revoke(made["id"])
        got = raw.read_reply()
        assert (got.status, got.json["error"]["code"]) == (401, "invalid_api_key")
        assert time.monotonic() - begun < WITHIN_S


def test_a_key_that_expires_ends_its_streams_too(gateway):
    gateway.announce("call_failed")
    expires = time.time() + 0.7
    made = gateway.new_key("brief", expires_at=rfc3339(expires))
    with Raw(gateway.port, made["key"]) as raw:
        raw.request("POST", PATH, {"model": "m", "stream": True, "messages": HI,
                                   "sim": {"fault": "endless", "tokens_per_second": 20}})
        assert raw.read_head().status == 200
        rest = b""
        while (piece := raw.read_chunk()):
            rest += piece
        assert events(rest)[-2]["error"]["code"] == "expired_api_key"
    assert time.time() < expires + WITHIN_S


@pytest.mark.parametrize("scopes,allowed", [(["chat"], "chat"), (["embeddings", "models"], "embeddings")])
def test_a_key_is_good_for_its_scopes_only(gateway, scopes, allowed):
    key = gateway.new_key("narrow", scopes=scopes)["key"]
    statuses = {
        "chat": gateway.request("POST", PATH, key=key, json={"model": "m", "messages": HI}).status_code,
        "completions": gateway.request("POST", "/v1/completions", key=key, json={"model": "m", "prompt": "x"}).status_code,
        "embeddings": gateway.request("POST", "/v1/embeddings", key=key, json={"model": "m", "input": "x"}).status_code,
        "models": gateway.request("GET", "/v1/models", key=key).status_code,
    }
    assert statuses == {scope: 200 if scope in scopes else 403 for scope in statuses}
    refused = gateway.request("POST", "/v1/completions", key=key, json={"model": "m", "prompt": "x"})
    assert refused.json()["error"]["code"] == "scope_denied"


def test_only_the_owner_may_open_the_socket_and_the_secrets(gateway):
    for name in ("admin.sock", "pepper", "atlas.db"):
        assert (gateway.data / name).stat().st_mode & 0o077 == 0, name
    assert gateway.data.stat().st_mode & 0o077 == 0


def test_the_store_does_not_hold_the_key(gateway):
    secret = gateway.key[24:56].encode()
    for path in gateway.data.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), path
