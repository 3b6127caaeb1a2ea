# SPDX-License-Identifier: Apache-2.0
"""Servers say how much work they have: calls go elsewhere that others keep busy, and who says nonsense is taken for what our own calls make of him."""
import collections
import concurrent.futures
import contextlib
import json
import time

import pytest

from harness.certificates import Authority
from harness.processes import SLOWER
from harness.raw import Raw
from harness.upstream import Upstream, reply
from harness.waiting import stays, until

EVERY = "200ms"
QUIET = ("load_unread",)
AGES_S = 3 * 0.2  # a report counts so long


def served(ups, **more):
    """A model `m` at all of these upstreams."""
    return {"upstreams": ups, "models": {"m": {"deployments": [{"upstream": u} for u in ups]}}, **more}


def at(sim, every=EVERY, **more):
    return {"url": sim.base, "kind": "vllm", **({"load": {"every": every}} if every else {}), **more}


def shown(gateway, name):
    return json.loads(gateway.command("upstream", "show", name, "--json").stdout)


@contextlib.contextmanager
def strangers(sim, count):
    """Calls that others have there, for as long as this lasts."""
    body = {"model": "m", "messages": [{"role": "user", "content": "wait"}], "sim": {"first_token_ms": 600000}}
    with contextlib.ExitStack() as ends:
        for _ in range(count):
            ends.enter_context(Raw(int(sim.url.rsplit(":", 1)[1]))).request("POST", "/v1/chat/completions", body)
        until(lambda: sim.counters()["running"] >= count, 10 * SLOWER, "the strangers' calls")
        yield
    until(lambda: sim.counters()["running"] == 0, 10 * SLOWER, "their end")


def ask_all(gateway, sims, count):
    """How many of so many calls, four at a time, each server got."""
    def ask(n):
        got = gateway.chat("m", content=f"number {n}")
        assert got.status_code == 200, got.text
        return next(i for i, s in enumerate(sims) if got.headers["x-request-id"] in s.calls())
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return collections.Counter(pool.map(ask, range(count)))


def page(running, waiting=0):
    return reply(200, f"vllm:num_requests_running {running}\nvllm:num_requests_waiting {waiting}\n", {"Content-Type": "text/plain"})


@contextlib.contextmanager
def engine(*scripts, tls=None):
    """A server that answers so, question by question, and the last answer from then on."""
    server = Upstream(tls=tls)
    server.script(*scripts, *[scripts[-1]] * 1000)
    try:
        yield server
    finally:
        server.close()


def load_of(server, **more):
    return {"url": server.url, "load": {"every": EVERY, **more}}


# ---- whom calls go to ----

@pytest.mark.parametrize("kind", ["vllm", "sglang", "llama.cpp", "tgi"])
def test_a_server_that_others_keep_busy_is_left_to_them(make_sim, make_gateway, kind):
    sims = [make_sim("--metrics", kind, "--first-token-ms", 50) for _ in range(2)]
    told = make_gateway(served({f"u{i}": at(s, kind=kind) for i, s in enumerate(sims)}))
    untold = make_gateway(served({f"u{i}": at(s, None, kind=kind) for i, s in enumerate(sims)}))
    with strangers(sims[0], 24):
        until(lambda: shown(told, "u0")["load_running"] == 24 and shown(told, "u1")["load_age_ms"], 20 * SLOWER, "both reports")
        knowing, unknowing = ask_all(told, sims, 40), ask_all(untold, sims, 40)
        print(f"of 40 calls the busy server got {knowing[0]} by its report, {unknowing[0]} without")
        assert knowing[0] == 0 and unknowing[0] >= 10
    until(lambda: shown(told, "u0")["load_running"] == 0, 20 * SLOWER, "a report that they are gone")
    assert ask_all(told, sims, 40)[0] >= 10


def test_what_it_says_is_shown(make_sim, make_gateway):
    sim, other = make_sim("--slots", 2, "--cache-tokens", 1600), make_sim()
    gateway = make_gateway(served({"a": at(sim), "b": at(other, None)}))
    with strangers(sim, 3):
        told = until(lambda: (u := shown(gateway, "a"))["load_waiting"] == 1 and u, 20 * SLOWER, "its report")
        assert told["load_running"] == 2 and 0 < told["load_kv_percent"] < 20 and told["in_flight"] == 0
        assert 0 < told["load_age_ms"] < 1000 * AGES_S
        assert shown(gateway, "b")["load_age_ms"] is None
        rows = gateway.command("upstream", "list").stdout.splitlines()
        assert "LOAD RUNNING" in rows[0].replace("_", " ").upper() and any(" 2 " in row for row in rows if row.endswith(" a"))
        metrics = gateway.metrics()
        assert metrics['atlas_upstream_reported_running{upstream="a"}'] == 2
        assert metrics['atlas_upstream_reported_waiting{upstream="a"}'] == 1
        assert metrics['atlas_upstream_reported_kv_percent{upstream="a"}'] == told["load_kv_percent"]
        assert metrics['atlas_upstream_reported_age_seconds{upstream="a"}'] == 0
        assert 'atlas_upstream_reported_running{upstream="b"}' not in metrics
        asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        explained = gateway.admin("POST", "/admin/v1/routes/explain", json=asked).json()
        at_a, at_b = explained["candidates"]
        assert at_a["calls"] == 3 and (at_a["reported"]["running"], at_a["reported"]["waiting"]) == (2, 1)
        assert at_b["calls"] == 0 and "reported" not in at_b
        key = gateway.new_key("explains")
        said = gateway.command("route", "explain", "--key", key["id"], input=json.dumps(asked)).stdout
        assert "m at a (direct); 3 calls, says that 2 run and 1 wait" in said


def test_a_chat_leaves_a_server_where_others_wait(make_sim, make_gateway):
    sims = [make_sim("--first-token-ms", 5) for _ in range(2)]
    gateway = make_gateway(served({f"u{i}": at(s) for i, s in enumerate(sims)}))
    headers = {"X-Session-Id": "chat-1"}

    def turn():
        got = gateway.post("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "and?"}]}, headers=headers)
        return next(i for i, s in enumerate(sims) if got.headers["x-request-id"] in s.calls())
    home = turn()
    assert {turn() for _ in range(10)} == {home}
    with strangers(sims[home], 8):
        until(lambda: shown(gateway, f"u{home}")["load_running"] == 8, 20 * SLOWER, "its report")
        assert {turn() for _ in range(10)} == {1 - home}


def test_ones_own_calls_are_not_counted_twice(make_sim, make_gateway):
    sim = make_sim("--first-token-ms", 600000)
    gateway = make_gateway(served({"a": at(sim)}))
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with contextlib.ExitStack() as ends:
        for _ in range(4):
            ends.enter_context(Raw(gateway.port, gateway.key)).request("POST", "/v1/chat/completions", asked)
        until(lambda: shown(gateway, "a")["load_running"] == 4, 20 * SLOWER, "its report")
        told = gateway.admin("POST", "/admin/v1/routes/explain", json=asked).json()["candidates"][0]
        assert told["calls"] == 4 and told["reported"]["running"] == 4


# ---- how it is asked ----

def test_who_is_not_to_be_asked_is_not(make_gateway):
    with engine(page(1)) as asked, engine(page(1)) as unasked:
        make_gateway(served({"a": load_of(asked), "b": {"url": unasked.url, "kind": "vllm"}}))
        asked.wait_requests(3, 20 * SLOWER)
        assert unasked.connections == 0


def test_it_is_asked_beside_its_api_with_its_key_by_one_connection_and_not_too_often(make_gateway):
    with engine(page(1)) as server:
        url = server.url.replace("/v1", "/gpu/v1")
        gateway = make_gateway(served({"a": {"url": url, "api_key": "secret", "load": {"every": "1s", "path": "/engine/metrics"}}}))
        begun = time.monotonic()
        server.wait_requests(3, 20 * SLOWER)
        assert time.monotonic() - begun >= 1.5  # the first may have come before
        for request in server.requests:
            assert request.method == "GET" and request.target == "/gpu/engine/metrics"
            assert request.header("Authorization") == "Bearer secret" and request.header("Accept") == "text/plain"
        assert server.connections == 1
        assert shown(gateway, "a")["in_flight"] == 0


def test_it_is_asked_by_the_trust_that_its_calls_have(make_gateway, tmp_path):
    authority = Authority(tmp_path)
    with engine(page(7), tls=authority.issue("localhost")) as server:
        trusted, doubted = {**load_of(server), "ca_file": str(authority.certificate)}, load_of(server)
        gateway = make_gateway(served({"a": trusted, "b": doubted}))
        gateway.announce(*QUIET)
        until(lambda: shown(gateway, "a")["load_running"] == 7, 20 * SLOWER, "its report")
        until(lambda: "b does not say what work it has" in gateway.log(), 20 * SLOWER, "the warning")
        assert shown(gateway, "b")["load_age_ms"] is None


def test_of_several_models_the_one_that_is_named_counts(make_gateway):
    rows = 'vllm:num_requests_running{model_name="x"} 3\nvllm:num_requests_running{model_name="y"} 40\n'
    with engine(reply(200, rows)) as server:
        gateway = make_gateway(served({"all": load_of(server), "x": load_of(server, model="x"), "z": load_of(server, model="z")}))
        gateway.announce(*QUIET)
        until(lambda: shown(gateway, "all")["load_running"] == 43 and shown(gateway, "x")["load_running"] == 3, 20 * SLOWER, "reports")
        until(lambda: "load.model" in gateway.log(), 20 * SLOWER, "the warning")


# ---- who says nothing, or nonsense ----

def test_who_does_not_say_is_asked_rarely_and_told_of_once_and_read_again(make_gateway):
    with engine(*[reply(404, "not here")] * 3, page(5)) as server:
        gateway = make_gateway(served({"a": load_of(server)}))
        gateway.announce(*QUIET)
        begun = time.monotonic()
        until(lambda: shown(gateway, "a")["load_running"] == 5, 30 * SLOWER, "its report")
        assert time.monotonic() - begun > 0.2 + 0.4 + 0.8 - 0.5  # doubled each time
        assert gateway.count_log("load_unread") == 1 and "it answers 404" in gateway.log() and gateway.count_log("load_read") == 1


NONSENSE = {
    "negative": (page(-1), "believed"),
    "no number": (page("NaN"), "believed"),
    "infinite": (page("+Inf"), "believed"),
    "absurd": (page("1e12"), "believed"),
    "waits absurdly": (page(1, "1e12"), "believed"),
    "other names": (reply(200, "process_cpu_seconds_total 3\n"), "known to say"),
    "html": (reply(200, "<html>", {"Content-Type": "text/html"}), "known to say"),
    "a redirect": (reply(302, "", {"Location": "http://127.0.0.1:1/"}), "it answers 302"),
    "no HTTP": (lambda connection, request: connection.send("banana\r\n\r\n"), "GET /metrics"),
    "too long": (reply(200, "x" * (1 << 20) + "\n"), "longer than a MiB"),
    "endless": (lambda connection, request: connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000000\r\n\r\n" + b"x\n" * (1 << 20)),
                "longer than a MiB"),
    "silent": (lambda connection, request: None, "longer than 5 s"),
}


def test_who_says_nonsense_is_not_believed_and_calls_go_on(make_sim, make_gateway):
    sim = make_sim()
    with contextlib.ExitStack() as ends:
        servers = {name: ends.enter_context(engine(script)) for name, (script, _) in NONSENSE.items()}
        ups = {name.replace(" ", "-"): load_of(server) for name, server in servers.items()}
        config = served(ups)
        config["upstreams"]["good"] = at(sim)
        config["models"]["m"] = {"deployments": [{"upstream": "good"}]}
        config["models"]["others"] = {"deployments": [{"upstream": u} for u in ups]}
        gateway = make_gateway(config)
        gateway.announce(*QUIET)
        for name, (_, why) in NONSENSE.items():
            line = until(lambda n=name.replace(" ", "-"): next((l for l in gateway.log().splitlines()
                                                                if "load_unread" in l and f"  {n} does not say" in l), None), 20 * SLOWER, name)
            assert why in line, line
            assert shown(gateway, name.replace(" ", "-"))["load_age_ms"] is None
        assert gateway.chat("m").status_code == 200 and gateway.count_log("load_unread") == len(NONSENSE)
        assert shown(gateway, "good")["load_age_ms"]


def test_a_report_that_is_old_counts_for_nothing(make_sim, make_gateway):
    sim = make_sim("--first-token-ms", 5)
    with engine(*[page(50)] * 3, lambda connection, request: None) as server:
        gateway = make_gateway(served({"a": load_of(server), "b": at(sim)}))
        gateway.announce(*QUIET)
        until(lambda: shown(gateway, "a")["load_running"] == 50, 20 * SLOWER, "its report")
        until(lambda: shown(gateway, "a")["load_age_ms"] is None, 20 * SLOWER, "that it is old")
        stays(lambda: 'atlas_upstream_reported_running{upstream="a"}' not in gateway.metrics())


def test_who_says_much_has_that_much_and_who_says_nothing_what_we_have_there(make_gateway):
    with engine(page(1000000, 1000000)) as boaster, engine(page(0)) as idler:
        gateway = make_gateway(served({"boaster": load_of(boaster), "idler": load_of(idler)}))
        until(lambda: shown(gateway, "boaster")["load_running"] == 1000000 and shown(gateway, "idler")["load_age_ms"], 20 * SLOWER, "lies")
        asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        told = {c["deployment"]: c["calls"] for c in gateway.admin("POST", "/admin/v1/routes/explain", json=asked).json()["candidates"]}
        assert told == {"boaster": 2000000, "idler": 0}


# ---- reloads ----

def test_a_reload_begins_and_ends_it(make_sim, make_gateway):
    sim = make_sim()
    gateway = make_gateway(served({"a": at(sim, None)}))
    assert shown(gateway, "a")["load_age_ms"] is None
    gateway.reload(served({"a": at(sim)}))
    until(lambda: shown(gateway, "a")["load_age_ms"], 20 * SLOWER, "its report")
    gateway.reload(served({"a": at(sim), "b": {"url": sim.base}}))  # it is the same server: what it said stays
    assert shown(gateway, "a")["load_age_ms"]
    gateway.reload(served({"a": at(sim, None)}))
    assert shown(gateway, "a")["load_age_ms"] is None
