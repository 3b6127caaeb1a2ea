# SPDX-License-Identifier: Apache-2.0
"""A POST with an Idempotency-Key is done once: sent twice, by many at once, across a restart, and with a kill in the middle."""
import concurrent.futures
import contextlib
import json
import os
import signal
import sqlite3
import uuid

import httpx
import pytest

from harness.processes import PLAIN, SLOWER
from harness.raw import Raw
from harness.validator import complaints
from harness.waiting import until

KEYS = "/admin/v1/keys"


@pytest.fixture
def gateway(make_gateway, sim):
    return make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})


def client(gateway, key):
    return httpx.Client(base_url=gateway.admin_url, timeout=30 * SLOWER, verify=PLAIN, headers={"Authorization": f"Bearer {key}"})


def post(gateway, key, once, body, **more):
    with client(gateway, key) as asker:
        return asker.post(KEYS, json=body, headers={"Idempotency-Key": once, **more})


def named(gateway, name):
    return [one for one in gateway.admin("GET", KEYS).json()["data"] if one["name"] == name]


@contextlib.contextmanager
def stopped(gateway):
    """The database, while nothing runs."""
    gateway.stop()
    with contextlib.closing(sqlite3.connect(gateway.data / "atlas.db")) as db, db:
        yield db
    gateway.start()


def test_the_same_request_has_the_same_reply_and_is_done_once(gateway):
    owner = gateway.new_key("owner", kind="admin")["key"]
    once, body = str(uuid.uuid4()), {"name": "once", "scopes": ["chat", "models"]}
    first = post(gateway, owner, once, body)
    assert first.status_code == 201
    for _ in range(3):
        again = post(gateway, owner, once, body)
        assert (again.status_code, again.text) == (201, first.text)
    assert len(named(gateway, "once")) == 1
    assert gateway.request("GET", "/v1/models", key=first.json()["key"]).status_code == 200
    # What became of it since does not change what was said.
    gateway.admin("PATCH", f"{KEYS}/{first.json()['id']}", json={"name": "another"}, headers={"If-Match": "*"})
    gateway.stop()
    gateway.start()
    assert post(gateway, owner, once, body).text == first.text
    assert named(gateway, "once") == []
    document = gateway.admin("GET", "/admin/v1/openapi.json").json()
    assert complaints(document, [("POST", KEYS, 201, first.json())]) == []


def test_another_request_with_the_key_is_refused_and_another_callers_is_another(gateway):
    one, other = (gateway.new_key(name, kind="admin")["key"] for name in ("one", "other"))
    first = post(gateway, one, "k", {"name": "first"})
    replies = []
    for body in ({"name": "second"}, {"name": "first", "kind": "test"}, {"name": "first "}):
        said = post(gateway, one, "k", body)
        assert (said.status_code, said.json()["error"]["code"]) == (409, "idempotency_mismatch")
        replies.append(("POST", KEYS, 409, said.json()))
    theirs = post(gateway, other, "k", {"name": "second"})
    assert theirs.status_code == 201 and theirs.json()["id"] != first.json()["id"]
    assert post(gateway, one, "K", {"name": "third"}).status_code == 201
    assert len(gateway.admin("GET", KEYS).json()["data"]) >= 5
    assert complaints(gateway.admin("GET", "/admin/v1/openapi.json").json(), replies) == []


def test_a_request_that_was_refused_is_judged_anew(gateway):
    owner = gateway.new_key("owner", kind="admin")["key"]
    assert post(gateway, owner, "k", {"name": ""}).status_code == 400
    assert post(gateway, owner, "k", {"name": "good"}).status_code == 201
    assert post(gateway, owner, "k", {"name": "good"}, **{"If-Match": '"x"'}).status_code == 201


@pytest.mark.parametrize("once", ["", "x" * 256, "a\tb", "\u00e9"])
def test_a_key_that_cannot_be_one_is_refused(gateway, once):
    owner = gateway.new_key("owner", kind="admin")["key"]
    with client(gateway, owner) as asker:
        said = asker.post(KEYS, json={"name": "n"}, headers=[(b"Idempotency-Key", once.encode())])
        assert (said.status_code, said.json()["error"]["param"]) == (400, "Idempotency-Key")
        said = asker.post(KEYS, json={"name": "n"}, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "a")])
        assert said.status_code == 400
    assert named(gateway, "n") == []


def test_while_the_first_is_being_done_the_second_is_told_so(gateway):
    owner = gateway.new_key("owner", kind="admin")["key"]
    body = httpx.Request("POST", "http://a", json={"name": "slow"}).content  # to the byte
    with Raw(int(gateway.admin_url.rsplit(":", 1)[1])) as raw:
        raw.send(f"POST {KEYS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {owner}\r\nIdempotency-Key: k\r\nExpect: 100-continue\r\n"
                 f"Content-Length: {len(body)}\r\n\r\n")
        assert raw.read_head().status == 100  # it is being done
        said = post(gateway, owner, "k", {"name": "slow"})
        assert (said.status_code, said.json()["error"]["code"]) == (409, "idempotency_in_progress")
        raw.send(body)
        first = raw.read_reply()
        assert first.status == 201
    assert post(gateway, owner, "k", {"name": "slow"}).json() == first.json
    assert len(named(gateway, "slow")) == 1


def test_of_twenty_at_once_one_is_made(gateway):
    owner = gateway.new_key("owner", kind="admin")["key"]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        said = list(pool.map(lambda _: post(gateway, owner, "k", {"name": "race"}), range(20)))
    assert {one.status_code for one in said} <= {201, 409}
    assert len({one.text for one in said if one.status_code == 201}) == 1
    assert {one.json()["error"]["code"] for one in said if one.status_code == 409} <= {"idempotency_in_progress"}
    assert len(named(gateway, "race")) == 1


def test_no_secret_is_at_rest(gateway):
    owner = gateway.new_key("owner", kind="admin")["key"]
    made = post(gateway, owner, "guess-me", {"name": "hidden"}).json()
    with stopped(gateway):
        pass
    for path in gateway.data.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            assert made["key"].encode() not in held and made["key"][20:40].encode() not in held, path
            assert b"guess-me" not in held, path
    assert "guess-me" not in gateway.log()


def test_what_was_done_and_not_remembered_is_found_done(gateway):
    """As a kill between the two leaves it."""
    owner = gateway.new_key("owner", kind="admin")["key"]
    first = post(gateway, owner, "k", {"name": "torn"})
    with stopped(gateway) as db:
        assert db.execute("UPDATE idempotency SET status = 0, reply = x'', tag = ''").rowcount == 1
    again = post(gateway, owner, "k", {"name": "torn"})
    assert (again.status_code, again.json()) == (201, first.json())
    assert len(named(gateway, "torn")) == 1
    assert post(gateway, owner, "k", {"name": "torn"}).text == again.text


def test_a_reply_that_was_tampered_with_is_not_given(gateway):
    owner = gateway.new_key("owner", kind="admin")["key"]
    first = post(gateway, owner, "k", {"name": "forged"})
    with stopped(gateway) as db:
        (held,) = db.execute("SELECT reply FROM idempotency").fetchone()
        db.execute("UPDATE idempotency SET reply = ?", (held[:-3] + bytes([held[-3] ^ 1]) + held[-2:],))
    assert post(gateway, owner, "k", {"name": "forged"}).json() == first.json()


def test_it_is_remembered_for_a_day(gateway):
    owner = gateway.new_key("owner", kind="admin")["key"]
    first = post(gateway, owner, "k", {"name": "old"})
    with stopped(gateway) as db:
        db.execute("UPDATE idempotency SET at_us = at_us - 23 * 3600000000")
    assert post(gateway, owner, "k", {"name": "old"}).text == first.text
    with stopped(gateway) as db:
        db.execute("UPDATE idempotency SET at_us = at_us - 2 * 3600000000")
    second = post(gateway, owner, "k", {"name": "old"})
    assert second.status_code == 201 and second.json()["id"] != first.json()["id"]
    with stopped(gateway) as db:
        assert db.execute("SELECT count(*) FROM idempotency").fetchone() == (1,)


def fill(db, count, caller):
    """So many rows more, as if others had been sent; `caller` is SQL of their number n."""
    columns = [row[1] for row in db.execute("PRAGMA table_info(idempotency)")]
    new = {"id": "printf('%064d', n)", "number": "number + n", "revision": "revision + n", "caller": caller}
    db.execute(f"""WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted LIMIT {count})
                   INSERT INTO idempotency ({', '.join(columns)}) SELECT {', '.join(new.get(c, c) for c in columns)}
                   FROM (SELECT * FROM idempotency ORDER BY number DESC LIMIT 1), counted""")
    db.execute("UPDATE meta SET number = number + 20000 WHERE name = 'revision'")


def test_there_is_a_bound_and_room_again_when_the_day_is_over(gateway):
    owner = gateway.new_key("owner", kind="admin")["key"]
    assert post(gateway, owner, "k", {"name": "n"}).status_code == 201
    with stopped(gateway) as db:
        fill(db, 9999, "'key:' || (n % 20)")
    said = post(gateway, owner, "one more", {"name": "refused"})
    assert (said.status_code, said.json()["error"]["code"]) == (503, "overloaded")
    assert post(gateway, owner, "k", {"name": "n"}).status_code == 201
    with client(gateway, owner) as asker:
        assert asker.post(KEYS, json={"name": "without"}).status_code == 201
    with stopped(gateway) as db:
        db.execute("UPDATE idempotency SET at_us = at_us - 25 * 3600000000 WHERE number < 100")
    assert post(gateway, owner, "one more", {"name": "let"}).status_code == 201
    assert named(gateway, "refused") == []


def test_one_caller_s_keys_leave_places_for_all_others(gateway):
    owner, other = (gateway.new_key("owner", kind="admin")["key"] for _ in range(2))
    assert post(gateway, owner, "k", {"name": "n"}).status_code == 201
    with stopped(gateway) as db:
        fill(db, 999, "caller")
    said = post(gateway, owner, "one more", {"name": "refused, too"})
    assert (said.status_code, said.json()["error"]["code"]) == (429, "insufficient_quota") and "1000" in said.json()["error"]["message"]
    assert post(gateway, owner, "k", {"name": "n"}).status_code == 201
    assert post(gateway, other, "k", {"name": "n"}).status_code == 201
    assert named(gateway, "refused, too") == []


def test_a_kill_in_the_middle_makes_none_twice(gateway):
    gateway.announce("gateway_died")
    owner = gateway.new_key("owner", kind="admin")["key"]
    told = {}

    def make(i, patient):
        while True:
            try:
                said = post(gateway, owner, f"once-{i}", {"name": f"made {i}"})
            except httpx.HTTPError:
                if not patient:
                    return
                continue
            if said.status_code == 201:
                assert told.setdefault(i, said.text) == said.text
                return
            if not patient:
                return

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        running = [pool.submit(make, i, False) for i in range(200)]
        concurrent.futures.wait(running[:20])
        os.kill(until(gateway.children, 10 * SLOWER)[0], signal.SIGKILL)
        concurrent.futures.wait(running)
    until(lambda: gateway.count_log("ready") == 2, 10 * SLOWER)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: make(i, True), range(200)))
    assert len(told) == 200
    found = [one for one in gateway.admin("GET", KEYS).json()["data"] if one["name"].startswith("made ")]
    assert len(found) == 200 == len({one["name"] for one in found})
    assert {one["id"] for one in found} == {json.loads(text)["id"] for text in told.values()}
    for text in list(told.values())[::20]:
        assert gateway.request("GET", "/v1/models", key=json.loads(text)["key"]).status_code == 200


@pytest.mark.parametrize(("noun", "body"), [
    ("organisations", {"name": "seeded", "limits": {"requests_per_minute": 7}}),
    ("teams", {"name": "seeded", "key_limits": {"concurrent": 2}}),
    ("plans", {"name": "seeded", "limits": {"burst": 1, "requests_per_minute": 7}}),
    ("budgets", {"organisation": "home", "amount": "1.50"}),
    ("prices", {"model": "m", "request": "0.25"}),
])
def test_every_noun_is_found_as_the_same_request_made_it(gateway, noun, body):
    gateway.admin("POST", "/admin/v1/organisations", json={"name": "home"})
    if noun == "teams":
        body = {**body, "organisation": "home"}
    owner, path = gateway.new_key("owner", kind="admin")["key"], f"/admin/v1/{noun}"

    def send():
        with client(gateway, owner) as asker:
            return asker.post(path, json=body, headers={"Idempotency-Key": noun})

    first = send()
    assert first.status_code == 201, first.text
    before = gateway.admin("GET", path).json()["data"]
    with stopped(gateway) as db:
        assert db.execute("UPDATE idempotency SET status = 0, reply = x'', tag = ''").rowcount >= 1
    again = send()
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["etag"] == first.headers["etag"]
    assert gateway.admin("GET", path).json()["data"] == before
    with client(gateway, owner) as asker:  # another request makes another, or may not
        other = asker.post(path, json=body, headers={"Idempotency-Key": noun + "2"})
    assert other.status_code == (201 if noun in ("budgets", "prices") else 409)
    assert other.json().get("id") != first.json()["id"]
