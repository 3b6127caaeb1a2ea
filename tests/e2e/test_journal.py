# SPDX-License-Identifier: Apache-2.0
"""What the journal asks of calls: room for as many as may be open, and to wait for the disk only at a border."""
import contextlib

from harness.processes import SLOWER
from harness.raw import Raw
from harness.waiting import until

HI = [{"role": "user", "content": "hi"}]
OPEN = 150


def test_all_calls_that_calls_max_allows_may_be_open_at_once_in_one_worker(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}, "workers": 1,
                            "calls": {"max": OPEN}, "journal": {"slots": OPEN + 2}})
    body = {"model": "m", "messages": HI, "stream": True, "sim": {"fault": "endless", "tokens_per_second": 5}}
    with contextlib.ExitStack() as ends:
        for _ in range(OPEN):
            one = ends.enter_context(Raw(gateway.port, gateway.key))
            one.request("POST", "/v1/chat/completions", body)
            assert one.read_head().status == 200
        assert gateway.chat("m").status_code == 503
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0, 10 * SLOWER)
    assert gateway.chat("m").status_code == 200


def commits_of(gateway, calls):
    before = gateway.metrics()["atlas_journal_commits_total"]
    with Raw(gateway.port, gateway.key) as caller:
        for _ in range(calls):
            caller.request("POST", "/v1/chat/completions", {"model": "m", "messages": HI})
            assert caller.read_reply().status == 200
    return gateway.metrics()["atlas_journal_commits_total"] - before


def test_without_a_home_region_no_call_waits_for_the_disk(make_gateway, sim):
    config = {"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}, "journal": {"commit_interval": "1s"}}
    assert commits_of(make_gateway({**config, "region": None}), 200) < 100
    assert commits_of(make_gateway({**config, "region": "sa"}), 50) >= 50
