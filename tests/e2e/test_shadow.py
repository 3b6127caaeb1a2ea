# SPDX-License-Identifier: Apache-2.0
"""Shadow copies: another model gets the call, too, and nobody who calls can tell: not by answer, time, bill or budget."""
import collections
import concurrent.futures
import json
import pathlib
import time

import pytest

from harness.processes import SLOWER, run
from harness.upstream import CLOSE, Upstream, hang, reply, usual
from harness.tenants import HI, Tree, budgets, nano
from harness.waiting import stays, until

OK, FAILED = 'atlas_shadow_calls_total{outcome="ok"}', 'atlas_shadow_calls_total{outcome="failed"}'
CROWDED, EXCLUDED = 'atlas_shadow_dropped_total{why="crowded"}', 'atlas_shadow_dropped_total{why="excluded"}'
PRICE = {"input": "1", "output": "2"}


class Steady(Upstream):
    """Does the same for every request."""

    class Scripts:
        always = staticmethod(usual)

        def popleft(self):
            return self.always

        def clear(self):
            self.always = usual

    def __init__(self):
        super().__init__()
        self.scripts = Steady.Scripts()

    def always(self, script):
        self.scripts.always = script


def slow(seconds):
    def script(connection, request):
        time.sleep(seconds)
        return usual(connection, request)
    return script


@pytest.fixture(scope="module")
def servers():
    both = Steady(), Steady()
    yield both
    for server in both:
        server.close()


@pytest.fixture(autouse=True)
def forget(servers):
    yield
    for server in servers:
        server.forget()


def rules_of(percent=100, more=""):
    return f"routes:\n  - name: mirrored\n    model: main\n    shadow: {{model: tried, percent: {percent}}}\n{more}"


def config_of(servers, rules, **of_shadow):
    main, shadow = servers
    return {"routing": str(rules),
            "upstreams": {"main": {"url": main.url, "region": "sa", "zone": "test-zone"},
                          "shadow": {"url": shadow.url, "region": "sa", "zone": "test-zone", **of_shadow}},
            "models": {"main": {"upstream": "main", "price": PRICE}, "tried": {"upstream": "shadow", "upstream_name": "tried-2", "price": PRICE}}}


@pytest.fixture(scope="module")
def make(make_gateway, servers, tmp_path_factory):
    def made(text, more=None, **of_shadow):
        rules = tmp_path_factory.mktemp("rules") / "rules.yaml"
        rules.write_text(text)
        return make_gateway({**config_of(servers, rules, **of_shadow), **(more or {})})
    return made


@pytest.fixture(scope="module")
def gateway(make):
    return make(rules_of())


def ended(gateway, count, before):
    until(lambda: sum(gateway.metrics()[m] for m in (OK, FAILED)) == sum(before[m] for m in (OK, FAILED)) + count, 10 * SLOWER,
          f"{count} shadow copies ended")
    return gateway.metrics()


def resident_kb(gateway):
    status = pathlib.Path(f"/proc/{gateway.children()[0]}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def records(gateway):
    gateway.command("usage")  # it answers when all records before it are on the disk
    return [json.loads(line) for line in gateway.command("journal", "print").stdout.splitlines()]


@pytest.mark.parametrize("stream", [False, True])
def test_the_first_answers_and_the_second_gets_the_same_body(gateway, servers, stream):
    main, shadow = servers
    before = gateway.metrics()
    got = gateway.chat("auto", stream=stream, content="مرحبا", temperature=0.25, max_tokens=9)
    assert got.status_code == 200 and got.headers["x-route-policy"] == "mirrored" and '"main"' in got.text
    shadow.wait_requests(1)
    ended(gateway, 1, before)
    assert len(main.requests) == len(shadow.requests) == 1
    sent, copied = main.last.json, shadow.last.json
    assert (sent.pop("model"), copied.pop("model")) == ("main", "tried-2")
    assert sent == copied and copied["messages"][0]["content"] == "مرحبا"
    assert main.last.header("x-request-id") != shadow.last.header("x-request-id")


def test_usage_metrics_and_the_access_log_show_the_first_alone(make, servers, tmp_path):
    gateway = make(rules_of(), {"log": {"access": str(tmp_path / "access.log")}})
    for _ in range(5):
        assert gateway.chat("auto").status_code == 200
    after = ended(gateway, 5, dict.fromkeys((OK, FAILED), 0))
    assert after[OK] == 5 and after['atlas_calls_total{outcome="ok"}'] == 5 and after["atlas_attempts_total"] == 5
    assert after["atlas_calls_open"] == 0
    made = records(gateway)
    copies = [r for r in made if r.get("shadow")]
    assert [r["kind"] for r in copies].count("intent") == 5 and [r["kind"] for r in copies].count("completion") == 5
    assert {r["model"] for r in copies} == {"tried"} and {r["model"] for r in made if "model" in r and not r.get("shadow")} == {"main"}
    ends = [r for r in copies if r["kind"] == "completion"]
    assert all(r["outcome"] == "ok" and r["tokens_in"] == 7 and r["tokens_out"] == 3 and r["policy"] == "mirrored" for r in ends)
    assert [(row["model"], row["calls"], row["tokens_in"]) for row in gateway.usage()] == [("main", 5, 35)]
    assert after['atlas_tokens_total{direction="input"}'] == 35 and after['atlas_tokens_total{direction="output"}'] == 15
    lines = until(lambda: (found := pathlib.Path(tmp_path / "access.log").read_text().splitlines()) and len(found) >= 5 and found, 5)
    assert {json.loads(line)["model"] for line in lines} == {"main"} and len(lines) == 5


def test_no_limit_and_no_budget_knows_of_it(gateway, servers):
    _, shadow = servers
    before = gateway.metrics()
    tree = Tree(gateway)
    tree.limit("key", requests_per_minute=4, concurrent=1)
    budget = tree.budget("team", "0.01")
    body = {"model": "auto", "messages": HI, "max_tokens": 5}
    shadow.always(slow(0.5))  # the copies are there at once, and the key's one call is another each time
    answers = [gateway.post("/v1/chat/completions", body, key=tree.secret).status_code for _ in range(5)]
    assert answers == [200] * 4 + [429]
    ended(gateway, 4, before)
    assert len(shadow.requests) == 4
    gateway.command("usage")
    shown = budgets(gateway)[budget]
    assert nano(shown["spent"]) == 4 * (7 * 1000 + 3 * 2000) and nano(shown["held"]) == 0
    copies = [r for r in records(gateway) if r.get("shadow") and r.get("key") == tree.key]
    assert len(copies) == 8 and not any("budgets" in r for r in copies)


def test_a_part_of_the_calls_is_copied_and_a_reload_says_which(make, servers):
    _, shadow = servers
    gateway = make(rules_of(20))
    for _ in range(200):
        assert gateway.chat("auto").status_code == 200
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0)
    assert 15 <= len(shadow.requests) <= 75, len(shadow.requests)
    for text, most in ((rules_of(0.1), 3), ("routes:\n  - name: mirrored\n    model: main\n", 0)):
        pathlib.Path(gateway.config["routing"]).write_text(text)
        gateway.reload()
        shadow.forget()
        for _ in range(40):
            assert gateway.chat("auto").status_code == 200
        until(lambda: gateway.metrics()["atlas_calls_open"] == 0)
        assert len(shadow.requests) <= most


@pytest.mark.parametrize("rule,of_shadow", [
    ("    policy: local-only\n", {"zone": "elsewhere"}), ("    regions: [sa]\n", {"region": "de"}), ("", {"clearance": "public"})])
def test_no_copy_goes_where_the_call_may_not(make, servers, rule, of_shadow):
    _, shadow = servers
    gateway = make(rules_of(100, rule), {"upstreams": {
        "main": {"url": servers[0].url, "region": "sa", "zone": "test-zone", "clearance": "secret"},
        "shadow": {"url": shadow.url, "region": "sa", "zone": "test-zone", **of_shadow}}})
    headers = {} if rule else {"X-Data-Classification": "secret"}
    body = {"model": "auto", "messages": HI}
    got = gateway.post("/v1/chat/completions", body, headers=headers)
    assert got.status_code == 200, got.text
    assert gateway.metrics()[EXCLUDED] == 1
    stays(lambda: not shadow.requests)
    assert not [r for r in records(gateway) if r.get("shadow")]


def test_a_hint_of_the_caller_holds_the_copy_in_too(make, servers):
    _, shadow = servers
    gateway = make(rules_of(), zone="elsewhere")
    body = {"model": "auto", "messages": HI}
    for wish in ({"headers": {"X-Route-Policy": "local-only"}}, {}):
        more = {"routing_preference": "local-only"} if not wish else {}
        assert gateway.post("/v1/chat/completions", {**body, **more}, **wish).status_code == 200
    assert gateway.metrics()[EXCLUDED] == 2
    stays(lambda: not shadow.requests)
    assert gateway.post("/v1/chat/completions", body).status_code == 200
    shadow.wait_requests(1)


@pytest.mark.parametrize("answer", [reply(500, {"error": {"message": "no"}}), reply(429, {"error": {"message": "no"}}, [("Retry-After", "30")]),
                                    reply(200, "no json"), lambda connection, request: CLOSE])
def test_its_failure_is_nobodys(gateway, servers, answer):
    _, shadow = servers
    before = gateway.metrics()
    shadow.always(answer)
    for _ in range(8):
        assert gateway.chat("auto").status_code == 200
    after = ended(gateway, 8, before)
    assert after[FAILED] == before[FAILED] + 8
    assert after['atlas_calls_total{outcome="ok"}'] == before['atlas_calls_total{outcome="ok"}'] + 8
    assert after['atlas_calls_total{outcome="failed"}'] == before['atlas_calls_total{outcome="failed"}']
    shadow.always(usual)
    assert gateway.chat("tried").status_code == 200  # who asks for that model itself finds its server not judged by this


def test_its_slowness_is_nobodys_and_it_outlives_its_caller(gateway, servers):
    _, shadow = servers
    before = gateway.metrics()
    shadow.always(slow(3))
    began = time.monotonic()
    with gateway.client() as client:
        assert client.post("/v1/chat/completions", json={"model": "auto", "messages": HI}).status_code == 200
    assert time.monotonic() - began < 1.5 * SLOWER
    assert gateway.metrics()[OK] == before[OK]
    assert ended(gateway, 1, before)[OK] == before[OK] + 1


def test_a_stalled_server_holds_so_many_and_no_more(make, servers):
    main, shadow = servers
    gateway = make(rules_of())
    body = {"model": "auto", "messages": [{"role": "user", "content": "word " * 20000}]}
    assert gateway.post("/v1/chat/completions", body).status_code == 200
    ended(gateway, 1, dict.fromkeys((OK, FAILED), 0))
    resident = resident_kb(gateway)
    main.forget()
    shadow.forget()
    shadow.always(hang)
    with concurrent.futures.ThreadPoolExecutor(32) as pool, gateway.client() as client:
        got = list(pool.map(lambda _: client.post("/v1/chat/completions", json=body).status_code, range(200)))
    assert got == [200] * 200 and len(main.requests) == 200
    now = gateway.metrics()
    assert now[CROWDED] == 136 and now["atlas_calls_open"] == 64 and len(shadow.requests) == 64
    assert resident_kb(gateway) - resident < 64 * 1024
    began = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - began < 5 * SLOWER  # nobody waits for them
    gateway.start()
    ends = [r for r in records(gateway) if r.get("shadow") and r["kind"] == "completion"]
    assert collections.Counter(r["outcome"] for r in ends) == {"client_gone": 64, "ok": 1}
    assert [(row["model"], row["calls"]) for row in gateway.usage()] == [("main", 201)]


def test_the_bodies_of_all_are_bounded_together(make, servers):
    _, shadow = servers
    gateway = make(rules_of())
    shadow.always(hang)
    body = {"model": "auto", "messages": [{"role": "user", "content": "word " * 1_600_000}]}  # 8 MB: eight fit in 64 MiB
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        got = list(pool.map(lambda _: gateway.post("/v1/chat/completions", body).status_code, range(12)))
    assert got == [200] * 12
    shadow.wait_requests(8, 20 * SLOWER)
    assert gateway.metrics()[CROWDED] == 4 and len(shadow.requests) == 8


def test_a_killed_process_leaves_copies_that_nobody_pays(make, servers):
    _, shadow = servers
    gateway = make(rules_of())
    shadow.always(hang)
    assert gateway.chat("auto").status_code == 200
    shadow.wait_requests(1)
    gateway.kill()
    gateway.start()
    ends = [r for r in records(gateway) if r.get("shadow") and r["kind"] == "completion"]
    assert [r["outcome"] for r in ends] == ["interrupted"]
    assert [(row["model"], row["calls"]) for row in gateway.usage()] == [("main", 1)]


def test_explain_names_it(gateway, make, servers):
    request = json.dumps({"model": "auto", "messages": HI})
    said = json.loads(gateway.command("route", "explain", "--json", input=request).stdout)
    assert said["shadow"] == {"model": "tried", "percent": 100, "excluded": None} and said["chosen"]["model"] == "main"
    held_in = make(rules_of(2.5, "    policy: local-only\n"), zone="elsewhere")
    said = json.loads(held_in.command("route", "explain", "--json", input=request).stdout)
    assert said["shadow"] == {"model": "tried", "percent": 2.5, "excluded": "residency"}


@pytest.mark.parametrize("shadow,complaint", [
    ("big", "a shadow is {model: NAME, percent: 5}"), ("{model: tried, percent: 0}", "percent is a number"),
    ("{model: nothing, percent: 5}", "there is no model 'nothing'"), ("{model: tried, percent: 5, x: 1}", "has no 'x'")])
def test_a_wrong_one_is_told(gateway, shadow, complaint, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(f"routes:\n  - name: a\n    model: main\n    shadow: {shadow}\n")
    config = tmp_path / "atlas.yaml"
    config.write_text(json.dumps({**gateway.config, "routing": str(path)}))
    got = run("route", "check", "--config", config)
    assert got.returncode == 1 and complaint in got.stdout + got.stderr
