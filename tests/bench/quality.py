#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What profiles and simple rules save, and at what quality, on the tables that RouteLLM published: for each prompt whether a
strong and a weak model (gpt-4-1106-preview, Mixtral 8x7B) answered it well.

    quality.py --repository FOLDER [--out FOLDER]

FOLDER is a clone of the repository lm-sys/RouteLLM (Apache-2.0); its tables are taken from one commit and checked by SHA-256.
(The package `routellm` holds none of them.) A real gateway with two simulated model servers decides where each prompt goes:
it is asked by POST /admin/v1/routes/explain, once a prompt and a set of rules, by the rules in force. What a set costs is
what the gateway counts as prompt tokens, and ANSWER_TOKENS of answer, at the prices below. Writes FOLDER/quality.md, .svg.
"""
import argparse
import concurrent.futures
import contextlib
import csv
import hashlib
import http.client
import io
import json
import math
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import prefixes

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COMMIT = "0b64fdafe049e596a3f5657c219329f24af24198"
SHA256 = "9353625f44849688ac5f2175e4b42802e49f824a71bb51e5d81cc2efe7caa07c"
STRONG, WEAK = "gpt-4-1106-preview", "mistralai/Mixtral-8x7B-Instruct-v0.1"
PRICES = {"strong": 24.7, "weak": 0.24}  # dollars a million tokens of either direction: RouteLLM's estimate
ANSWER_TOKENS = 256  # what profiles reckon with
FIRST_TOKEN_MS = {"strong": 700, "weak": 300}
PUBLISHED_SAVED = {"MMLU": 0.45, "GSM8K": 0.35, "MT Bench": 0.85}  # RouteLLM's own claim, at PUBLISHED_QUALITY of the strong model's
PUBLISHED_QUALITY = 0.95
ASKING = 4  # connections
LONGER = (20, 30, 40, 50, 60, 80, 100, 130, 170, 250, 400)
SHORTER = (30, 50, 80, 130)


# ---- the tables ----

class Tables:
    """The files of the one commit."""

    def __init__(self, repository):
        self.repository, self.digest = repository, hashlib.sha256()

    def git(self, *what):
        done = subprocess.run(["git", "-C", str(self.repository), *what], capture_output=True)
        if done.returncode != 0:
            sys.exit(f"bench: {self.repository} has no commit {COMMIT} of lm-sys/RouteLLM: {done.stderr.decode().strip()}")
        return done.stdout

    def text(self, path):
        data = self.git("show", f"{COMMIT}:routellm/evals/{path}")
        self.digest.update(data)
        return data.decode()

    def lines(self, path):
        return [json.loads(line) for line in self.text(path).splitlines()]

    def answered(self, name, paths):
        """Rows of (prompt, 1 if the weak model answered well, the same of the strong one), but for those that were trained on."""
        known = {row["eval_prompt"] for row in self.lines(f"{name}/contaminated_prompts.jsonl")}
        rows = [row for path in paths for row in csv.DictReader(io.StringIO(self.text(path), newline=""))]
        return [(row["prompt"], 100.0 * (row[WEAK] == "True"), 100.0 * (row[STRONG] == "True")) for row in rows if row["prompt"] not in known]

    def judged(self):
        """Of each question the mean of both turns' scores; the first turn decides where it goes, as it does for RouteLLM."""
        known = {row["eval_prompt"] for row in self.lines("mt_bench/contaminated_prompts.jsonl")}
        scores = {}
        for row in self.lines("mt_bench/judgements.jsonl"):
            scores.setdefault((row["question_id"], row["model"]), []).append(row["score"])
        return [(row["turns"][0], statistics.mean(scores[row["question_id"], WEAK]), statistics.mean(scores[row["question_id"], STRONG]))
                for row in self.lines("mt_bench/question.jsonl") if not known & set(row["turns"])]

    def read(self):
        listed = self.git("ls-tree", "-r", "--name-only", COMMIT, "routellm/evals/mmlu/responses").decode().splitlines()
        subjects = [f"mmlu/responses/{pathlib.Path(path).name}" for path in sorted(listed)]
        tables = {"MMLU": self.answered("mmlu", subjects), "GSM8K": self.answered("gsm8k", ["gsm8k/gsm8k_responses.csv"]),
                  "MT Bench": self.judged()}
        if self.digest.hexdigest() != SHA256:
            sys.exit(f"bench: the tables are not those that are known: SHA-256 is {self.digest.hexdigest()}")
        return tables


# ---- the gateway's decision ----

def rule_sets():
    """(what it is called, its kind, the file of rules), as operators write them."""
    out = [(f"profile {name}", "profile", {"default_profile": name, "routes": []}) for name in ("cost", "balanced", "performance")]
    conditions = [(f"prompt_tokens > {n}", "longer") for n in LONGER] + [(f"prompt_tokens < {n}", "shorter") for n in SHORTER]
    conditions += [("code_share > 0.3", "other"), ("prompt_tokens > 100 || code_share > 0.3", "other")]
    for condition, kind in conditions:
        out.append((condition, kind, {"routes": [{"name": "hard", "condition": condition, "model": "strong"}, {"name": "rest", "model": "weak"}]}))
    return out


class Local(http.client.HTTPConnection):
    """To the socket of the data folder."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Decider:
    """Asks the gateway where prompts go, on a few connections at once."""

    def __init__(self, atlas, config, rules):
        self.atlas, self.config, self.rules, self.own = atlas, config, rules, threading.local()

    def take(self, rules):
        """Puts rules in force."""
        self.rules.write_text(json.dumps(rules))
        subprocess.run([self.atlas, "route", "reload", "--config", self.config], check=True, capture_output=True)

    def explain(self, prompt):
        """The model that a prompt goes to, and its tokens."""
        if not hasattr(self.own, "connection"):
            self.own.connection = Local(self.config.parent / "data/admin.sock")
        body = json.dumps({"model": "auto-router", "messages": [{"role": "user", "content": prompt}]})
        self.own.connection.request("POST", "/admin/v1/routes/explain", body, {"Content-Type": "application/json"})
        answer = self.own.connection.getresponse()
        said = json.loads(answer.read())
        if answer.status != 200 or not said["chosen"]:
            sys.exit(f"bench: nothing was decided: {said}")
        return said["chosen"]["model"], said["facts"]["prompt_tokens"]

    def decide(self, prompts):
        with concurrent.futures.ThreadPoolExecutor(ASKING) as pool:
            return list(pool.map(self.explain, prompts))




def settings(rules):
    """Two models as they were: the weak one's tier is the catalogue's, which does not know the strong one."""
    price = {name: {"input": cost, "output": cost} for name, cost in PRICES.items()}
    return {"routing": str(rules), "models": {"strong": {"upstream": "u0", "upstream_name": STRONG, "tier": 5, "price": price["strong"]},
                                              "weak": {"upstream": "u1", "upstream_name": WEAK, "price": price["weak"]}}}


def call(gateway, model):
    """A real call, so that the gateway knows how long its server takes to begin."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "How much is 6 x 7?"}], "max_tokens": 16})
    request = urllib.request.Request(f"http://127.0.0.1:{gateway.port}/v1/chat/completions", body.encode(),
                                     {"Authorization": f"Bearer {gateway.key}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def decisions(atlas, tables):
    """Of each set of rules and table the (model, tokens) of its prompts."""
    out = []
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atlas-bench-")))
        ports = [stack.enter_context(prefixes.Simulator(atlas, ["--first-token-ms", ms])) for ms in FIRST_TOKEN_MS.values()]
        rules = folder / "routing_config.yaml"
        rules.write_text(json.dumps({"routes": []}))
        gateway = stack.enter_context(prefixes.Gateway(atlas, folder, ports, settings(rules)))
        decider = Decider(atlas, gateway.config, rules)
        for name, kind, text in rule_sets():
            decider.take(text)
            for model in PRICES:
                call(gateway, model)
            out.append((name, kind, {table: decider.decide([row[0] for row in rows]) for table, rows in tables.items()}))
            print(f"bench: {name}: done", file=sys.stderr)
    return out


# ---- figures ----

def cost(tokens, model):
    return (tokens + ANSWER_TOKENS) * PRICES[model] / 1e6


class Bounds:
    """What one model alone gives and costs on a table."""

    def __init__(self, rows, tokens):
        self.rows, self.count = rows, len(rows)
        self.weak, self.strong = (statistics.mean(row[at] for row in rows) for at in (1, 2))
        self.cost = {model: sum(cost(n, model) for n in tokens) for model in PRICES}

    def figures(self, decided):
        """Of one set of rules. `pgr` is the part of the gap between both models that it recovers. A random router recovers as
        much of it as its share of calls to the strong one, but for chance: `chance` is twice its standard deviation. `at_cost` is
        what one recovers that spends as much: long prompts cost more than others."""
        strong = [model == "strong" for model, _ in decided]
        share = sum(strong) / self.count
        quality = statistics.mean(row[2 if to_strong else 1] for row, to_strong in zip(self.rows, strong))
        spent = sum(cost(tokens, model) for model, tokens in decided)
        gains = [row[2] - row[1] for row in self.rows]
        spread = math.sqrt(share * (1 - share) / (self.count - 1)) * statistics.pstdev(gains)
        return {"share": share, "quality": quality, "saved": 1 - spent / self.cost["strong"],
                "pgr": (quality - self.weak) / (self.strong - self.weak), "chance": 2 * spread / (self.strong - self.weak),
                "at_cost": (spent - self.cost["weak"]) / (self.cost["strong"] - self.cost["weak"])}

    def best(self):
        """(share, quality) of who knows both answers before he asks: what no router is better than."""
        gains = sorted((row[2] - row[1] for row in self.rows), reverse=True)
        steps = [round(at * self.count / 50) for at in range(51)]
        return [(n / self.count, self.weak + sum(g for g in gains[:n] if g > 0) / self.count) for n in steps]


def corners(points):
    """A curve's points by share, from the weak model alone to the strong one alone."""
    ends = [{"share": 0, "pgr": 0, "saved": None}, {"share": 1, "pgr": 1, "saved": 0}]
    return sorted(ends[:1] + points + ends[1:], key=lambda point: point["share"])


def area(points):
    """RouteLLM's APGR: the mean of the gap that is recovered, over all shares. A random router's is 0.5."""
    line = corners(points)
    return sum((b["share"] - a["share"]) * (a["pgr"] + b["pgr"]) / 2 for a, b in zip(line, line[1:]))


def saved_at(points, pgr, all_weak_saved):
    """What is saved where a curve comes to `pgr` for good, in a line between its points."""
    line = corners(points)
    line[0]["saved"] = all_weak_saved
    at = max(i for i, point in enumerate(line) if point["pgr"] < pgr)
    a, b = line[at], line[at + 1]
    return a["saved"] + (b["saved"] - a["saved"]) * (pgr - a["pgr"]) / (b["pgr"] - a["pgr"])


def figures(tables, decided):
    out = {}
    for table, rows in tables.items():
        bounds = Bounds(rows, [tokens for _, tokens in decided[0][2][table]])
        sets = {name: {"kind": kind, **bounds.figures(chosen[table])} for name, kind, chosen in decided}
        wanted = (PUBLISHED_QUALITY * bounds.strong - bounds.weak) / (bounds.strong - bounds.weak)
        cheapest = 1 - bounds.cost["weak"] / bounds.cost["strong"]
        curves = {kind: [dict(row) for row in sets.values() if row["kind"] == kind] for kind in ("longer", "shorter")}
        out[table] = {"count": len(rows), "weak": bounds.weak, "strong": bounds.strong, "sets": sets, "best": bounds.best(),
                      "apgr": {kind: area(points) for kind, points in curves.items()},
                      "saved_random": cheapest * (1 - wanted), "cheapest": cheapest,
                      "saved": {kind: saved_at(points, wanted, cheapest) for kind, points in curves.items()}}
    return out


# ---- the page ----

def markdown(result):
    text = "\n| rules | " + " | ".join(f"{t}: strong, saved | quality | gap recovered (by chance: as many calls, as much money)" for t in result) + " |\n"
    text += "| --- |" + " ---: | ---: | ---: |" * len(result) + "\n"
    text += "| all to the weak model | " + " | ".join(f"0 %, {r['cheapest'] * 100:.1f} % | {r['weak']:.2f} | 0" for r in result.values()) + " |\n"
    for name in next(iter(result.values()))["sets"]:
        cells = []
        for r in result.values():
            row = r["sets"][name]
            cells.append(f"{row['share'] * 100:.1f} %, {row['saved'] * 100:.1f} % | {row['quality']:.2f} | "
                         f"{row['pgr']:.2f} ({row['share']:.2f} ± {row['chance']:.2f}, {row['at_cost']:.2f})")
        text += f"| {name if name.startswith('profile') else f'`{name}`'} | ".replace("||", "\\|\\|") + " | ".join(cells) + " |\n"
    text += "| all to the strong model | " + " | ".join(f"100 %, 0 % | {r['strong']:.2f} | 1" for r in result.values()) + " |\n"
    text += "\n| | " + " | ".join(result) + " |\n| --- |" + " ---: |" * len(result) + "\n"
    kept = f"saved at {PUBLISHED_QUALITY * 100:.0f} % of the strong model's quality"
    for what, saved in (("a random router", lambda t, r: r["saved_random"]), ("`prompt_tokens > N`", lambda t, r: r["saved"]["longer"]),
                        ("`prompt_tokens < N`", lambda t, r: r["saved"]["shorter"]),
                        ("RouteLLM's learned routers, as they published it", lambda t, r: PUBLISHED_SAVED[t])):
        text += f"| {kept}: {what} | " + " | ".join(f"{saved(t, r) * 100:.0f} %" for t, r in result.items()) + " |\n"
    for kind, sign in (("longer", ">"), ("shorter", "<")):
        text += (f"| gap recovered over all shares (APGR; random: 0.50): `prompt_tokens {sign} N` | "
                 + " | ".join(f"{r['apgr'][kind]:.2f}" for r in result.values()) + " |\n")
    return text


COLOURS = {"profile": "#d9822b", "longer": "#5b8def", "shorter": "#3aa675", "other": "#9b59b6"}
SAID = {"profile": "profiles", "longer": "prompt_tokens > N", "shorter": "prompt_tokens < N", "other": "code_share"}
PANEL, WIDE, HIGH, LEFT, TOP = 270, 200, 170, 50, 30


class Panel:
    """One table's points: quality by the share of calls to the strong model."""

    def __init__(self, table, result, at):
        self.table, self.result, self.x0 = table, result, LEFT + at * PANEL
        low, high = result["weak"], max(quality for _, quality in result["best"])
        self.low, self.high = low - (high - low) * 0.15, high + (high - low) * 0.05

    def place(self, share, quality):
        return f"{self.x0 + share * WIDE:.1f},{TOP + HIGH - (quality - self.low) / (self.high - self.low) * HIGH:.1f}"

    def line(self, points, style):
        return f'<polyline points="{" ".join(self.place(*point) for point in points)}" fill="none" {style}/>'

    def dot(self, share, quality, colour):
        x, y = self.place(share, quality).split(",")
        return f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>'

    def drawn(self):
        r, right = self.result, self.x0 + WIDE
        lines = [f'<text x="{self.x0}" y="{TOP - 12}" class="title">{self.table}</text>',
                 f'<path d="M{self.x0},{TOP}V{TOP + HIGH}H{right}" fill="none" stroke="#999"/>',
                 f'<text x="{self.x0}" y="{TOP + HIGH + 14}">0 %</text><text x="{right}" y="{TOP + HIGH + 14}" text-anchor="end">100 % strong</text>',
                 self.line([(0, r["weak"]), (1, r["strong"])], 'stroke="#999" stroke-dasharray="4 3"'), self.line(r["best"], 'stroke="#ccc"')]
        for quality in (r["weak"], r["strong"]):
            y = self.place(0, quality).split(",")[1]
            lines.append(f'<text x="{self.x0 - 5}" y="{float(y) + 4:.1f}" text-anchor="end">{quality:.1f}</text>')
        for kind in ("longer", "shorter"):
            curve = sorted((row["share"], row["quality"]) for row in r["sets"].values() if row["kind"] == kind)
            lines.append(self.line(curve, f'stroke="{COLOURS[kind]}"'))
        lines += [self.dot(row["share"], row["quality"], COLOURS[row["kind"]]) for row in r["sets"].values()]
        x, y = self.place(1 - PUBLISHED_SAVED[self.table] / r["cheapest"], PUBLISHED_QUALITY * r["strong"]).split(",")
        return lines + [f'<path d="M{x},{y}m-5,-5l10,10m0,-10l-10,10" stroke="#c00" stroke-width="2"/>']


def svg(result):
    width, height = LEFT + PANEL * len(result), TOP + HIGH + 60
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
             'aria-label="Quality by share of calls to the strong model">',
             "<style>text{font:11px sans-serif;fill:#333}.title{font-weight:bold}</style>", f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for at, (table, row) in enumerate(result.items()):
        lines += Panel(table, row, at).drawn()
    x = LEFT
    for kind, colour in COLOURS.items():
        said = SAID[kind].replace(">", "&gt;").replace("<", "&lt;")
        lines.append(f'<circle cx="{x}" cy="{height - 24}" r="3.5" fill="{colour}"/><text x="{x + 8}" y="{height - 20}">{said}</text>')
        x += 20 + 7 * len(SAID[kind])
    lines.append(f'<text x="{LEFT - 4}" y="{height - 5}">dashed: a random router; grey: who knows both answers; red cross: RouteLLM\'s routers, as published</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repository", type=pathlib.Path, required=True, help="a clone of lm-sys/RouteLLM")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build-bench")
    options = parser.parse_args()
    began, tables = time.monotonic(), Tables(options.repository).read()
    result = figures(tables, decisions(os.environ.get("ATLAS", str(ROOT / "build/atlas")), tables))
    options.out.mkdir(exist_ok=True)
    (options.out / "quality.json").write_text(json.dumps(result, indent=1) + "\n")
    (options.out / "quality.md").write_text(markdown(result))
    (options.out / "quality.svg").write_text(svg(result))
    print(", ".join(f"{table}: {row['count']:,} prompts" for table, row in result.items()) + f"; {time.monotonic() - began:.0f} s")
    print(markdown(result))


if __name__ == "__main__":
    main()
