# SPDX-License-Identifier: Apache-2.0
"""A data folder that something happened to: what is served all the same, what is refused, and what is said."""
import json
import shutil
import sqlite3

import pytest

from harness.processes import SLOWER, Gateway
from harness.waiting import until

CALLS = 6


@pytest.fixture(scope="module")
def served(tmp_path_factory, sim):
    """A data folder with some calls of two keys in it, and nobody at work there."""
    gateway = Gateway(tmp_path_factory.mktemp("served"), {
        "upstreams": {"u": {"url": sim.base}},
        "models": {"m": {"upstream": "u", "price": {"input": 1, "output": 2, "per": 1}}, "n": {"upstream": "u"}}})
    other = gateway.new_key("other")["key"]
    for i in range(CALLS):
        reply = gateway.post("/v1/chat/completions", {"model": "mn"[i % 2], "messages": [{"role": "user", "content": "hi"}],
                                                      "sim": {"tokens": i + 1}}, key=other if i > 2 else None)
        assert reply.status_code == 200
    assert gateway.stop() == 0
    gateway.books = usage(gateway)
    assert sum(row["calls"] for row in gateway.books) == CALLS
    return gateway


def usage(gateway):
    said = gateway.command("usage", "--json", "--by", "key,model,upstream,route,hour")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)["data"]


@pytest.fixture(scope="module")
def long_served(tmp_path_factory, sim):
    """A data folder whose journal has two segments."""
    gateway = Gateway(tmp_path_factory.mktemp("long"), {
        "upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}, "journal": {"segment_max": "1MiB"}})
    client = gateway.client()
    while len(segments(gateway)) < 2:
        assert client.post("/v1/embeddings", json={"model": "m", "input": "hi"}).status_code == 200
    assert client.post("/v1/embeddings", json={"model": "m", "input": "hi"}).status_code == 200
    assert gateway.stop() == 0
    return gateway


@pytest.fixture
def gateway(served, tmp_path):
    """The same, to be hurt and started."""
    yield from copy_of(served, tmp_path)


@pytest.fixture
def long_gateway(long_served, tmp_path):
    yield from copy_of(long_served, tmp_path)


def copy_of(served, tmp_path):
    shutil.copytree(served.data, tmp_path / "data", ignore=shutil.ignore_patterns("admin.sock"))
    copy = Gateway.__new__(Gateway)
    copy.__dict__.update(served.__dict__)
    copy.folder, copy.data, copy.config_path = tmp_path, tmp_path / "data", tmp_path / "atlas.yaml"
    copy.said_path = copy.log_path = tmp_path / "said"
    copy.announced, copy.log_read, copy.clients = [], 0, []
    copy.write({**served.config, "data": str(copy.data)})
    yield copy
    if copy.process.poll() is None:
        assert copy.stop() == 0
    assert copy.unannounced() == []


def segments(gateway):
    return sorted((gateway.data / "journal").glob("*.seg"))


def segment(gateway):
    [path] = segments(gateway)
    return path


def in_store(gateway, sql):
    store = sqlite3.connect(gateway.data / "atlas.db")
    store.executescript(sql)
    store.close()


def refusal(gateway):
    """What a start says that must fail."""
    before = segment(gateway).read_bytes() if list((gateway.data / "journal").glob("*.seg")) else None
    said = gateway.command("serve", timeout=20 * SLOWER)
    assert said.returncode == 1, said.stderr
    if before is not None:
        assert segment(gateway).read_bytes() == before, "it changed the journal"
    return said.stderr


def told(gateway, words):
    """The commands that only look say what the start said."""
    assert words in gateway.command("doctor").stdout
    checked = gateway.command("journal", "check")
    assert (checked.returncode, words in checked.stderr) == (1, True), checked.stderr


def test_usage_is_rebuilt_from_the_journal_where_the_store_was_lost(gateway):
    (gateway.data / "atlas.db").unlink()
    gateway.announce("store_new")
    gateway.start()
    assert usage(gateway) == gateway.books
    gateway.stop()
    gateway.start()
    assert usage(gateway) == gateway.books


def test_usage_goes_on_from_a_store_that_was_restored_from_a_backup(gateway):
    backup = (gateway.data / "atlas.db").read_bytes()
    gateway.start()
    for _ in range(3):
        assert gateway.chat("m").status_code == 200
    gateway.stop()
    after = usage(gateway)
    assert sum(row["calls"] for row in after) == CALLS + 3
    (gateway.data / "atlas.db").write_bytes(backup)
    gateway.start()
    until(lambda: gateway.count_log("journal_applied") == 1, 5 * SLOWER)
    assert usage(gateway) == after


@pytest.mark.parametrize("tail", [b"\x10", b"\x00" * 5000, b'\x20\x00\x00\x00\x01\x02\x03\x04{"attempt":1'])
def test_a_torn_tail_is_cut_off_and_said(gateway, tail):
    whole = segment(gateway).read_bytes()
    segment(gateway).write_bytes(whole + tail)
    gateway.announce("journal_torn")
    gateway.start()
    assert gateway.count_log("journal_torn") == 1
    assert f"{len(tail)} bytes" in gateway.log()
    assert gateway.chat("m").status_code == 200
    gateway.stop()
    assert segment(gateway).read_bytes().startswith(whole)
    printed = [json.loads(line) for line in gateway.command("journal", "print").stdout.splitlines()]
    [cut] = [r for r in printed if r["kind"] == "recovery"]
    assert (cut["cut_offset"], cut["cut_bytes"]) == (len(whole), len(tail))


@pytest.mark.parametrize("bytes_lost", [1, 100, 2000])
def test_a_journal_that_lost_its_end_is_left_alone(gateway, bytes_lost):
    lines = map(json.loads, gateway.command("journal", "print").stdout.splitlines())
    last = max(line["seq"] for line in lines)
    segment(gateway).write_bytes(segment(gateway).read_bytes()[:-bytes_lost])
    assert f"the store has seen record {last}" in refusal(gateway)
    told(gateway, "it ends before what the store has seen")


def test_a_journal_and_a_database_of_two_copies_that_went_on_are_not_mixed(gateway, tmp_path):
    before = {path: path.read_bytes() for path in (segment(gateway), gateway.data / "atlas.db")}

    def go_on(calls):
        gateway.start()
        for _ in range(calls):
            assert gateway.chat("m").status_code == 200
        gateway.stop()

    go_on(1)
    theirs = (gateway.data / "atlas.db").read_bytes()
    for path, was in before.items():
        path.write_bytes(was)
    go_on(2)
    (gateway.data / "atlas.db").write_bytes(theirs)
    forked = "atlas.db was filled from a copy of this journal that went on by itself"
    assert forked in refusal(gateway)
    told(gateway, forked)


def test_a_journal_that_the_database_does_not_know_is_not_billed(gateway, make_gateway, sim):
    other = make_gateway({"upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})
    for _ in range(2 * CALLS):
        assert other.chat("m").status_code == 200
    other.stop()
    shutil.rmtree(gateway.data / "journal")
    shutil.copytree(other.data / "journal", gateway.data / "journal")
    foreign = "atlas.db was filled from another journal than this; put back the two that belong together"
    assert foreign in refusal(gateway)
    told(gateway, foreign)


def test_a_journal_that_was_lost_is_not_begun_anew_in_silence(gateway):
    shutil.rmtree(gateway.data / "journal")
    assert "the store has seen record" in refusal(gateway)
    assert not (gateway.data / "journal").exists()


def test_a_start_that_is_refused_leaves_no_empty_database_behind(gateway):
    for path in gateway.data.glob("atlas.db*"):
        path.unlink()
    segment(gateway).write_bytes(b"nonsense" * 100)
    assert "is damaged" in refusal(gateway)
    assert list(gateway.data.glob("atlas.db*")) == []


def test_a_changed_bit_is_refused_with_its_place(gateway):
    whole = bytearray(segment(gateway).read_bytes())
    whole[len(whole) // 2] ^= 4
    segment(gateway).write_bytes(whole)
    said = refusal(gateway)
    assert "damaged before its last commit" in said
    assert f"{segment(gateway)} at byte " in said
    checked = gateway.command("journal", "check")
    assert checked.returncode == 1
    assert segment(gateway).name in checked.stderr


@pytest.mark.parametrize("lost,start,doctor", [
    (0, "its first segments are missing; put them back", "its first segments are missing; put them back"),
    (1, "put back what is missing, or begin a new journal", "lacks records that the store has seen"),
])
def test_a_lost_segment_is_told_by_the_start_and_by_doctor(long_gateway, lost, start, doctor):
    segments(long_gateway)[lost].unlink()
    [left] = segments(long_gateway)
    before = left.read_bytes()
    said = long_gateway.command("serve", timeout=20 * SLOWER)
    assert (said.returncode, start in said.stderr) == (1, True), said.stderr
    assert segments(long_gateway) == [left]
    assert left.read_bytes() == before, "it changed the journal"
    assert doctor in long_gateway.command("doctor").stdout


def test_a_lost_store_is_made_by_serve_says_doctor(gateway):
    (gateway.data / "atlas.db").unlink()
    assert "or else `atlas serve` makes it from the journal" in gateway.command("doctor").stdout


def test_a_new_journal_is_begun_as_the_operators_page_says(gateway):
    (gateway.data / "journal").rename(gateway.data / "old")
    in_store(gateway, "DELETE FROM meta WHERE name LIKE 'journal%'; DELETE FROM open_call")
    gateway.start()
    assert gateway.chat("m").status_code == 200
    gateway.stop()
    assert sum(row["calls"] for row in usage(gateway)) == CALLS + 1


@pytest.mark.parametrize("hurt,word", [
    (lambda data: (data / "pepper").unlink(), "pepper is missing"),
    (lambda data: (data / "pepper").write_text("pepper 1 nonsense\n"), "pepper is missing, damaged"),
    (lambda data: (data / "pepper").chmod(0o644), "may be read by other users"),
    (lambda data: (data / "atlas.db").write_bytes(b"nonsense" * 1000), "file is damaged"),
    (lambda data: ((data / "access.log").unlink(), (data / "access.log").mkdir()), "access.log cannot be opened"),
])
def test_what_cannot_be_used_is_named(gateway, hurt, word):
    hurt(gateway.data)
    assert word in refusal(gateway)


def test_a_store_of_a_newer_atlas_is_refused_in_a_clear_sentence(gateway):
    in_store(gateway, "UPDATE meta SET number = number + 1 WHERE name = 'version'")
    assert "written by a newer Atlas; install that version" in refusal(gateway)


def test_what_a_killed_gateway_left_behind_is_no_hindrance(gateway):
    (gateway.data / "atlas.pid").write_text("1\n")
    (gateway.data / "admin.sock").write_text("")
    (gateway.data / "journal" / "lane-000").write_bytes(b"x" * 10000)
    gateway.start()
    assert (gateway.data / "atlas.pid").read_text() == f"{gateway.process.pid}\n"
    assert gateway.admin("GET", "/admin/v1/keys").status_code == 200
