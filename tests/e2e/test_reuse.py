# SPDX-License-Identifier: Apache-2.0
"""A model server that answers twice: no call ever gets another's answer, and one caller's flood is no other's.

Each answer carries a nonce of its request, so that an answer which crossed is seen for what it is.
"""
import concurrent.futures
import contextlib
import json
import socket
import ssl
import threading

import pytest

from harness.certificates import Authority
from harness.processes import stubborn
from harness.raw import Raw
from harness.upstream import CHAT, usual
from harness.waiting import until

LARGE = 1_000_000
made = []


def nonce_of(reply):
    return reply.json["choices"][0]["message"]["content"] if reply.status == 200 else None


def ask(model, nonce, pad=0):
    return {"model": model, "messages": [{"role": "user", "content": nonce}], "metadata": {"pad": "x" * pad}}


class Twice:
    """Answers each request with its nonce. What it says beyond that, a test asks it for: the last answer
    again on each open connection (`repeat()`), or as soon as a further request's head comes (`late`)."""

    def __init__(self, tls=None, late=False, echo=False):
        self.late, self.echo = late, echo
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)
        self.lock = threading.Lock()
        self.last = {}  # connection -> the answer it gave last
        self.repeats = 0
        self.gone = threading.Event()  # the test is over
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)  # large bodies wait for it to read
        port = self.listener.getsockname()[1]
        self.url = f"https://localhost:{port}/v1" if tls else f"http://127.0.0.1:{port}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):  # it is closed already
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
        self.listener.close()
        self.gone.set()
        for raw in list(self.last):
            raw.close()

    def repeat(self):
        for raw, answer in list(self.last.items()):
            self._repeat(raw, answer)

    def _repeat(self, raw, answer):
        with self.lock, contextlib.suppress(OSError):  # the gateway may have closed it
            raw.sendall(answer)
            self.repeats += 1

    def _accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw):
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                raw = self.context.wrap_socket(raw, server_side=True)
            self._answer(raw, raw.makefile("rb"))
        except (OSError, ValueError):
            pass  # the gateway, or the test, ended it
        finally:
            self.last.pop(raw, None)
            raw.close()

    def _answer(self, raw, reader):
        while reader.readline():
            fields = {}
            while (line := reader.readline().decode().strip()):
                name, _, value = line.partition(":")
                fields[name.lower()] = value.strip()
            if self.late and raw in self.last:
                self._repeat(raw, self.last[raw])
                if int(fields["content-length"]) >= LARGE:
                    self.gone.wait(10)  # it reads no more
                    return
            asked = json.loads(reader.read(int(fields["content-length"])))
            said = json.loads(json.dumps(CHAT))
            said["choices"][0]["message"]["content"] = asked["messages"][0]["content"]
            body = json.dumps(said)
            echo = f"X-Request-Id: {fields['x-request-id']}\r\n" if self.echo else ""
            answer = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{echo}Content-Length: {len(body)}\r\n\r\n{body}"
            raw.sendall(answer.encode())
            self.last[raw] = answer.encode()


@pytest.fixture(scope="module", params=["http", "https"])
def tls(request, tmp_path_factory):
    """Certificate and key of a server, and the file of who vouches for it; None twice for http."""
    if request.param == "http":
        return None, None
    authority = Authority(tmp_path_factory.mktemp("authority"))
    return authority.issue("localhost"), str(authority.certificate)


@pytest.fixture(scope="module")
def make_pair(make_gateway, tls):
    """make_pair(late=…, echo=…) gives a server that answers twice and a gateway before it."""
    with contextlib.ExitStack() as ends:
        def make(**how):
            server = Twice(tls[0], **how)
            ends.callback(server.close)
            upstream = {"url": server.url, **({"ca_file": tls[1]} if tls[1] else {})}
            made.append(make_gateway({"workers": 1, "upstreams": {"u": upstream | {"breaker": False}}, "models": {"m": {"upstream": "u"}}}))
            return server, made[-1]
        yield make


@pytest.fixture(autouse=True)
def _announce():
    """How many calls failed is told a second later, in another test maybe."""
    for one in made:
        one.announce("call_failed")


def test_an_answer_in_the_turn_of_the_lease_is_no_callers(make_pair):
    server, gateway = make_pair()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Raw(gateway.port, gateway.key)) for _ in range(4)]
        for i in range(50):
            for raw in clients:
                raw.request("POST", "/v1/chat/completions", ask("m", "before"))
            for raw in clients:
                assert nonce_of(raw.read_reply()) == "before"
            server.repeat()  # the bytes are there before the next request is
            for n, raw in enumerate(clients):
                raw.request("POST", "/v1/chat/completions", ask("m", f"call {i} of {n}"))
            for n, raw in enumerate(clients):
                assert nonce_of(raw.read_reply()) == f"call {i} of {n}"
    assert server.repeats >= 150


def test_an_answer_while_the_next_body_is_sent_is_no_callers(make_pair):
    server, gateway = make_pair(late=True)
    gateway.announce("call_failed")
    kept = []
    for i in range(20):
        with Raw(gateway.port, gateway.key) as raw:
            for n, pad in enumerate((0, LARGE)):
                raw.request("POST", "/v1/chat/completions", ask("m", f"call {i}.{n}", pad))
                reply = raw.read_reply()
                assert nonce_of(reply) in (None, f"call {i}.{n}"), reply.body
                kept.append(reply.status)
    assert server.repeats > 0
    assert kept.count(200) >= 20
    assert set(kept) <= {200, 502}


def test_a_late_answer_to_another_request_is_known_by_its_id(make_pair):
    server, gateway = make_pair(late=True, echo=True)
    gateway.announce("call_failed")
    statuses = []

    def caller(n):
        with Raw(gateway.port, gateway.key) as raw:
            for i in range(50):
                raw.request("POST", "/v1/chat/completions", ask("m", f"call {i} of {n}"))
                reply = raw.read_reply()
                assert nonce_of(reply) in (None, f"call {i} of {n}"), reply.body
                statuses.append(reply.status)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(caller, range(8)))
    assert server.repeats > 0
    assert len(statuses) == 400
    assert set(statuses) == {200, 502}


# ---- whose connection, whose queue ----

@pytest.fixture(scope="module")
def gateway(make_gateway, upstream):
    return make_gateway(stubborn({"workers": 1,
                         "upstreams": {**{reuse: {"url": upstream.url, "reuse": reuse} for reuse in ("any", "team", "never")},
                                       "single": {"url": upstream.url, "connections_max": 1, "queue_max": 40},
                                       "free": {"url": upstream.url}},
                         "models": {name: {"upstream": name} for name in ("any", "team", "never", "single", "free")}}))


@pytest.mark.parametrize(("reuse", "connections"), [("any", 1), ("team", 2), ("never", 4)])
def test_whose_calls_share_a_connection_is_for_the_setting_to_say(gateway, upstream, reuse, connections):
    other = gateway.new_key("other")["key"]
    before = upstream.connections
    for key in (gateway.key, other, gateway.key, other):
        assert gateway.post("/v1/chat/completions", ask(reuse, "hi"), key=key).status_code == 200
    assert upstream.connections - before == connections


def test_one_keys_flood_at_one_server_is_nobody_elses(gateway, upstream):
    gateway.announce("call_failed")
    other = gateway.new_key("patient")["key"]
    go_on = threading.Event()
    upstream.script(lambda connection, request: go_on.wait(20) and connection.send(
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(json.dumps(CHAT))}\r\n\r\n{json.dumps(CHAT)}"))
    with contextlib.ExitStack() as stack:
        def begin(count):
            raws = [stack.enter_context(Raw(gateway.port, gateway.key)) for _ in range(count)]
            for raw in raws:
                raw.request("POST", "/v1/chat/completions", ask("single", "flood"))
            return raws
        flood = begin(1)
        upstream.wait_requests(1)
        flood += begin(40)
        until(lambda: gateway.metrics()["atlas_calls_open"] == 41)
        busy = [raw.read_reply() for raw in begin(10)]  # one is served, 40 wait
        assert {reply.status for reply in busy} == {503}
        assert "busy" in busy[0].json["error"]["message"]
        assert gateway.post("/v1/chat/completions", ask("free", "elsewhere")).status_code == 200
        until(lambda: gateway.metrics()["atlas_calls_open"] == 41)
        failed = gateway.metrics()['atlas_calls_total{outcome="failed"}']
        patient = stack.enter_context(Raw(gateway.port, other))
        patient.request("POST", "/v1/chat/completions", ask("single", "patient"))
        until(lambda: gateway.metrics()['atlas_calls_total{outcome="failed"}'] > failed)  # made room
        go_on.set()
        assert patient.read_reply().status == 200
        assert sorted(raw.read_reply().status for raw in flood) == [200] * 40 + [503]
    served = [request.json["messages"][0]["content"] for request in upstream.requests]
    assert served.index("patient") <= served.index("flood") + 3  # not behind the flood


def test_a_model_server_that_hangs_leaves_room_for_calls_to_others(make_gateway, upstream):
    gateway = make_gateway({"workers": 1, "calls": {"max": 16},
                            "upstreams": {name: {"url": upstream.url} for name in ("hung", "free")},
                            "models": {name: {"upstream": name} for name in ("hung", "free")}})
    go_on = threading.Event()

    def hang(connection, request):
        if go_on.wait(20):
            usual(connection, request)
    upstream.script(*[hang] * 14)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Raw(gateway.port, gateway.key)) for _ in range(14)]
        for raw in clients:
            raw.request("POST", "/v1/chat/completions", ask("hung", "hi"))
        upstream.wait_requests(14)
        refused = gateway.post("/v1/chat/completions", ask("hung", "hi"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert gateway.post("/v1/chat/completions", ask("free", "hi")).status_code == 200
        go_on.set()
        for raw in clients:
            assert raw.read_reply().status == 200
