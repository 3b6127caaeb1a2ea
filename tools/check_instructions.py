#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A call costs as many instructions as tests/bench/ceiling.txt says: within 3 %, more or less.

Counted under valgrind on a scripted run, so neither the machine nor what else it does matters.
"""
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CEILING = ROOT / "tests/bench/ceiling.txt"
TOLERANCE = 0.03
sys.path.insert(0, str(ROOT / "tests/bench"))


def build():
    for folder, *options in (("build", "-Db_lto=true", "-Dtests=disabled"),
                             ("build-bench", "-Dbench=true", "-Dtests=disabled")):
        subprocess.run(["tools/build.sh", folder, *options], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def measured(sizes):
    import run
    import systems
    with tempfile.TemporaryDirectory(prefix="atlas-count-") as name, \
            systems.Running(pathlib.Path(name), ROOT / "build/atlas", ROOT / "build-bench/tests/bench") as world:
        atlas = world.start(["atlas"])[0]
        atlas.stop()
        load = run.Load(pathlib.Path(name), world.tools)
        for size in sizes:
            shorter = 1 if size < 10000 else 8  # a large body's count is as exact with fewer calls
            yield size, systems.instructions_a_call(atlas, load, run.chat_body(size), 400 // shorter, 2400 // shorter)


def main():
    rows = [line.split() for line in CEILING.read_text().splitlines() if line and line[0] != "#"]
    ceilings = {int(size): int(count) for size, count in rows}
    build()
    wrong = False
    for size, count in measured(ceilings):
        off = count / ceilings[size] - 1
        if abs(off) > TOLERANCE:
            wrong = True
            print(f"a call with a body of {size} bytes takes {count} instructions, {off:+.1%} of the {ceilings[size]} "
                  f"that {CEILING.relative_to(ROOT)} says: "
                  + ("find out why, or write the new number with its reason" if off > 0 else "write the lower number"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
