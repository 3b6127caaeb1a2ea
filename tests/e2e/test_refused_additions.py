# SPDX-License-Identifier: Apache-2.0
"""What Atlas adds to a request does not fail the call: a server that refuses it is asked without it."""
import json

import pytest

from harness.processes import SLOWER
from harness.raw import content, events
from harness.upstream import CHAT, chunk, reply, stream
from harness.waiting import until

EXTRA = {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}


@pytest.fixture
def gateway(make_gateway, upstream):
    """A new one each: it learns."""
    return make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u"}}})


def strict(connection, request):
    """Refuses stream_options and takes all else."""
    if request.method == "GET":
        return reply(200, {"data": [{"id": "m"}]})(connection, request)
    body = json.loads(request.body)
    if "stream_options" in body:
        return reply(422, EXTRA)(connection, request)
    return stream(chunk({"content": "Salam"}), chunk({}, "stop"))(connection, request)


def test_a_stream_that_a_server_refused_for_our_sake_is_asked_for_again(gateway, upstream):
    upstream.script(*[strict] * 5)
    for _ in range(2):
        got = gateway.chat("m", stream=True)
        assert got.status_code == 200, got.text
        assert content(events(got.text)) == "Salam"
    bodies = [json.loads(r.body) for r in upstream.requests]
    assert ["stream_options" in body for body in bodies] == [True, False, False]  # the second call knew
    until(lambda: gateway.count_log("upstream_refuses") == 1, 2 * SLOWER)
    said = gateway.command("status", "--json")
    assert [u["omits"] for u in json.loads(said.stdout)["upstreams"]] == ["stream_options"]
    assert "asked without stream_options since then" in gateway.command("doctor").stdout
    gateway.reload({**gateway.config, "upstreams": {"u": {"url": upstream.url, "timeouts": {"total": "2h"}}}})
    assert gateway.chat("m", stream=True).status_code == 200
    assert [r.method for r in upstream.requests] == ["POST"] * 3 + ["GET", "POST"]  # a reload forgets nothing
    used = until(lambda: [u for u in gateway.usage() if u["calls"] == 3])[0]
    assert used["tokens_out"] > 0


def test_of_a_call_that_was_tried_twice_five_counts_agree(gateway, upstream):
    """What clients saw, intents, requests that the server saw, ends, what is paid for."""
    upstream.script(*[strict] * 2)
    assert gateway.chat("m", stream=True).status_code == 200

    def printed():
        return [json.loads(line) for line in gateway.command("journal", "print").stdout.splitlines()]

    until(lambda: [r for r in printed() if r["kind"] == "completion"])
    records = printed()
    of = {kind: [r for r in records if r["kind"] == kind] for kind in ("intent", "try_end", "completion")}
    assert (len(of["intent"]), len(upstream.requests)) == (2, 2)
    assert (len(of["try_end"]), len(of["completion"])) == (1, 1)
    lost, won = of["try_end"][0], of["completion"][0]
    assert [r["attempt"] for r in of["intent"]] == [1, 2]
    assert (lost["attempt"], lost["outcome"], lost["status"], lost["sent"]) == (1, "failed", 422, True)
    assert (lost["tokens_in"], lost["tokens_out"], lost["cost_nano"]) == (0, 0, 0)  # it ran nothing
    assert (won["attempt"], won["attempts_sent"], won["outcome"], won["status"]) == (2, 2, "ok", 200)
    assert lost["peer"] == won["peer"] != ""
    used = until(lambda: [u for u in gateway.usage() if u["calls"] == 1])[0]
    assert (used["tokens_in"], used["tokens_out"]) == (won["tokens_in"], won["tokens_out"])


def test_a_server_that_refuses_our_headers_is_asked_without_them(gateway, upstream):
    upstream.script(reply(406, b""), reply(200, CHAT), reply(200, CHAT))
    assert gateway.chat("m").status_code == 200
    assert gateway.chat("m").status_code == 200
    first, *others = [{n.lower() for n, _ in r.fields} for r in upstream.requests]
    added = {"via", "x-request-id", "accept", "accept-encoding"}
    assert added <= first
    assert not any(added & fields for fields in others)


NOT_SUPPORTED = {"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                           "type": "invalid_request_error", "param": "max_tokens", "code": "unsupported_parameter"}}
TOO_LARGE = {"error": {"message": "'max_tokens' is too large: 100. The maximum context length is 128 tokens and your request has 60.", "code": 400}}


@pytest.fixture
def bounded(make_gateway, upstream):
    return make_gateway({"upstreams": {"u": {"url": upstream.url}}, "models": {"m": {"upstream": "u", "max_output": 100}}})


def test_a_server_that_refuses_the_bound_of_max_output_is_asked_without_it(bounded, upstream):
    upstream.script(reply(400, NOT_SUPPORTED))
    said = {**CHAT, "usage": {"prompt_tokens": 7, "completion_tokens": 300, "total_tokens": 307}}
    upstream.script(reply(200, said))
    for _ in range(2):
        assert bounded.chat("m").status_code == 200
    assert ["max_tokens" in r.json for r in upstream.requests] == [True, False, False]  # the second call knew
    used = until(lambda: [u for u in bounded.usage() if u["calls"] == 2])[0]
    assert used["tokens_out"] == 303  # nothing bounds what was not asked to be bounded


def test_a_bound_that_is_too_large_for_one_call_is_sent_with_the_next(bounded, upstream):
    upstream.script(reply(400, TOO_LARGE))
    for _ in range(2):
        assert bounded.chat("m").status_code == 200
    assert ["max_tokens" in r.json for r in upstream.requests] == [True, False, True]


def test_a_callers_own_bound_is_the_callers_to_mend(bounded, upstream):
    bounded.announce("call_failed")
    upstream.script(reply(400, NOT_SUPPORTED))
    got = bounded.chat("m", max_tokens=5)
    assert (got.status_code, got.json()["error"]["param"]) == (400, "max_tokens")
    assert len(upstream.requests) == 1


def test_a_server_that_refuses_one_thing_after_the_other_is_asked_without_each(bounded, upstream):
    def very_strict(connection, request):
        for name in ("max_tokens", "stream_options"):
            if name in request.json:
                return reply(400, {"error": {"message": f"unknown field {name}"}})(connection, request)
        return stream(chunk({"content": "Salam"}), chunk({}, "stop"))(connection, request)
    upstream.script(*[very_strict] * 4)
    for _ in range(2):
        assert content(events(bounded.chat("m", stream=True).text)) == "Salam"
    assert len(upstream.requests) == 4
    said = json.loads(bounded.command("status", "--json").stdout)
    assert [u["omits"] for u in said["upstreams"]] == ["stream_options, max_tokens"]


def test_what_is_refused_may_be_said_in_the_configuration(make_gateway, upstream):
    gateway = make_gateway({"upstreams": {"u": {"url": upstream.url, "omit": ["stream_options", "headers"]}},
                            "models": {"m": {"upstream": "u"}}})
    upstream.script(strict)
    assert content(events(gateway.chat("m", stream=True).text)) == "Salam"
    assert len(upstream.requests) == 1
    assert "via" not in {n.lower() for n, _ in upstream.requests[0].fields}


def test_a_callers_own_stream_options_are_the_callers_to_mend(gateway, upstream):
    gateway.announce("call_failed")
    upstream.script(strict)
    got = gateway.chat("m", stream=True, stream_options={"include_usage": True})
    assert got.status_code == 422
    assert len(upstream.requests) == 1
