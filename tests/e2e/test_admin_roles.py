# SPDX-License-Identifier: Apache-2.0
"""Who may ask what of the admin API: every route, every role, every place where a credential can stand, held against this page's own table."""
import base64
import contextlib
import json
import sqlite3

import httpx
import pytest

from harness.processes import PLAIN, SLOWER
from harness.raw import Raw
from harness.validator import complaints

KEYS = "/admin/v1/keys"
ROLES = ["owner", "admin", "operator", "auditor", "developer"]

# What a route asks for, and who has that. Written by hand: it must not come from where the program's comes from.
SCOPES = {
    "openapi": ["owner", "admin", "operator", "auditor", "developer"],
    "status": ["owner", "admin", "operator", "auditor"],
    "keys.read": ["owner", "admin", "operator", "auditor", "developer"],
    "keys.revoke": ["owner", "admin", "operator"],
    "keys.write": ["owner", "admin"],
    "organisations.write": ["owner"],
    "teams.read": ["owner", "admin", "operator", "auditor", "developer"],
    "teams.write": ["owner", "admin"],
    "users.write": ["owner", "admin"],
    "money.read": ["owner", "admin", "operator", "auditor", "developer"],
    "money.write": ["owner", "admin"],
    "upstreams.write": ["owner", "admin", "operator"],
    "routes.read": ["owner", "admin", "operator", "auditor"],
    "routes.write": ["owner", "admin", "operator"],
    "usage.read": ["owner", "admin", "operator", "auditor", "developer"],
}
NOT_FOR_TEAMS = {"status", "routes.read", "routes.write", "upstreams.write", "organisations.write", "teams.write", "money.write"}
OPEN = {"/healthz", "/readyz", "/metrics"}
OURS, OTHERS = "team_AAAAAAAAAAAA", "team_BBBBBBBBBBBB"


def add_row(db, table, **values):
    columns = {name: 0 if kind.upper() == "INTEGER" else "" for _, name, kind, *_ in db.execute(f"PRAGMA table_info({table})")}
    columns.update(values, created_us=1795489200000000)
    columns.pop("number")
    db.execute(f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", list(columns.values()))


def add_team(gateway, team):
    """A team of an id of ours, as no request makes one."""
    with contextlib.closing(sqlite3.connect(gateway.data / "atlas.db")) as db, db:
        add_row(db, "organisation", id="org_AAAAAAAAAAAA", name="all")
        add_row(db, "team", id=team, name=team, organisation="org_AAAAAAAAAAAA")


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    gateway.stop()
    for team in (OURS, OTHERS):
        add_team(gateway, team)
    gateway.start()
    return gateway


@pytest.fixture(scope="module")
def keys(gateway):
    """The admin keys of all roles, bound to a team and not; `made[role, team]` is what the reply said."""
    made = {(role, OURS): gateway.new_key(f"{role} of a team", kind="admin", role=role, team=OURS) for role in ROLES}
    made |= {(role, None): gateway.new_key(role, kind="admin", role=role) for role in ROLES if role != "developer"}
    return made


@pytest.fixture(scope="module")
def document(gateway):
    return gateway.admin("GET", "/admin/v1/openapi.json").json()


def ask(gateway, key, method, path, **more):
    headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})} if key else more.pop("headers", {})
    with httpx.Client(base_url=gateway.admin_url, timeout=10 * SLOWER, verify=PLAIN) as client:
        return client.request(method, path, headers=headers, **more)


def routes(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield method.upper(), path, operation


def code(said):
    return said.status_code, said.json()["error"]["code"]


def test_every_scope_is_in_the_table_and_every_route_asks_for_one(document):
    asked = set()
    for _, path, operation in routes(document):
        if path in OPEN:
            assert operation["security"] == []
        else:
            (scope,) = operation["security"][0]["admin_key"]
            asked.add(scope)
            assert operation["x-atlas-roles"] == SCOPES[scope]
    assert asked <= SCOPES.keys()
    assert {row["scope"]: row["x-atlas-roles"] for row in document["x-atlas-scopes"]} == SCOPES
    assert {row["scope"] for row in document["x-atlas-scopes"] if not row["of_a_team"]} == NOT_FOR_TEAMS
    assert {"keys.read", "keys.write", "keys.revoke", "usage.read", "status", "openapi"} <= asked


def test_every_route_answers_every_role_as_the_table_says(gateway, keys, document):
    replies, refused, let = [], 0, 0
    for method, path, operation in routes(document):
        if path in OPEN:
            continue
        (scope,) = operation["security"][0]["admin_key"]
        for (role, team), made in keys.items():
            victim = gateway.new_key("victim", **({"team": team} if team else {}))
            body = {"json": {"name": "asked for"}} if "requestBody" in operation else {}
            said = ask(gateway, made["key"], method, path.format(id=victim["id"]), headers={"If-Match": "*"} if method == "PATCH" else {}, **body)
            may = role in SCOPES[scope] and not (team and scope in NOT_FOR_TEAMS)
            if may:
                let += 1
                assert said.status_code not in (401, 403), (method, path, role, team, said.text)
            else:
                refused += 1
                assert code(said) == (403, "scope_denied"), (method, path, role, team)
                assert f"'{scope}'" in said.json()["error"]["message"]
                shown = gateway.admin("GET", f"{KEYS}/{victim['id']}").json()
                assert (shown["name"], shown["status"]) == ("victim", "active"), (method, path, role)
            replies.append((method, path, said.status_code, said.json()))
    assert refused > 20 and let > 20
    assert complaints(document, replies) == []


PLACES = {
    "no key": lambda key: ({}, ""),
    "x-api-key": lambda key: ({"X-API-Key": key}, ""),
    "api-key": lambda key: ({"Api-Key": key}, ""),
    "x-goog-api-key": lambda key: ({"X-Goog-Api-Key": key}, ""),
    "cookie": lambda key: ({"Cookie": f"key={key}; api_key={key}; Authorization=Bearer {key}"}, ""),
    "key in the query": lambda key: ({}, f"?key={key}"),
    "api_key in the query": lambda key: ({}, f"?api_key={key}"),
    "access_token in the query": lambda key: ({}, f"?access_token={key}"),
    "basic": lambda key: ({"Authorization": f"Basic {key}"}, ""),
    "basic, encoded": lambda key: ({"Authorization": "Basic " + base64.b64encode(f"{key}:{key}".encode()).decode()}, ""),
    "token": lambda key: ({"Authorization": f"Token {key}"}, ""),
    "bare": lambda key: ({"Authorization": key}, ""),
    "quoted": lambda key: ({"Authorization": f'Bearer "{key}"'}, ""),
    "two in one": lambda key: ({"Authorization": f"Bearer {key} {key}"}, ""),
    "two with a comma": lambda key: ({"Authorization": f"Bearer {key}, Bearer {key}"}, ""),
    "proxy": lambda key: ({"Proxy-Authorization": f"Bearer {key}"}, ""),
}


def test_a_key_counts_as_a_bearer_alone_wherever_else_it_stands(gateway, keys, document):
    for method, path, _ in routes(document):
        if path in OPEN:
            continue
        victim = gateway.new_key("victim")
        at = path.format(id=victim["id"])
        for role in ROLES:
            key = keys[role, None if role != "developer" else OURS]["key"]
            for place, make in PLACES.items():
                headers, query = make(key)
                said = ask(gateway, None, method, at + query, headers=headers)
                assert said.status_code == 401, (method, path, role, place)
                assert said.headers["www-authenticate"] == "Bearer"
        assert gateway.admin("GET", f"{KEYS}/{victim['id']}").json()["status"] == "active"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_written_in_any_case(gateway, keys, scheme):
    assert ask(gateway, None, "GET", KEYS, headers={"Authorization": f"{scheme} {keys['auditor', None]['key']}"}).status_code == 200


def test_of_two_credentials_neither_counts(gateway, keys, document):
    """Two Authorization fields, in both orders, alike or not: nobody chooses for the sender."""
    port = int(gateway.admin_url.rsplit(":", 1)[1])
    owner, auditor = keys["owner", None]["key"], keys["auditor", None]["key"]
    for method, path, _ in routes(document):
        if path in OPEN:
            continue
        for first, second in ((owner, auditor), (auditor, owner), (owner, owner), (owner, "nonsense"), (gateway.key, owner)):
            with Raw(port) as raw:
                raw.send(f"{method} {path.format(id='AAAAAAAAAAAA')} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
                         f"Authorization: Bearer {first}\r\nAuthorization: Bearer {second}\r\n\r\n")
                assert raw.read_reply().status in (400, 401), (method, path)


def test_what_stands_beside_a_bearer_adds_nothing_to_it(gateway, keys):
    auditor, owner = keys["auditor", None]["key"], keys["owner", None]["key"]
    beside = {"X-API-Key": owner, "Api-Key": owner, "Cookie": f"key={owner}", "Proxy-Authorization": f"Bearer {owner}"}
    assert code(ask(gateway, auditor, "POST", KEYS, headers=beside, json={"name": "n"})) == (403, "scope_denied")
    assert ask(gateway, auditor, "GET", f"{KEYS}?key={owner}").status_code == 400


# ---- nobody gives what they have not ----

@pytest.mark.parametrize("maker", ["owner", "admin"])
@pytest.mark.parametrize("role", ROLES)
def test_only_an_owner_makes_changes_and_ends_owners_and_admins(gateway, keys, maker, role):
    may = maker == "owner" or role not in ("owner", "admin")
    key = keys[maker, None]["key"]
    team = {"team": OURS} if role == "developer" else {}
    said = ask(gateway, key, "POST", KEYS, json={"name": "n", "kind": "admin", "role": role, **team})
    assert (said.status_code == 201) if may else (code(said) == (403, "scope_denied")), said.text
    made = gateway.new_key("n", kind="admin", role=role, **team)
    of = f"{KEYS}/{made['id']}"
    for method, path, more in (("PATCH", of, {"json": {"name": "m"}, "headers": {"If-Match": "*"}}),
                               ("PATCH", of, {"json": {"role": "auditor"}, "headers": {"If-Match": "*"}}),
                               ("POST", of + "/revoke", {}), ("DELETE", of, {}), ("DELETE", of + "?forget=true", {})):
        said = ask(gateway, key, method, path, **more)
        assert (said.status_code == 200) if may else (code(said) == (403, "scope_denied")), (method, path, said.text)
    if not may:
        assert gateway.admin("GET", of).json()["status"] == "active"


def test_a_role_is_raised_by_an_owner_alone(gateway, keys):
    made = gateway.new_key("rises", kind="admin", role="auditor")
    of = f"{KEYS}/{made['id']}"
    for role in ("owner", "admin"):
        said = ask(gateway, keys["admin", None]["key"], "PATCH", of, json={"role": role}, headers={"If-Match": "*"})
        assert (code(said), said.json()["error"]["param"]) == ((403, "scope_denied"), "role")
    assert code(ask(gateway, made["key"], "PATCH", of, json={"role": "owner"}, headers={"If-Match": "*"})) == (403, "scope_denied")
    assert ask(gateway, keys["owner", None]["key"], "PATCH", of, json={"role": "admin"}, headers={"If-Match": "*"}).json()["role"] == "admin"
    assert ask(gateway, made["key"], "POST", KEYS, json={"name": "n"}).status_code == 201
    assert ask(gateway, keys["owner", None]["key"], "PATCH", of, json={"role": "auditor"}, headers={"If-Match": "*"}).status_code == 200
    assert code(ask(gateway, made["key"], "POST", KEYS, json={"name": "n"})) == (403, "scope_denied")


@pytest.mark.parametrize("body,status,param", [
    ({"name": "n", "kind": "admin", "role": "root"}, 400, "role"), ({"name": "n", "kind": "admin", "role": 4}, 400, "role"),
    ({"name": "n", "kind": "live", "role": "owner"}, 400, "role"), ({"name": "n", "kind": "admin", "role": "auditor", "scopes": ["chat"]}, 400, "scopes"),
    ({"name": "n", "kind": "admin", "role": "developer"}, 400, "team"), ({"name": "n", "kind": "admin", "role": "auditor", "team": "team_CCCCCCCCCCCC"}, 400, "team"),
    ({"name": "n", "team": "team_CCCCCCCCCCCC"}, 400, "team"), ({"name": "n", "team": ""}, 400, "team")])
def test_what_no_key_can_be_is_refused(gateway, body, status, param):
    said = gateway.admin("POST", KEYS, json=body)
    assert (said.status_code, said.json()["error"]["param"]) == (status, param)


def test_a_role_is_asked_for_where_a_key_asks_and_is_owner_on_the_machine(gateway, keys):
    said = ask(gateway, keys["owner", None]["key"], "POST", KEYS, json={"name": "n", "kind": "admin"})
    assert (said.status_code, said.json()["error"]["param"]) == (400, "role")
    assert gateway.new_key("n", kind="admin")["role"] == "owner"
    assert gateway.new_key("n", kind="admin", role=None)["role"] == "owner"
    assert gateway.new_key("n")["role"] is None
    said = json.loads(gateway.command("key", "create", "--admin", "--role", "auditor", "--name", "n", "--json").stdout)
    assert (said["role"], said["scopes"], said["team"]) == ("auditor", [], None)
    said = json.loads(gateway.command("key", "create", "--admin", "--role", "developer", "--team", OURS, "--name", "n", "--json").stdout)
    assert (said["role"], said["team"]) == ("developer", OURS)
    assert json.loads(gateway.command("key", "edit", said["id"], "--role", "auditor", "--json").stdout)["role"] == "auditor"
    wrong = gateway.command("key", "create", "--role", "auditor", "--name", "n")
    assert wrong.returncode == 2 and "--role goes with --admin" in wrong.stderr


# ---- a team's own ----

def test_a_teams_key_sees_and_changes_its_teams_keys_alone(gateway, keys):
    own, foreign, free = gateway.new_key("own", team=OURS), gateway.new_key("foreign", team=OTHERS), gateway.new_key("free")
    for role in ROLES:
        key = keys[role, OURS]["key"]
        seen, cursor = [], "0"
        while cursor is not None:
            page = ask(gateway, key, "GET", f"{KEYS}?limit=3&after={cursor}").json()
            assert len(page["data"]) <= 3
            seen, cursor = seen + page["data"], page["next_cursor"]
        assert {one["team"] for one in seen} == {OURS}
        assert own["id"] in {one["id"] for one in seen}
        assert len(seen) == len({one["id"] for one in seen}) >= 6
        assert ask(gateway, key, "GET", f"{KEYS}/{own['id']}").json()["id"] == own["id"]
        for other in (foreign, free, keys["auditor", None]):
            of = f"{KEYS}/{other['id']}"
            unknown = ask(gateway, key, "GET", f"{KEYS}/AAAAAAAAAAAA")
            assert code(ask(gateway, key, "GET", of)) == code(unknown) == (404, "not_found")
            assert ask(gateway, key, "GET", of).json()["error"]["message"] == unknown.json()["error"]["message"]
            assert ask(gateway, key, "GET", f"/admin/v1/usage?key={other['id']}").status_code == 404
            for method, path, more in (("PATCH", of, {"json": {"name": "stolen"}, "headers": {"If-Match": "*"}}), ("DELETE", of, {}),
                                       ("DELETE", of + "?forget=true", {}), ("POST", of + "/revoke", {})):
                assert ask(gateway, key, method, path, **more).status_code in (403, 404), (role, method)
        assert {row["team"] for row in ask(gateway, key, "GET", "/admin/v1/usage?by=team").json()["data"]} <= {OURS}
        assert ask(gateway, key, "GET", f"/admin/v1/usage?team={OTHERS}").status_code == 404
        assert ask(gateway, key, "GET", f"/admin/v1/usage?key={own['id']}").status_code == 200
    for other in (foreign, free):
        shown = gateway.admin("GET", f"{KEYS}/{other['id']}").json()
        assert (shown["name"], shown["status"]) == (other["name"], "active")


def test_a_teams_key_makes_keys_of_its_team_alone(gateway, keys):
    admin = keys["admin", OURS]["key"]
    made = ask(gateway, admin, "POST", KEYS, json={"name": "n"}).json()
    assert made["team"] == OURS
    assert ask(gateway, admin, "POST", KEYS, json={"name": "n", "team": OURS}).json()["team"] == OURS
    assert code(ask(gateway, admin, "POST", KEYS, json={"name": "n", "team": OTHERS})) == (403, "scope_denied")
    made_admin = ask(gateway, admin, "POST", KEYS, json={"name": "n", "kind": "admin", "role": "operator"}).json()
    assert (made_admin["team"], made_admin["role"]) == (OURS, "operator")
    assert ask(gateway, made_admin["key"], "POST", f"{KEYS}/{made['id']}/revoke").json()["status"] == "revoked"
    assert gateway.request("GET", "/v1/models", key=made["key"]).status_code == 401
    owner = ask(gateway, keys["owner", OURS]["key"], "POST", KEYS, json={"name": "n", "kind": "admin", "role": "owner"}).json()
    assert (owner["team"], owner["role"]) == (OURS, "owner")
    assert code(ask(gateway, owner["key"], "PATCH", f"{KEYS}/{owner['id']}", json={"team": None}, headers={"If-Match": "*"})) == (400, "invalid_value")


# ---- revoking by its own path ----

def test_revoke_is_what_delete_is(gateway, keys):
    made = gateway.new_key("to end")
    of = f"{KEYS}/{made['id']}"
    said = ask(gateway, keys["operator", None]["key"], "POST", of + "/revoke")
    assert (said.status_code, said.json()["status"]) == (200, "revoked")
    assert gateway.request("GET", "/v1/models", key=made["key"]).status_code == 401
    again = ask(gateway, keys["operator", None]["key"], "POST", of + "/revoke")
    assert again.json() == said.json() == ask(gateway, keys["owner", None]["key"], "DELETE", of).json()
    assert ask(gateway, keys["owner", None]["key"], "POST", f"{KEYS}/AAAAAAAAAAAA/revoke").status_code == 404
    assert ask(gateway, keys["owner", None]["key"], "GET", of + "/revoke").status_code == 405
    assert ask(gateway, keys["owner", None]["key"], "POST", of + "/nonsense").status_code == 404
    assert code(ask(gateway, keys["operator", None]["key"], "DELETE", of + "?forget=true")) == (403, "scope_denied")


def test_roles_and_teams_outlive_the_gateway(gateway, keys):
    def shown():
        all_ = {pair: ask(gateway, made["key"], "GET", f"{KEYS}/{made['id']}").json() for pair, made in keys.items()}
        return {pair: {name: value for name, value in one.items() if not name.startswith("last_used")} for pair, one in all_.items()}

    before = shown()
    gateway.stop()
    gateway.start()
    assert shown() == before
    assert code(ask(gateway, keys["auditor", None]["key"], "POST", KEYS, json={"name": "n"})) == (403, "scope_denied")
    assert {pair: (one["role"], one["team"]) for pair, one in before.items()} == {pair: pair for pair in before}
