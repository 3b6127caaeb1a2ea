# SPDX-License-Identifier: Apache-2.0
"""A gateway that may open few files, and more clients than that."""
import resource

import pytest

from harness.processes import SLOWER
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


def test_each_client_that_was_let_in_gets_its_stream_and_the_others_are_503(gateway, sim):
    held = connect(gateway, 128)
    body = {"model": "m", "messages": HI, "stream": True, "sim": {"fault": "endless", "tokens_per_second": 5}}
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
