#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How well the guard finds what prompts.py labels: precision and recall of each type, by `atlas guard test`.

    score.py [--atlas build/atlas] [--seed 1] [--count 14000] [--misses N] [--markdown]

A finding acts from a confidence of 0.5 on; others are not counted. A label is hit by a finding of its type that overlaps it, and
exactly if the bytes are the same. Ends with 1 where a reach is not kept: REACHES, and BENIGN of the benign Arabic prompts.
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import prompts  # noqa: E402

ACTS = 0.5
REACHES = {**{kind: (0.99, 0.99) for kind in prompts.CHECKED}, "email": (0.97, 0.98), "phone": (0.97, 0.98)}  # precision, recall
BENIGN = 0.001
CONFIG = {"zone": "guard", "region": "sa", "guard": {"mode": "enforce", "prompts": {"default": "flag"}}}


class Atlas:
    """`atlas guard test` with a configuration that flags everything."""

    def __init__(self, program, folder):
        self.program = str(program)
        self.config = pathlib.Path(folder) / "guard.yaml"
        self.config.write_text(json.dumps({**CONFIG, "data": str(pathlib.Path(folder) / "data")}))

    def ask(self, text, *options):
        done = subprocess.run([self.program, "guard", "test", "--config", str(self.config), "--json", *options], input=text.encode(),
                              capture_output=True, timeout=600)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return [json.loads(line) for line in done.stdout.decode().splitlines()]

    def findings(self, texts):
        """Of each text; those with a line feed inside are asked apart."""
        whole = [i for i, text in enumerate(texts) if "\n" not in text and "\r" not in text]
        said = self.ask("".join(texts[i] + "\n" for i in whole), "--lines") if whole else []
        assert len(said) == len(whole), f"{len(whole)} lines in, {len(said)} out"
        found = dict(zip(whole, said))
        for i, text in enumerate(texts):
            if i not in found:
                [found[i]] = self.ask(text)
        return [found[i]["findings"] for i in range(len(texts))]


class Score:
    """Counts of a type, or of whatever else."""

    def __init__(self):
        self.labels = self.hits = self.exact = self.findings = self.right = 0

    @property
    def recall(self):
        return self.hits / self.labels if self.labels else 1.0

    @property
    def precision(self):
        return self.right / self.findings if self.findings else 1.0

    @property
    def exactness(self):
        return self.exact / self.hits if self.hits else 1.0


def overlap(a, b):
    return a["type"] == b["type"] and a["start"] < b["end"] and b["start"] < a["end"]


def same(a, b):
    return a["start"] == b["start"] and a["end"] == b["end"]


class Result:
    """What a detector found (a list of findings a prompt), held against the labels."""

    def __init__(self, labelled, found, types=None):
        self.types = collections.defaultdict(Score)
        self.tags = collections.defaultdict(Score)
        self.misses, self.wrong, self.flagged, self.benign = [], [], [], 0
        for prompt, findings in zip(labelled, found):
            findings = [f for f in findings if types is None or f["type"] in types]
            labels = [x for x in prompt["labels"] if types is None or x["type"] in types]
            self._count(prompt, labels, findings)

    def _count(self, prompt, labels, findings):
        if "benign" in prompt["tags"] and prompt["lang"] == "ar":
            self.benign += 1
            if findings:
                self.flagged.append(prompt)
        for label in labels:
            hits = [f for f in findings if overlap(f, label)]
            for score in (self.types[label["type"]], *(self.tags[tag] for tag in prompt["tags"]), self.tags[prompt["lang"]]):
                score.labels += 1
                score.hits += bool(hits)
                score.exact += any(same(f, label) for f in hits)
            if not hits:
                self.misses.append((label, prompt, findings))
        for finding in findings:
            right = any(overlap(finding, label) for label in labels)
            for score in (self.types[finding["type"]], *(self.tags[tag] for tag in prompt["tags"])):
                score.findings += 1
                score.right += right
            if not right:
                self.wrong.append((finding, prompt))

    @property
    def benign_rate(self):
        return len(self.flagged) / self.benign if self.benign else 0.0

    def broken(self):
        """The reaches that are not kept."""
        out = []
        for kind, (precision, recall) in REACHES.items():
            score = self.types[kind]
            if score.precision < precision or score.recall < recall:
                out.append(f"{kind}: precision {score.precision:.4f} of {precision}, recall {score.recall:.4f} of {recall}")
        if self.benign_rate > BENIGN:
            out.append(f"benign Arabic: {len(self.flagged)} of {self.benign} flagged")
        return out

    def table(self, markdown=False):
        rows = [("type", "values", "precision", "recall", "exact span")]
        for kind in prompts.TYPES + sorted(k for k in self.types if k not in prompts.TYPES):
            s = self.types[kind]
            if s.labels or s.findings:
                rows.append((kind, str(s.labels), f"{s.precision:.4f}", f"{s.recall:.4f}", f"{s.exactness:.4f}"))
        if markdown:
            lines = ["| " + " | ".join(row) + " |" for row in rows]
            return "\n".join([lines[0], "| --- | ---: | ---: | ---: | ---: |", *lines[1:]])
        return "\n".join(f"{r[0]:<18}{r[1]:>8}{r[2]:>11}{r[3]:>9}{r[4]:>12}" for r in rows)

    def tag_table(self):
        return "\n".join(f"{tag:<18}{s.labels:>8}{s.precision:>11.4f}{s.recall:>9.4f}{s.exactness:>12.4f}  wrong {s.findings - s.right}"
                         for tag, s in sorted(self.tags.items()))


def cut(prompt, at):
    """The text around these bytes."""
    data = prompt["text"].encode()
    return repr(data[max(0, at["start"] - 60):at["end"] + 30].decode(errors="ignore"))


def show(result, count):
    """Some of what went wrong, of each type."""
    seen = collections.Counter()
    for what, rows in (("missed", result.misses), ("wrong", result.wrong)):
        for at, prompt, *rest in rows:
            seen[what, at["type"]] += 1
            if seen[what, at["type"]] <= count:
                print(f"{what} {at['type']} {at.get('confidence', '')} {'/'.join(prompt['tags'])}: {cut(prompt, at)}",
                      *(f"{f['type']}@{f['start']}-{f['end']}" for f in (rest[0] if rest else ())))
    for prompt in result.flagged[:count]:
        print("benign, flagged:", repr(prompt["text"]))


def measure(program, seed=1, count=14000):
    labelled = list(prompts.prompts(seed, count))
    with tempfile.TemporaryDirectory() as folder:
        found = Atlas(program, folder).findings([p["text"] for p in labelled])
    return Result(labelled, [[f for f in findings if f["confidence"] >= ACTS] for findings in found])


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--atlas", default=os.environ.get("ATLAS", "build/atlas"))
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--count", type=int, default=14000)
    asked.add_argument("--misses", type=int, default=0)
    asked.add_argument("--markdown", action="store_true")
    said = asked.parse_args()
    result = measure(said.atlas, said.seed, said.count)
    show(result, said.misses)
    print(result.table(said.markdown))
    print(result.tag_table())
    print(f"benign Arabic: {len(result.flagged)} of {result.benign} prompts flagged ({result.benign_rate:.4%})")
    broken = result.broken()
    print(*(f"not reached: {line}" for line in broken), sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
