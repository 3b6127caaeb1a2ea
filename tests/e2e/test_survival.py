# SPDX-License-Identifier: Apache-2.0
"""Several model servers behind one model: whom a call goes to, and that it outlives those that fail; how often they are asked, exactly."""
import concurrent.futures
import json
import socket
import threading
import time

import pytest

from harness.processes import SLOWER
from harness.upstream import Upstream, chunk, reply, stream, usual
from harness.waiting import until

QUIET = ("call_failed", "upstream_down", "upstream_up", "model_fallback")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def served(*places, rules=None, tmp_path=None, **more):
    """A configuration with a model `m` at all of these upstreams, and a model each, too."""
    ups = {f"u{i}": ({"url": p} if isinstance(p, str) else p) for i, p in enumerate(places)}
    models = {f"m{i}": {"upstream": f"u{i}"} for i in range(len(places))}
    config = {"upstreams": ups, "models": {"m": {"deployments": [{"upstream": u} for u in ups], **more}, **models}}
    if rules:
        path = tmp_path / "rules.yaml"
        path.write_text(json.dumps({"routes": rules}))
        config["routing"] = str(path)
    return config


def ask(gateway, model="m", stream=False, headers=None, **members):
    body = {"model": model, "messages": [{"role": "user", "content": "hello there"}], "max_tokens": 3, "stream": stream, **members}
    return gateway.post("/v1/chat/completions", body, headers=headers)


def quiet(make_gateway, config):
    gateway = make_gateway(config)
    gateway.announce(*QUIET)
    return gateway


def asked(*sims):
    return sum(a for s in sims for a, _, _ in s.calls().values())


def of_call(sim, got):
    return sim.calls().get(got.headers["x-request-id"], (0, 0, 0))[0]


# ---- deployments ----

@pytest.mark.parametrize("config,fault", [
    ({"models": {"m": {}}}, "models.m needs `upstream: …`"),
    ({"models": {"m": {"upstream": "a", "deployments": [{"upstream": "a"}]}}}, "an upstream or deployments, not both"),
    ({"models": {"m": {"deployments": [{"upstream": "a"}, {"upstream": "a"}]}}}, "stands here already"),
    ({"models": {"m": {"deployments": [{"upstream": "b"}]}}}, "there is no upstream 'b'"),
    ({"models": {"m": {"deployments": [{"weight": 2}]}}}, "needs `upstream: …`"),
    ({"models": {"m": {"deployments": [{"upstream": "a"}], "upstream_name": "x"}}}, "each of the deployments"),
])
def test_what_is_wrong_with_deployments_is_told(tmp_path, config, fault):
    from harness.processes import run
    path = tmp_path / "atlas.yaml"
    path.write_text(json.dumps({"data": str(tmp_path / "d"), "upstreams": {"a": {"url": "http://127.0.0.1:9/v1"}}, **config}))
    got = run("config", "check", "--config", path)
    assert got.returncode == 1 and fault in got.stderr


def test_each_deployment_is_called_by_its_own_name_and_price(make_gateway, make_sim):
    one, two = make_sim(), make_sim()
    gateway = make_gateway({
        "upstreams": {"a": {"url": one.base, "region": "sa"}, "b": {"url": two.base, "region": "ae"}},
        "models": {"m": {"deployments": [{"upstream": "a", "upstream_name": "served-a", "price": {"input": 1, "output": 1}},
                                         {"upstream": "b", "upstream_name": "served-b"}], "price": {"input": 100, "output": 100}}}})
    seen = {}
    for _ in range(200):
        got = ask(gateway)
        assert got.json()["model"] == "m"
        seen[got.headers["x-data-residency"]] = got
        if len(seen) == 2:
            break
    assert set(seen) == {"sa", "ae"}
    assert one.last()[1]["model"] == "served-a" and two.last()[1]["model"] == "served-b"
    rows = {r["upstream"]: r for r in gateway.usage(by="upstream")}
    cost = {u: float(r["cost"]) / (r["tokens_in"] + r["tokens_out"]) for u, r in rows.items()}
    assert cost["b"] == pytest.approx(100 * cost["a"])


def test_calls_go_where_there_is_less_to_do(make_gateway, make_sim):
    sims = [make_sim("--first-token-ms", 10), make_sim("--first-token-ms", 10), make_sim("--first-token-ms", 200)]
    gateway = make_gateway(served(*[s.base for s in sims]))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(got.status_code == 200 for got in pool.map(lambda _: ask(gateway), range(240)))
    counts = [asked(s) for s in sims]
    assert sum(counts) == 240 and counts[2] < 40, counts  # a third by turns would be 80


def test_a_weight_is_how_much_one_takes(make_gateway, make_sim):
    sims = [make_sim("--first-token-ms", 5), make_sim("--first-token-ms", 5)]
    config = served(*[s.base for s in sims])
    config["models"]["m"]["deployments"][0]["weight"] = 20
    gateway = make_gateway(config)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(got.status_code == 200 for got in pool.map(lambda _: ask(gateway), range(120)))
    assert asked(sims[0]) > 2 * asked(sims[1])


# ---- those that fail ----

@pytest.mark.parametrize("fault", [["--fault", "refuse"], ["--fault", "reset"], ["--fault", "status", "--status", "500"], ["--fault", "status", "--status", "429"],
                                   ["--fault", "bad_json"], ["--fault", "close"], ["--fault", "bad_head"]])
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_outlives_a_deployment_that_fails(make_gateway, make_sim, fault, stream):
    bad, good = make_sim(*fault), make_sim()
    gateway = quiet(make_gateway, served(bad.base, good.base))
    for _ in range(12):
        got = ask(gateway, stream=stream)
        assert got.status_code == 200, got.text
        assert of_call(good, got) == 1 and of_call(bad, got) <= 1
    assert gateway.metrics()["atlas_retries_total"] == asked(bad) and gateway.metrics()["atlas_fallbacks_total"] == 0


def test_at_most_three_deployments_are_asked(make_gateway, make_sim):
    sims = [make_sim("--fault", "status", "--status", "500") for _ in range(5)]
    gateway = quiet(make_gateway, served(*[s.base for s in sims]))
    got = ask(gateway)
    assert got.status_code == 502 and sum(of_call(s, got) for s in sims) == 3


def test_a_model_whose_calls_must_not_run_twice_is_asked_once(make_gateway, make_sim):
    bad, good = make_sim("--fault", "status", "--status", "500"), make_sim()
    gateway = quiet(make_gateway, served(bad.base, good.base, f"http://127.0.0.1:{free_port()}/v1", repeat="never"))
    for _ in range(20):
        got = ask(gateway)  # one that could not be reached was not sent it
        assert of_call(bad, got) + of_call(good, got) == 1
        assert got.status_code == (502 if of_call(bad, got) else 200), got.text


def test_one_that_fails_again_and_again_is_left_in_peace_and_asked_again_later(make_gateway, make_sim):
    bad, good = make_sim("--fault", "status", "--status", "500"), make_sim()
    gateway = quiet(make_gateway, served(bad.base, good.base))
    for _ in range(5):
        assert ask(gateway, "m0").status_code == 502
    assert states(gateway) == {"u0": "open", "u1": "up"}
    assert all(ask(gateway).status_code == 200 for _ in range(30)) and asked(bad) == 5
    began = time.monotonic()
    until(lambda: ask(gateway).status_code == 200 and asked(bad) > 5, 30 * SLOWER, "a call that finds out")
    assert time.monotonic() - began > 3
    with concurrent.futures.ThreadPoolExecutor(8) as pool:  # it failed anew: for twice as long nobody is sent there
        assert {got.status_code for got in pool.map(lambda _: ask(gateway), range(40))} == {200}
    assert asked(bad) == 6
    assert 5 < gateway.admin("GET", "/admin/v1/upstreams/u0").json()["retry_in_s"] <= 10


@pytest.mark.parametrize("is_stream,broken", [(True, stream(chunk({"role": "assistant", "content": ""}), cut=True)), (False, reply(200, "{]{]"))],
                         ids=["it is cut", "it is no JSON"])
def test_a_call_that_finds_out_and_is_answered_badly_sends_nobody_there(make_gateway, make_sim, upstream, is_stream, broken):
    gateway = quiet(make_gateway, served(upstream.url, make_sim().base))
    upstream.forget()
    upstream.script(*[reply(500, {}) for _ in range(5)])
    for _ in range(5):
        ask(gateway, "m0")
    assert states(gateway)["u0"] == "open"
    upstream.script(broken, *[broken] * 20)
    until(lambda: ask(gateway, stream=is_stream).status_code == 200 and len(upstream.requests) > 5, 30 * SLOWER, "a call that finds out")
    until(lambda: states(gateway)["u0"] == "open", 5 * SLOWER, "it is left in peace again")
    assert len(upstream.requests) == 6
    upstream.forget()


def test_where_nobody_else_is_left_one_call_at_a_time_finds_out(make_gateway, upstream):
    gateway = quiet(make_gateway, served(upstream.url))
    go = threading.Event()

    def slow(connection, request):
        go.wait(20 * SLOWER)
        reply(500, {})(connection, request)

    upstream.script(*[reply(500, {}) for _ in range(7)], slow)
    for _ in range(7):  # one behind the other each is a call that finds out
        assert ask(gateway).status_code == 502
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, gateway)
        until(lambda: len(upstream.requests) == 8, 10 * SLOWER, "the one to be there")
        got = ask(gateway)  # beside it there is no other
        assert got.status_code == 503 and got.json()["error"]["code"] == "no_upstream" and 1 <= int(got.headers["retry-after"]) <= 60
        go.set()
        assert first.result().status_code == 502
    assert len(upstream.requests) == 8
    assert all(ask(gateway).status_code == 200 for _ in range(10)) and states(gateway) == {"u0": "up"}


def test_who_says_when_to_come_again_is_not_asked_before(make_gateway, make_sim):
    busy, free = make_sim("--fault", "status", "--status", "429", "--retry-after", "30"), make_sim()
    gateway = quiet(make_gateway, served(busy.base, free.base))
    until(lambda: ask(gateway).status_code == 200 and asked(busy) > 0, 20 * SLOWER, "the busy one to be asked")
    before = asked(busy)
    assert all(ask(gateway).status_code == 200 for _ in range(30)) and asked(busy) == before
    got = ask(gateway, "m0")  # where nobody else is left it is asked, and says it again
    assert got.status_code == 503 and 20 < int(got.headers["retry-after"]) <= 30


def test_all_calls_together_make_a_fifth_more_tries_and_ten_at_least(make_gateway, make_sim, tmp_path):
    bad, good = make_sim("--fault", "status", "--status", "429"), make_sim()  # a 429 opens no breaker
    rules = [{"name": "r", "model": "m0", "fallbacks": ["m1"]}]
    gateway = quiet(make_gateway, served(bad.base, good.base, rules=rules, tmp_path=tmp_path))
    statuses = [ask(gateway, "auto").status_code for _ in range(100)]
    more = gateway.metrics()["atlas_fallbacks_total"]
    assert set(statuses) == {200, 503} and statuses.count(200) == more == asked(good) and asked(bad) == 100
    assert 10 <= more <= 20 and gateway.metrics()["atlas_tries_denied_total"] == 100 - more, more


# ---- beside one that is slow ----

def test_another_is_asked_beside_one_that_is_slow(make_gateway, make_sim, tmp_path):
    slow, quick = make_sim("--first-token-ms", 3000), make_sim()
    rules = [{"name": "hedged", "model": "m0", "fallbacks": ["m1"], "hedge": {"after": "100ms"}},
             ]
    gateway = quiet(make_gateway, served(slow.base, quick.base, rules=rules, tmp_path=tmp_path))
    began = time.monotonic()
    got = ask(gateway, "auto")
    assert got.status_code == 200 and got.json()["model"] == "m1" and time.monotonic() - began < 2.5
    until(lambda: slow.calls().get(got.headers["x-request-id"], (0, 0, 0))[2] == 1, 10 * SLOWER, "the slow one to be cancelled")
    assert of_call(quick, got) == of_call(slow, got) == 1 and gateway.metrics()["atlas_hedges_total"] == 1


# ---- what is told ----

def test_a_fallback_is_in_the_log_the_record_and_the_access_log(make_gateway, make_sim, tmp_path):
    bad, good = make_sim("--fault", "status", "--status", "500"), make_sim()
    rules = [{"name": "r", "model": "m0", "fallbacks": ["m1"]}]
    config = served(bad.base, good.base, rules=rules, tmp_path=tmp_path)
    config["log"] = {"access": str(tmp_path / "access.log")}
    gateway = quiet(make_gateway, config)
    got = ask(gateway, "auto")
    assert got.status_code == 200 and got.json()["model"] == "m1"
    call = got.headers["x-request-id"]
    gateway.command("usage")
    records = [r for r in map(json.loads, gateway.command("journal", "print").stdout.splitlines()) if r.get("call") == call]
    assert {(r["kind"], r["model"], r.get("fallback_from")) for r in records} == {
        ("intent", "m0", None), ("intent", "m1", "m0"), ("try_end", "m0", None), ("completion", "m1", "m0")}
    line = until(lambda: next((x for x in map(json.loads, (tmp_path / "access.log").read_text().splitlines()) if x["call"] == call), None), 10 * SLOWER, "the line")
    assert line["fallback_from"] == "m0" and line["model"] == "m1"
    assert "model_fallback" in gateway.log()


# ---- under load ----

def test_a_load_outlives_servers_that_die_in_every_way(make_gateway, make_sim):
    """Of five servers three die in their ways: every call is answered, and the tries are those that the metrics say."""
    sims = [make_sim(), make_sim(), make_sim("--fault", "reset"), make_sim("--fault", "status", "--status", "503"), make_sim("--fault", "refuse")]
    gateway = quiet(make_gateway, served(*[s.base for s in sims]))
    calls = 600
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda i: ask(gateway, stream=i % 2 == 0).status_code, range(calls)))
    metrics = gateway.metrics()
    failed = calls - got.count(200)
    assert failed <= calls // 100, {s: got.count(s) for s in set(got)}
    assert asked(*sims) == metrics["atlas_attempts_total"] == calls + metrics["atlas_retries_total"]
    assert asked(*sims[2:]) <= 3 * 12  # five in a row open a breaker, and those that are under way then


# ---- what an operator sees and does ----

def states(gateway):
    return {u["name"]: u["state"] for u in gateway.admin("GET", "/admin/v1/upstreams").json()["data"]}


def test_model_servers_are_listed_as_calls_see_them(make_gateway, make_sim):
    bad, good, busy = make_sim("--fault", "status", "--status", "500"), make_sim(), make_sim("--fault", "status", "--status", "503", "--retry-after", "40")
    config = served(bad.base, good.base, busy.base)
    config["upstreams"]["u1"].update(kind="vllm", region="sa", clearance="secret")
    gateway = quiet(make_gateway, config)
    assert states(gateway) == {"u0": "up", "u1": "up", "u2": "up"}
    for _ in range(5):
        ask(gateway, "m0")
    ask(gateway, "m1")
    ask(gateway, "m2")
    assert states(gateway) == {"u0": "open", "u1": "up", "u2": "paused"}
    row = gateway.admin("GET", "/admin/v1/upstreams/u1").json()
    assert (row["kind"], row["region"], row["clearance"], row["in_flight"], row["errors"], row["error"]) == ("vllm", "sa", "secret", 0, 0, None)
    assert row["p50_ms"] >= 1 and row["attempts"] == 1
    row = gateway.admin("GET", "/admin/v1/upstreams/u0").json()
    assert row["errors"] == 5 and "error" in row["error"] and 1 <= row["retry_in_s"] <= 5
    listed = gateway.command("upstream", "list").stdout.splitlines()
    assert any(line.endswith("u0") and "open" in line for line in listed) and len(listed) == 4, listed
    assert gateway.admin("GET", "/admin/v1/upstreams/nobody").status_code == 404


def test_one_that_is_drained_ends_its_calls_and_gets_no_more_even_after_a_restart(make_gateway, make_sim):
    one, two = make_sim("--first-token-ms", 1500), make_sim()
    gateway = quiet(make_gateway, served(one.base, two.base))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(ask, gateway, "m0")
        until(lambda: asked(one) == 1, 10 * SLOWER, "the call to be there")
        assert gateway.command("upstream", "drain", "u0").returncode == 0
        assert states(gateway)["u0"] == "draining" and ask(gateway, "m0").status_code == 503
        assert under_way.result().status_code == 200
    assert all(ask(gateway).status_code == 200 for _ in range(20)) and asked(one) == 1
    assert gateway.stop() == 0
    gateway.start()
    assert states(gateway)["u0"] == "draining" and ask(gateway, "m0").status_code == 503
    gateway.reload({**gateway.config, "upstreams": {**gateway.config["upstreams"], "u0": {"url": one.base, "region": "sa"}}})
    assert states(gateway)["u0"] == "draining"
    assert gateway.command("upstream", "undrain", "u0").returncode == 0
    assert ask(gateway, "m0").status_code == 200
    actions = [r["action"] for r in map(json.loads, gateway.command("journal", "print").stdout.splitlines()) if r["kind"] == "admin"]
    assert actions.count("upstream.drain") == actions.count("upstream.undrain") == 1
    stopped = gateway.command("upstream", "drain", "nobody")
    assert stopped.returncode == 1 and "no upstream of this name" in stopped.stderr


def test_one_that_no_probe_reaches_is_taken_out_until_one_does(make_gateway, make_sim):
    port = free_port()
    good = make_sim()
    config = served({"url": f"http://127.0.0.1:{port}/v1", "probe": "100ms"}, {"url": good.base, "probe": "100ms"})
    gateway = quiet(make_gateway, config)
    until(lambda: states(gateway) == {"u0": "down", "u1": "up"}, 20 * SLOWER, "two probes")
    assert all(ask(gateway).status_code == 200 for _ in range(20))
    assert gateway.metrics()["atlas_retries_total"] == 0 and ask(gateway, "m0").status_code == 503
    until(lambda: "no probe reaches it" in gateway.command("status").stdout, 10 * SLOWER, "the trouble")
    back = Upstream(port=port)
    try:
        until(lambda: states(gateway) == {"u0": "up", "u1": "up"}, 20 * SLOWER, "a probe that reaches it")
        assert ask(gateway, "m0").status_code == 200 and back.requests[-1].method == "POST"
        config["upstreams"]["u0"].pop("probe")
        gateway.reload(config)
        assert states(gateway)["u0"] == "up"
    finally:
        back.close()


def test_a_drain_holds_for_its_name_whatever_a_reload_does(make_gateway, make_sim):
    one, two = make_sim(), make_sim()
    config = served(one.base, two.base)
    gateway = quiet(make_gateway, config)
    assert gateway.command("upstream", "drain", "u0").returncode == 0
    without = json.loads(json.dumps(config))
    del without["upstreams"]["u0"], without["models"]["m0"]
    without["models"]["m"]["deployments"] = [{"upstream": "u1"}]
    gateway.reload(without)
    gateway.reload(config)
    assert states(gateway) == {"u0": "draining", "u1": "up"} and ask(gateway, "m0").status_code == 503
    assert gateway.command("upstream", "undrain", "u0").returncode == 0
    assert ask(gateway, "m0").status_code == 200 and asked(one) == 1


def test_that_no_connection_is_free_to_ask_is_told(make_gateway, upstream):
    gateway = make_gateway({"workers": 1, "upstreams": {"u": {"url": upstream.url, "connections_max": 1, "load": {"every": "1s"}}}, "models": {"m": {"upstream": "u"}}})
    gateway.announce(*QUIET, "load_unread")
    go_on = threading.Event()

    def hold(connection, request):
        if request.target == "/metrics":  # the question may have come first
            return reply(404, {})(connection, request)
        assert go_on.wait(60)
        return usual(connection, request)
    upstream.script(*[hold] * 3)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(gateway.chat, "m")
        until(lambda: any(request.target != "/metrics" for request in upstream.requests), 10 * SLOWER, "the call to be there")
        until(lambda: "none of its connections_max is free" in gateway.log(), 30 * SLOWER, "the word of it")
        go_on.set()
        assert call.result().status_code == 200
    upstream.forget()
