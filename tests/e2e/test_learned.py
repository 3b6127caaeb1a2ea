# SPDX-License-Identifier: Apache-2.0
"""Learned routing: examples near a prompt choose the model, and whatever becomes of its vector, the call is answered."""
import base64
import json
import math
import time
import zlib

import pytest

from harness.processes import SLOWER, run
from harness.tenants import Tree
from harness.upstream import CLOSE, Upstream, reply, usual
from harness.waiting import until

OUTCOME = 'atlas_learned_total{outcome="%s"}'
DIMENSIONS = 64
DEADLINE_MS = 300 * SLOWER
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


def hang(connection, request):
    connection.wait_gone(60)
    return CLOSE


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


LEARNED = {"embeddings": "e5", "examples": "examples.jsonl", "neighbours": 6, "target": 0.6, "deadline": f"{DEADLINE_MS}ms"}
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
