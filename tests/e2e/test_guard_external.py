# SPDX-License-Identifier: Apache-2.0
"""External scanners: what they are shown, what becomes of what they find, and that nothing goes on unscanned."""
import json
import re
import time

import httpx
import pytest

from harness.processes import SLOWER
from harness.upstream import CLOSE, Upstream, hang, reply
from harness.waiting import until

OUTCOME = 'atlas_guard_external_total{outcome="%s"}'
UNSCANNED = "atlas_guard_unscanned_total"
TIMEOUT_MS = min(400 * SLOWER, 4000)
NAMES = re.compile(r"Sara Ahmed|سارة أحمد|Bob")
PLACES = re.compile(r"Riyadh|الرياض")
MAILS = re.compile(r"[a-z]+ at [a-z]+ dot com")


def found_in(text):
    return [(kind, m.start(), m.end()) for kind, pattern in (("PERSON", NAMES), ("LOCATION", PLACES), ("EMAIL_ADDRESS", MAILS)) for m in pattern.finditer(text)]


class Scanner(Upstream):
    """Finds names, and places; answers by the contract that it is asked by, or does what `instead` says."""
    instead = None

    def __init__(self):
        super().__init__()
        self.scripts = self
        self.base = f"http://127.0.0.1:{self.port}"

    def popleft(self):
        return self.instead or self.scan

    def clear(self):
        self.instead = None

    def texts(self):
        return [t["text"] for r in self.requests for t in r.json["texts"]]

    @staticmethod
    def scan(connection, request):
        asked = request.json
        if request.target == "/analyze":
            return reply(200, [{"entity_type": kind, "start": start, "end": end, "score": 0.85, "analysis_explanation": None}
                               for kind, start, end in found_in(asked["text"])])(connection, request)
        found = [{"text": i, "type": kind.lower(), "start": len(t["text"][:start].encode()), "end": len(t["text"][:end].encode()), "score": 0.9}
                 for i, t in enumerate(asked["texts"]) for kind, start, end in found_in(t["text"])]
        return reply(200, {"findings": found})(connection, request)


@pytest.fixture(scope="module")
def model():
    server = Upstream()
    yield server
    server.close()


@pytest.fixture(scope="module")
def scanner():
    server = Scanner()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def forget(gateway, model, scanner):
    gateway.announce("guard_scanner")
    yield
    model.forget()
    scanner.requests.clear()
    scanner.clear()


HOME = {"region": "sa", "zone": "test-zone"}


def config_of(model, scanner, guard=None, more=None, **of_scanner):
    external = {"name": "ner", "kind": "atlas", "url": scanner.base + "/scan", "timeout": f"{TIMEOUT_MS}ms", "types": ["person", "location"],
                "on_failure": "block", **HOME, **of_scanner}
    return {"workers": 1, "upstreams": {"u": {"url": model.url, **HOME}}, "models": {"m": {"upstream": "u"}, "e": {"upstream": "u", "endpoints": ["embeddings"]}},
            "guard": {"mode": "enforce", "restore": True, "prompts": {"person": "redact", "email": "redact", "iban": "block"},
                      "external": [external], **(guard or {})}, **(more or {})}


@pytest.fixture(scope="module")
def make(make_gateway, model, scanner):
    def made(*args, **more):
        gateway = make_gateway(config_of(model, scanner, *args, **more))
        gateway.announce("guard_scanner")
        return gateway
    return made


@pytest.fixture(scope="module")
def gateway(make):
    return make()


def content_of(request):
    return request.json["messages"][0]["content"]


def test_a_name_is_redacted_on_the_way_and_put_back(gateway, model, scanner):
    model.script(reply(200, {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Dear [PERSON_1]"}}]}))
    got = gateway.chat("m", content="write to Sara Ahmed in Riyadh")
    assert got.status_code == 200, got.text
    assert content_of(model.last) == "write to [PERSON_1] in Riyadh"
    assert got.json()["choices"][0]["message"]["content"] == "Dear Sara Ahmed"
    [asked] = scanner.requests
    assert asked.target == "/scan" and asked.method == "POST" and asked.header("content-type") == "application/json"
    assert set(asked.json) == {"call", "direction", "texts"} and asked.json["direction"] == "prompt"
    assert asked.json["texts"] == [{"channel": "user", "text": "write to Sara Ahmed in Riyadh"}]
    assert asked.json["call"] == got.headers["x-request-id"]


def test_what_was_redacted_before_is_not_shown_and_all_texts_go_in_one_request(gateway, model, scanner):
    messages = [{"role": "system", "content": "Be kind to Bob"}, {"role": "user", "content": [
        {"type": "text", "text": "سارة أحمد 🙂 has sara@ministry.gov.sa"}, {"type": "text", "text": "\"Bob\"\n\ttold \\ Bob 🇸🇦 Bob"}]}]
    got = gateway.post("/v1/chat/completions", {"model": "m", "messages": messages})
    assert got.status_code == 200, got.text
    [asked] = scanner.requests
    assert [t["text"] for t in asked.json["texts"]] == ["Be kind to Bob", "سارة أحمد 🙂 has [EMAIL_1]", "\"Bob\"\n\ttold \\ Bob 🇸🇦 Bob"]
    assert [t["channel"] for t in asked.json["texts"]] == ["system", "user", "user"]
    sent = model.last.json["messages"]
    assert sent[0]["content"] == "Be kind to [PERSON_1]"
    assert [p["text"] for p in sent[1]["content"]] == ["[PERSON_2] 🙂 has [EMAIL_1]", "\"[PERSON_1]\"\n\ttold \\ [PERSON_1] 🇸🇦 [PERSON_1]"]


def test_escapes_of_the_body_are_no_matter(gateway, model, scanner):
    body = b'{"model":"m","messages":[{"role":"user","content":"\\u0042ob \\ud83d\\ude42 \\u0633\\u0627\\u0631\\u0629 \\u0623\\u062d\\u0645\\u062f, \\"Bo\\u0062\\""}]}'
    got = gateway.request("POST", "/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert got.status_code == 200 and content_of(model.last) == '[PERSON_1] 🙂 [PERSON_2], "[PERSON_1]"'


def test_presidio_is_asked_as_its_api_wants_it(make, model, scanner):
    gateway = make(kind="presidio", url=scanner.base, language="ar")
    got = gateway.post("/v1/chat/completions", {"model": "m", "messages": [
        {"role": "user", "content": "🙂 سارة أحمد"}, {"role": "user", "content": "🙂🙂 from Bob, bob at mail dot com, sara@ministry.gov.sa"}]})
    assert got.status_code == 200, got.text
    [asked] = scanner.requests
    assert asked.target == "/analyze"
    assert asked.json == {"text": "🙂 سارة أحمد\n\n🙂🙂 from Bob, bob at mail dot com, [EMAIL_1]", "language": "ar"}
    assert [m["content"] for m in model.last.json["messages"]] == ["🙂 [PERSON_1]", "🙂🙂 from [PERSON_2], [EMAIL_2], [EMAIL_1]"]


def test_streams_completions_embeddings_and_large_bodies_are_looked_at(gateway, model, scanner):
    assert gateway.chat("m", content="hello Bob", stream=True).status_code == 200
    assert content_of(model.last) == "hello [PERSON_1]"
    assert gateway.post("/v1/embeddings", {"model": "e", "input": ["Bob", "Riyadh", "Bob and Sara Ahmed"]}).status_code == 200
    assert model.last.json["input"] == ["[PERSON_1]", "Riyadh", "[PERSON_1] and [PERSON_2]"]
    long = "word " * 30000
    got = gateway.chat("m", content=long + "Bob " + long)
    assert got.status_code == 200, got.text
    assert content_of(model.last) == long + "[PERSON_1] " + long
    many = [{"role": "user", "content": f"{i} Bob"} for i in range(3000)]
    assert gateway.post("/v1/chat/completions", {"model": "m", "messages": many}).status_code == 200
    assert [m["content"] for m in model.last.json["messages"]] == [f"{i} [PERSON_1]" for i in range(3000)]


def test_actions_of_prompts_hold_for_its_types(make, model, scanner):
    gateway = make({"prompts": {"person": "block", "location": "mask", "ner": "flag"}})
    got = gateway.chat("m", content="write to Bob")
    assert got.status_code == 400 and got.json()["error"]["code"] == "content_filter"
    assert got.json()["error"]["details"] == {"violation_type": "pii_detected", "entities": ["person"], "action_taken": "request_blocked"}
    assert not model.requests
    assert gateway.chat("m", content="go to Riyadh").status_code == 200 and content_of(model.last) == "go to ******"


def test_what_nobody_has_named_has_the_scanners_name(gateway, model, scanner):
    scanner.instead = reply(200, {"findings": [{"text": 0, "type": "SHOE_SIZE", "start": 0, "end": 2, "score": 1}]})
    assert gateway.chat("m", content="44 is my size").status_code == 200
    assert content_of(model.last) == "44 is my size"
    gateway.until_recorded()
    gateway.command("usage")
    made = [json.loads(line) for line in gateway.command("journal", "print").stdout.splitlines()]
    assert [r for r in made if r["kind"] == "completion" and not r.get("shadow")][-1]["findings"] == "ner:prompt:flag:1@0"


def test_where_nothing_can_stand_in_its_place_it_is_blocked(gateway, model):
    tools = [{"type": "function", "function": {"name": "write", "parameters": {"type": "object", "properties": {"to": {"enum": ["Bob and co"]}}}}}]
    got = gateway.post("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": tools})
    assert got.status_code == 400 and got.json()["error"]["code"] == "content_filter" and not model.requests


def test_overlaps_are_one_and_types_have_their_confidence(gateway, model, scanner):
    finding = {"text": 0, "type": "person", "score": 0.9}
    scanner.instead = reply(200, {"findings": [{**finding, "start": 0, "end": 6}, {**finding, "start": 4, "end": 9}, {**finding, "start": 2, "end": 3},
                                               {**finding, "start": 10, "end": 12, "score": 0.3}]})
    assert gateway.chat("m", content="Bob Smith is here").status_code == 200
    assert content_of(model.last) == "[PERSON_1] is here"


def test_what_stands_there_already_is_left_alone(gateway, model, scanner):
    scanner.instead = lambda connection, request: reply(200, {"findings": [
        {"text": 0, "type": "person", "start": 0, "end": len(request.json["texts"][0]["text"])}]})(connection, request)
    assert gateway.chat("m", content="a@ministry.gov.sa").status_code == 200
    assert content_of(model.last) == "[EMAIL_1]"
    assert gateway.chat("m", content="Bob, a@ministry.gov.sa, Eve").status_code == 200
    assert content_of(model.last) == "[PERSON_1][EMAIL_1][PERSON_2]"


# ---- failures ----

def unscanned(gateway, model, outcome, content="hello Bob", should_retry=None):
    before = gateway.metrics()[OUTCOME % outcome]
    got = gateway.chat("m", content=content)
    assert got.status_code == 503, got.text
    assert got.json()["error"]["code"] == "guard_unavailable" and "ner" in got.json()["error"]["message"]
    assert int(got.headers["retry-after"]) >= 1 and got.headers.get("x-should-retry") == should_retry
    assert not model.requests
    assert gateway.metrics()[OUTCOME % outcome] == before + 1
    return got


FINDING = {"text": 0, "type": "person", "start": 0, "end": 3, "score": 0.5}
LIES = [b"", b"no", b"[]", {"findings": {}}, {"findings": [1]}, {"findings": [{**FINDING, "text": 1}]}, {"findings": [{**FINDING, "text": -1}]},
        {"findings": [{**FINDING, "end": 999}]}, {"findings": [{**FINDING, "start": -1}]}, {"findings": [{**FINDING, "start": 3}]},
        {"findings": [{**FINDING, "end": 8}]}, {"findings": [{**FINDING, "score": 2}]}, {"findings": [{**FINDING, "type": 7}]},
        {"findings": [{**FINDING, "start": "0"}]}, {"findings": [{**FINDING, "end": 10**30}]}, {"findings": [FINDING] * 4097}, "x" * (2 << 20)]


@pytest.mark.parametrize("lie", range(len(LIES)))
def test_a_liar_is_not_believed(gateway, model, scanner, lie):
    scanner.instead = reply(200, LIES[lie])
    unscanned(gateway, model, "failed" if lie == len(LIES) - 1 else "nonsense", "hello 🙂 Bob")
    scanner.clear()
    assert gateway.chat("m", content="hello Bob").status_code == 200  # and five of them are not in a row


def test_a_slow_one_costs_no_more_than_its_timeout(gateway, model, scanner):
    scanner.instead = hang
    begun = time.monotonic()
    unscanned(gateway, model, "late")
    assert TIMEOUT_MS / 1000 <= time.monotonic() - begun < TIMEOUT_MS / 1000 + 1 * SLOWER
    scanner.clear()
    assert gateway.chat("m", content="hello Bob").status_code == 200


@pytest.mark.parametrize("script", [reply(500, {"error": "x"}), reply(404, "none"), lambda connection, request: CLOSE,
                                    lambda connection, request: connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}") or CLOSE])
def test_an_error_is_no_answer(gateway, model, scanner, script):
    scanner.instead = script
    unscanned(gateway, model, "failed")
    scanner.clear()
    assert gateway.chat("m", content="hello Bob").status_code == 200


def test_by_policy_a_call_goes_on_and_is_counted(make, model, scanner):
    gateway = make(on_failure="allow")
    scanner.instead = reply(500, "x")
    assert gateway.chat("m", content="hello Bob, a@ministry.gov.sa").status_code == 200
    assert content_of(model.last) == "hello Bob, [EMAIL_1]"
    assert gateway.metrics()[UNSCANNED] == 1
    until(lambda: "scanner ner did not look at the request" in gateway.log(), 10, "the log to tell it")
    assert "Bob" not in gateway.log()


def test_in_a_dry_run_nothing_is_done(make, model, scanner):
    gateway = make({"mode": "dry-run"})
    assert gateway.chat("m", content="hello Bob").status_code == 200 and content_of(model.last) == "hello Bob"
    assert scanner.requests
    scanner.instead = reply(500, "x")
    assert gateway.chat("m", content="hello Bob").status_code == 200


def test_one_that_fails_again_and_again_is_left_in_peace(make, model, scanner):
    gateway = make()
    scanner.instead = reply(500, "x")
    for _ in range(5):
        unscanned(gateway, model, "failed")
    asked = len(scanner.requests)
    got = unscanned(gateway, model, "resting")
    assert 1 <= int(got.headers["retry-after"]) <= 5 and len(scanner.requests) == asked
    scanner.clear()
    until(lambda: gateway.chat("m", content="hello Bob").status_code == 200, 15, "the scanner to be asked again")


def test_a_client_that_goes_leaves_nothing_behind(gateway, model, scanner):
    scanner.instead = hang
    body = {"model": "m", "messages": [{"role": "user", "content": "hello Bob"}]}
    with pytest.raises(httpx.TimeoutException), httpx.Client(base_url=gateway.url, timeout=0.1) as client:
        client.post("/v1/chat/completions", headers={"Authorization": f"Bearer {gateway.key}"}, json=body)
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0, 10, "no call to be open")
    scanner.clear()
    assert gateway.chat("m", content="hello Bob").status_code == 200


# ---- borders ----

def test_one_abroad_is_not_asked_where_calls_stay(make, model, scanner):
    gateway = make(more={"regions": ["sa"]}, region="us")
    unscanned(gateway, model, "excluded", should_retry="false")
    assert not scanner.requests


def test_one_elsewhere_is_not_asked_where_a_call_stays_at_home(make, model, scanner):
    gateway = make(zone="elsewhere")
    assert gateway.chat("m", content="hello Bob").status_code == 200
    scanner.requests.clear()
    model.forget()
    got = gateway.chat("m", content="hello Bob", routing={"profile": "local-only"})
    assert got.status_code == 503 and not scanner.requests and not model.requests


def test_data_of_a_class_goes_only_where_it_is_cleared_for(make, model, scanner):
    gateway = make(clearance="internal", more={"upstreams": {"u": {"url": model.url, "clearance": "secret", **HOME}}})
    head = {"X-Data-Classification": "restricted"}
    got = gateway.request("POST", "/v1/chat/completions", headers=head, json={"model": "m", "messages": [{"role": "user", "content": "hello Bob"}]})
    assert got.status_code == 503 and not scanner.requests and not model.requests


def test_a_class_that_a_finding_gives_is_honoured(make, model, scanner):
    gateway = make({"classes": {"person": "restricted"}})
    assert gateway.chat("m", content="hello").status_code == 200
    got = gateway.chat("m", content="hello Bob")
    assert got.status_code == 451, got.text


# ---- what is written down ----

def test_a_question_is_recorded_beside_the_call_and_in_no_sum(gateway, model, scanner):
    got = gateway.chat("m", content="hello Bob")
    gateway.until_recorded()
    gateway.command("usage")
    text = gateway.command("journal", "print").stdout
    made = [json.loads(line) for line in text.splitlines()]
    question = [r for r in made if r.get("shadow")][-1]
    assert question["endpoint"] == "guard" and question["model"] == question["upstream"] == "ner" and question["region"] == "sa"
    call = [r for r in made if r["kind"] == "completion" and r["call"] == got.headers["x-request-id"]] if "call" in made[0] else made
    assert call and "Bob" not in text
    assert not any(row["model"] == "ner" for row in gateway.usage())
    assert "ner" not in [m["id"] for m in gateway.request("GET", "/v1/models").json()["data"]]
    assert gateway.chat("ner", content="x").status_code == 404


def test_without_a_scanner_nothing_is_asked(make_gateway, model):
    gateway = make_gateway({"upstreams": {"u": {"url": model.url}}, "models": {"m": {"upstream": "u"}}})
    assert gateway.chat("m", content="hello Bob").status_code == 200
    assert all(gateway.metrics()[OUTCOME % word] == 0 for word in ("ok", "late", "failed", "nonsense", "excluded", "large", "crowded", "resting"))


def test_a_copy_has_what_the_call_has_and_nobody_asks_twice(make, model, scanner, tmp_path):
    other = Upstream()
    rules = tmp_path / "rules.yaml"
    rules.write_text(json.dumps({"routes": [{"name": "both", "model": "m", "shadow": {"model": "copy", "percent": 100}}]}))
    gateway = make(more={"routing": str(rules), "upstreams": {"u": {"url": model.url, **HOME}, "o": {"url": other.url, **HOME}},
                         "models": {"m": {"upstream": "u"}, "copy": {"upstream": "o"}}})
    assert gateway.chat("auto", content="hello Bob, a@ministry.gov.sa").status_code == 200
    other.wait_requests(1)
    assert content_of(other.last) == content_of(model.last) == "hello [PERSON_1], [EMAIL_1]"
    assert len(scanner.requests) == 1
    other.close()


def test_two_scanners_are_asked_one_behind_the_other(make, model, scanner):
    second = Scanner()
    gateway = make({"external": [{"name": name, "kind": "atlas", "url": s.base, "types": ["person"], **HOME} for name, s in
                                 (("one", scanner), ("two", second))]})
    assert gateway.chat("m", content="hello Bob").status_code == 200
    assert scanner.texts() == ["hello Bob"] and second.texts() == ["hello [PERSON_1]"] and second.requests[-1].target == "/"
    assert content_of(model.last) == "hello [PERSON_1]"
    second.close()

