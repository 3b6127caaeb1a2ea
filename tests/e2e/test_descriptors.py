# SPDX-License-Identifier: Apache-2.0
"""A gateway that may open few files, and more clients than that."""
import contextlib
import pathlib
import resource
import socket
import time

import httpx
import pytest

from harness.processes import SLOWER, get, run
from harness.raw import Raw
from harness.waiting import until

FILES = 256
HI = [{"role": "user", "content": "hi"}]


@pytest.fixture()
def gateway(make_gateway, sim):
    made = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}},
                         "journal": {"segment_max": "1MiB"}})
    resource.prlimit(made.children()[0], resource.RLIMIT_NOFILE, (FILES, FILES))
    made.reload()
    return made


def connect(gateway, count):
    return [Raw(gateway.port, gateway.key) for _ in range(count)]


def test_idle_strangers_do_not_take_the_descriptors_that_calls_and_the_journal_need(gateway, sim):
    assert "connections_bounded" in gateway.log() and f"limit of {FILES} leaves 64 client connections" in gateway.log()
    child = gateway.children()[0]
    with Raw(gateway.port, gateway.key) as caller:
        caller.request("POST", "/v1/chat/completions", {"model": "m", "messages": HI})
        assert caller.read_reply().status == 200
        idle = connect(gateway, 2 * FILES)
        try:
            for i in range(1500):  # more than a segment
                caller.request("POST", "/v1/chat/completions", {"model": "m", "messages": HI, "stream": i % 2 == 0})
                assert caller.read_reply().status == 200
            assert gateway.new_key("beside")["id"]
        finally:
            for one in idle:
                one.close()
    until(lambda: gateway.metrics()["atlas_connections_open"] <= 2, 10 * SLOWER)
    assert gateway.chat("m").status_code == 200
    assert len(list((gateway.data / "journal").glob("*.seg"))) >= 2
    assert gateway.children() == [child]


def test_without_any_descriptor_left_keys_and_usage_are_shown_all_the_same(gateway):
    [child] = gateway.children()
    with httpx.Client(base_url=gateway.admin_url, headers={"Authorization": f"Bearer {gateway.new_key(kind='admin')['key']}"},
                      timeout=10 * SLOWER) as client:
        assert client.get("/healthz").status_code == 200  # connected
        resource.prlimit(child, resource.RLIMIT_NOFILE, (1, FILES))
        assert [client.get(f"/admin/v1/{what}").status_code for what in ("keys", "usage", "keys")] == [200] * 3
        resource.prlimit(child, resource.RLIMIT_NOFILE, (FILES, FILES))


def idle_on_socket(path, count):
    """Connections to a Unix socket that say nothing."""
    made = []
    for _ in range(count):
        one = socket.socket(socket.AF_UNIX)
        one.connect(str(path))
        made.append(one)
    return made


def idle_on_port(url, count):
    port = int(url.rsplit(":", 1)[1])
    return [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]


@pytest.mark.parametrize("says", [b"", b"GET /readyz HTTP/1.1\r\nHo"], ids=["silent", "half a head"])
def test_idle_strangers_on_the_admin_listener_take_no_descriptors_and_keep_nobody_out(gateway, says):
    child = gateway.children()[0]
    made = gateway.new_key("to end")
    segments = len(list((gateway.data / "journal").glob("*.seg")))
    idle = [*idle_on_port(gateway.admin_url, 600), *idle_on_socket(gateway.data / "admin.sock", 200)]
    try:
        for one in idle:
            with contextlib.suppress(OSError):  # it may be closed already
                one.sendall(says)
        longest = 0.0
        with Raw(gateway.port, gateway.key) as caller:
            for i in range(1500):  # more than a segment
                begun = time.monotonic()
                caller.request("POST", "/v1/chat/completions", {"model": "m", "messages": HI})
                assert caller.read_reply().status == 200
                longest = max(longest, time.monotonic() - begun)
        assert len(list((gateway.data / "journal").glob("*.seg"))) > segments
        assert longest < 0.1 * SLOWER
        assert get(gateway.admin_url + "/readyz").status_code == 200
        assert get(gateway.admin_url + "/metrics").status_code == 200
        assert len(list(pathlib.Path(f"/proc/{child}/fd").iterdir())) < 128
        begun = time.monotonic()
        said = run("key", "revoke", made["id"], "--data", gateway.data)
        assert (said.returncode, said.stderr) == (0, "")
        until(lambda: gateway.request("GET", "/v1/models", key=made["key"]).status_code == 401, 5 * SLOWER)
        assert time.monotonic() - begun < 1.0 * SLOWER
    finally:
        for one in idle:
            one.close()
    assert gateway.children() == [child]


def test_each_client_that_was_let_in_gets_its_stream_and_the_others_are_503(gateway, sim):
    held = connect(gateway, 128)
    body = {"model": "m", "messages": HI, "stream": True, "sim": {"fault": "endless", "tokens_per_second": 50}}
    statuses = []
    for client in held:
        try:
            client.request("POST", "/v1/chat/completions", body)
            head = client.read_head()
            statuses.append(head.status if head else "closed")
        except ConnectionError:
            statuses.append("closed")
    streams = statuses.count(200)
    assert 60 <= streams <= 64
    assert statuses.count(503) + statuses.count("closed") == 128 - streams and 503 in statuses
    until(lambda: sim.counters()["running"] == streams, 10 * SLOWER)
    for client in held:
        client.close()
    until(lambda: sim.counters()["running"] == 0, 10 * SLOWER)
    assert gateway.chat("m").status_code == 200
