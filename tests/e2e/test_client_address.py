# SPDX-License-Identifier: Apache-2.0
"""Who a client is, behind proxies and without, and what an address may ask and try."""
import concurrent.futures
import json
import re
import struct
import time

import httpx
import pytest

from harness.certificates import Authority
from harness.processes import SLOWER, run
from harness.raw import Raw
from harness.waiting import until

HI = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
V2 = b"\r\n\r\n\0\r\nQUIT\n"
CHAT = "/v1/chat/completions"


def v2(source, command=0x21):
    """A PROXY header of version 2 with a TLV behind its addresses."""
    tlv = b"\x04\0\x03abc"
    addresses = bytes(map(int, source.split("."))) + bytes([10, 0, 0, 1]) + struct.pack("!HH", 4711, 443)
    return V2 + bytes([command, 0x11]) + struct.pack("!H", len(addresses + tlv)) + addresses + tlv


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def gateway(make_gateway, sim, authority):
    """A plain listener, one that wants PROXY headers, and one that wants them before TLS; 127.0.0.1 is a proxy."""
    certificate, key = authority.issue("localhost")
    return make_gateway({
        "client": {"proxies": ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"]},
        "listen": [{"address": "127.0.0.1:0"},
                   {"address": "127.0.0.1:0", "proxy_protocol": True},
                   {"address": "127.0.0.1:0", "proxy_protocol": True, "tls": {"certificate": certificate, "key": key}}],
        "upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})


def logged(gateway, call_id):
    """The call's line of the access log."""
    def find():
        lines = [json.loads(line) for line in (gateway.data / "access.log").read_text().splitlines()]
        return next((line for line in lines if line["call"] == call_id), None)
    return until(find, 5 * SLOWER)


def ask(raw, headers=()):
    raw.request("POST", CHAT, HI, headers=headers)
    reply = raw.read_reply()
    assert reply.status == 200, reply.body
    return reply.header("x-request-id")


@pytest.mark.parametrize(("forwarded", "client"), [
    ([], "127.0.0.1"),
    (["192.0.2.7"], "192.0.2.7"),
    (["203.0.113.1, 192.0.2.7, 10.1.2.3"], "192.0.2.7"),
    (["203.0.113.1", "192.0.2.7:4711", "10.1.2.3"], "192.0.2.7"),
    (["203.0.113.1, [2001:db9::7]:443, 2001:db8::1"], "2001:db9::7"),
    (["192.0.2.7, unknown, 10.1.2.3"], "10.1.2.3"),
    (["not an address"], "127.0.0.1"),
])
def test_the_access_log_tells_the_client_behind_listed_proxies(gateway, forwarded, client):
    with Raw(gateway.port, gateway.key) as raw:
        line = logged(gateway, ask(raw, [("X-Forwarded-For", value) for value in forwarded]))
    assert (line["client"], line["proxy"]) == (client, "127.0.0.1" if client != "127.0.0.1" else "")


def test_who_is_not_listed_is_not_believed(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    with Raw(gateway.port, gateway.key) as raw:
        line = logged(gateway, ask(raw, [("X-Forwarded-For", "192.0.2.7"), ("X-Real-IP", "192.0.2.7"), ("Forwarded", "for=192.0.2.7")]))
        assert (line["client"], line["proxy"]) == ("127.0.0.1", "")
        gateway.reload({**gateway.config, "client": {"proxies": ["127.0.0.0/8"]}})
        line = logged(gateway, ask(raw, [("X-Forwarded-For", "192.0.2.7")]))
        assert (line["client"], line["proxy"]) == ("192.0.2.7", "127.0.0.1"), "on the connection that was open, too"


@pytest.mark.parametrize("header", [b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n", v2("192.0.2.7")], ids=["v1", "v2"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_proxy_header_names_the_client_of_its_connection(gateway, header, at_once):
    with Raw(gateway.ports[1], gateway.key) as raw:
        for piece in [header] if at_once else [header[i:i + 1] for i in range(len(header))]:
            raw.send(piece)
        for _ in range(2):
            line = logged(gateway, ask(raw))
            assert (line["client"], line["proxy"]) == ("192.0.2.7", "127.0.0.1")


def test_a_proxy_header_comes_before_tls(gateway, authority):
    context = authority.context()
    for header in (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n", v2("192.0.2.7")):
        raw = Raw(gateway.ports[2], gateway.key)
        raw.send(header)
        raw.reader.close()
        raw.socket = context.wrap_socket(raw.socket, server_hostname="localhost")
        raw.reader = raw.socket.makefile("rb")
        with raw:
            assert logged(gateway, ask(raw))["client"] == "192.0.2.7"


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", v2("192.0.2.7", 0x20)], ids=["v1", "v2"])
def test_a_proxys_own_connection_is_its_own(gateway, header):
    with Raw(gateway.ports[1], gateway.key) as raw:
        raw.send(header)
        line = logged(gateway, ask(raw))
        assert (line["client"], line["proxy"]) == ("127.0.0.1", "")


def test_without_its_header_a_connection_is_closed_and_the_log_says_why(gateway):
    gateway.announce("proxy_refused")
    for port, said in ((gateway.ports[1], b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"), (gateway.ports[2], b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" * 4)):
        with Raw(port) as raw:
            raw.send(said)
            try:
                assert raw.read_head() is None
            except ConnectionResetError:
                pass
    until(lambda: "127.0.0.1: it is a listed proxy, and its connection does not begin with a PROXY header" in gateway.log(), 5 * SLOWER)
    with Raw(gateway.ports[1]) as raw:  # and it serves on
        raw.send(b"PROXY UNKNOWN\r\n")
        raw.request("GET", "/healthz")
        assert raw.read_reply().status == 200


def test_a_proxy_that_does_not_end_its_header_is_not_waited_for(gateway):
    gateway.announce("proxy_refused")
    with Raw(gateway.ports[1], timeout=6 * SLOWER) as raw:
        raw.send(b"PROXY TCP4 192.0.2.7 ")
        begun = time.monotonic()
        assert raw.reader.read() == b""
        assert time.monotonic() - begun > 2


def test_a_plain_listener_never_guesses_at_a_proxy_header(gateway):
    with Raw(gateway.port, gateway.key) as raw:
        raw.send(b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n")
        raw.request("GET", "/v1/models")
        assert raw.read_reply().status == 400


def counted(gateway, event):
    """How many lines the log has of it, once it has those that are on their way."""
    before = gateway.count_log("reloaded")
    gateway.reload()
    until(lambda: gateway.count_log("reloaded") > before, 5 * SLOWER)
    return gateway.count_log(event)


def from_address(gateway, address, key=None, path="/v1/models", method="GET"):
    with Raw(gateway.port, key if key is not None else gateway.key) as raw:
        raw.request(method, path, headers=[("X-Forwarded-For", address)])
        return raw.read_reply()


def test_an_address_may_ask_so_often_and_never_once_more(make_gateway, sim):
    gateway = make_gateway({
        "client": {"proxies": ["127.0.0.1"], "requests_per_minute": 60, "burst": 20},
        "upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: from_address(gateway, "192.0.2.7"), range(100)))
    statuses = [reply.status for reply in replies]
    assert 20 <= statuses.count(200) <= 20 + (time.monotonic() - begun), statuses  # the burst, and one each second that passed
    assert set(statuses) == {200, 429}
    refused = next(reply for reply in replies if reply.status == 429)
    assert refused.json["error"]["code"] == "rate_limit_exceeded"
    assert refused.json["error"]["type"] == "requests"
    assert refused.header("Retry-After") == "1"
    assert refused.header("X-RateLimit-Limit") == "60"
    assert refused.header("X-RateLimit-Remaining") == "0"
    assert re.fullmatch(r"\d{10}", refused.header("X-RateLimit-Reset"))
    assert from_address(gateway, "192.0.2.8").status == 200, "another address"
    begun = time.monotonic()
    network = [from_address(gateway, f"2001:db8:1:1::{i:x}").status for i in range(1, 31)]
    assert 20 <= network.count(200) <= 20 + (time.monotonic() - begun), "of IPv6 a /64 is one"
    assert from_address(gateway, "2001:db8:1:2::1").status == 200
    for _ in range(30):
        assert from_address(gateway, "192.0.2.7", path="/healthz").status == 200
    assert from_address(gateway, "192.0.2.7", key="").status == 429, "before any key is looked at"
    assert counted(gateway, "requests_limited") == 2, "once a minute for each"
    gateway.reload({**gateway.config, "client": {"proxies": ["127.0.0.1"]}})
    assert from_address(gateway, "192.0.2.7").status == 200


def test_a_listener_has_a_rate_of_all_its_clients(make_gateway, sim):
    gateway = make_gateway({
        "client": {"proxies": ["127.0.0.1"]},
        "listen": [{"address": "127.0.0.1:0", "requests_per_minute": 6, "burst": 3}, {"address": "127.0.0.1:0"}],
        "upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    assert [from_address(gateway, f"192.0.2.{i}").status for i in range(5)] == [200, 200, 200, 429, 429]
    with Raw(gateway.ports[1], gateway.key) as raw:
        raw.request("GET", "/v1/models")
        assert raw.read_reply().status == 200


def bad_key(gateway, number):
    """A key of the right form that is none: another's checksum does not fit, so it is the simplest of the wrong ones."""
    others = [c for c in "0123456789ABCDEFGHIJK" if c != gateway.key[-1]]
    return gateway.key[:-1] + others[number]


def test_guesses_run_out_of_answers_and_good_keys_do_not(make_gateway, sim):
    gateway = make_gateway({
        "workers": 1,
        "client": {"proxies": ["127.0.0.1"], "guesses_per_minute": 10},
        "upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    replies = [from_address(gateway, "192.0.2.7", bad_key(gateway, i)) for i in range(15)]
    statuses = [reply.status for reply in replies]
    assert statuses[:10] == [401] * 10 and set(statuses[11:]) == {429}, statuses
    refused = replies[-1]
    assert refused.json["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(refused.header("Retry-After")) <= 6
    assert refused.header("x-should-retry") == "false"
    assert from_address(gateway, "192.0.2.7").status == 200, "a good key behind the same address"
    assert from_address(gateway, "192.0.2.8", bad_key(gateway, 1)).status == 401, "another address"
    with Raw(gateway.port, bad_key(gateway, 3)) as raw:
        raw.request("POST", CHAT, HI, headers=[("X-Forwarded-For", "192.0.2.7")])
        refused = raw.read_reply()
        assert (refused.status, refused.header("x-should-retry")) == (429, "false")
        assert 1 <= int(refused.header("Retry-After")) <= 6
    assert counted(gateway, "keys_guessed") == 1
    # The operator's side counts the same.
    admin = httpx.get(gateway.admin_url + "/admin/v1/keys", headers={"Authorization": "Bearer " + bad_key(gateway, 1), "X-Forwarded-For": "192.0.2.7"})
    assert (admin.status_code, admin.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(admin.headers["Retry-After"]) <= 6


def test_a_revoked_key_that_is_still_in_use_is_told_once_a_minute(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    key = gateway.new_key("leaked")
    gateway.revoke(key["id"])
    for _ in range(12):
        with Raw(gateway.port, key["key"]) as raw:
            raw.request("GET", "/v1/models")
            assert raw.read_reply().status == 401
    assert counted(gateway, "revoked_key_used") == 1
    assert f"127.0.0.1: key {key['id']} was revoked and is still in use" in gateway.log()
    assert key["key"] not in gateway.log()


def check(gateway, config):
    path = gateway.folder / "other.yaml"
    path.write_text(json.dumps({**gateway.config, **config}))
    return run("config", "check", "--config", path)


@pytest.mark.parametrize(("config", "said"), [
    ({"client": {"proxies": ["10.0.0.1/8"]}}, "did you mean 10.0.0.0/8?"),
    ({"client": {"proxies": ["proxy.example"]}}, "is no IP address or network"),
    ({"client": {"proxies": ["10.0.0.0/33"]}}, "more bits"),
    ({"client": {"proxies": ["10.0.0.0/8"] * 65}}, "64 members at most"),
    ({"client": {}, "listen": [{"address": "127.0.0.1:0", "proxy_protocol": True}]}, "needs client.proxies"),
    ({"client": {"burst": 5}}, "client.burst needs client.requests_per_minute"),
    ({"client": {"requests_per_minute": 1, "burst": 1441}}, "1440 at most"),
    ({"listen": [{"address": "127.0.0.1:0", "burst": 5}]}, "listen[0].burst needs listen[0].requests_per_minute"),
])
def test_what_cannot_be_meant_is_told(gateway, config, said):
    checked = check(gateway, {"listen": [{"address": "127.0.0.1:0"}], **config})
    assert checked.returncode == 1 and said in checked.stderr + checked.stdout, checked
