#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: what Atlas costs beside nginx and haproxy, one worker each, in front of one model server.

All are measured in one run, in turns, over rounds; figures are medians of the rounds. CPU is that of
all threads and processes of a gateway, by the scheduler's own count. Where there are two cores or
more, the gateway has one to itself, and the model server and the load have another.

    run.py [--out FOLDER] [--rounds N] [--only SYSTEM,...] [--cases CASE,...] [--quick]

Writes FOLDER/benchmarks.json, .md and .svg. Cases: calls, rates, streams, crowd, tls, idle, keys,
routing, prefixes, slow, instructions, parts. atlas+trained is the program of `make release`, where that was made.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import page
import parts
import prefixes
import routing
import slow
import systems
import tls
from systems import CORES

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WRK = "wrk"
RATES = (1, 100, 1000, 3000)
STREAMS = (100, 400)
CONNECTIONS = 32
CROWD = 10000


class Load:
    """Requests as files, and the programs that send them."""

    def __init__(self, folder, tools):
        self.folder = folder
        self.tools = tools
        self.serial = 0

    def request(self, system, body, path="/v1/chat/completions"):
        """A file that holds one whole request."""
        self.serial += 1
        file = self.folder / f"request-{self.serial}"
        head = (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{system.port}\r\n"
                f"Authorization: Bearer {system.key}\r\nContent-Type: application/json\r\n"
                f"Accept: application/json\r\nUser-Agent: bench\r\n"
                f"Content-Length: {len(body)}\r\n\r\n")
        file.write_bytes(head.encode() + body)
        return file

    def wrk(self, system, body, seconds, scheme="http"):
        """Calls as fast as they go: calls, seconds of them, and the gateway's CPU seconds."""
        body_file = self.folder / "body"
        body_file.write_bytes(body)
        environment = dict(os.environ, BENCH_KEY=system.key, BENCH_BODY=str(body_file))
        before = system.cpu_s()
        out = subprocess.run(
            CORES.load([WRK, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", HERE / "calls.lua",
                        f"{scheme}://127.0.0.1:{system.port}/v1/chat/completions"]),
            check=True, capture_output=True, text=True, env=environment).stdout
        cpu_s = system.cpu_s() - before
        found = re.search(r"bench (\d+) (\d+) (\d+)", out)
        calls, micros, errors = map(int, found.groups())
        if errors or calls == 0:
            sys.exit(f"bench: {system.name}: {errors} of {calls} calls failed\n{out}")
        return {"calls_s": calls / micros * 1e6, "cpu_us": cpu_s / calls * 1e6,
                "busy": cpu_s / micros * 1e6}

    def timed(self, system, *arguments):
        """Runs bench_load; between its "begin" and "end" the gateway's CPU is counted."""
        with subprocess.Popen(CORES.load([self.tools / "bench_load", *map(str, arguments)]),
                              stdout=subprocess.PIPE, text=True) as load:
            assert load.stdout.readline() == "begin\n", f"{system.name}: the load did not begin"
            cpu_s, began, rss = system.cpu_s(), time.monotonic(), system.rss_bytes()
            load.stdout.readline()
            took = time.monotonic() - began
            cpu_s, rss = system.cpu_s() - cpu_s, max(rss, system.rss_bytes())
            figures = json.loads(load.stdout.readline())
        if figures["failures"] or not figures["done"]:
            sys.exit(f"bench: {system.name}: {figures}")
        figures.update(cpu_us=cpu_s / figures["done"] * 1e6, rss=rss, busy=cpu_s / took,
                       per_s=figures["done"] / took)
        return figures

    def rate(self, system, body, rate, seconds):
        return self.timed(system, "calls", system.port, self.request(system, body), rate, 64, seconds)

    def exactly(self, system, body, calls, **more):
        """So many calls, as fast as they go."""
        return self.timed(system, "exactly", system.port, self.request(system, body, **more), calls, CONNECTIONS)

    def streams(self, system, count, gap_us, seconds):
        body = chat_body(1700, stream=True, gap_us=gap_us)
        return self.timed(system, "streams", system.port, self.request(system, body), count, seconds)


def chat_body(size, stream=False, gap_us=0):
    """A conversation in OpenAI's form, of `size` bytes to within a few."""
    turns = ["What did the ministry announce about the desalination plants?",
             "It said that three plants would be built on the coast,\n\"each of them\" with solar power.",
             "أين ستُبنى المحطات الجديدة؟", "On the east coast; the sites are to be named in March.",
             "Summarise the costs in a table, and say which figures are estimates."]
    head = {"model": "bench-model", "stream": stream, "temperature": 0.7, "max_tokens": 512,
            "top_p": 0.95, "user": "analyst-17"}
    if stream:
        head = {"model": "bench-model", "stream": True, "bench_gap_us": gap_us,
                "temperature": 0.7, "max_tokens": 512}
    messages = [{"role": "system", "content": "You answer briefly, in the language of the question."}]
    def encode():
        return json.dumps({**head, "messages": messages}, ensure_ascii=False,
                          separators=(",", ":")).encode()
    at = 0
    have = len(encode())
    while have < size - 120:
        role = "user" if at % 2 == 0 else "assistant"
        text = turns[at % len(turns)] * (1 if size < 5000 else 4)
        messages.append({"role": role, "content": text})
        have += len(json.dumps(messages[-1], ensure_ascii=False, separators=(",", ":")).encode()) + 1
        at += 1
    if len(messages) % 2 == 1:
        messages.append({"role": "user", "content": ""})
    messages[-1]["content"] += "x" * (size - len(encode()))
    return encode()


def rounds_of(rounds, running, measure):
    """Every system in turn, `rounds` times; lists of figures by system."""
    figures = {s.name: [] for s in running}
    for at in range(rounds):
        order = running if at % 2 == 0 else list(reversed(running))
        for system in order:
            figures[system.name].append(measure(system))
    return figures


def medians(figures):
    """The median of each figure over the rounds, and how far the rounds are apart."""
    out = {}
    for name, rows in figures.items():
        out[name] = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        values = [row["cpu_us"] for row in rows]
        out[name]["cpu_us_least"], out[name]["cpu_us_most"] = min(values), max(values)
    return out


def measure_calls(load, running, options):
    out = {}
    for name, size in (("1.7 kB", 1700), ("100 kB", 100000)):
        body = chat_body(size)
        for system in running:
            load.wrk(system, body, 1) # connections, caches, buffers
        out[name] = medians(rounds_of(options.rounds, running,
                                      lambda s, b=body: load.wrk(s, b, options.seconds)))
    return out


def measure_rates(load, running, options):
    out = {}
    for name, size, rate in [("1.7 kB", 1700, r) for r in RATES] + [("100 kB", 100000, RATES[0])]:
        body = chat_body(size)
        few = rate < 100 # what a gateway does when nothing happens is most of it: one long round
        rounds, seconds = (1, 5 * options.seconds) if few else (options.rounds, options.seconds)
        out[f"{name} at {rate}/s"] = medians(rounds_of(
            rounds, running, lambda s, b=body, r=rate, n=seconds: load.rate(s, b, r, n)))
    return out


def measure_streams(load, running, options):
    return {f"{count} streams": medians(rounds_of(
        options.rounds, running, lambda s, n=count: load.streams(s, n, 10000, options.seconds)))
        for count in STREAMS}


def measure_crowd(load, running, options):
    """Thousands of streams; the memory that each takes is beyond what the process had before."""
    most = CORES.files
    count = CROWD if most >= 2 * CROWD + 1000 else min(CROWD, (most - 1000) // 2)
    count = count // 4 if options.quick else count
    figures = {}
    for system in running:
        system.restart() # memory that earlier cases left free would hide what streams take
        before = system.rss_bytes()
        row = load.streams(system, count, 1000000, 4)
        row["rss_each"] = (row["rss"] - before) / count
        figures[system.name] = [row]
    return {"streams": count, "systems": medians(figures)}


def started(system):
    """How long a start takes, and what it needs when nothing happens."""
    starts = []
    for _ in range(3):
        system.stop()
        began = time.monotonic()
        system.start()
        starts.append((time.monotonic() - began) * 1000)
    time.sleep(0.5)  # idle is what is measured
    return {"rss": system.rss_bytes(), "start_ms": statistics.median(starts)}


def measure_idle(running):
    return {system.name: started(system) for system in running if system.name != "direct"}


def measure_keys(world):
    """A start with a million keys."""
    system = systems.AtlasWithKeys("atlas-keys", world.first_port + 13, world)
    try:
        return {"count": system.keys, "systems": {"atlas": started(system)}}
    finally:
        system.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build-bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--only", default="direct,haproxy,nginx,nginx+log,atlas,atlas+trained")
    parser.add_argument("--cases", default="calls,rates,streams,crowd,tls,idle,keys,routing,prefixes,slow,instructions,parts")
    parser.add_argument("--quick", action="store_true", help="two short rounds")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 2, 1
    cases = options.cases.split(",")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atlas-bench-"))
    atlas = pathlib.Path(os.environ.get("ATLAS", ROOT / "build/atlas"))
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with systems.Running(folder, atlas, ROOT / "build-bench/tests/bench") as world:
        names = [name for name in options.only.split(",") if name != "atlas+trained" or
                 (atlas.parent.parent / "build-trained/atlas").exists()]
        running = world.start(names)
        silent = [s for s in running if not s.writes_log] # one line a call matters to calls alone
        load = Load(folder, ROOT / "build-bench/tests/bench")
        result = {"machine": systems.machine(atlas), "rounds": options.rounds,
                  "seconds": options.seconds}
        steps = {"calls": lambda: measure_calls(load, running, options),
                 "rates": lambda: measure_rates(load, running, options),
                 "streams": lambda: measure_streams(load, silent, options),
                 "crowd": lambda: measure_crowd(load, silent, options),
                 "tls": lambda: tls.measure(world, load, options, chat_body, rounds_of, medians),
                 "idle": lambda: measure_idle(running),
                 "keys": lambda: measure_keys(world),
                 "routing": lambda: routing.measure(world, load, options, chat_body, rounds_of, medians),
                 "prefixes": lambda: prefixes.measure(atlas),
                 "slow": lambda: slow.measure(world, load, options),
                 "instructions": lambda: systems.instructions(world, load, chat_body),
                 "parts": lambda: parts.measure(world.tools, folder)}
        for case in cases:
            result[case] = steps[case]()
            print(f"bench: {case} done after {time.monotonic() - began:.0f} s", file=sys.stderr)
    result["took_s"] = round(time.monotonic() - began)
    shutil.rmtree(folder, ignore_errors=True)
    options.out.mkdir(exist_ok=True)
    (options.out / "benchmarks.json").write_text(json.dumps(result, indent=1) + "\n")
    table = page.markdown(result)
    (options.out / "benchmarks.md").write_text(table)
    (options.out / "benchmarks.svg").write_text(page.svg(result))
    print(table)


if __name__ == "__main__":
    main()
