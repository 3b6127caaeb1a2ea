# SPDX-License-Identifier: Apache-2.0
"""Learned routing: examples near a prompt choose the model, and whatever becomes of its vector, the call is answered."""
import base64
import json
import math
import random
import threading
import time
import zlib

import httpx
import pytest

from harness.processes import SLOWER, run
from harness.tenants import make as create
from harness.upstream import CLOSE, Upstream, hang, reply, usual
from harness.waiting import until

OUTCOME = 'atlas_learned_total{outcome="%s"}'
DIMENSIONS = 64
DEADLINE_MS = min(300 * SLOWER, 2000)
EASY = ["what is the capital of france", "what is the capital of spain", "what is the capital of egypt", "what is the capital of oman",
        "what is the capital of kuwait", "what is the capital of jordan", "what is the capital of yemen", "what is the capital of iraq"]
HARD = ["prove that the square root of two is irrational", "prove that the square root of three is irrational",
        "prove that the cube root of two is irrational", "prove that there are infinitely many primes",
        "prove that the sum of two odd numbers is even", "prove that the square root of five is irrational",
        "prove that there are infinitely many twin numbers", "prove that the square root of seven is irrational"]
EASY_ASKED, HARD_ASKED = "what is the capital of qatar", "prove that the square root of eleven is irrational"


def vector_of(text):
    """A bag of trigrams: alike for texts that are alike."""
    out = [0.0] * DIMENSIONS
    for i in range(len(text) - 2):
        out[zlib.crc32(text[i:i + 3].encode()) % DIMENSIONS] += 1.0
    length = math.sqrt(sum(v * v for v in out)) or 1.0
    return [v / length for v in out]


def examples():
    return [{"text": t, "scores": {"small": 1, "large": 1}, "vector": vector_of(t)} for t in EASY] + [
        {"text": t, "scores": {"small": 0, "large": 1}, "vector": vector_of(t)} for t in HARD]


class Embedder(Upstream):
    """Answers with vector_of(), or does what `instead` says."""
    instead = None

    def __init__(self):
        super().__init__()
        self.scripts = self

    def popleft(self):
        return self.instead or self.embed

    def clear(self):
        self.instead = None

    @staticmethod
    def embed(connection, request):
        if not request.target.endswith("/embeddings"):
            return usual(connection, request)
        asked = request.json["input"]
        data = [{"object": "embedding", "index": i, "embedding": vector_of(t)} for i, t in enumerate(asked if isinstance(asked, list) else [asked])]
        return reply(200, {"object": "list", "model": "e5", "data": data, "usage": {"prompt_tokens": 7, "total_tokens": 7}})(connection, request)


@pytest.fixture(scope="module")
def servers():
    both = Upstream(), Embedder()
    yield both
    for server in both:
        server.close()


@pytest.fixture(autouse=True)
def forget(servers):
    yield
    for server in servers:
        server.forget()


LEARNED = {"embeddings": "e5", "examples": "examples.jsonl", "neighbours": 6, "target": 0.5, "deadline": f"{DEADLINE_MS}ms"}
RULES = [{"name": "by-examples", "profile": "learned"}]


def write_rules(folder, rules=None, lines=None, **learned):
    made = examples() if lines is None else lines
    (folder / "examples.jsonl").write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in made))
    path = folder / "rules.yaml"
    path.write_text(json.dumps({"learned": {**LEARNED, **learned}, "routes": RULES if rules is None else rules}))
    return path


def config_of(servers, rules, **of_embedder):
    chat, embedder = servers
    place = {"region": "sa", "zone": "test-zone"}
    return {"routing": str(rules),
            "upstreams": {"chat": {"url": chat.url, **place}, "embed": {"url": embedder.url, **place, **of_embedder}},
            "models": {"small": {"upstream": "chat", "price": {"input": "1", "output": "2"}, "tier": 2, "endpoints": ["chat"]},
                       "large": {"upstream": "chat", "price": {"input": "10", "output": "20"}, "tier": 4, "endpoints": ["chat"]},
                       "e5": {"upstream": "embed", "upstream_name": "e5-small", "endpoints": ["embeddings"]}}}


@pytest.fixture(scope="module")
def make(make_gateway, servers, tmp_path_factory):
    def made(rules=None, more=None, learned=None, **of_embedder):
        path = write_rules(tmp_path_factory.mktemp("rules"), rules, **(learned or {}))
        gateway = make_gateway({**config_of(servers, path, **of_embedder), **(more or {})})
        gateway.rules = path
        return gateway
    return made


@pytest.fixture(scope="module")
def gateway(make):
    return make()


def chosen(gateway, content, **members):
    got = gateway.chat("auto", content=content, **members)
    assert got.status_code == 200, got.text
    return got.json()["model"] if not members.get("stream") else got, got.headers["x-route-policy"]


def outcome(gateway, word):
    return gateway.metrics()[OUTCOME % word]


def records(gateway):
    gateway.command("usage")  # it answers when all records before it are on the disk
    return [json.loads(line) for line in gateway.command("journal", "print").stdout.splitlines()]


def test_a_prompt_near_easy_examples_goes_to_the_cheap_model_and_a_hard_one_to_the_dear(gateway, servers):
    before = outcome(gateway, "ok")
    assert chosen(gateway, EASY_ASKED) == ("small", "by-examples; profile=learned")
    assert chosen(gateway, HARD_ASKED) == ("large", "by-examples; profile=learned")
    assert outcome(gateway, "ok") == before + 2
    assert [r.json["input"] for r in servers[1].requests] == [EASY_ASKED, HARD_ASKED] and servers[1].last.json["model"] == "e5-small"


def test_a_changed_character_changes_nothing(gateway):
    for text in ("what is the captial of qatar", "What is the capital of Qatar?", "what is the capital of qatar!!"):
        assert chosen(gateway, text.lower())[0] == "small"
    for text in ("prove that the sqare root of eleven is irrational", "prove that the square root of 11 is irrational"):
        assert chosen(gateway, text)[0] == "large"


def test_the_last_turn_decides_and_a_named_model_is_left_alone(gateway, servers):
    messages = [{"role": "user", "content": HARD_ASKED}, {"role": "assistant", "content": "so"}, {"role": "user", "content": EASY_ASKED}]
    assert gateway.post("/v1/chat/completions", {"model": "auto", "messages": messages}).json()["model"] == "small"
    asked = len(servers[1].requests)
    assert gateway.chat("large", content=EASY_ASKED).json()["model"] == "large"
    assert len(servers[1].requests) == asked


def test_a_streamed_call_is_decided_the_same_way(gateway):
    got, policy = chosen(gateway, HARD_ASKED, stream=True)
    assert policy == "by-examples; profile=learned" and '"model":"large"' in got.text.replace(" ", "")


def test_a_long_prompt_is_embedded_up_to_a_kibibyte(gateway, servers):
    chosen(gateway, (EASY_ASKED + " ") * 2000)
    assert 0 < len(servers[1].last.json["input"].encode()) <= 1024


def test_records_say_why_and_the_question_is_recorded_beside(gateway, servers):
    chosen(gateway, HARD_ASKED)
    gateway.until_recorded()
    made = records(gateway)
    call = [r for r in made if r["kind"] == "intent" and not r.get("shadow")][-1]
    words = dict(word.split("=") for word in call["facts"].split())
    assert words["learned"] == "ok" and words["neighbours"] == "6" and int(words["bound"]) < int(words["quality"]) <= 1000
    question = [r for r in made if r.get("shadow")][-1]
    assert question["endpoint"] == "embeddings" and question["model"] == "e5" and question["key"] == call["key"]
    assert HARD_ASKED not in json.dumps(made)
    assert not any(row["model"] == "e5" for row in gateway.usage())


def falls_back(gateway, word, within_s=None):
    before, begun = outcome(gateway, word), time.monotonic()
    model, policy = chosen(gateway, HARD_ASKED)
    assert model in ("small", "large") and policy == "by-examples; profile=balanced"
    assert within_s is None or time.monotonic() - begun < within_s
    assert outcome(gateway, word) == before + 1


@pytest.fixture
def fresh(make):
    """Of its own: what fails leaves a worker in peace for a while."""
    return lambda *args, **more: make(*args, more={"workers": 1}, **more)


def test_a_slow_server_of_embeddings_costs_no_more_than_the_deadline(fresh, servers):
    gateway = fresh()
    servers[1].instead = hang
    falls_back(gateway, "late", 10 * DEADLINE_MS / 1000)
    servers[1].clear()
    assert chosen(gateway, HARD_ASKED)[0] == "large"


@pytest.mark.parametrize("instead", [
    reply(500, "no"), reply(200, "no JSON"), reply(200, {"object": "list", "data": []}), lambda connection, request: CLOSE,
    reply(200, {"data": [{"index": 0, "embedding": "AAAA"}]}), reply(200, {"data": [{"index": 0, "embedding": [0] * DIMENSIONS}]}),
    reply(200, {"data": [{"index": 0, "embedding": [0.5] * 200000}]})], ids=["500", "text", "nothing", "closes", "base64", "zeros", "huge"])
def test_a_server_of_embeddings_that_answers_nonsense_is_passed_over(fresh, servers, instead):
    gateway = fresh()
    servers[1].instead = instead
    falls_back(gateway, "failed")


def test_vectors_of_another_dimension_are_told_of_once_a_minute(fresh, servers):
    gateway = fresh()
    gateway.announce("learned_dimensions")
    servers[1].instead = reply(200, {"data": [{"index": 0, "object": "embedding", "embedding": [0.5] * 8}]})
    falls_back(gateway, "dimensions")
    falls_back(gateway, "dimensions")
    until(lambda: gateway.count_log("learned_dimensions"), 5 * SLOWER)
    assert gateway.count_log("learned_dimensions") == 1 and "8 numbers, and the examples have 64" in gateway.log()


def test_a_worker_rests_when_nothing_came_five_times(fresh, servers):
    gateway = fresh()
    servers[1].instead = reply(500, "no")
    for _ in range(5):
        falls_back(gateway, "failed")
    asked = len(servers[1].requests)
    falls_back(gateway, "resting")
    assert len(servers[1].requests) == asked
    servers[1].clear()
    until(lambda: chosen(gateway, HARD_ASKED)[1].endswith("learned"), 30 * SLOWER)


def test_a_server_that_is_not_there_is_passed_over(make_gateway, servers, tmp_path):
    config = config_of(servers, write_rules(tmp_path))
    gone = Upstream()
    gone.close()
    config["upstreams"]["embed"]["url"] = gone.url
    falls_back(make_gateway(config), "failed")


@pytest.mark.parametrize("wall", ["class", "local-only", "region"])
def test_a_prompt_goes_to_no_embedder_where_its_call_may_not_go(make, servers, wall):
    rules = [{"name": "by-examples", "profile": "learned", **({"regions": ["sa"]} if wall == "region" else {})}]
    gateway = make(rules, more={"zone": "test-zone"}, region="us" if wall == "region" else "sa", zone="elsewhere" if wall == "local-only" else "test-zone")
    config = config_of(servers, gateway.rules, region="us" if wall == "region" else "sa", zone="elsewhere" if wall == "local-only" else "test-zone")
    config["upstreams"]["chat"]["clearance"] = "secret"
    gateway.reload({**config, "zone": "test-zone"})
    bound = {"class": {"max_class": "secret", "default_class": "internal"}, "local-only": {"local_only": True}, "region": {}}[wall]
    team = create(gateway, "teams", name=f"bound by {wall}", **bound)["id"]
    body = {"model": "auto", "messages": [{"role": "user", "content": HARD_ASKED}]}
    got = gateway.post("/v1/chat/completions", body, key=gateway.new_key("bound", team=team)["key"])
    assert got.status_code == 200 and "balanced" in got.headers["x-route-policy"], got.text
    assert outcome(gateway, "excluded") == 1 and servers[1].requests == []


def test_a_client_that_goes_away_meanwhile_leaves_nothing(fresh, servers):
    gateway = fresh(learned={"deadline": "2s"})
    servers[1].instead = hang
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(gateway.url + "/v1/chat/completions", headers={"Authorization": f"Bearer {gateway.key}"}, timeout=0.5,
                   json={"model": "auto", "messages": [{"role": "user", "content": HARD_ASKED}]})
    until(lambda: gateway.metrics()["atlas_calls_open"] == 0, 10 * SLOWER)
    assert servers[0].requests == []


def test_a_gateway_that_stops_meanwhile_ends_all_the_same(fresh, servers):
    gateway = fresh(learned={"deadline": "2s"})
    servers[1].instead = hang
    answers = []
    thread = threading.Thread(target=lambda: answers.append(gateway.chat("auto", content=HARD_ASKED)))
    thread.start()
    servers[1].wait_requests(1)
    assert gateway.stop() == 0
    thread.join()
    assert answers and answers[0].status_code in (200, 503)
    gateway.start()


def test_a_reload_takes_other_examples(fresh, servers):
    gateway = fresh()
    assert chosen(gateway, HARD_ASKED)[0] == "large"
    turned = [{**e, "scores": {"small": 1, "large": 1}} for e in examples()]
    write_rules(gateway.rules.parent, lines=turned)
    gateway.reload()
    assert chosen(gateway, HARD_ASKED)[0] == "small"


WRONG = [
    ("no vector", [{"scores": {"small": 1}}], ":1:1: there is no `vector`"),
    ("dimensions", [examples()[0], {"scores": {"small": 1}, "vector": [1, 2, 3]}], ":2:1: the vector has 3 numbers, and those before it have 64"),
    ("NaN", ['{"scores": {"small": 1}, "vector": [NaN, 1]}'], ":1:1: it is no JSON"),
    ("infinite", ['{"scores": {"small": 1}, "vector": [1e400, 1]}'], ":1:1: a vector's numbers are finite"),
    ("NaN in Base64", [{"scores": {"small": 1}, "vector": base64.b64encode(b"\x00\x00\xc0\x7f" * 2).decode()}], ":1:1: a vector's numbers are finite"),
    ("zeros", [{"scores": {"small": 1}, "vector": [0, 0]}], "not all 0"),
    ("model", [{"scores": {"smal": 1}, "vector": [1]}], ":1:1: there is no model 'smal'"),
    ("score", [{"scores": {"small": 1.5}, "vector": [1]}], ":1:1: a score is a number from 0 to 1"),
    ("no scores", [{"scores": {}, "vector": [1]}], ":1:1: `scores` is an object"),
    ("two scores", ['{"scores": {"small": 1, "small": 0}, "vector": [1]}'], ":1:1: a model has two scores"),
    ("other embeddings", [{"embeddings": "bge"}, examples()[0]], ":1:1: the vectors are not of 'e5'"),
    ("nothing", [], "there are no examples in it"),
    ("long", ["[" + "1," * 200000 + "1]"], ":1:1: the line has more than"),
    ("wide", [{"scores": {"small": 1}, "vector": base64.b64encode(b"\x00\x00\x80\x3f" * 4097).decode()}], ":1:1: a vector has 1 to 4096 numbers"),
    ("crowd", [{"scores": {"small": 1}, "vector": [1]}] * 20001, ":20001:1: there are more than 20000 examples"),
]


@pytest.mark.parametrize("lines,told", [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_examples_that_are_wrong_are_refused_with_their_line(servers, tmp_path, lines, told):
    path = tmp_path / "atlas.yaml"
    path.write_text(json.dumps({"data": str(tmp_path / "data"), **config_of(servers, write_rules(tmp_path, lines=lines))}))
    checked = run("route", "check", "--config", path)
    assert checked.returncode == 1 and f"{tmp_path}/examples.jsonl:" in checked.stderr and told in checked.stderr, checked.stderr


@pytest.mark.parametrize("learned,told", [
    ({"embeddings": "small"}, "embeddings names a model of `models:` that serves /v1/embeddings"), ({"embeddings": "none"}, "embeddings names a model"),
    ({"neighbours": 0}, "neighbours is a whole number from 1 to 100"), ({"target": 1.5}, "target is a number above 0 and at most 1"),
    ({"deadline": "1h"}, "deadline is a time from 1ms to 2s"), ({"examples": "gone.jsonl"}, "gone.jsonl:0:1: No such file"), ({"goal": 1}, "learned has no 'goal'")])
def test_settings_that_are_wrong_are_refused(servers, tmp_path, learned, told):
    path = tmp_path / "atlas.yaml"
    path.write_text(json.dumps({"data": str(tmp_path / "data"), **config_of(servers, write_rules(tmp_path, **learned))}))
    checked = run("route", "check", "--config", path)
    assert checked.returncode == 1 and told in checked.stderr, checked.stderr


def test_a_rule_needs_the_examples_that_it_names(servers, tmp_path):
    path = tmp_path / "atlas.yaml"
    rules = tmp_path / "rules.yaml"
    rules.write_text(json.dumps({"routes": RULES}))
    path.write_text(json.dumps({"data": str(tmp_path / "data"), **config_of(servers, rules)}))
    checked = run("route", "check", "--config", path)
    assert checked.returncode == 1 and "the profile learned takes `learned:` of this file" in checked.stderr


# ---- what is explained, and an oracle of its own ----

def expected(lines, vector, model, neighbours):
    """The prediction as docs/routing.md says it, by plain Python."""
    def unit(v):
        length = math.sqrt(sum(x * x for x in v))
        return [x / length for x in v] if length > 1e-5 else [0.0] * len(v)
    mean = [sum(column) / len(lines) for column in zip(*(unit(line["vector"]) for line in lines))]
    placed = [unit([x - m for x, m in zip(unit(v), mean)]) for v in [vector, *(line["vector"] for line in lines)]]
    cosines = [sum(x * y for x, y in zip(placed[0], other)) for other in placed[1:]]
    scored = [line["scores"][model] for line in lines if model in line["scores"]]
    if not scored:
        return None
    nearest = sorted(range(len(lines)), key=lambda i: (-cosines[i], i))[:neighbours]
    pairs = [(max(0.0, cosines[i]), lines[i]["scores"][model]) for i in nearest if model in lines[i]["scores"]]
    usual, weights = sum(scored) / len(scored), sum(w for w, _ in pairs)
    n = weights ** 2 / sum(w * w for w, _ in pairs) if weights else 0
    quality = (n * (sum(w * s for w, s in pairs) / weights if weights else usual) + 4 * usual) / (n + 4)
    z, n = 1.2815515655446004, n + 4
    bound = (quality + z * z / (2 * n) - z * math.sqrt(quality * (1 - quality) / n + z * z / (4 * n * n))) / (1 + z * z / n)
    return quality, bound, len(pairs)


def explain(folder, config, request, *more):
    path = folder / "atlas.yaml"
    path.write_text(json.dumps({"data": str(folder / "data"), **config}))
    return run("route", "explain", "--config", path, *more, input=json.dumps(request))


@pytest.mark.parametrize("seed", range(12))
def test_predictions_are_those_of_an_oracle(servers, tmp_path, seed):
    chance = random.Random(seed)
    dimensions, neighbours = chance.choice([2, 3, 8, 33, 64, 384]), chance.choice([1, 5, 20, 100])
    vector = [chance.gauss(0, 1) for _ in range(dimensions)]
    lines = [{"text": "t", "vector": [round(chance.gauss(0, 1), 6) for _ in range(dimensions)],
              "scores": {m: round(chance.random(), 3) for m in ("small", "large") if chance.random() < 0.8} or {"small": 1}}
             for _ in range(chance.choice([1, 7, 150, 400]))]
    rules = write_rules(tmp_path, lines=lines, neighbours=neighbours, target=chance.choice([0.3, 0.5, 0.9]))
    request = {"request": {"model": "auto", "messages": [{"role": "user", "content": "x"}]}, "vector": vector}
    got = json.loads(explain(tmp_path, config_of(servers, rules), request, "--json").stdout)
    assert got["learned"]["outcome"] == "ok" and got["learned"]["neighbours"] == min(neighbours, len(lines)) and servers[1].requests == []
    told = {c["model"]: c for c in got["candidates"]}
    bounds = {}
    for model in ("small", "large"):
        oracle = expected(lines, vector, model, neighbours)
        if oracle is None:
            assert "quality" not in told[model]
            continue
        assert told[model]["quality"] == pytest.approx(oracle[0], abs=2e-5) and told[model]["bound"] == pytest.approx(oracle[1], abs=2e-5)
        assert told[model]["neighbours"] == oracle[2]
        bounds[model] = oracle[1]
    passing = [m for m in ("small", "large") if bounds.get(m, -1) >= got["learned"]["target"]]
    assert got["chosen"]["model"] == (passing[0] if passing else max(bounds, key=bounds.get))


def test_the_offline_explanation_asks_the_model_server(servers, tmp_path):
    config = config_of(servers, write_rules(tmp_path))
    request = {"model": "auto", "messages": [{"role": "user", "content": HARD_ASKED}]}
    said = explain(tmp_path, config, request).stdout
    assert "learned    ok: the nearest 6 examples decide" in said and "expected   large: quality 1, at least 0.8" in said and "chosen     large" in said
    assert servers[1].last.json == {"model": "e5-small", "input": [HARD_ASKED]}
    servers[1].instead = reply(500, "no")
    failed = explain(tmp_path, config, request)
    assert "learned    failed: another profile decides" in failed.stdout and "atlas route explain: embed: " in failed.stderr
    config["upstreams"]["embed"]["region"] = "us"
    rules = [{"name": "by-examples", "profile": "learned", "regions": ["sa"]}]
    config["routing"] = str(write_rules(tmp_path, rules))
    asked = len(servers[1].requests)
    assert "learned    excluded" in explain(tmp_path, config, request).stdout and len(servers[1].requests) == asked


def test_a_running_gateway_explains_with_a_vector_and_without(gateway):
    key = gateway.new_key("explained")["id"]
    body = {"request": {"model": "auto", "messages": [{"role": "user", "content": HARD_ASKED}]}, "key": key}
    without = gateway.admin("POST", "/admin/v1/routes/explain", json=body).json()
    assert without["learned"]["outcome"] == "unasked" and without["policy"] == "by-examples; profile=balanced"
    got = gateway.admin("POST", "/admin/v1/routes/explain", json={**body, "vector": vector_of(HARD_ASKED)}).json()
    assert got["learned"]["outcome"] == "ok" and got["chosen"]["model"] == "large"
    other = gateway.admin("POST", "/admin/v1/routes/explain", json={**body, "vector": [1, 2]}).json()
    assert other["learned"]["outcome"] == "dimensions"
    refused = gateway.admin("POST", "/admin/v1/routes/explain", json={**body, "vector": [0]})
    assert refused.status_code == 400 and "vector: it must be an array of 1 to 4096 numbers" in refused.text


# ---- atlas route learn ----

def learn(servers, folder, text, model="e5"):
    path = folder / "atlas.yaml"
    rules = folder / "no-rules.yaml"
    rules.write_text("routes: []\n")
    path.write_text(json.dumps({"data": str(folder / "data"), **config_of(servers, rules)}))
    return run("route", "learn", "--config", path, "--model", model, input=text)


def test_learned_examples_are_those_that_a_gateway_takes(fresh, servers, tmp_path):
    prompts = "".join(json.dumps({"text": e["text"], "scores": e["scores"]}) + "\n" for e in examples() * 3)
    made = learn(servers, tmp_path, prompts)
    assert made.returncode == 0 and made.stderr == f"48 examples, with vectors of {DIMENSIONS} numbers\n"
    assert [len(r.json["input"]) for r in servers[1].requests] == [32, 16]
    lines = made.stdout.splitlines()
    assert json.loads(lines[0]) == {"embeddings": "e5", "dimensions": DIMENSIONS} and json.loads(lines[1])["text"] == EASY[0]
    again = learn(servers, tmp_path, made.stdout)
    assert again.stdout == made.stdout
    gateway = fresh()
    write_rules(gateway.rules.parent, lines=lines)
    gateway.reload()
    assert chosen(gateway, HARD_ASKED)[0] == "large" and chosen(gateway, EASY_ASKED)[0] == "small"


@pytest.mark.parametrize("text,told", [
    ("", "there are no examples"), ("[]\n", "line 1: it is no object of JSON"), ('{"text": "a"}\n', "line 1: an example is"),
    ('\n{"text": "", "scores": {}}\n', "line 2: its text is empty")])
def test_prompts_that_are_wrong_are_told_with_their_line(servers, tmp_path, text, told):
    made = learn(servers, tmp_path, text)
    assert made.returncode == 1 and told in made.stderr and made.stdout == ""


def test_learning_says_what_the_server_answered(servers, tmp_path):
    servers[1].instead = reply(503, "no")
    made = learn(servers, tmp_path, '{"text": "a", "scores": {"small": 1}}\n')
    assert made.returncode == 1 and "embed: " in made.stderr and "(status 503)" in made.stderr
    assert "no model 'small' serves /v1/embeddings" in learn(servers, tmp_path, "", "small").stderr


def test_a_replay_tells_what_examples_decided(gateway, tmp_path):
    chosen(gateway, HARD_ASKED)
    records(gateway)
    same = json.loads(gateway.command("route", "replay", "--json").stdout)
    assert same["same"] == same["calls"] > 0 and same["changed"] == 0
    path = tmp_path / "other.yaml"
    path.write_text(json.dumps({"routes": [{"name": "cheap", "model": "small"}]}))
    told = gateway.command("route", "replay", "--rules", path).stdout
    assert "by-examples; profile=learned" in told and "cheap" in told
    write_rules(gateway.rules.parent, [{"name": "renamed", "profile": "learned"}])
    other = gateway.rules.parent / "renamed.yaml"
    gateway.rules.rename(other)
    write_rules(gateway.rules.parent)
    assert "(by examples)" in gateway.command("route", "replay", "--rules", other).stdout


def test_no_caller_asks_for_it(gateway):
    got = gateway.chat("auto", routing={"profile": "learned"})
    assert got.status_code == 400 and "there is no such profile" in got.text
