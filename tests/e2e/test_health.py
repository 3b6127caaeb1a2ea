# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a gateway is said: by the log once, by /readyz, by the metrics, while it lasts."""
import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from harness.processes import SLOWER, Gateway, get
from harness.waiting import until

DOWN = "CREATE TRIGGER no BEFORE INSERT ON usage BEGIN SELECT RAISE(FAIL, 'no'); END"


def problems(gateway):
    return {p["kind"]: p for p in get(gateway.admin_url + "/readyz").json()["problems"]}


def kinds(gateway):
    page = gateway.metrics()
    return {name.split('"')[1] for name, n in page.items() if name.startswith("atlas_health_problems") and n > 0}


def test_a_store_that_takes_no_records_is_said_and_asked_ever_less_often(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    gateway.announce("store_failing")
    gateway.until_recorded()
    store = sqlite3.connect(gateway.data / "atlas.db", timeout=20)
    with contextlib.closing(store):
        store.execute(DOWN)
        store.commit()
        assert gateway.chat("m").status_code == 200
        until(lambda: gateway.count_log("store_failing"), 5 * SLOWER)
        trouble = problems(gateway)["store_failing"]
        assert trouble["level"] == "warn" and "lacks" in trouble["message"]
        assert kinds(gateway) == {"store_failing"}
        assert get(gateway.url + "/readyz").json() == {"status": "ok", "problems": ["store_failing"]}
        assert gateway.chat("m").status_code == 200
        until(lambda: "asked 3 times" in problems(gateway)["store_failing"]["message"], 10 * SLOWER)
        store.execute("DROP TRIGGER no")
        store.commit()
    until(lambda: problems(gateway) == {} and gateway.count_log("store_failing") == 2, 60 * SLOWER, "it is over")
    assert sum(row["calls"] for row in gateway.usage()) == 2


def test_past_a_bound_of_records_that_the_store_lacks_calls_are_refused_until_it_has_them(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}},
                            "journal": {"unapplied_max": 1000}})
    gateway.announce("store_failing", "store_behind")
    client = gateway.client()
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}

    def call():
        return client.post("/v1/chat/completions", json=body)

    gateway.until_recorded()
    store = sqlite3.connect(gateway.data / "atlas.db", timeout=20)
    with contextlib.closing(store):
        store.execute(DOWN)
        store.commit()
        refused = until(lambda: next((r for r in (call() for _ in range(50)) if r.status_code != 200), None), 30 * SLOWER)
        assert refused.status_code == 503 and "store" in refused.json()["error"]["message"]
        assert get(gateway.admin_url + "/readyz").status_code == get(gateway.url + "/readyz").status_code == 503
        assert problems(gateway)["store_behind"]["level"] == "error"
        store.execute("DROP TRIGGER no")
        store.commit()
    assert gateway.usage()  # asks the store at once
    until(lambda: call().status_code == 200, 10 * SLOWER)
    until(lambda: gateway.count_log("store_behind") == 2, 10 * SLOWER, "it is over")
    assert get(gateway.url + "/readyz").json() == {"status": "ok"}


@pytest.fixture
def small_disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", path], check=False).returncode != 0:
        pytest.skip("only root may make a small disk")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_a_full_disk_is_said_while_it_is_full_and_calls_go_on_when_there_is_room(make_gateway, sim, small_disk):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}},
                            "data": str(small_disk / "data"), "log": {"access": "off"},
                            "calls": {"max": 62}, "journal": {"slots": 64, "segment_max": "1MiB"}}, data=small_disk / "data")
    gateway.announce("disk_full", "store_failing")
    gateway.until_recorded()
    ballast = small_disk / "ballast"
    with open(ballast, "wb", buffering=0) as f, contextlib.suppress(OSError):  # then it is full
        while True:
            f.write(bytes(4096))
    until(lambda: gateway.chat("m").status_code == 503, 30 * SLOWER)
    until(lambda: gateway.count_log("disk_full") == 1, 5 * SLOWER)
    assert problems(gateway)["disk_full"]["level"] == "error"
    assert "disk_full" in kinds(gateway)
    assert get(gateway.url + "/readyz").status_code == 503
    ballast.unlink()
    until(lambda: gateway.chat("m").status_code == 200, 10 * SLOWER)
    until(lambda: gateway.count_log("disk_full") == 2, 10 * SLOWER, "it is over")
    until(lambda: get(gateway.url + "/readyz").status_code == 200, 5 * SLOWER)
    assert gateway.stop() == 0


def test_a_disk_too_small_for_the_journal_is_told_in_figures_with_what_to_change(sim, small_disk):
    gateway = Gateway.__new__(Gateway)
    with pytest.raises(AssertionError):
        gateway.__init__(small_disk / "gateway", {"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}},
                         data=small_disk / "data")
    said = gateway.log()
    assert "/journal needs 133136 KiB for records on their way to the disk, and its disk has 1" in said, said
    assert "lower calls.max" in said
    gateway.write({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}, "calls": {"max": 1000}})
    gateway.start()
    gateway.key = gateway.new_key()["key"]
    assert gateway.chat("m").status_code == 200
    assert gateway.stop() == 0


def attempt(gateway):
    """The status and reply of a call, or None while nobody answers."""
    try:
        answer = gateway.chat("m")
        return answer.status_code, answer
    except httpx.TransportError:
        return None


def test_a_child_that_is_killed_while_the_disk_is_full_comes_back_and_says_503_until_there_is_room(make_gateway, sim, small_disk):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}},
                            "data": str(small_disk / "data"), "log": {"access": "off"},
                            "calls": {"max": 62}, "journal": {"slots": 64, "segment_max": "1MiB"}}, data=small_disk / "data")
    gateway.announce("disk_full", "store_failing", "gateway_died", "store", "keys", "journal")
    assert gateway.chat("m").status_code == 200
    gateway.until_recorded()
    ballast = small_disk / "ballast"
    with open(ballast, "wb", buffering=0) as f, contextlib.suppress(OSError):  # then it is full
        while True:
            f.write(bytes(4096))
    until(lambda: gateway.chat("m").status_code == 503, 30 * SLOWER)  # records wait for room, which the next start has to move
    [child] = gateway.children()
    os.kill(child, signal.SIGKILL)
    status, refused = until(lambda: attempt(gateway), 30 * SLOWER)
    assert status == 503 and "disk is full" in refused.json()["error"]["message"]
    assert "Retry-After" in refused.headers
    until(lambda: get(gateway.admin_url + "/readyz").status_code == get(gateway.url + "/readyz").status_code == 503, 5 * SLOWER)
    assert get(gateway.admin_url + "/healthz").status_code == get(gateway.url + "/healthz").status_code == 200
    [waiting] = gateway.children()
    assert waiting != child
    ballast.unlink()
    # An idle connection to the room where it waited may be closed as the next call is sent on it.
    until(lambda: (attempt(gateway) or (0,))[0] == 200, 30 * SLOWER)
    assert gateway.children() == [waiting]
    until(lambda: get(gateway.url + "/readyz").status_code == 200, 5 * SLOWER)
    for _ in range(3):  # what comes to its own loop ends it no more than a call does
        assert sum(u["calls"] for u in gateway.usage()) >= 2  # nothing of before was lost
    assert gateway.children() == [waiting]
    assert gateway.stop() == 0


def test_a_child_that_finds_less_room_than_its_journal_needs_answers_503_until_there_is_enough(make_gateway, sim, small_disk):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}},
                            "data": str(small_disk / "data"), "log": {"access": "off"}, "calls": {"max": 1000}},
                           data=small_disk / "data")
    gateway.announce("disk_full", "gateway_died", "journal")
    assert gateway.chat("m").status_code == 200
    assert sum(u["calls"] for u in gateway.usage()) == 1
    [child] = gateway.children()
    parent = gateway.process.pid
    os.kill(parent, signal.SIGSTOP)
    os.kill(child, signal.SIGKILL)
    proc = Path(f"/proc/{child}")
    until(lambda: ") Z " in (proc / "stat").read_text() and len(list((proc / "task").iterdir())) == 1, 5 * SLOWER, "it holds no file")
    for lane in (small_disk / "data" / "journal").glob("lane-*"):
        lane.unlink()  # as a start does, and then somebody else is quicker
    ballast = small_disk / "ballast"
    disk = os.statvfs(small_disk)
    ballast.write_bytes(bytes(disk.f_bavail * disk.f_frsize - (2 << 20)))
    os.kill(parent, signal.SIGCONT)
    status, refused = until(lambda: attempt(gateway), 30 * SLOWER)
    assert status == 503 and "disk is full" in refused.json()["error"]["message"]
    [waiting] = gateway.children()
    ballast.unlink()
    until(lambda: (attempt(gateway) or (0,))[0] == 200, 30 * SLOWER)
    assert gateway.children() == [waiting]
    assert gateway.stop() == 0


def test_a_start_whose_clock_is_days_beyond_what_was_written_last_forgets_nothing_for_an_hour(make_gateway, sim):
    gateway = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    assert gateway.stop() == 0
    last_week = time.time() - 7 * 86400
    os.utime(gateway.data / "atlas.db", (last_week, last_week))
    gateway.start()
    assert gateway.count_log("clock_in_doubt") == 1 and "for 7 days" in gateway.log()
    assert gateway.chat("m").status_code == 200
    assert gateway.stop() == 0
    gateway.start()
    assert gateway.count_log("clock_in_doubt") == 1
