# SPDX-License-Identifier: Apache-2.0
"""The admin API as programs see it: over TCP with an admin key, over the socket without, and by its own description."""
import json
import os
import pathlib
import re
import socket
import time

import httpx
import pytest

from harness.certificates import Authority
from harness.processes import PLAIN, SLOWER, rfc3339, run
from harness.raw import Raw, events
from harness.validator import complaints
from harness.waiting import until

KEYS = "/admin/v1/keys"


@pytest.fixture(scope="module")
def gateway(make_gateway, sim):
    return make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})


@pytest.fixture(scope="module")
def admin_key(gateway):
    made = gateway.command("key", "create", "--admin", "--name", "operator")
    assert made.stdout.startswith("mx4_ak_"), made.stderr
    return made.stdout.strip()


def ask(gateway, key, method, path, **more):
    """Over the admin listener."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    headers.update(dict(more.pop("headers", {})))
    with httpx.Client(base_url=gateway.admin_url, timeout=10 * SLOWER, verify=PLAIN) as client:
        return client.request(method, path, headers=headers, **more)


def document(gateway):
    return gateway.admin("GET", "/admin/v1/openapi.json").json()


def test_the_description_is_openapi_3_1_and_what_is_printed(gateway, admin_key):
    said = ask(gateway, admin_key, "GET", "/admin/v1/openapi.json")
    assert said.status_code == 200
    assert said.json()["openapi"].startswith("3.1.")
    assert json.loads(run("config", "openapi").stdout) == said.json()
    assert complaints(said.json()) == []


def test_replies_are_what_the_description_says(gateway, admin_key):
    replies = []

    def take(method, path, template=None, **more):
        said = ask(gateway, more.pop("key", admin_key), method, path, **more)
        replies.append((method, template or path.partition("?")[0], said.status_code, said.json()))
        return said

    one = KEYS + "/{id}"
    made = take("POST", KEYS, json={"name": "n", "expires_at": "2100-01-01T00:00:00+03:00", "scopes": ["chat"]})
    admin = take("POST", KEYS, json={"name": "n", "kind": "admin", "role": "auditor"}).json()
    of = f"{KEYS}/{made.json()['id']}"
    assert gateway.chat("m").status_code == 200
    until(lambda: gateway.usage(), 5 * SLOWER)
    for path in ("/healthz", "/readyz", "/admin/v1/status", KEYS, KEYS + "?limit=1", "/admin/v1/usage",
                 "/admin/v1/usage?by=organisation,team,user,key,model,upstream,route,day,hour&names=true"):
        assert take("GET", path).status_code == 200
    read = take("GET", of, one)
    assert read.json()["expires_at"] == 4102434000
    assert take("PATCH", of, one, json={"name": "m"}).status_code == 428
    assert take("PATCH", of, one, json={"name": "m"}, headers={"If-Match": read.headers["etag"]}).status_code == 200
    assert take("PATCH", of, one, json={"name": "l"}, headers={"If-Match": read.headers["etag"]}).status_code == 412
    assert take("PATCH", of, one, json={"kind": "test"}, headers={"If-Match": "*"}).status_code == 400
    assert take("DELETE", of, one).status_code == 200
    assert take("DELETE", of + "?forget=true", one).status_code == 200
    assert take("GET", of, one).status_code == 404
    assert take("GET", KEYS + "?limit=0").status_code == 400
    assert take("POST", KEYS, json={"name": ""}).status_code == 400
    assert take("POST", KEYS, content=b"x" * 70000).status_code == 413
    assert take("GET", KEYS, key="mx4_ak_nonsense").status_code == 401
    assert take("POST", KEYS, json={"name": "n"}, key=admin["key"]).status_code == 403
    assert complaints(document(gateway), replies) == []


@pytest.mark.parametrize("method,path", [("GET", KEYS), ("POST", KEYS), ("GET", "/admin/v1/usage"), ("GET", "/admin/v1/status"),
                                         ("GET", "/admin/v1/openapi.json"), ("DELETE", KEYS + "/AAAAAAAAAAAA")])
def test_the_listener_asks_for_an_admin_key_and_the_socket_for_none(gateway, admin_key, method, path):
    said = ask(gateway, None, method, path)
    assert (said.status_code, said.json()["error"]["code"]) == (401, "missing_api_key")
    assert "atlas key create --admin" in said.json()["error"]["message"]
    assert said.headers["www-authenticate"] == "Bearer"
    assert ask(gateway, admin_key, method, path).status_code not in (401, 403)
    assert gateway.admin(method, path).status_code not in (401, 403)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_health_and_metrics_ask_for_no_key(gateway, path):
    assert ask(gateway, None, "GET", path).status_code == 200
    assert ask(gateway, None, "HEAD", path).status_code == 200
    said = ask(gateway, None, "POST", path)
    assert (said.status_code, said.headers["allow"]) == (405, "GET")


def test_each_kind_of_key_is_useless_where_the_other_belongs_and_told_so(gateway, admin_key):
    said = ask(gateway, gateway.key, "GET", KEYS)
    assert (said.status_code, said.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "an inference key cannot be used here" in said.json()["error"]["message"]
    said = gateway.request("GET", "/v1/models", key=admin_key)
    assert (said.status_code, said.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "an admin key cannot be used here" in said.json()["error"]["message"]


def test_a_key_that_is_made_over_the_listener_works_and_a_revoked_admin_key_does_not(gateway):
    admin = gateway.new_key("to end", kind="admin")
    made = ask(gateway, admin["key"], "POST", KEYS, json={"name": "made over TCP"}).json()
    assert gateway.request("GET", "/v1/models", key=made["key"]).status_code == 200
    assert ask(gateway, admin["key"], "DELETE", f"{KEYS}/{made['id']}").json()["status"] == "revoked"
    assert gateway.request("GET", "/v1/models", key=made["key"]).status_code == 401
    gateway.revoke(admin["id"])
    assert ask(gateway, admin["key"], "GET", KEYS).status_code == 401


def test_of_two_who_change_a_key_one_is_told(gateway, admin_key):
    of = f"{KEYS}/{gateway.new_key('shared')['id']}"
    etag = ask(gateway, admin_key, "GET", of).headers["etag"]
    changed = [ask(gateway, admin_key, "PATCH", of, json={"name": name}, headers={"If-Match": etag}) for name in ("first", "second")]
    assert [said.status_code for said in changed] == [200, 412]
    assert changed[1].json()["error"]["code"] == "revision_mismatch"
    said = ask(gateway, admin_key, "GET", of)
    assert (said.json()["name"], said.headers["etag"]) == ("first", changed[0].headers["etag"])
    missing = ask(gateway, admin_key, "PATCH", of, json={"name": "third"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (428, "revision_missing")


# What a POST to each path makes, with another name each time, and what a PATCH may change.
BODIES = {
    "keys": ({"name": "kept"}, {"name": "changed"}),
    "organisations": ({"name": "kept"}, {"name": "changed"}),
    "teams": ({"name": "kept", "organisation": "of-all"}, {"region": "sa"}),
    "users": ({"name": "kept", "team": "of-all"}, {"role": "auditor"}),
    "plans": ({"name": "kept"}, {"limits": {"burst": 7}}),
    "budgets": ({"team": "of-all", "amount": "1"}, {"amount": "2"}),
    "prices": ({"model": "m", "input": "1"}, None),
    "limits": ({"team": "of-all", "concurrent": 5}, {"concurrent": 6}),
    "evaluations": ({"name": "kept", "organisation": "of-all"}, {"days": 30}),
}


def noun_of(path):
    return path.removeprefix("/admin/v1/").split("/")[0]


def new_body(path, number):
    made = dict(BODIES[noun_of(path)][0])
    return made | ({"name": f"{made['name']} {number}"} if "name" in made else {})


def test_every_change_that_the_description_names_honours_if_match(gateway, admin_key):
    replies, changing = [], 0
    ask(gateway, admin_key, "POST", "/admin/v1/organisations", json={"name": "of-all"})
    ask(gateway, admin_key, "POST", "/admin/v1/teams", json={"name": "of-all", "organisation": "of-all"})
    for path, methods in document(gateway)["paths"].items():
        for method, operation in methods.items():
            if method == "get" or noun_of(path) in ("routes", "upstreams", "guard"):  # nothing of these has an ETag
                continue
            changing += 1
            assert "412" in operation["responses"], (method, path)
            listing = path.split("/{id}")[0]
            made = ask(gateway, admin_key, "POST", listing, json=new_body(path, f"{changing} made")).json()
            of = f"{listing}/{made['id']}"
            before = ask(gateway, admin_key, "GET", of)
            body = {}
            if "requestBody" in operation:
                body = {"json": BODIES[noun_of(path)][1] if method == "patch" else new_body(path, changing)}
                if path.endswith("/rotate"):
                    body = {"json": {"grace_s": 60}}
            for query in ("", *(f"?{p['name']}=true" for p in operation["parameters"] if p["in"] == "query")):
                said = ask(gateway, admin_key, method.upper(), path.format(id=made["id"]) + query, headers={"If-Match": '"nobodys"'}, **body)
                replies.append((method.upper(), path, said.status_code, said.json()))
                assert (said.status_code, said.json()["error"]["code"]) == (412, "revision_mismatch"), (method, path, query)
            after = ask(gateway, admin_key, "GET", of)
            assert (after.headers["etag"], after.json()) == (before.headers["etag"], before.json())
            if "key" in made and noun_of(path) == "keys":
                assert gateway.request("GET", "/v1/models", key=made["key"]).status_code == 200
            listed = f'"another", {after.headers["etag"]}' if "{id}" in path else "*"
            said = ask(gateway, admin_key, method.upper(), path.format(id=made["id"]), headers=[("If-Match", listed)], **body)
            assert said.status_code in (200, 201), (method, path, said.json())
    assert changing >= 20
    assert complaints(document(gateway), replies) == []


def test_a_change_of_a_key_works_at_once_and_outlives_the_gateway(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    made = gateway.new_key("before", scopes=["chat"])
    assert gateway.request("GET", "/v1/models", key=made["key"]).status_code == 403
    said = gateway.command("key", "edit", made["id"], "--name", "after", "--scopes", "models", "--expires", "30d", "--json")
    assert said.returncode == 0, said.stderr
    assert gateway.request("GET", "/v1/models", key=made["key"]).status_code == 200
    changed = json.loads(said.stdout)
    assert (changed["name"], changed["scopes"]) == ("after", ["models"])
    gateway.stop()
    assert re.search(r"^expires_at +-$", gateway.command("key", "edit", made["id"], "--expires", "never").stdout, re.M)
    gateway.start()
    shown = json.loads(gateway.command("key", "show", made["id"], "--json").stdout)
    assert shown == {**changed, "expires_at": None, "last_used_at": shown["last_used_at"]}  # it was used once more
    assert gateway.request("GET", "/v1/models", key=made["key"]).status_code == 200


def test_a_key_whose_end_comes_nearer_ends_with_its_streams(gateway):
    gateway.announce("call_failed")
    made = gateway.new_key("brief")
    with Raw(gateway.port, made["key"]) as raw:
        raw.request("POST", "/v1/chat/completions", {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}],
                                                     "sim": {"fault": "endless", "tokens_per_second": 20}})
        assert raw.read_head().status == 200
        end = rfc3339(time.time() + 0.5)
        assert gateway.admin("PATCH", f"{KEYS}/{made['id']}", json={"expires_at": end}, headers={"If-Match": "*"}).status_code == 200
        rest = b""
        while (piece := raw.read_chunk()):
            rest += piece
        assert events(rest)[-2]["error"]["code"] == "expired_api_key"


@pytest.mark.parametrize("change,code,after", [({"expires_at": 0.5}, "expired_api_key", 0.5), ({"scopes": ["models"]}, "scope_denied", 0)])
def test_what_nothing_is_heard_of_ends_when_its_key_is_changed_so(gateway, change, code, after):
    """A stream that stalls, one that waits for its first token, and a reply that is not streamed."""
    gateway.announce("call_failed")
    made = gateway.new_key("changed")
    asks = [{"stream": True, "sim": {"fault": "stall", "at": 600}}, {"stream": True, "sim": {"first_token_ms": 60000}},
            {"sim": {"first_token_ms": 60000}}]
    raws = []
    for ask_ in asks:
        raws.append(Raw(gateway.port, made["key"]))
        raws[-1].request("POST", "/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "hi"}], **ask_})
    assert raws[0].read_head().status == 200
    until(lambda: gateway.metrics()["atlas_calls_open"] >= 3, 5 * SLOWER)
    body = {**change, **({"expires_at": rfc3339(time.time() + after)} if after else {})}
    begun = time.monotonic()
    assert gateway.admin("PATCH", f"{KEYS}/{made['id']}", json=body, headers={"If-Match": "*"}).status_code == 200
    rest = b""
    while (piece := raws[0].read_chunk()):
        rest += piece
    codes = [events(rest)[-2]["error"]["code"]] + [raw.read_reply().json["error"]["code"] for raw in raws[1:]]
    assert time.monotonic() - begun < after + 1.0 * SLOWER
    assert codes == [code] * 3
    for raw in raws:
        raw.close()


@pytest.mark.parametrize("arguments,word", [([], "nothing is to change"), (["--expires", "soon"], "or never"), (["--scopes", "everything"], "'scopes'"),
                                            (["--name", ""], "'name'")])
def test_a_wrong_change_says_why_and_changes_nothing(gateway, arguments, word):
    made = gateway.new_key("kept")
    said = gateway.command("key", "edit", made["id"], *arguments)
    assert said.returncode != 0 and said.stdout == ""
    assert word in said.stderr
    assert json.loads(gateway.command("key", "show", made["id"], "--json").stdout)["name"] == "kept"


def test_who_tries_admin_keys_without_success_is_counted_and_told_in_bounds(gateway):
    counted, since = gateway.metrics()["atlas_keys_refused_total"], len(gateway.log().encode())

    def told():
        """How many refusals each line stands for."""
        lines = [line for line in gateway.log(since).splitlines() if "  key_refused  " in line]
        return [int(m[1]) if (m := re.search(r"and (\d+) more$", line)) else 1 for line in lines]

    for _ in range(100):
        assert ask(gateway, "mx4_ak_guess", "GET", KEYS).status_code == 401
    assert gateway.metrics()["atlas_keys_refused_total"] == counted + 100
    until(lambda: sum(told()) >= 100, 5 * SLOWER, "all of them are told")
    assert len(told()) < 50
    assert "mx4_ak_guess" not in gateway.log()


def test_a_slow_body_is_given_up_and_others_are_served_meanwhile(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "client": {"body_timeout": "300ms"}})
    key = gateway.new_key("operator", kind="admin")["key"]
    slow = [Raw(int(gateway.admin_url.rsplit(":", 1)[1]), key) for _ in range(8)]
    for raw in slow:
        raw.send(f"POST {KEYS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: 50\r\n\r\n{{")
    assert ask(gateway, key, "GET", KEYS).status_code == 200
    for raw in slow:
        assert raw.read_reply().status == 408
        raw.close()


def test_key_show_says_all_but_the_secret(gateway):
    made = gateway.new_key("shown", scopes=["chat", "models"])
    said = gateway.command("key", "show", made["id"])
    rows = dict(line.split(None, 1) for line in said.stdout.splitlines())
    assert rows["name"] == "shown" and rows["scopes"] == "chat, models" and rows["expires_at"] == "-"
    assert "key" not in rows and made["key"] not in said.stdout
    whole = json.loads(gateway.command("key", "show", made["key"], "--json").stdout)
    assert whole == {**{name: value for name, value in made.items() if name != "key"}}
    gone = gateway.command("key", "show", "AAAAAAAAAAAA")
    assert gone.returncode == 1 and "no key of this id" in gone.stderr



def test_the_log_says_who_changed_what(gateway, admin_key):
    def told(action, key_id):
        return until(lambda: [line for line in gateway.log().splitlines() if f"  {action} {key_id} by " in line], 5 * SLOWER)[0].rsplit(" ", 1)[1]

    over_tcp = ask(gateway, admin_key, "POST", KEYS, json={"name": "over TCP"}).json()
    over_socket = gateway.new_key("over the socket")
    assert told("key.create", over_tcp["id"]) == admin_key[7:19]
    assert told("key.create", over_socket["id"]) == f"uid:{os.geteuid()}"
    gateway.revoke(over_tcp["id"])
    assert told("key.revoke", over_tcp["id"]) == f"uid:{os.geteuid()}"
    assert ask(gateway, admin_key, "DELETE", f"{KEYS}/{over_tcp['id']}?forget=true").status_code == 200
    assert told("key.delete", over_tcp["id"]) == admin_key[7:19]
    before = gateway.count_log("admin")
    assert ask(gateway, admin_key, "POST", KEYS, json={"name": ""}).status_code == 400
    assert ask(gateway, admin_key, "GET", KEYS).status_code == 200
    assert gateway.count_log("admin") == before

# ---- TLS ----

@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def install(authority, folder, file, **more):
    """A certificate of localhost in the place that the configuration names."""
    for source, name in zip(authority.issue("localhost", file=file, **more), ("admin.crt", "admin.key")):
        (folder / name).write_bytes(pathlib.Path(source).read_bytes())


@pytest.fixture
def guarded(make_gateway, sim, authority, tmp_path):
    """A gateway whose admin listener speaks TLS."""
    install(authority, tmp_path, "first")
    return make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}},
                         "admin": {"address": "127.0.0.1:0",
                                   "tls": {"certificate": str(tmp_path / "admin.crt"), "key": str(tmp_path / "admin.key")}}})


def shown(gateway, authority):
    """The serial number of the certificate that the admin listener shows."""
    port = int(gateway.admin_url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain, \
            authority.context().wrap_socket(plain, server_hostname="localhost") as tls:
        return tls.getpeercert()["serialNumber"]


def test_the_admin_listener_speaks_tls_and_takes_a_new_certificate_with_a_reload(guarded, authority, tmp_path):
    assert guarded.admin_url.startswith("https://")
    port = guarded.admin_url.rsplit(":", 1)[1]
    listeners = guarded.admin("GET", "/admin/v1/status").json()["listeners"]
    assert listeners == [{"url": "http://127.0.0.1:0", "serves": "calls"}, {"url": "https://127.0.0.1:0", "serves": "admin"}]
    assert "listens   https://127.0.0.1:0 for admin\n" in guarded.command("status").stdout
    key = guarded.command("key", "create", "--admin", "--name", "operator").stdout.strip()
    with httpx.Client(base_url=f"https://localhost:{port}", verify=authority.context(), headers={"Authorization": f"Bearer {key}"}) as client:
        assert client.get("/healthz").status_code == 200
        made = client.post(KEYS, json={"name": "over TLS"}).json()
        assert guarded.request("GET", "/v1/models", key=made["key"]).status_code == 200
        first = shown(guarded, authority)
        install(authority, tmp_path, "second")
        guarded.reload()
        assert shown(guarded, authority) != first
        assert client.get(KEYS).status_code == 200  # who was connected stays so
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5 * SLOWER)
    assert guarded.admin("GET", KEYS).status_code == 200


def test_an_admin_certificate_that_ends_soon_is_told_by_log_readyz_and_status(guarded, authority, tmp_path):
    guarded.announce("certificate_expiring")
    install(authority, tmp_path, "short", days=3)
    guarded.reload()
    problem = until(lambda: guarded.admin("GET", "/admin/v1/status").json()["problems"], 5 * SLOWER)[0]
    assert (problem["kind"], problem["subject"]) == ("certificate_expiring", str(tmp_path / "admin.crt"))
    assert "admin.crt" in guarded.command("status").stdout
    assert "warn  certificate:" in guarded.command("doctor").stdout


def test_a_reload_cannot_take_the_admin_listeners_tls_away(guarded):
    guarded.announce("reload_refused")
    guarded.reload({**guarded.config, "admin": {"address": "127.0.0.1:0"}}, expect="reload_refused")


@pytest.mark.parametrize("tls,word", [("{certificate: no.crt, key: no.key}", "No such file"), ("{key: no.key}", "both `certificate` and `key`"),
                                      ("{sni: [{key: a, certificate: b}]}", "needs admin.tls.certificate")])
def test_config_check_says_what_is_wrong_with_the_admin_listeners_tls(tmp_path, tls, word):
    path = tmp_path / "atlas.yaml"
    path.write_text(f"data: {tmp_path}/data\nadmin: {{tls: {tls}}}\n")
    said = run("config", "check", "--config", path)
    assert said.returncode == 1
    assert word in said.stderr and "atlas.yaml:2:" in said.stderr
