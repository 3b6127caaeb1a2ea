# SPDX-License-Identifier: Apache-2.0
"""What a caller may try to spend more than its budget has: many answers, odd bounds, enormous numbers, many inputs."""
import pytest

from harness.processes import run
from harness.raw import Raw
from harness.tenants import HI, Tree, ask, body_of, budgets, error, nano, records
from harness.upstream import CHAT, chunk, reply, stream
from harness.waiting import until

CONTEXT = 4000
HUGE = (2**31, 2**53, 2**62, 2**63 - 1, 2**63, 10**30, 1e18, 1e300)


@pytest.fixture(scope="module")
def gateway(make_gateway, sim, upstream):
    return make_gateway({
        "upstreams": {"u": {"url": upstream.url}, "sim": {"url": sim.base}},
        "models": {"u": {"upstream": "u", "price": {"input": "1", "output": "2"}},
                   "small": {"upstream": "u", "context": CONTEXT, "price": {"input": "1", "output": "2"}},
                   "dear": {"upstream": "u", "price": {"input": "1000000", "output": "1000000", "per": 1}}}})


def settled(gateway, budget):
    return until(lambda: (b := budgets(gateway)[budget]) and nano(b["held"]) == 0 and b, 10, "nothing to be held")


@pytest.mark.parametrize("bounds, most", [
    ({"max_tokens": 30}, 30), ({"max_completion_tokens": 30, "max_tokens": None}, 30),
    ({"max_tokens": 30, "n": 5}, 150), ({"max_tokens": 1, "max_completion_tokens": 300}, 300),
    ({"max_tokens": 300, "max_completion_tokens": 1}, 300), ({"max_tokens": 30, "n": 128}, 3840)],
    ids=lambda v: str(v))
def test_all_that_a_server_may_answer_is_held(gateway, upstream, bounds, most):
    tree = Tree(gateway)
    budget = tree.budget("team", "1.00")
    held = []

    def script(connection, request):
        held.append(nano(budgets(gateway)[budget]["held"]))
        asked = request.json
        told = max(asked.get("max_tokens") or 0, asked.get("max_completion_tokens") or 0) * asked.get("n", 1)
        reply(200, {**CHAT, "usage": {"prompt_tokens": 7, "completion_tokens": told, "total_tokens": 7 + told}})(connection, request)

    upstream.script(script)
    with Raw(gateway.port, tree.secret) as raw:
        body = {k: v for k, v in body_of("u", **bounds).items() if v is not None}
        raw.request("POST", "/v1/chat/completions", body)
        got = raw.read_reply()
    if got.status == 400:  # both at once need not be taken
        upstream.scripts.clear()
        assert settled(gateway, budget)["spent"] == "0.00"
        return
    assert got.status == 200, got.body
    told = got.json["usage"]["completion_tokens"]
    assert held[0] >= told * 2000 + 7000 and told <= most
    [end] = [r for r in records(gateway) if r["key"] == tree.key]
    assert (end["tokens_out"], end["cost_nano"]) == (told, told * 2000 + 7000)
    b = settled(gateway, budget)
    assert nano(b["spent"]) == end["cost_nano"] and b["beyond"] == "0.00"


@pytest.mark.parametrize("model", ["u", "small", "dear"])
@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens", "n"])
@pytest.mark.parametrize("number", HUGE, ids=str)
def test_no_number_is_so_large_that_it_becomes_small(gateway, upstream, model, field, number):
    tree = Tree(gateway)
    budget = tree.budget("team", "0.50")
    tokens = tree.budget("key", "100000", unit="tokens")
    tree.limit("user", tokens_per_minute=100_000)
    members = {"max_tokens": 20, field: number}
    with Raw(gateway.port, tree.secret) as raw:
        raw.request("POST", "/v1/chat/completions", {"model": model, "messages": HI, **members})
        got = raw.read_reply()
    assert got.status in (200, 400, 429), got.body
    if got.status == 200:  # it was bounded by what the model may answer
        assert model == "small" and upstream.requests[-1].json.get("n", 1) * CONTEXT < 100_000
    b = settled(gateway, budget)
    assert nano(b["spent"]) <= nano(b["amount"]) and nano(b["spent"]) >= 0 and b["beyond"] == "0.00"
    assert 0 <= nano(budgets(gateway)[tokens]["spent"]) <= 100_000 * 10**9
    assert ask(gateway, tree.secret, "u").status == 200  # nothing stays held


def test_many_inputs_are_held_for_all_of_them(gateway, upstream):
    tree = Tree(gateway)
    budget = tree.budget("team", "1.00")
    held = []

    def script(connection, request):
        held.append(nano(budgets(gateway)[budget]["held"]))
        count = len(request.json["input"])
        reply(200, {"object": "list", "model": "served", "usage": {"prompt_tokens": count * 3, "total_tokens": count * 3},
                    "data": [{"object": "embedding", "index": i, "embedding": [1]} for i in range(count)]})(connection, request)

    for inputs in (["some words here"] * 1000, [[1, 2, 3]] * 1000):
        upstream.script(script)
        with Raw(gateway.port, tree.secret) as raw:
            raw.request("POST", "/v1/embeddings", {"model": "u", "input": inputs})
            assert raw.read_reply().status == 200
        assert held[-1] >= 3000 * 1000
    assert nano(settled(gateway, budget)["spent"]) == 2 * 3000 * 1000


@pytest.mark.parametrize("amount", ["0", "0.00"])
def test_a_budget_of_nothing_lets_nothing_through(gateway, amount):
    tree = Tree(gateway)
    tree.budget("organisation", amount)
    refused = ask(gateway, tree.secret, "u")
    assert (refused.status, error(refused)["code"]) == (429, "insufficient_quota")
    assert refused.header("x-should-retry") == "false"


@pytest.mark.parametrize("amount", ["-1", "-0.01", "1e3", "NaN", "9223372036.854775808", "99999999999999999999", "0.0000000001", "1,50", " 1", "", None, True, []])
def test_an_amount_that_is_none_is_refused(gateway, amount):
    tree = Tree(gateway)
    said = gateway.admin("POST", "/admin/v1/budgets", json={"team": tree.team, "amount": amount})
    assert said.status_code == 400 and said.json()["error"]["param"] == "amount", said.text


def test_the_largest_numbers_of_tokens_and_limits_are_kept_over_a_start(gateway, upstream):
    tree = Tree(gateway)
    budget = tree.budget("team", "4611686018427387903", unit="tokens")
    limit = tree.limit("key", tokens_per_day=4611686018427387903)
    assert ask(gateway, tree.secret, "u").status == 200
    assert nano(settled(gateway, budget)["spent"]) == 10 * 10**9
    assert gateway.stop() == 0
    assert run("journal", "check", "--config", gateway.config_path).returncode == 0
    gateway.start()
    b = budgets(gateway)[budget]
    assert (b["amount"], b["spent"], b["held"]) == ("4611686018427387903", "10", "0")
    assert gateway.admin("GET", f"/admin/v1/limits/{tree.key}").json() == limit
    for amount, unit in (("4611686018427387904", "tokens"), ("4611686018.427387904", "money"), ("1.5", "tokens")):
        said = gateway.admin("POST", "/admin/v1/budgets", json={"team": tree.team, "amount": amount, "unit": unit})
        assert (said.status_code, said.json()["error"]["param"]) == (400, "amount"), said.text


def test_the_largest_amount_is_kept_to_the_billionth(gateway, upstream):
    tree = Tree(gateway)
    budget = tree.budget("team", "4611686018.427387903")  # beyond what JSON's readers agree on as a number
    assert ask(gateway, tree.secret, "u").status == 200
    b = settled(gateway, budget)
    assert (b["amount"], nano(b["spent"])) == ("4611686018.427387903", 7 * 1000 + 3 * 2000)
    refused = ask(gateway, tree.secret, "dear", max_tokens=20)  # a million a token
    assert refused.status in (200, 429)
    b = settled(gateway, budget)
    assert nano(b["spent"]) <= nano(b["amount"])


def test_budgets_of_the_most_windows_that_a_call_may_count_in_are_all_kept_over_a_start(gateway, upstream):
    tree = Tree(gateway)
    all_ = [tree.budget(level, "1.00") for level in ("team", "organisation") for _ in range(8)]
    assert ask(gateway, tree.secret, "u").status == 200
    assert {nano(settled(gateway, b)["spent"]) for b in all_} == {13_000}
    more = gateway.admin("POST", "/admin/v1/budgets", json={"key": tree.key, "amount": "1.00"})
    assert more.status_code == 400, more.text  # a record has no room to name it
    assert ask(gateway, tree.secret, "u").status == 200
    assert {nano(settled(gateway, b)["spent"]) for b in all_} == {26_000}
    assert gateway.stop() == 0
    gateway.start()
    assert {nano(budgets(gateway)[b]["spent"]) for b in all_} == {26_000}


# ---- a second try that the server is told no bound of ----

NOT_SUPPORTED = {"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model.",
                           "type": "invalid_request_error", "param": "max_tokens", "code": "unsupported_parameter"}}


@pytest.fixture
def forgetful(make_gateway, upstream):
    """A new one each: it learns."""
    return make_gateway({
        "upstreams": {"u": {"url": upstream.url}},
        "models": {"known": {"upstream": "u", "max_output": 20, "context": CONTEXT, "price": {"input": "1", "output": "2"}},
                   "unknown": {"upstream": "u", "max_output": 20, "price": {"input": "1", "output": "2"}}}})


def said(tokens):
    return reply(200, {**CHAT, "usage": {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens}})


def test_a_second_try_without_a_bound_holds_the_context_or_is_not_made(forgetful, upstream):
    forgetful.announce("call_failed")
    tree = Tree(forgetful)
    small = tree.budget("team", "0.001")
    upstream.script(reply(400, NOT_SUPPORTED))
    refused = ask(forgetful, tree.secret, "known", max_tokens=None)
    assert (refused.status, error(refused)["code"]) == (429, "insufficient_quota"), refused.body
    assert len(upstream.requests) == 1
    assert nano(settled(forgetful, small)["spent"]) == 0
    forgetful.admin("PATCH", f"/admin/v1/budgets/{small}", json={"amount": "1.00"}).raise_for_status()
    held = []

    def script(connection, request):
        held.append(nano(budgets(forgetful)[small]["held"]))
        said(3000)(connection, request)

    upstream.script(reply(400, NOT_SUPPORTED), script)
    assert ask(forgetful, tree.secret, "known", max_tokens=None).status == 200
    assert held[0] >= CONTEXT * 2000
    assert nano(settled(forgetful, small)["spent"]) == 3000 * 2000 + 7000


def test_an_answer_that_nothing_bounds_is_cut_at_what_it_holds(forgetful, upstream):
    forgetful.announce("budget_threshold")
    tree = Tree(forgetful)
    budget = tree.budget("team", "0.01")
    upstream.script(reply(400, NOT_SUPPORTED),
                    stream(chunk({"role": "assistant", "content": ""}), *(chunk({"content": f"word{i} "}) for i in range(9000)), chunk({}, "stop")))
    got = ask(forgetful, tree.secret, "unknown", max_tokens=None, stream=True)
    assert got.status in (200, 429)
    b = settled(forgetful, budget)
    [end] = [r for r in records(forgetful) if r["key"] == tree.key]
    assert b["beyond"] == "0.00" and nano(b["spent"]) == end["cost_nano"] <= end["reserved_nano"], (b, end)
