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
import signal
import subprocess
import threading
import time
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


class Tool:
    """Programs that run for us, in sessions of their own: Ctrl-C is ours to hand on."""

    def __init__(self):
        self.lock, self.running, self.stopped = threading.Lock(), set(), False

    def run(self, command, tick=lambda: None, **more):
        """Runs one to its end, calling `tick` meanwhile; gives (status, what it said on standard error)."""
        with self.lock:
            if self.stopped:
                return -signal.SIGTERM, ""
            child = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *map(str, command)], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                     start_new_session=True, **more)
            self.running.add(child)
        while True:
            try:
                said = child.communicate(timeout=0.25)[1]
                break
            except subprocess.TimeoutExpired:
                tick()
        with self.lock:
            self.running.discard(child)
        return child.returncode, said

    def stop(self):
        """Ends all of them; none starts any more."""
        with self.lock:
            self.stopped = True
            for child in self.running:
                try:
                    os.killpg(child.pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass  # it ended by itself


tool = Tool()


def open_pip(cache, say):
    """The path of a pip that can check hashes. `say` is given a line of progress now and then."""
    folder, started = cache / "pip", time.monotonic()
    made = folder / ".complete"
    if not made.exists():
        status, said = tool.run(["/usr/bin/python3", "-m", "venv", "--clear", folder], tick=lambda: say(
            f"making a virtual environment for pip: {time.monotonic() - started:.0f} s"))
        if status != 0:
            raise OSError((said.strip().splitlines() or [f"python3 -m venv ended with {status}"])[-1])
        made.touch()
    return folder / "bin" / "pip"


def fetch(package, pip):
    """Downloads, unpacks and marks one package; leaves `failure` set when it cannot be had."""
    shutil.rmtree(package.staging, ignore_errors=True)
    (package.staging / "tmp").mkdir(parents=True)
    wanted = package.staging / "requirement.txt"
    wanted.write_text(package.requirement + "\n")
    status, said = tool.run(
        [pip, "download", "-q", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-cache-dir",
         "--disable-pip-version-check", "--retries", "1", "--timeout", "20", "-d", package.staging,
         "-r", wanted],
        env={**os.environ, "TMPDIR": str(package.staging / "tmp")})
    wheels = list(package.staging.glob("*.whl"))
    if status != 0 or not wheels:
        errors = [line for line in said.splitlines() if line.startswith("ERROR: ")]
        package.failure = (errors[-1].removeprefix("ERROR: ") if errors else "pip failed")[:200]
        if "DO NOT MATCH THE HASHES" in said:
            package.failure = "what the index sent does not have the pinned hash"
        elif "connection" in said.lower():
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


def fetch_all(packages, cache, say):
    """Fetches those that are not here; gives `say` a line of progress now and then."""
    lacking = [p for p in packages if not p.is_here()]
    if not lacking:
        return
    try:
        pip = open_pip(cache, say)
    except OSError as error:
        for package in lacking:
            package.failure = f"no virtual environment could be made: {error}"
        return
    started, total = time.monotonic(), sum(p.size for p in lacking)
    with concurrent.futures.ThreadPoolExecutor(len(lacking)) as pool:
        waiting = {pool.submit(fetch, package, pip) for package in lacking}
        while waiting:
            try:
                ready, waiting = concurrent.futures.wait(waiting, timeout=0.25)
            except BaseException:  # Ctrl-C: the pool waits for its threads, and they for what runs
                tool.stop()
                raise
            for one in ready:
                one.result()
            say(f"fetching models: {sum(p.received() for p in lacking) / 1e6:.0f} of {total / 1e6:.0f} MB, "
                f"{time.monotonic() - started:.0f} s")


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
