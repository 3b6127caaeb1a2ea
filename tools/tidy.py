#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tidy.py [FILE]…: clang-tidy over the tree or the files given, as many at a time as cores.

The compile database is clang's own (build-tidy). A file that was clean is not looked at again until
it, a header of ours that it includes, its command or the settings change: build-tidy/clean/ holds
an empty file named by the hash of all four.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

FOLDER = pathlib.Path("build-tidy")
CLEAN = FOLDER / "clean"
OPTIONS = ["-Dtests=enabled", "-Dfuzzing=true", "-Dbench=true"]


def database():
    """The commands by file; the folder is set up when it is not there yet or had other options."""
    note, wanted = FOLDER / ".options", " ".join(OPTIONS)
    if not note.exists() or note.read_text() != wanted:
        again = ["--wipe"] if (FOLDER / "build.ninja").exists() else []
        subprocess.run(["meson", "setup", FOLDER, *again, *OPTIONS], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "CC": "clang-14", "CXX": "clang++-14"})
        note.write_text(wanted)
    else:
        subprocess.run(["ninja", "-C", FOLDER, "--quiet", "build.ninja"], check=True,
                       stdout=subprocess.DEVNULL)
    # What sources include that is made when they are built.
    subprocess.run(["ninja", "-C", FOLDER, "--quiet", "src/models.inc"], check=True, stdout=subprocess.DEVNULL)
    return {os.path.normpath(FOLDER / row["file"]): row["command"]
            for row in json.loads((FOLDER / "compile_commands.json").read_text())}


def key_of(command):
    """The hash of all that the verdict on one file depends on."""
    words = [w for w in shlex.split(command) if not w.startswith("-M") and not w.endswith((".d", ".o"))]
    words = [w for w in words if w not in ("-c", "-o")]
    rule = subprocess.run([*words, "-MM"], cwd=FOLDER, check=True, capture_output=True, text=True).stdout
    needs = sorted(rule.replace("\\\n", " ").split(":", 1)[1].split())
    digest = hashlib.sha256(" ".join(words).encode())
    for settings in (".clang-tidy", "tests/.clang-tidy")[:2 if "/tests/" in words[-1] else 1]:
        digest.update(pathlib.Path(settings).read_bytes())
    for need in needs:
        digest.update((FOLDER / need).read_bytes())
    return digest.hexdigest()


def look_at(path, command):
    """None when the file is clean, else what clang-tidy says."""
    mark = CLEAN / key_of(command)
    if mark.exists():
        return None
    done = subprocess.run(["clang-tidy-14", "--quiet", "-p", FOLDER, path], capture_output=True, text=True)
    if done.returncode == 0:
        mark.touch()
        return None
    return done.stdout + (done.stderr if not done.stdout else "")


def main():
    commands = database()
    CLEAN.mkdir(parents=True, exist_ok=True)
    chosen = [os.path.normpath(p) for p in sys.argv[1:]] or sorted(commands)
    files = [p for p in chosen if p in commands]
    said, shown = [], time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for text in pool.map(lambda p: look_at(p, commands[p]), files):
            said.append(text)
            if sys.stdout.isatty():
                print(f"\r\033[K  …     tidy: {len(said)} of {len(files)} files", end="\r", flush=True)
            elif time.monotonic() - shown > 15:
                shown = time.monotonic()
                print(f"  …     tidy: {len(said)} of {len(files)} files", flush=True)
    if sys.stdout.isatty():
        print("\033[K", end="", flush=True)
    for text in filter(None, said):
        print(text)
    sys.exit(any(said))


main()
