# SPDX-License-Identifier: Apache-2.0
"""Records say whom a call was really sent to: the address that was connected to, the certificate that was shown."""
import json
import os
import signal
import subprocess

import pytest

from harness.certificates import Authority
from harness.names import NameServer
from harness.processes import SLOWER
from harness.upstream import CLOSE, Upstream, chunk, data, reply, stream
from harness.waiting import until


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority):
    made = Upstream(authority.issue("localhost"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def names():
    made = NameServer({"two.test": ["127.0.0.2", "127.0.0.1"]})
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(make_gateway, authority, server, upstream, names):
    secure = {"url": server.url, "ca_file": str(authority.certificate)}
    upstreams = {"secure": secure, "strict": {**secure, "timeouts": {"total": "1h"}}, "unbelieved": {"url": server.url},
                 "plain": {"url": upstream.url},
                 "two": {"url": f"http://two.test:{upstream.port}/v1", "idle_connections_max": 0}}
    return make_gateway({"workers": 1, "dns": {"servers": [names.address]}, "upstreams": upstreams,
                         "models": {name: {"upstream": name} for name in upstreams}})


def fingerprint(certificate):
    """As openssl has it."""
    said = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", certificate], capture_output=True, text=True, check=True)
    return said.stdout.split("=")[1].strip().replace(":", "").lower()


def records_of(gateway, answer):
    """What the journal has of the call that was answered so."""
    def all_of_it():
        lines = map(json.loads, gateway.command("journal", "print").stdout.splitlines())
        mine = [r for r in lines if r.get("call") == answer.headers["x-request-id"]]
        return mine if mine and mine[-1]["kind"] == "completion" else None
    return until(all_of_it, 5 * SLOWER, "the call's completion")


@pytest.mark.parametrize("streams", [False, True])
def test_a_completion_has_the_certificate_of_its_server_on_new_and_reused_connections(gateway, server, streams):
    server.close_idle()
    until(lambda: not server.open)
    connections = server.connections
    for _ in range(3):
        intent, end = records_of(gateway, gateway.chat("secure", stream=streams))
        assert (end["certificate"], end["peer"]) == (fingerprint(server.tls[0]), "127.0.0.1")
        assert "certificate" not in intent  # nobody had shown one yet
    assert server.connections == connections + 1


def test_another_certificate_is_seen_with_the_connection_that_showed_it(gateway, server, authority):
    before = server.tls
    server.tls = authority.issue("localhost", file="renewed")
    try:
        assert records_of(gateway, gateway.chat("secure"))[-1]["certificate"] == fingerprint(before[0])
        server.close_idle()
        until(lambda: not server.open)
        assert records_of(gateway, gateway.chat("secure"))[-1]["certificate"] == fingerprint(server.tls[0]) != fingerprint(before[0])
    finally:
        server.tls = before
        server.close_idle()


def test_the_end_of_a_try_that_lost_has_it_too(gateway, server):
    server.script(reply(400, {"error": {"message": "unknown field stream_options"}}), stream(chunk({"content": "Salam"}), chunk({}, "stop")))
    answer = gateway.chat("strict", stream=True)
    assert [(r["kind"], r.get("certificate")) for r in records_of(gateway, answer)] == [
        ("intent", None), ("intent", None), ("try_end", fingerprint(server.tls[0])), ("completion", fingerprint(server.tls[0]))]


def test_who_is_not_believed_is_sent_nothing_and_is_no_ones_evidence(gateway, server):
    gateway.announce("call_failed")
    server.forget()
    end = records_of(gateway, gateway.chat("unbelieved"))[-1]
    assert (end["attempts_sent"], end["peer"], end.get("certificate")) == (0, "", None)
    assert server.requests == []


def test_a_plain_server_has_no_certificate(gateway):
    for _ in range(2):
        end = records_of(gateway, gateway.chat("plain"))[-1]
        assert (end["peer"], end.get("certificate")) == ("127.0.0.1", None)


def test_of_several_addresses_the_one_that_took_the_request_is_recorded(gateway, upstream):
    for _ in range(2):
        assert records_of(gateway, gateway.chat("two"))[-1]["peer"] == "127.0.0.1"
        assert upstream.last.peer[0] == "127.0.0.1"
    assert upstream.requests


def says_a_word_and_waits(connection, request):
    connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    connection.send(data(chunk({"content": "Salam"})))
    connection.wait_gone()
    return CLOSE


def test_a_call_that_the_gateways_death_cut_off_says_whom_it_was_sent_to(gateway, server):
    gateway.announce("gateway_died")
    server.script(says_a_word_and_waits)
    ready = gateway.count_log("ready")
    asked = {"model": "secure", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    with gateway.client().stream("POST", "/v1/chat/completions", json=asked) as answer:
        lines = answer.iter_lines()  # kept: the answer is closed with it
        assert "Salam" in next(lines)
        [child] = gateway.children()
        os.kill(child, signal.SIGKILL)
        until(lambda: child not in gateway.children())  # the caller does not leave before
    until(lambda: gateway.count_log("ready") > ready, 10 * SLOWER, "the next gateway")
    end = records_of(gateway, answer)[-1]
    assert (end["outcome"], end["peer"], end.get("certificate")) == ("interrupted", "127.0.0.1", fingerprint(server.tls[0]))
