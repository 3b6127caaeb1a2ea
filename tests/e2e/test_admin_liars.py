# SPDX-License-Identifier: Apache-2.0
"""The admin API asked by liars, and by many neighbours at once: every route, method, credential and place; bodies, queries and cursors that
cannot be; changes of one key by twenty; a thousand new keys and a kill in the middle."""
import collections
import concurrent.futures
import json
import os
import signal
import threading

import httpx
import pytest

from harness.processes import PLAIN, SLOWER, rfc3339
from harness.raw import Raw
from harness.validator import complaints
from harness.waiting import until

KEYS = "/admin/v1/keys"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})


@pytest.fixture(scope="module")
def operator(gateway):
    return gateway.new_key("operator", kind="admin")["key"]


@pytest.fixture(scope="module")
def document(gateway):
    return gateway.admin("GET", "/admin/v1/openapi.json").json()


def client(gateway, key=None, **more):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=gateway.admin_url, timeout=30 * SLOWER, verify=PLAIN, headers=headers, **more)


def keys_of(gateway):
    found, cursor = [], "0"
    while cursor is not None:
        page = gateway.admin("GET", f"{KEYS}?after={cursor}").json()
        found, cursor = found + page["data"], page["next_cursor"]
    return [unused(key) for key in found]


def unused(key):
    """Without when it was used last: that moves by itself."""
    return {name: value for name, value in key.items() if not name.startswith("last_used")}


# ---- who may ----

def test_no_route_answers_who_has_no_key_for_it_whatever_the_method_and_wherever_the_key_stands(gateway, operator, document):
    ended = gateway.new_key("ended", kind="admin")
    gateway.revoke(ended["id"])
    wrong = {
        "none": {}, "nonsense": {"Authorization": "Bearer mx4_ak_nonsense"}, "inference": {"Authorization": f"Bearer {gateway.key}"},
        "revoked": {"Authorization": f"Bearer {ended['key']}"}, "cut": {"Authorization": f"Bearer {operator[:-1]}"},
        "longer": {"Authorization": f"Bearer {operator}x"}, "two": {"Authorization": f"Bearer {operator} {operator}"},
        "basic": {"Authorization": f"Basic {operator}"}, "bare": {"Authorization": operator}, "empty": {"Authorization": "Bearer"},
        "quoted": {"Authorization": f'Bearer "{operator}"'}, "x-api-key": {"X-API-Key": operator}, "cookie": {"Cookie": f"key={operator}"},
        "proxy": {"Proxy-Authorization": f"Bearer {operator}"}}
    replies = []
    before = keys_of(gateway)
    victim = gateway.new_key("victim")
    with client(gateway) as plain:
        for path, operations in document["paths"].items():
            at = path.format(id=victim["id"])
            for method in METHODS:
                known = method.lower() in operations or (method == "HEAD" and "get" in operations)
                is_open = known and operations.get(method.lower() if method != "HEAD" else "get", {}).get("security") == []
                for name, headers in [*wrong.items(), ("query", {})]:
                    said = plain.request(method, at + (f"?key={operator}&api_key={operator}" if name == "query" else ""), headers=headers)
                    if method == "HEAD":
                        assert said.content == b""
                    if not known:
                        assert said.status_code in (405, 501), (method, at, name)
                    elif not is_open:
                        assert said.status_code == 401, (method, at, name)
                        assert said.headers["www-authenticate"] == "Bearer"
                    if known and method != "HEAD" and "application/json" in said.headers["content-type"]:
                        replies.append((method, path, said.status_code, said.json()))
    assert gateway.request("GET", "/v1/models", key=victim["key"]).status_code == 200
    assert len(keys_of(gateway)) == len(before) + 1
    assert complaints(document, replies) == []


def test_two_authorizations_are_no_way_past_the_first(gateway, operator):
    port = int(gateway.admin_url.rsplit(":", 1)[1])
    with Raw(port) as raw:
        raw.send(f"GET {KEYS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {gateway.key}\r\nAuthorization: Bearer {operator}\r\n\r\n")
        assert raw.read_reply().status in (400, 401)


def test_what_waits_while_its_admin_key_loses_the_scope_is_not_done(gateway, operator):
    weak = gateway.new_key("weak", kind="admin")
    port = int(gateway.admin_url.rsplit(":", 1)[1])
    before = len(keys_of(gateway))
    body = b'{"name":"never"}'
    with Raw(port) as raw:
        raw.send(f"POST {KEYS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {weak['key']}\r\nContent-Length: {len(body)}\r\n\r\n")
        raw.send(body[:4])
        with client(gateway, operator) as strong:
            assert strong.get(KEYS).status_code == 200
            assert strong.patch(f"{KEYS}/{weak['id']}", json={"role": "auditor"}, headers={"If-Match": "*"}).status_code == 200
        raw.send(body[4:])
        said = raw.read_reply()
        assert (said.status, said.json["error"]["code"]) == (403, "scope_denied")
    assert len(keys_of(gateway)) == before


# ---- bodies ----

def deep(n):
    return b"[" * n + b"]" * n


WRONG_VALUES = [b"null", b"true", b"false", b"0", b"-1", b"1e400", b"9" * 400, b"-9223372036854775809", b"1.5", b'""', b'"\\u0000"',
                b'"a\\nb"', b'"\\u009f"', b'"\\ud800"', b'"\xff"', b'"\xc0\x80"', b'"' + b"x" * 256 + b'"', b'"' + "م".encode() * 128 + b'"', b"[]", b"{}",
                b"[null]", b"[1]", b'["chat","nonsense"]', b'["chat",["chat"]]', b'{"name":"x"}', deep(2000), b'"2030-13-01T00:00:00Z"',
                b'"1969-01-01T00:00:00Z"', b'"2001-01-01T00:00:00Z"', b'"99999-01-01T00:00:00Z"', b'"2030-01-01"', b'"tomorrow"', b"NaN", b"'x'", b""]
# What a member may be after all, of those.
RIGHT_VALUES = {("expires_at", b"null"), ("expires_at", b'"2030-01-01"'), ("role", b"null"), ("team", b"null"), *(("name", value) for value in WRONG_VALUES if value.startswith((b'"2', b'"1', b'"9', b'"tomorrow')))}

WRONG_BODIES = [b"", b" ", b"null", b"1", b'"name"', b"[]", b'[{"name":"x"}]', b"{", b'{"name"', b'{"name":"x"', b'{"name":"x"}}', b'{"name":"x"} {}',
                b"\xef\xbb\xbf" + b'{"name":"x"}', b'{"name":"x",}', b'{"name":"x","name":"y"}', b'{"name":"x","n\\u0061me":"y"}', b'{name:"x"}',
                b'{"name":"x","id":"AAAAAAAAAAAA"}', b'{"name":"x","key":"mine"}', b'{"name":"x","status":"active"}', b'{"name":"x","revoked_at":null}',
                b'{"name":"x","created_at":"2030-01-01T00:00:00Z"}', b'{"name":"x","":1}', b'{"name":"x","\\u0000":1}', b'{"name":"x","__proto__":{}}',
                b'{"name":"x","Name":"y"}', b'{"name":"x","' + "م".encode() * 300 + b'":1}', b'{"name":"x","' + b"\\u0645" * 300 + b'":1}',
                b'{"name":"x","' + b"\\ud83d\\ude00" * 100 + b'":1}', b'{"name":"x","\xff":1}', b"{}", deep(30000), b'{"name":' * 10000,
                b'{"name":"x"' + b',"a":1' * 5000 + b"}", b"{" + b",".join(b'"m%d":1' % i for i in range(3000)) + b"}", b"\x00" * 100,
                b'{"name":"x","mac":"00","pepper":1,"number":1,"revision":1}', b'{"name":"' + b"x" * 70000 + b'"}']


def assert_refused(said, statuses=(400,)):
    assert said.status_code in statuses, said.text[:300]
    error = said.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"]
    assert "\ufffd" not in error["message"] + (error["param"] or ""), error
    assert len(said.content) < 2000
    return error


def test_a_body_that_cannot_be_makes_and_changes_nothing_and_the_reply_says_why(gateway, operator, document):
    of = f"{KEYS}/{gateway.new_key('kept', scopes=['chat'])['id']}"
    before = keys_of(gateway)
    replies = []
    with client(gateway, operator) as asker:
        for body in WRONG_BODIES:
            for method, at, template in (("POST", KEYS, KEYS), ("PATCH", of, KEYS + "/{id}")):
                if (method, body) == ("PATCH", b"{}"):
                    continue  # it changes nothing, as it may
                said = asker.request(method, at, content=body, headers={"If-Match": "*"})
                assert_refused(said, (400, 413))
                replies.append((method, template, said.status_code, said.json()))
        for member in ("name", "kind", "scopes", "role", "team", "expires_at"):
            for value in WRONG_VALUES:
                others = b"" if member == "name" else b'"name":"x",'
                whole = b"{" + others + b'"' + member.encode() + b'":' + value + b"}"
                alone = b'{"' + member.encode() + b'":' + value + b"}"
                for method, at, body in (("POST", KEYS, whole), ("PATCH", of, alone)):
                    if (member, value) in RIGHT_VALUES:
                        continue
                    said = asker.request(method, at, content=body, headers={"If-Match": "*"})
                    error = assert_refused(said)
                    assert error["param"] in (member, None), (body[:80], error)
    assert keys_of(gateway) == before
    assert complaints(document, replies) == []


def test_a_member_that_a_body_says_twice_in_any_spelling_is_named(gateway):
    for body in ('{"name":"x","n\\u0061me":"y"}', '{"expires_at":null,"expires_at":null,"name":"x"}'):
        said = gateway.admin("POST", KEYS, content=body)
        assert (said.status_code, said.json()["error"]["code"]) == (400, "duplicate_key")


@pytest.mark.parametrize("name", ["a\"b\\c/d", "</script><b>", "'; DROP TABLE api_key; --", "م" * 127, "😀" * 63, "%s%n%00", " ", "\u202e\u2066", "a\u0301"])
def test_a_name_comes_back_as_it_was_sent_everywhere(gateway, operator, name):
    with client(gateway, operator) as asker:
        made = asker.post(KEYS, json={"name": name}).json()
        assert asker.get(f"{KEYS}/{made['id']}").json()["name"] == name
        assert {key["id"]: key["name"] for key in keys_of(gateway)}[made["id"]] == name
        assert asker.patch(f"{KEYS}/{made['id']}", json={"name": name + "x"}, headers={"If-Match": "*"}).json()["name"] == name + "x"
    lines = [json.loads(line) for line in gateway.command("journal", "print", "--key", made["id"]).stdout.splitlines()]
    assert [line["state"]["name"] for line in lines] == [name, name + "x"]


# ---- paths, queries, cursors ----

def test_queries_and_cursors_that_were_forged_are_refused_and_show_nothing_else(gateway, operator):
    numbers = ["-1", "+1", "1e3", "0x1", " 1", "1 ", "1.0", "%00", "1%00", "9" * 19, "9223372036854775808", "9" * 400, "null", "[]", "%", "%zz", "%c0%80", "١",
               "1%2c2", "1;limit=2"]
    with client(gateway, operator) as asker:
        for name in ("limit", "after"):
            for number in numbers:
                assert_refused(asker.get(f"{KEYS}?{name}={number}"))
            assert_refused(asker.get(f"{KEYS}?{name}=1&{name}=1"))
            assert_refused(asker.get(f"{KEYS}?{name.upper()}=1"))
        for query in ("limit", "limit=", "after", "after=", "offset=1", "limit[]=1", "%6cimit=1x", "a=b" * 500, "&".join(f"p{i}=1" for i in range(300))):
            assert_refused(asker.get(f"{KEYS}?{query}"))
        last = asker.get(f"{KEYS}?after=9223372036854775807")
        assert (last.status_code, last.json()["data"], last.json()["next_cursor"]) == (200, [], None)
        assert asker.get(f"{KEYS}?after=4611686018427387904").json()["data"] == []
        for query in ("from=x", "from=2026-02-30", "from=1969-12-31", "to=99999-01-01", "from=2026-11-25&to=2026-11-24", "key=" + "x" * 300, "key=%ff", "key=%00",
                      "model=" + "%41" * 300, "from=2026-11-24T00:30Z", "by=cost", "by=team,team", "format=xml", "limit=0", "after=-1", "forget=true"):
            said = asker.get(f"/admin/v1/usage?{query}")
            assert said.status_code in (400, 404), query
        for query in ("forget=1", "forget=TRUE", "forget", "forget=true&forget=true", "forget=true&x=1"):
            assert_refused(asker.delete(f"{KEYS}/{'A' * 12}?{query}"))


def test_ids_that_cannot_be_are_nobodys(gateway, operator):
    made = gateway.new_key("here")
    ids = ["A" * 11, "A" * 13, "%00" * 12, made["id"].swapcase(), made["id"] + "%00", made["id"] + "%20", "..", "%2e%2e", "*", "%25" + made["id"], "%ff" * 12, "م" * 6,
           made["id"] + ".json", made["id"] + ";x", "A" * 2000]
    with client(gateway, operator) as asker:
        for one in ids:
            for method, more in (("GET", {}), ("DELETE", {}), ("PATCH", {"json": {"name": "x"}, "headers": {"If-Match": "*"}})):
                said = asker.request(method, f"{KEYS}/{one}", **more)
                assert said.status_code == 404, (method, one, said.text[:200])
        for path in (KEYS + "/", f"{KEYS}/{made['id']}/", f"{KEYS}//{made['id']}", f"{KEYS}/{made['id']}/x", "/admin/v1", "/admin", "/admin/v1/Keys", "//admin/v1/keys"):
            assert asker.get(path).status_code == 404, path
        escaped = "".join(f"%{ord(c):02x}" for c in made["id"])
        assert asker.get(f"{KEYS}/{escaped}").json()["id"] == made["id"]
    assert gateway.request("GET", "/v1/models", key=made["key"]).status_code == 200


# ---- many at once ----

def test_of_twenty_who_change_one_key_as_they_read_it_no_change_is_lost(gateway, operator):
    of = f"{KEYS}/{gateway.new_key('0')['id']}"

    def count_up(_):
        won = 0
        with client(gateway, operator) as asker:
            for _ in range(5):
                read = asker.get(of)
                said = asker.patch(of, json={"name": str(int(read.json()["name"]) + 1)}, headers={"If-Match": read.headers["etag"]})
                assert said.status_code in (200, 412), said.text
                won += said.status_code == 200
        return won

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        won = sum(pool.map(count_up, range(20)))
    assert 5 <= won
    assert gateway.admin("GET", of).json()["name"] == str(won)


def test_of_twenty_who_change_one_key_however_it_is_each_is_recorded_and_the_last_one_holds(gateway, operator):
    made = gateway.new_key("0", scopes=["chat"])
    of = f"{KEYS}/{made['id']}"
    members = [{"name": "named"}, {"scopes": ["chat", "models"]}, {"expires_at": rfc3339(4102444800)}, {"expires_at": None}]

    def change(i):
        with client(gateway, operator) as asker:
            missing = asker.patch(of, json={"name": "x"})
            assert missing.status_code == 428
            return [asker.patch(of, json=members[(i + j) % 4], headers={"If-Match": "*"}).status_code for j in range(4)]

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert {status for said in pool.map(change, range(20)) for status in said} == {200}
    lines = [json.loads(line) for line in gateway.command("journal", "print", "--key", made["id"]).stdout.splitlines()]
    assert [line["action"] for line in lines] == ["key.create"] + ["key.change"] * 80
    for before, after in zip(lines, lines[1:]):  # each says one thing more, and takes nothing back
        assert sum(before["state"][name] != after["state"][name] for name in after["state"]) <= 1
    shown, last = gateway.admin("GET", of).json(), lines[-1]["state"]
    assert (shown["name"], shown["scopes"]) == ("named", ["chat", "models"])
    assert (shown["expires_at"] is None) == (last["expires_us"] == 0)
    assert gateway.request("GET", "/v1/models", key=made["key"]).status_code == 200


def test_a_revocation_among_changes_of_the_same_key_holds(gateway, operator):
    for _ in range(5):
        made = gateway.new_key("to end")
        of = f"{KEYS}/{made['id']}"
        over = threading.Event()

        def change(of=of, over=over):
            with client(gateway, operator) as asker:
                while not over.is_set():
                    assert asker.patch(of, json={"name": "again", "expires_at": None}, headers={"If-Match": "*"}).status_code in (200, 409)  # 409: it was revoked meanwhile

        changers = [threading.Thread(target=change) for _ in range(4)]
        for one in changers:
            one.start()
        gateway.revoke(made["id"])
        revoked = gateway.admin("GET", of).json()
        over.set()
        for one in changers:
            one.join()
        assert gateway.request("GET", "/v1/models", key=made["key"]).status_code == 401
        shown = gateway.admin("GET", of).json()
        assert (shown["status"], shown["revoked_at"]) == ("revoked", revoked["revoked_at"])

        def last_record(made=made):
            lines = gateway.command("journal", "print", "--key", made["id"]).stdout.splitlines()
            return json.loads(lines[-1])["state"]["revoked_us"]
        until(last_record, 5 * SLOWER, "the last record says that it is revoked")


def test_a_thousand_keys_made_at_once_with_a_kill_in_the_middle_are_each_there_once_or_never_told(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    gateway.announce("gateway_died")
    told, asked = {}, []

    def make(i):
        asked.append(i)
        with client(gateway, None, transport=httpx.HTTPTransport(uds=str(gateway.data / "admin.sock"), verify=PLAIN)) as asker:
            try:
                said = asker.post("http://admin" + KEYS, json={"name": f"n{i}"})
            except httpx.HTTPError:
                return
            if said.status_code == 201:
                told[said.json()["id"]] = said.json()
            else:
                assert said.status_code in (429, 503), said.text

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        made = [pool.submit(make, i) for i in range(1000)]
        until(lambda: len(told) > 300, 60 * SLOWER)
        os.kill(until(gateway.children, 10 * SLOWER)[0], signal.SIGKILL)
        for one in made:
            one.result()
    until(lambda: gateway.count_log("ready") == 2, 10 * SLOWER)
    assert len(asked) == 1000 and len(told) > 300
    listed = keys_of(gateway)
    assert collections.Counter(key["id"] for key in listed).most_common(1)[0][1] == 1
    assert {key["name"] for key in listed} >= {key["name"] for key in told.values()}
    assert {i: unused(key) for i, key in told.items()} == {key["id"]: {**key, "key": told[key["id"]]["key"]} for key in listed if key["id"] in told}
    assert {gateway.request("GET", "/v1/models", key=key["key"]).status_code for key in list(told.values())[:300]} == {200}
    lines = map(json.loads, gateway.command("journal", "print").stdout.splitlines())
    records = collections.Counter(line["object"] for line in lines if line["kind"] == "admin" and line["action"].startswith("key."))
    assert set(records) == {key["id"] for key in listed} and set(records.values()) == {1}
