#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""train.py ATLAS SIM: runs a program that counts its own branches through what a gateway does all day.

Chat, long prompts, streams and embeddings, in front of the bench's model server and, for the
embeddings, of `SIM sim`. When it ends, the counts lie beside the program's objects (GCC's .gcda).
"""
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/bench"))

import run  # noqa: E402
import systems  # noqa: E402


class Trained(systems.Atlas):
    def prepare(self):
        super().prepare()
        text = self.config.read_text()
        sim = f'  sim: {{ url: "http://127.0.0.1:{self.world.first_port + 1}/v1", region: sa }}\n'
        text = text.replace("models:\n", sim + "models:\n  embedder: { upstream: sim }\n")
        self.config.write_text(text)


def embeddings():
    texts = [f"Article {n}: the committee meets on the first Monday of the month." for n in range(16)]
    return json.dumps({"model": "embedder", "input": texts}).encode()


def train(folder, atlas, sim):
    with systems.Running(folder, atlas, ROOT / "build-bench/tests/bench") as world:
        answers = subprocess.Popen([sim, "sim", "--listen", f"127.0.0.1:{world.first_port + 1}"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            system = Trained("atlas", world.first_port + 2, world)
            world.systems.append(system)
            system.start()
            load = run.Load(folder, world.tools)
            load.exactly(system, run.chat_body(1700), 8000)
            load.exactly(system, run.chat_body(100000), 800)
            load.exactly(system, embeddings(), 800, path="/v1/embeddings")
            load.streams(system, 100, 10000, 2)
            load.rate(system, run.chat_body(1700), 1000, 2)
        finally:
            answers.kill()
            answers.wait()


def main():
    atlas, sim = (pathlib.Path(name).resolve() for name in sys.argv[1:3])
    with tempfile.TemporaryDirectory(prefix="atlas-train-") as name:
        train(pathlib.Path(name), atlas, sim)


if __name__ == "__main__":
    main()
