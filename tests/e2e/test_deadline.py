# SPDX-License-Identifier: Apache-2.0
"""`X-Request-Timeout`: how long a caller waits for the whole call. Nobody works for it afterwards, and no server is blamed."""
import json
import threading
import time

import pytest

from harness.processes import SLOWER
from harness.raw import Raw, events
from harness.upstream import chunk, data, usual
from harness.waiting import until

PATH = "/v1/chat/completions"


def ask(model="m", **more):
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    return make_gateway({"workers": 1,
                         "upstreams": {**{name: {"url": upstream.url} for name in ("a", "b")}, "one": {"url": upstream.url, "connections_max": 1}},
                         "models": {"m": {"deployments": [{"upstream": "a"}, {"upstream": "b"}]}, "single": {"upstream": "one"}}})


class Silent:
    """A script that answers when it is told to, or when the gateway has gone."""

    def __init__(self):
        self.go_on = threading.Event()

    def __call__(self, connection, request):
        assert self.go_on.wait(60)


def failures(gateway):
    return {row["name"]: (row["state"], row["errors"]) for row in gateway.admin("GET", "/admin/v1/upstreams").json()["data"]}


def test_what_its_caller_does_not_wait_for_any_more_ends_and_is_no_server_s_fault(gateway, upstream):
    gateway.announce("call_failed")
    for _ in range(6):  # as many as would open a breaker
        silent, before, began = Silent(), len(upstream.requests), time.monotonic()
        upstream.script(silent)
        got = gateway.post(PATH, ask(), headers={"X-Request-Timeout": "0.2"})
        assert (got.status_code, got.json()["error"]["code"]) == (504, "deadline_exceeded")
        assert "X-Request-Timeout" in got.json()["error"]["message"]
        assert 0.2 <= time.monotonic() - began < 2 * SLOWER
        assert len(upstream.requests) == before + 1  # no other was asked in its place
        silent.go_on.set()
    assert set(failures(gateway).values()) == {("up", 0)}
    assert gateway.post(PATH, ask(), headers={"X-Request-Timeout": "60"}).status_code == 200


def test_a_server_that_answers_nobody_is_not_taken_for_quick(make_gateway, make_sim, upstream):
    hung = Silent()
    gateway = make_gateway({"workers": 1, "upstreams": {"a": {"url": upstream.url}, "b": {"url": make_sim().base}},
                            "models": {"m": {"deployments": [{"upstream": "a"}, {"upstream": "b"}]}}})
    gateway.announce("call_failed")
    upstream.script(*[hung] * 40)
    said = [gateway.post(PATH, ask(max_tokens=1), headers={"X-Request-Timeout": "0.3"}).status_code for _ in range(40)]
    hung.go_on.set()
    upstream.forget()
    assert set(said) <= {200, 504} and said.count(200) >= 30, said
    assert failures(gateway)["a"] == ("up", 0)  # nobody waited long enough to say more


def test_what_a_server_had_of_it_is_paid_for(gateway, upstream):
    gateway.announce("call_failed")
    silent = Silent()
    upstream.script(silent)
    before = gateway.metrics()['atlas_tokens_total{direction="input"}']
    got = gateway.post(PATH, {"model": "m", "messages": [{"role": "user", "content": "word " * 1000}]}, headers={"X-Request-Timeout": "0.2"})
    assert got.status_code == 504
    silent.go_on.set()
    until(lambda: gateway.metrics()['atlas_tokens_total{direction="input"}'] >= before + 1000, what="its tokens")


def test_a_body_that_comes_later_reaches_no_server(gateway, upstream):
    gateway.announce("call_failed")
    before = len(upstream.requests)
    with Raw(gateway.port, gateway.key) as raw:
        body = json.dumps(ask()).encode()
        raw.send(b"POST %s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nX-Request-Timeout: 0.1\r\n"
                 b"Content-Length: %d\r\n\r\n" % (PATH.encode(), gateway.key.encode(), len(body)))
        began = time.monotonic()
        until(lambda: time.monotonic() > began + 0.2)
        raw.send(body)
        reply = raw.read_reply()
    assert (reply.status, reply.json["error"]["code"]) == (504, "deadline_exceeded")
    assert len(upstream.requests) == before


def test_what_is_left_of_it_is_handed_on(gateway, upstream):
    for said, most in (("30", 30), ("2.5", 2.5), ("86400", 86400)):
        assert gateway.post(PATH, ask(), headers={"X-Request-Timeout": said}).status_code == 200
        left = float(upstream.last.header("X-Request-Timeout"))
        assert most - 1 * SLOWER < left <= most
    assert gateway.post(PATH, ask()).status_code == 200
    assert upstream.last.header("X-Request-Timeout") is None


@pytest.mark.parametrize("said", ["0", "0.0", "-1", "1.2345", "86401", "86400.001", "soon", "1s", "", "1,5", "1e3", "99999999999999999999"])
def test_one_that_is_none_is_400(gateway, upstream, said):
    before = len(upstream.requests)
    got = gateway.post(PATH, ask(), headers={"X-Request-Timeout": said})
    assert got.status_code == 400 and "from 0.001 to 86400" in got.json()["error"]["message"]
    assert len(upstream.requests) == before


def test_a_stream_ends_with_an_error_event(gateway, upstream):
    gateway.announce("call_failed")
    go_on = threading.Event()

    def begin(connection, request):
        first = data(chunk({"role": "assistant", "content": "Salam"}))
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(first), first))
        assert go_on.wait(60)
    upstream.script(begin)
    with Raw(gateway.port, gateway.key) as raw:
        raw.request("POST", PATH, ask(stream=True), headers=[("X-Request-Timeout", "0.5")])
        said = events(raw.read_reply().body)
    go_on.set()
    assert said[0]["choices"][0]["delta"]["content"] == "Salam"
    assert [event["error"]["code"] for event in said if "error" in event] == ["deadline_exceeded"]
    assert set(failures(gateway).values()) == {("up", 0)}


def test_who_waits_for_a_server_waits_no_longer(gateway, upstream):
    gateway.announce("call_failed")
    go_on = threading.Event()

    def hold(connection, request):
        assert go_on.wait(60)
        usual(connection, request)
    upstream.script(hold)
    with Raw(gateway.port, gateway.key) as first:
        before = len(upstream.requests)
        first.request("POST", PATH, ask("single"))
        upstream.wait_requests(before + 1)
        got = gateway.post(PATH, ask("single"), headers={"X-Request-Timeout": "0.3"})
        assert (got.status_code, got.json()["error"]["code"]) == (504, "deadline_exceeded")
        go_on.set()
        assert first.read_reply().status == 200
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0)
    assert len(upstream.requests) == before + 1
