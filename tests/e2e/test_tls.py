# SPDX-License-Identifier: Apache-2.0
"""TLS to clients and to model servers."""
import ssl

import pytest

from harness.certificates import Authority
from harness.processes import SLOWER
from harness.raw import Raw
from harness.upstream import CHAT, Upstream, reply
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]
ASK = {"model": "m", "messages": HI}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"), "Another authority")


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream, authority):
    certificate, key = authority.issue("localhost")
    second, second_key = authority.issue("second.example", "*.wild.example")
    return make_gateway({
        "listen": [{"address": "127.0.0.1:0", "tls": {"certificate": certificate, "key": key, "sni": [{"certificate": second, "key": second_key}]}},
                   {"address": "127.0.0.1:0"}],
        "client": {"handshake_timeout": "500ms"},
        "upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}}})


def secure(gateway, context, name="localhost"):
    raw = Raw(gateway.ports[0], gateway.key)
    raw.socket = context.wrap_socket(raw.socket, server_hostname=name)
    raw.reader = raw.socket.makefile("rb")
    return raw


def test_both_listeners_serve(gateway, authority):
    assert [u.split(":")[0] for u in gateway.urls] == ["https", "http"]
    with secure(gateway, authority.context()) as raw:
        raw.request("POST", "/v1/chat/completions", ASK)
        assert raw.read_reply().status == 200
    assert gateway.request("GET", "/v1/models").status_code == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("stream", [False, True])
def test_tls_1_2_and_1_3_carry_calls(gateway, authority, version, stream):
    with secure(gateway, authority.context(version)) as raw:
        assert raw.socket.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        for _ in range(5):
            raw.request("POST", "/v1/chat/completions", {**ASK, "stream": stream, "pad": "x" * 40000})
            assert raw.read_reply().status == 200


@pytest.mark.parametrize("name", ["localhost", "second.example"])
@pytest.mark.parametrize(("version", "tickets"), [(ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_2, False),
                                                  (ssl.TLSVersion.TLSv1_3, True)])  # which has nothing else
def test_a_session_is_resumed_by_its_ticket_and_by_nothing_that_the_gateway_would_have_to_keep(gateway, authority, name, version, tickets):
    context = authority.context(version)
    if not tickets:
        context.options |= ssl.OP_NO_TICKET

    def ask(session=None):
        raw = Raw(gateway.ports[0], gateway.key)
        raw.socket = context.wrap_socket(raw.socket, server_hostname=name, session=session)
        raw.reader = raw.socket.makefile("rb")
        with raw:
            raw.request("POST", "/v1/chat/completions", ASK)
            assert raw.read_reply().status == 200  # tickets of TLS 1.3 came before it
            return raw.socket.session, raw.socket.session_reused
    session, reused = ask()
    assert not reused
    assert ask(session)[1] == tickets


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused(gateway, authority, version):
    context = authority.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with pytest.raises((ssl.SSLError, ConnectionError)):
        secure(gateway, context)


@pytest.mark.parametrize("name,shown", [("localhost", "localhost"), ("second.example", "second.example"),
                                        ("a.wild.example", "second.example")])
def test_a_client_is_shown_the_certificate_of_the_name_it_asks_for(gateway, authority, name, shown):
    with secure(gateway, authority.context(), name) as raw:
        subject = dict(pair[0] for pair in raw.socket.getpeercert()["subject"])
        assert subject["commonName"] == shown


def test_a_name_that_nobody_has_gets_the_first_certificate(gateway, authority):
    context = authority.context()
    context.check_hostname = False
    with secure(gateway, context, "other.example") as raw:
        assert (("commonName", "localhost"),) in raw.socket.getpeercert()["subject"]


def test_only_http_1_1_is_agreed_on(gateway, authority):
    context = authority.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with secure(gateway, context) as raw:
        assert raw.socket.selected_alpn_protocol() in (None, "http/1.1")
        raw.request("GET", "/healthz")
        assert raw.read_reply().status == 200


def test_plain_http_on_the_tls_port_is_no_request(gateway, upstream):
    failed = gateway.metrics()["atlas_tls_handshakes_failed_total"]
    with Raw(gateway.ports[0], gateway.key) as raw:
        raw.request("POST", "/v1/chat/completions", ASK)
        try:
            assert not raw.reader.read().startswith(b"HTTP/1.1 200")
        except ConnectionError:
            pass
    until(lambda: gateway.metrics()["atlas_tls_handshakes_failed_total"] > failed)
    assert upstream.requests == []


def test_a_handshake_that_does_not_come_is_ended(gateway):
    with Raw(gateway.ports[0]) as raw:
        raw.send(b"\x16\x03\x01")
        assert raw.is_closed()


def test_a_reload_brings_a_new_certificate_and_keeps_open_connections(gateway, authority):
    old = secure(gateway, authority.context())
    serial = old.socket.getpeercert()["serialNumber"]
    old.request("POST", "/v1/chat/completions", ASK)
    assert old.read_reply().status == 200
    authority.issue("localhost")  # the same files
    gateway.reload()

    def shown():
        with secure(gateway, authority.context()) as raw:
            return raw.socket.getpeercert()["serialNumber"]
    until(lambda: shown() != serial, 2 * SLOWER, "the new certificate")
    old.request("POST", "/v1/chat/completions", {**ASK, "stream": True})
    assert old.read_reply().body.endswith(b"[DONE]\n\n")
    old.close()


def test_a_certificate_that_cannot_be_read_is_refused_and_the_old_one_stays(gateway, authority):
    gateway.announce("config", "tls", "reload_refused")
    certificate = gateway.config["listen"][0]["tls"]["certificate"]
    with open(certificate, "rb") as f:
        kept = f.read()
    with open(certificate, "wb") as f:
        f.write(b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    gateway.reload(expect="reload_refused")
    with secure(gateway, authority.context()) as raw:
        raw.request("GET", "/healthz")
        assert raw.read_reply().status == 200
    with open(certificate, "wb") as f:
        f.write(kept)
    gateway.reload()


# ---- to model servers ----

@pytest.fixture(scope="module")
def servers(authority, stranger):
    made = {
        "right": Upstream(authority.issue("localhost", file="upstream")),
        "named-otherwise": Upstream(authority.issue("elsewhere.example")),
        "of-a-stranger": Upstream(stranger.issue("localhost")),
        "out-of-date": Upstream(authority.issue("localhost", file="old", days=0)),
    }
    yield made
    for server in made.values():
        server.close()


@pytest.fixture(scope="module")
def outward(make_gateway, servers, authority, upstream):
    upstreams = {name: {"url": server.url, "ca_file": str(authority.certificate)} for name, server in servers.items()}
    upstreams["without-ca"] = {"url": servers["right"].url}
    upstreams["plain"] = {"url": upstream.url.replace("http:", "https:"), "ca_file": str(authority.certificate),
                          "timeouts": {"connect": "500ms"}}
    return make_gateway({"upstreams": upstreams, "models": {name: {"upstream": name} for name in upstreams}})


def test_a_model_server_with_a_certificate_of_our_authority_is_asked(outward, servers):
    for _ in range(3):
        assert outward.chat("right").status_code == 200
        assert outward.chat("right", stream=True).text.endswith("[DONE]\n\n")
    assert servers["right"].connections <= 2  # one a worker


def test_large_bodies_pass_through_tls_both_ways(outward, servers):
    servers["right"].script(reply(200, {**CHAT, "pad": "y" * 3_000_000}))
    got = outward.chat("right", content="x" * 3_000_000)
    assert len(got.json()["pad"]) == 3_000_000
    assert len(servers["right"].last.json["messages"][0]["content"]) == 3_000_000


@pytest.mark.parametrize("name", ["named-otherwise", "of-a-stranger", "out-of-date", "without-ca"])
def test_any_other_certificate_is_502_and_nothing_is_sent(outward, servers, name):
    outward.announce("call_failed")
    for stream in (False, True):
        got = outward.chat(name, stream=stream)
        assert (got.status_code, got.json()["error"]["code"]) == (502, "upstream_error")
    if name in servers:
        assert servers[name].requests == []


def test_a_model_server_without_tls_is_502_or_504(outward, upstream):
    outward.announce("call_failed")
    assert outward.chat("plain").status_code in (502, 504)
