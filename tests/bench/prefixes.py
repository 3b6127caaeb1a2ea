#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What it is worth that a chat goes to the model server that has read its beginning: time to the first token of the same
chats by Atlas's choice, and by turns to each server (the client's own round robin, without a gateway).

    prefixes.py [--servers N] [--systems N] [--chats N] [--turns N] [--at-once N] [--prefill TOKENS/S] [--cache TOKENS]

The model servers are simulators that read prompts one after the other, at --prefill tokens a second, but for what their cache
still has (least recently used gives way). The chats share a few instructions, and grow by a question and an answer each turn.
"""
import argparse
import concurrent.futures
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORDS = "the plant on coast water report says that cost of each year and who pays for pipes pumps sun wind new old".split()


def text(chance, tokens):
    """So many tokens, as the simulator counts them."""
    return " ".join(chance.choices(WORDS, k=tokens))[:4 * tokens].ljust(4 * tokens, ".")


def conversations(options):
    """The same chats for everybody: instructions, questions and answers."""
    chance = random.Random(11)
    systems = [text(chance, options.system_tokens) for _ in range(options.systems)]
    return [(systems[i % options.systems], [(text(chance, options.question_tokens), text(chance, options.answer_tokens)) for _ in range(options.turns)])
            for i in range(options.chats)]


def first_token_s(port, key, messages):
    """Seconds until the first piece of content, and how many tokens the server had read before, of how many."""
    body = json.dumps({"model": "m", "messages": messages, "stream": True, "stream_options": {"include_usage": True}})
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    began, first, usage = time.monotonic(), None, None
    client.request("POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    answer = client.getresponse()
    assert answer.status == 200, answer.read()
    for line in answer:
        if first is None and b'"content":"' in line and b'"content":""' not in line:
            first = time.monotonic() - began
        if b'"usage":{' in line:
            usage = json.loads(line[6:])["usage"]
    client.close()
    return first, usage["prompt_tokens_details"]["cached_tokens"], usage["prompt_tokens"]


def talk(port_of, key, conversation):
    system, turns = conversation
    messages, found = [{"role": "system", "content": system}], []
    for question, answer in turns:
        messages.append({"role": "user", "content": question})
        found.append(first_token_s(port_of(), key, messages))
        messages.append({"role": "assistant", "content": answer})
    return found


def talk_all(port_of, key, options):
    """All chats, so many at a time, each turn as soon as the one before was answered."""
    with concurrent.futures.ThreadPoolExecutor(options.at_once) as pool:
        found = [row for rows in pool.map(lambda c: talk(port_of, key, c), conversations(options)) for row in rows]
    firsts = sorted(first for first, _, _ in found)
    return {"calls": len(firsts), "mean": statistics.mean(firsts), "p95": firsts[int(len(firsts) * 0.95)],
            "cached": sum(cached for _, cached, _ in found) / sum(prompt for _, _, prompt in found)}


def read_line(process, pattern):
    for line in process.stdout:
        found = re.search(pattern, line)
        if found:
            return found.group(1)
    raise SystemExit(f"bench: {process.args[1]} ended before it was ready")


class Simulator:
    """A new one, that has read nothing; within `with` it is its port."""

    def __init__(self, atlas, options):
        command = [atlas, "sim", "--listen", "127.0.0.1:0", *options]
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        self.port = int(read_line(self.process, r"http://127\.0\.0\.1:(\d+)/"))

    def __enter__(self):
        return self.port

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def counters(port):
    """What a simulator saw."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/sim/counters", timeout=10) as answer:
        return json.load(answer)


@contextlib.contextmanager
def simulators(atlas, options):
    """As many new ones as the options say, by their ports."""
    each = ["--prefill-tokens-per-second", options.prefill, "--cache-tokens", options.cache, "--tokens", options.answer_tokens,
            "--tokens-per-second", options.speed]
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Simulator(atlas, each)) for _ in range(options.servers)]


class Gateway:
    """Atlas, with all of them behind one model, or what `more` says instead: settings that go before the usual ones."""

    def __init__(self, atlas, folder, ports, more=None):
        self.config = config = folder / "atlas.yaml"
        ups = {f"u{i}": {"kind": "vllm", "url": f"http://127.0.0.1:{port}/v1"} for i, port in enumerate(ports)}
        config.write_text(json.dumps({"data": str(folder / "data"), "workers": 1, "drain_notice": "0s", "listen": [{"address": "127.0.0.1:0"}],
                                      "admin": {"address": "127.0.0.1:0"}, "upstreams": ups,
                                      "models": {"m": {"deployments": [{"upstream": u} for u in ups]}}, **(more or {})}))
        run = lambda *what: subprocess.run([atlas, *what, "--config", config], check=True, capture_output=True, text=True).stdout.strip()
        run("init")
        self.key = run("key", "create", "--name", "bench")
        self.process = subprocess.Popen([atlas, "serve", "--config", config], stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True)
        self.port = int(read_line(self.process, r"listening\s+http://127\.0\.0\.1:(\d+)"))
        self.admin = read_line(self.process, r"listening_admin\s+(http://\S+)")
        while urllib.request.urlopen(self.admin + "/readyz").status != 200:
            time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()


def compare(atlas, *arguments):
    """Both ways, by these options: what was done, and the figures of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, usual in (("servers", 4), ("systems", 8), ("chats", 64), ("turns", 8), ("at-once", 16), ("system-tokens", 2000), ("question-tokens", 100),
                        ("answer-tokens", 150), ("prefill", 10000), ("cache", 100000), ("speed", 150)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    options = parser.parse_args(arguments)
    with simulators(atlas, options) as ports:
        turn = itertools.cycle(ports)
        by_turns = talk_all(lambda: next(turn), "none", options)
    with tempfile.TemporaryDirectory(prefix="atlas-bench-") as folder, simulators(atlas, options) as ports:
        with Gateway(atlas, pathlib.Path(folder), ports) as gateway:
            chosen = talk_all(lambda: gateway.port, gateway.key, options)
    return {"options": vars(options), "by turns": by_turns, "atlas": chosen}


def measure(atlas):
    """With caches that have room for all, and with smaller ones."""
    return [compare(str(atlas)), compare(str(atlas), "--cache", "32000", "--systems", "16")]


def markdown(result):
    text = ("\n| time to the first token | by turns: mean, p95 | Atlas: mean, p95 | ratio: mean, p95 | of prompts found in caches |\n"
            "| --- | ---: | ---: | ---: | ---: |\n")
    for row in result:
        turns, atlas, options = row["by turns"], row["atlas"], row["options"]
        text += (f"| {options['systems']} instructions, caches of {options['cache']:,} tokens "
                 f"| {turns['mean'] * 1000:.0f} ms, {turns['p95'] * 1000:.0f} ms | {atlas['mean'] * 1000:.0f} ms, {atlas['p95'] * 1000:.0f} ms "
                 f"| {turns['mean'] / atlas['mean']:.1f}, {turns['p95'] / atlas['p95']:.1f} | {turns['cached'] * 100:.1f} %, {atlas['cached'] * 100:.1f} % |\n")
    return text


if __name__ == "__main__":
    print(markdown([compare(os.environ.get("ATLAS", str(ROOT / "build/atlas")), *sys.argv[1:])]))
