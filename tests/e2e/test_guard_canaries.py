# SPDX-License-Identifier: Apache-2.0
"""Values and words that were sent, said, refused or found are written down nowhere: through every endpoint, every action and every way to fail."""
import json
import os
import pathlib

import pytest

from harness.guarded import CARD, EGYPT, EMAIL, EMAIL_2, IBAN, IQAMA, PATH, PEM_LINES, PHONE, SAUDI, SAUDI_EASTERN, SECRET, guard, said
from harness.processes import SANITIZED, get
from harness.raw import Raw
from harness.upstream import CLOSE, chunk, reply, stream
from harness.waiting import until

PROSE, SPOKEN = "canary-of-prose-5e1d", "canary-of-a-reply-90ab"
DIGITS = {"saudi_id": SAUDI, "credit_card": CARD, "iqama": IQAMA, "egypt_id": EGYPT, "iban": IBAN}
CANARIES = [PROSE, SPOKEN, EMAIL, EMAIL_2, PHONE, SECRET, SAUDI_EASTERN, PEM_LINES[1], *DIGITS.values()]
ACTIONS = {"email": "redact", "saudi_id": "redact", "phone": "mask", "iban": "hash", "credit_card": "block", "secret": "block", "iqama": "local_only", "egypt_id": "flag",
           "private_key": "block"}
PROMPTS = [f"{PROSE} to {EMAIL} and {EMAIL_2}", f"{PROSE} ID number {SAUDI} or {SAUDI_EASTERN}", f"{PROSE} call {PHONE}", f"{PROSE} IBAN {IBAN}", f"{PROSE} my card {CARD}",
           f"{PROSE} token {SECRET}", f"{PROSE} iqama number {IQAMA}", f"{PROSE} national ID number {EGYPT}", "\n".join([PROSE, *PEM_LINES])]
REPLIES = [f"{SPOKEN} of {value}" for value in (EMAIL, f"ID number {SAUDI}", PHONE, f"IBAN {IBAN}", f"card {CARD}", SECRET)]


@pytest.fixture(scope="module", params=["enforce", "dry-run"])
def gateway(request, make_gateway, upstream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    made = make_gateway({
        "upstreams": {"u": {"url": upstream.url, "breaker": False}, "dead": {"url": "http://127.0.0.1:1", "breaker": False}, "far": {"url": upstream.url, "region": "de"}},
        "models": {"m": {"upstream": "u"}, "dead": {"upstream": "dead"}, "far": {"upstream": "far"}},
        "guard": guard(request.param, prompts=ACTIONS, replies={**ACTIONS, "iqama": "flag"}, restore=True, injection={"action": "flag", "threshold": 0.1}),
        "log": {"level": "debug", "access": str(folder / "access.log")}})
    made.logs = folder
    return made


def ways(upstream, text):
    """How a model server may answer, each with what it says."""
    yield reply(200, said({"content": text}))
    yield stream(*(chunk({"content": c}) for c in text), chunk({}, "stop"))
    yield stream(*(chunk({"content": c}) for c in text), cut=True)
    yield reply(400, {"error": {"message": text, "type": text, "code": text}})
    yield reply(500, {"error": {"message": text}})
    yield reply(503, text)
    yield reply(200, text)  # no JSON
    yield reply(200, text, headers=[("Content-Encoding", "zip")])
    yield stream({"error": {"message": text}})
    yield stream(text)
    yield lambda connection, request: CLOSE


def send_everything(gateway, upstream):
    gateway.announce("call_failed", "upstream_down", "key_guessed", "upstream_broken", "upstream_odd")
    for prompt in PROMPTS:
        messages = [{"role": "user", "content": prompt}]
        for body, path in (({"messages": messages}, PATH), ({"messages": messages, "stream": True}, PATH), ({"prompt": prompt}, "/v1/completions"),
                           ({"input": prompt}, "/v1/embeddings"), ({"input": prompt}, "/v1/moderations"), ({"messages": messages}, "/v1/no-such-thing")):
            for model in ("m", "dead", "far", "no-such-model"):
                gateway.post(path, {"model": model, **body})
        gateway.post(PATH, {"model": "m", "messages": messages, "user": prompt, "metadata": {"who": prompt}, "tools": [{"type": "function", "function": {"name": "f", "description": prompt}}]})
        gateway.post(PATH, {"model": "m", "messages": prompt})
        gateway.post(PATH, {"model": "m", "messages": messages, "temperature": prompt, "n": prompt})
        gateway.request("POST", PATH, content=json.dumps({"model": "m", "messages": messages}).encode()[:-3], headers={"Content-Type": "application/json"})
        gateway.request("POST", PATH, content=prompt.encode(), headers={"Content-Type": "text/plain"})
        gateway.request("POST", PATH, key=f"sk-{PROSE}", json={"model": "m", "messages": messages})
        gateway.admin("POST", "/admin/v1/guard/test", json={"text": prompt})
        gateway.admin("POST", "/admin/v1/guard/test", json={"messages": messages})
        gateway.admin("POST", "/admin/v1/routes/explain", json={"request": {"model": "m", "messages": messages}})
        with Raw(gateway.port, gateway.key) as raw:  # leaves in the middle
            data = json.dumps({"model": "m", "messages": messages}).encode()
            raw.send(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {gateway.key}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[:-2])
    upstream.scripts.clear()
    for text in REPLIES:
        for script in ways(upstream, text):
            for is_stream in (False, True):
                upstream.script(*[script] * 3)
                try:
                    gateway.chat("m", stream=is_stream, content=f"{PROSE} hi")
                finally:
                    upstream.scripts.clear()


def written(gateway):
    """Everything that is kept or shown: by its place."""
    said_so = {"log": gateway.log().encode(), "access": (gateway.logs / "access.log").read_bytes(), "metrics": get(gateway.admin_url + "/metrics").content,
               "print": gateway.command("journal", "print").stdout.encode(), "status": gateway.command("status").stdout.encode(),
               "usage": gateway.command("usage", "--json").stdout.encode()}
    for page in ("usage", "keys", "teams", "upstreams", "status", "prices", "limits", "budgets", "evaluations"):
        said_so[page] = gateway.admin("GET", f"/admin/v1/{page}").content
    for folder, _, names in os.walk(gateway.data):
        for name in names:
            path = pathlib.Path(folder) / name
            if path.is_file():
                said_so[str(path)] = path.read_bytes()
    return said_so


def test_no_canary_is_written_down_anywhere(gateway, upstream):
    send_everything(gateway, upstream)
    settled = gateway.metrics()["atlas_journal_records_total"]
    until(lambda: gateway.metrics()["atlas_journal_records_total"] >= settled)
    pages = written(gateway)
    assert len(pages) > 15 and len(pages["print"]) > 10000 and len(pages["access"]) > 10000
    for where, content in pages.items():
        for canary in CANARIES:
            for form in (canary.encode(), canary.encode().hex().encode(), json.dumps(canary)[1:-1].encode()):
                assert form not in content, f"{canary} is in {where}: {content[max(0, content.find(form) - 200):content.find(form) + 50]}"
    assert b"guardrail_violation" in pages["log"] or b"guardrail.violation" in pages["log"]


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's build may leave a core")
def test_no_core_would_hold_one(gateway):
    for pid in [gateway.process.pid, *until(gateway.children)]:
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        [line] = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert line.split()[4:6] == ["0", "0"] and int(pathlib.Path(f"/proc/{pid}/coredump_filter").read_text(), 16) == 0


def test_a_refusal_says_no_value_to_its_caller_either(gateway, upstream):
    for prompt in PROMPTS:
        got = gateway.chat("m", content=prompt)
        if got.status_code != 200:
            assert not any(canary in got.text for canary in CANARIES), got.text
