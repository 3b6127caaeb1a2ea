# SPDX-License-Identifier: Apache-2.0
"""Where there are more calls than can be served, those of a higher priority are refused last, and wait least."""
import contextlib
import json
import threading

import pytest

from harness.raw import Raw
from harness.upstream import usual
from harness.waiting import until

PATH = "/v1/chat/completions"
MOST = 16


def ask(model, text="hi"):
    return {"model": model, "messages": [{"role": "user", "content": text}]}


class Held:
    """Calls whose answers a model server keeps until it is told to give them."""

    def __init__(self, gateway, upstream):
        self.gateway, self.upstream = gateway, upstream
        self.go_on = threading.Event()
        self.stack = contextlib.ExitStack()
        self.raws = []

    def hold(self, connection, request):
        assert self.go_on.wait(60)
        usual(connection, request)

    def begin(self, count, key=None, model="m", text="hi"):
        """So many calls that have reached their server."""
        before = len(self.upstream.requests)
        self.upstream.script(*[self.hold] * count)
        self.send(count, key, model, text)
        self.upstream.wait_requests(before + count)

    def send(self, count, key=None, model="m", text="hi"):
        for _ in range(count):
            raw = self.stack.enter_context(Raw(self.gateway.port, key or self.gateway.key))
            raw.request("POST", PATH, ask(model, text))
            self.raws.append(raw)

    def end(self):
        self.go_on.set()
        for raw in self.raws:
            assert raw.read_reply().status == 200
        self.close()

    def close(self):
        self.go_on.set()
        self.stack.close()
        until(lambda: self.gateway.metrics()["atlas_calls_open"] == 0)


@pytest.fixture
def hold(upstream):
    with contextlib.ExitStack() as ends:
        def make(gateway):
            held = Held(gateway, upstream)
            ends.callback(held.close)
            return held
        yield make


@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    made = make_gateway({"calls": {"max": MOST}, "upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}}})
    for name in ("low", "normal", "high"):
        made.admin("POST", "/admin/v1/teams", json={"name": name, "limits": {"priority": name}})
    return made


@pytest.fixture(scope="module")
def keys(gateway):
    return {name: gateway.new_key(name, team=name)["key"] for name in ("low", "normal", "high")}


def shed(gateway):
    return {name: gateway.metrics()[f'atlas_calls_shed_total{{priority="{name}"}}'] for name in ("low", "normal", "high")}


def test_calls_of_a_lower_priority_are_refused_before_all_places_are_taken(gateway, keys, hold):
    held, before = hold(gateway), shed(gateway)
    held.begin(11, keys["low"])
    assert gateway.post(PATH, ask("m"), key=keys["low"]).status_code == 200  # the twelfth
    held.begin(1, keys["low"])
    refused = gateway.post(PATH, ask("m"), key=keys["low"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert "low priority" in refused.json()["error"]["message"]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    held.begin(3, keys["normal"])
    refused = gateway.post(PATH, ask("m"), key=keys["normal"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert gateway.post(PATH, ask("m")).status_code == 503  # of a key without a team: normal
    held.begin(1, keys["high"])
    assert gateway.post(PATH, ask("m"), key=keys["high"]).status_code == 503  # all 16 are taken
    assert {name: count - before[name] for name, count in shed(gateway).items()} == {"low": 1, "normal": 2, "high": 1}
    held.end()
    for key in keys.values():
        assert gateway.post(PATH, ask("m"), key=key).status_code == 200


def waiting(gateway):
    return gateway.admin("GET", "/admin/v1/upstreams").json()["data"][0]["waiting"]


def test_one_crowded_server_leaves_room_for_a_high_priority(make_gateway, upstream, hold):
    gateway = make_gateway({"calls": {"max": 32}, "upstreams": {name: {"url": upstream.url} for name in ("u", "v")},
                            "models": {"m": {"upstream": "u"}, "n": {"upstream": "v"}}})
    high = gateway.new_key("high", limits={"priority": "high"})["key"]
    held = hold(gateway)
    held.begin(28)
    refused = gateway.post(PATH, ask("m"))
    assert refused.status_code == 503 and "busy" in refused.json()["error"]["message"]
    assert gateway.post(PATH, ask("m"), key=high).status_code == 200
    held.end()


def test_bodies_of_a_low_priority_leave_room_for_others(make_gateway, upstream):
    gateway = make_gateway({"workers": 1, "calls": {"buffered_max": "16MiB"}, "client": {"body_max": "8MiB"},
                            "upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}}})
    low = gateway.new_key("low", limits={"priority": "low"})["key"]
    with contextlib.ExitStack() as stack:
        raws = [stack.enter_context(Raw(gateway.port, low)) for _ in range(8)]
        for raw in raws:  # heads while there is room, and then all but the last byte of three megabytes each
            raw.send(b"POST %s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 3000000\r\n\r\n"
                     % (PATH.encode(), low.encode()))
        until(lambda: gateway.metrics()["atlas_calls_open"] == 8)
        for raw in raws:
            with contextlib.suppress(OSError):  # it was refused
                raw.send(b" " * 2999999)
        until(lambda: shed(gateway)["low"] >= 1)
        assert gateway.metrics()["atlas_buffered_bytes"] <= 0.75 * (16 << 20)
        assert gateway.post(PATH, ask("m", "x" * 1000000)).status_code == 200


@pytest.fixture(scope="module")
def narrow(make_gateway, upstream):
    """One whose server has one connection."""
    return make_gateway({"workers": 1, "upstreams": {"one": {"url": upstream.url, "connections_max": 1}},
                         "models": {"single": {"upstream": "one"}}})


def test_of_those_that_wait_for_a_server_the_higher_are_served_first(narrow, upstream, hold):
    keys = {name: narrow.new_key(name, limits={"priority": name})["key"] for name in ("low", "normal", "high")}
    held, first = hold(narrow), len(upstream.requests)
    held.begin(1, model="single", text="first")
    for name in ("low", "normal", "high"):
        held.send(2, keys[name], "single", name)
        until(lambda: waiting(narrow) == len(held.raws) - 1)
    held.end()
    served = [request.json["messages"][0]["content"] for request in upstream.requests[first:]]
    assert served == ["first", "high", "high", "normal", "normal", "low", "low"], served


def test_a_flood_of_a_high_priority_does_not_keep_others_waiting_for_ever(narrow, upstream, hold):
    keys = {name: narrow.new_key(name, limits={"priority": name})["key"] for name in ("low", "high")}
    held, first = hold(narrow), len(upstream.requests)
    held.begin(1, model="single", text="first")
    for name, count in (("high", 60), ("low", 2)):
        held.send(count, keys[name], "single", name)
    until(lambda: waiting(narrow) == 62)
    held.end()
    served = [request.json["messages"][0]["content"] for request in upstream.requests[first:]]
    places = [i for i, name in enumerate(served) if name == "low"]
    assert places[0] <= 18 and places[1] <= 35, places  # one of seventeen


def test_a_place_that_nobody_of_a_high_priority_may_take_is_not_kept(make_gateway, upstream, hold):
    gateway = make_gateway({"calls": {"max": MOST}, "upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}}})
    held = hold(gateway)
    held.begin(MOST)
    assert gateway.post(PATH, ask("m")).status_code == 503
    held.end()


def test_the_lowest_priority_of_all_levels_holds(gateway, keys, hold):
    own = gateway.new_key("own", team="low", limits={"priority": "high"})["key"]
    held = hold(gateway)
    held.begin(12)
    refused = gateway.post(PATH, ask("m"), key=own)
    assert refused.status_code == 503 and "low priority" in refused.json()["error"]["message"]
    gateway.admin("PATCH", "/admin/v1/teams/low", json={"limits": {"priority": None}})
    assert gateway.post(PATH, ask("m"), key=own).status_code == 200
    gateway.admin("PATCH", "/admin/v1/teams/low", json={"limits": {"priority": "low"}})
    assert gateway.post(PATH, ask("m"), key=own).status_code == 503  # at once, for calls to come
    held.end()


def test_a_plan_says_the_priority_of_those_who_say_none(gateway, hold):
    gateway.admin("POST", "/admin/v1/plans", json={"name": "batch", "limits": {"priority": "low"}})
    key = gateway.new_key("batch", plan="batch")["key"]
    held = hold(gateway)
    held.begin(12)
    assert gateway.post(PATH, ask("m"), key=key).status_code == 503
    assert gateway.post(PATH, ask("m")).status_code == 200
    held.end()


def test_commands_set_and_show_a_priority(commands):
    def done(*words):
        said = commands(*words)
        assert said.returncode == 0, said.stderr
        return said.stdout
    done("team", "create", "--name", "night", "--priority", "low")
    assert json.loads(done("team", "show", "night", "--json"))["limits"]["priority"] == "low"
    done("limit", "set", "--team", "night", "--priority", "high")
    assert json.loads(done("limit", "show", "--team", "night", "--json"))["priority"] == "high"
    assert "high" in done("limit", "list")
    done("limit", "set", "--team", "night", "--priority", "none")
    assert json.loads(done("limit", "show", "--team", "night", "--json"))["priority"] is None
    wrong = commands("limit", "set", "--team", "night", "--priority", "urgent")
    assert wrong.returncode == 2 and "low" in wrong.stderr and "high" in wrong.stderr
