# SPDX-License-Identifier: Apache-2.0
"""What the operator sees of a running gateway: `atlas status`, metrics by model and upstream, reasons in the log."""
import json
import re

import pytest

from harness.certificates import Authority
from harness.processes import SLOWER, get
from harness.raw import Raw
from harness.upstream import Upstream, reply
from harness.waiting import until


@pytest.fixture(scope="module")
def gateway(make_gateway, make_sim):
    server = make_sim()
    return make_gateway({
        "upstreams": {"u": {"url": server.base}, "down": {"url": "http://127.0.0.1:1"}},
        "models": {"m": {"upstream": "u", "aliases": ["alias"]}, "open/*": {"upstream": "u"}, "dead": {"upstream": "down"}},
        "client": {"body_max": "64KiB"}})


def series(gateway, family="atlas_model_calls_total"):
    return {name: n for name, n in gateway.metrics().items() if name.startswith(family + "{")}


def test_calls_are_counted_by_model_as_configured_upstream_and_class(gateway):
    gateway.announce("call_failed")
    for name in ("m", "alias", "open/one", "open/two"):
        assert gateway.chat(name).status_code == 200
    assert gateway.chat("nobody configured this").status_code == 404
    assert gateway.chat("dead").status_code == 502
    counted = until(lambda: len(s := series(gateway)) >= 4 and s)
    line = 'atlas_model_calls_total{{model="{}",upstream="{}",class="{}"}}'
    assert counted[line.format("m", "u", "2xx")] == 2
    assert counted[line.format("open/*", "u", "2xx")] == 2
    assert counted[line.format("dead", "down", "5xx")] == 1
    assert counted[line.format("(none)", "(none)", "4xx")] == 1
    assert "one" not in get(gateway.admin_url + "/metrics").text.replace('"(none)"', "").split("atlas_model_calls_total", 2)[2].split("# ")[0]
    tokens = series(gateway, "atlas_model_tokens_total")
    assert tokens['atlas_model_tokens_total{model="m",upstream="u",direction="input"}'] > 0
    assert gateway.metrics()['atlas_model_call_duration_seconds_count{model="m",upstream="u"}'] == 2


def test_a_model_server_that_is_down_is_a_gauge_a_problem_and_a_line_until_it_answers(gateway, make_sim):
    gateway.announce("call_failed", "upstream_down")
    assert gateway.metrics()['atlas_upstream_up{upstream="down"}'] == 1
    for _ in range(5):
        assert gateway.chat("dead").status_code == 502
    until(lambda: gateway.count_log("upstream_down") == 1, 5 * SLOWER)
    page = gateway.metrics()
    assert page['atlas_upstream_up{upstream="down"}'] == 0
    assert page['atlas_upstream_up{upstream="u"}'] == 1
    assert get(gateway.admin_url + "/readyz").status_code == 200  # the other models are served
    told = json.loads(gateway.command("status", "--json").stdout)
    [trouble] = told["problems"]
    assert (trouble["kind"], trouble["subject"]) == ("upstream_down", "down")
    down = next(u for u in told["upstreams"] if u["name"] == "down")
    assert down["state"] == "down" and down["since"] == trouble["since"] and "reached" in down["error"]
    said = gateway.command("status")
    assert said.returncode == 0 and "down" in said.stdout and "upstream_down since" in said.stdout
    assert all(len(line) <= 80 for line in said.stdout.splitlines()), said.stdout
    config = json.loads(json.dumps(gateway.config))
    config["upstreams"]["down"]["url"] = make_sim().base
    gateway.reload(config)
    assert gateway.chat("dead").status_code == 200
    until(lambda: gateway.metrics()['atlas_upstream_up{upstream="down"}'] == 1)
    until(lambda: gateway.count_log("upstream_down") == 2, 5 * SLOWER, "it is over")
    assert "Nothing is wrong." in gateway.command("status").stdout


def test_status_without_a_gateway_says_that_none_runs(make_gateway, tmp_path):
    gateway = make_gateway({}, key=False)
    assert gateway.stop() == 0
    said = gateway.command("status")
    assert said.returncode == 1 and "no gateway runs" in said.stderr and said.stdout == ""


def test_a_refusal_names_the_limit_or_the_scope(gateway):
    large = gateway.chat("m", content="x" * 70000)
    assert large.status_code == 413 and "65536 bytes" in large.json()["error"]["message"]
    narrow = gateway.new_key("narrow", scopes=["embeddings"])["key"]
    chat = gateway.post("/v1/chat/completions", {"model": "m", "messages": []}, key=narrow)
    assert chat.status_code == 403 and "scope 'chat'" in chat.json()["error"]["message"]
    models = gateway.request("GET", "/v1/models", key=narrow)
    assert models.status_code == 403 and "scope 'models'" in models.json()["error"]["message"]


def test_a_certificate_that_is_not_accepted_is_said_with_its_reason(make_gateway, tmp_path):
    theirs = Authority(tmp_path)
    server = Upstream(tls=theirs.issue("localhost"))
    gateway = make_gateway({"upstreams": {"u": {"url": server.url}}, "models": {"m": {"upstream": "u"}}})
    gateway.announce("call_failed")
    assert gateway.chat("m").status_code == 502
    until(lambda: gateway.count_log("call_failed"), 5 * SLOWER)
    [line] = [line for line in gateway.log().splitlines() if "call_failed" in line]
    assert "UPSTREAM_TLS" in line and "certificate was not accepted: unable to get local issuer certificate" in line
    server.close()


def test_a_failed_call_s_line_has_the_cause_and_nothing_of_what_the_server_quotes(make_gateway, upstream):
    gateway = make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}}})
    gateway.announce("call_failed")
    upstream.script(reply(500, {"error": {"message": "CUDA out of memory while it read: the patient is Layla"}}))
    assert gateway.chat("m").status_code == 502
    until(lambda: gateway.count_log("call_failed"), 5 * SLOWER)
    [line] = [line for line in gateway.log().splitlines() if "call_failed" in line]
    assert "status 500" in line and line.endswith("it says that it is out of memory")
    assert "Layla" not in gateway.log()


def test_refusals_for_want_of_a_key_are_a_line_a_second_an_address_and_then_a_number(gateway):
    gateway.reload()  # what it says comes behind all that was said before
    since = len(gateway.log().encode())

    def told():
        lines = [line for line in gateway.log(since).splitlines() if " key_refused " in line]
        return lines, sum(int(m[1]) if (m := re.search(r"127.0.0.1: and (\d+) more", line)) else 1 for line in lines)
    client = gateway.client(key="nonsense")
    for _ in range(100):
        assert client.get("/v1/models").status_code == client.post("/v1/chat/completions", json={}).status_code == 401
    until(lambda: told()[1] == 200, 10 * SLOWER)
    assert len(told()[0]) < 100 and "nonsense" not in gateway.log(since)
    assert gateway.metrics()["atlas_keys_refused_total"] >= 200


def test_bytes_out_are_those_that_the_client_could_read(gateway):
    """Of an error its body; of a reply that a client left in the middle, what was taken of it."""
    key = gateway.new_key("counted")
    refused = gateway.post("/v1/chat/completions", {"model": "none", "messages": [{"role": "user", "content": "hi"}]}, key=key["key"])
    assert refused.status_code == 404
    before = gateway.metrics()["atlas_client_sent_bytes_total"]
    with Raw(gateway.port, key["key"], receive_buffer=4096) as raw:
        raw.request("POST", "/v1/chat/completions", {"model": "m", "stream": True, "sim": {"tokens": 300000},
                                                     "messages": [{"role": "user", "content": "hi"}]})
        raw.read_head()
        read = 0
        while read < 100000:
            read += len(raw.read_chunk())

    def lines():
        found = [json.loads(line) for line in (gateway.data / "access.log").read_text().splitlines()]
        mine = [line for line in found if line["key"] == key["id"]]
        return mine if len(mine) == 2 else None
    error, left = until(lines, 10 * SLOWER)
    assert error["bytes_out"] == len(refused.content)
    assert left["outcome"] == "client_gone"
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0)
    sent = gateway.metrics()["atlas_client_sent_bytes_total"] - before  # heads and the framing of chunks too
    assert read <= left["bytes_out"] <= sent
