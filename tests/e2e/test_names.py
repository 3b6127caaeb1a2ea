# SPDX-License-Identifier: Apache-2.0
"""Names of model servers: dead ones delay nobody, known ones outlive their name servers, changes are followed."""
import threading
import time

import pytest

from harness.names import NameServer
from harness.processes import SLOWER
from harness.upstream import Upstream
from harness.waiting import until

DEAD = 40
DOWN_S = 10  # longer than all the tries of one question


@pytest.fixture(scope="module")
def names():
    dead = {f"dead{i}.test": None for i in range(DEAD)}
    server = NameServer({"live.test": ["127.0.0.1"], "nowhere.test": ["0.0.0.0"], **dead}, ttl=1)
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway(make_gateway, names, upstream):
    port = upstream.url.rsplit(":", 1)[1]
    at = {name: f"http://{name}.test:{port}" for name in ("live", "absent", "nowhere", *(f"dead{i}" for i in range(DEAD)))}
    return make_gateway({"dns": {"servers": [names.address]},
                         "upstreams": {name: {"url": url, "idle_connections_max": 0, "timeouts": {"connect": "2s"}}
                                       for name, url in at.items()},
                         "models": {name: {"upstream": name} for name in at}})


def test_forty_dead_names_delay_no_call_to_another(gateway, names):
    gateway.announce("call_failed", "upstream_down")
    statuses = []
    callers = [threading.Thread(target=lambda i=i: statuses.append(gateway.chat(f"dead{i}").status_code)) for i in range(DEAD)]
    for caller in callers:
        caller.start()
    until(lambda: sum(names.asked[f"dead{i}.test"] > 0 for i in range(DEAD)) == DEAD, 10 * SLOWER, "all of them to be asked for")
    waits = []
    while any(caller.is_alive() for caller in callers):
        begin = time.monotonic()
        assert gateway.chat("live").status_code == 200
        waits.append(time.monotonic() - begin)
    assert max(waits) < 1 * SLOWER, f"a call took {max(waits):.3f} s"
    assert statuses == [502] * DEAD


def test_a_name_that_does_not_exist_or_leads_nowhere_is_502(gateway):
    gateway.announce("call_failed")
    for model in ("absent", "nowhere"):
        reply = gateway.chat(model)
        assert reply.status_code == 502, reply.text
        assert "host name" in reply.json()["error"]["message"]


def test_a_known_address_serves_while_no_name_server_answers(gateway, names):
    gateway.announce("call_failed")  # of the tests before
    assert gateway.chat("live").status_code == 200
    names.mute = True
    slowest, end = 0, time.monotonic() + DOWN_S
    while time.monotonic() < end:
        begin = time.monotonic()
        assert gateway.chat("live").status_code == 200
        slowest = max(slowest, time.monotonic() - begin)
    names.mute = False
    assert slowest < 1 * SLOWER, f"a call took {slowest:.3f} s"
    assert gateway.metrics()["atlas_dns_stale_answers_total"] > 0


def test_doctor_asks_the_same_name_servers(gateway):
    said = gateway.command("doctor", timeout=120 * SLOWER)
    line = next(line for line in said.stdout.splitlines() if "upstream live" in line)
    assert "host name" not in line, line
    line = next(line for line in said.stdout.splitlines() if "upstream absent" in line)
    assert "the model server's host name was not found" in line, line


def test_a_changed_address_is_followed_when_its_time_is_over(make_gateway):
    first = Upstream()
    names = NameServer({"moves.test": ["127.0.0.1"]}, ttl=1)
    port = first.url.rsplit(":", 1)[1]
    gateway = make_gateway({"dns": {"servers": [names.address]},
                            "upstreams": {"m": {"url": f"http://moves.test:{port}", "idle_connections_max": 0, "breaker": False}},
                            "models": {"m": {"upstream": "m"}}})
    try:
        assert gateway.chat("m").status_code == 200
        names.names["moves.test"] = ["127.0.0.2"]  # nobody listens there
        gateway.announce("call_failed", "upstream_down")
        until(lambda: gateway.chat("m").status_code == 502, 5 * SLOWER, "the new address to be used")
        names.names["moves.test"] = ["127.0.0.1"]
        until(lambda: gateway.chat("m").status_code == 200, 5 * SLOWER, "the old one to be used again")
    finally:
        names.close()
        first.close()
