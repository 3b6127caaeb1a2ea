# SPDX-License-Identifier: Apache-2.0
"""Callers that go on whatever dies, and what they saw; kill -9, again and again; what is in the books afterwards."""
import decimal
import json
import os
import random
import signal
import threading
import time

from harness.processes import SANITIZED, SLOWER
from harness.raw import Raw
from harness.waiting import until

KILLS = 3 if SANITIZED else 10
CLIENTS = 6


class Left(Exception):
    """The caller went away of its own will."""


class Load:
    """Clients that call for ever and remember the calls whose last byte reached them. `ask(raw, chance)` sends a request, and says
    whether its caller leaves when it has seen the head."""

    def __init__(self, gateway, ask):
        self.gateway, self.ask = gateway, ask
        self.whole, self.refused, self.cut, self.left, self.broken = [], [], [], [], 0
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        chance = random.Random(number)
        while not self.stopped.is_set():
            try:
                with Raw(self.gateway.port, self.gateway.key, timeout=20 * SLOWER) as raw:
                    while not self.stopped.is_set():
                        self._call(raw, chance)
            except Left:
                pass
            except (OSError, AttributeError, ValueError):
                self.broken += 1  # it died under us, or is not back yet

    def _call(self, raw, chance):
        leaves = self.ask(raw, chance)
        head = raw.read_head()
        call_id = head.header("x-request-id")
        if leaves:
            self.left.append(call_id)
            raise Left
        body = b""
        if head.header("transfer-encoding") == "chunked":
            while True:
                piece = raw.read_chunk()
                if piece is None:
                    raise OSError("cut")
                if piece == b"":
                    break
                body += piece
        else:
            length = int(head.header("content-length"))
            body = raw.reader.read(length)
            if len(body) < length:
                raise OSError("cut")
        seen = self.refused if head.status != 200 else self.cut if b'data: {"error"' in body else self.whole
        seen.append(call_id)

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def kill_again_and_again(gateway, load, whom):
    """`whom`: "child" or "parent"."""
    # The next start must be found at the same place.
    gateway.write({**gateway.config, "listen": [{"address": f"127.0.0.1:{gateway.port}"}]})
    chance = random.Random(7)
    for _ in range(KILLS):
        done, ready = len(load.whole), gateway.count_log("ready")
        until(lambda: len(load.whole) > done + 30, 30 * SLOWER, "calls to go on")
        time.sleep(chance.random() * 0.02)  # at any point of what it does
        if whom == "child":
            os.kill(until(gateway.children)[0], signal.SIGKILL)
            until(lambda: gateway.count_log("ready") > ready, 30 * SLOWER)
        else:
            gateway.kill()
            until(lambda: not os.path.exists(f"/proc/{gateway.process.pid}"), 5)
            gateway.start()
    done = len(load.whole)
    until(lambda: len(load.whole) > done + 30, 30 * SLOWER)


def usage_of(gateway):
    said = json.loads(gateway.command("usage", "--json", "--by", "key,model,upstream,route,hour").stdout)
    assert said["has_more"] is False
    return said["data"]


def nano(row):
    """The cost of a row of usage, in billionths: of prices that are whole in six places it is exact."""
    return int(decimal.Decimal(row["cost"]) * 10**9)


def rebuild(gateway):
    """The usage that the journal alone tells."""
    for path in gateway.data.glob("atlas.db*"):
        path.unlink()
    gateway.announce("store_new")
    gateway.start()
    assert gateway.stop() == 0
    assert gateway.unannounced() == []
    return usage_of(gateway)


class Books:
    """What stands in the journal, the usage and the simulator when `ask` was asked while `whom` was killed; stops the gateway."""

    def __init__(self, gateway, sim, ask, whom):
        before = set(sim.calls())
        self.load = Load(gateway, ask)
        try:
            kill_again_and_again(gateway, self.load, whom)
        except BaseException:
            gateway.kill()
            raise
        finally:
            self.load.stop()
        until(lambda: sim.counters()["running"] == 0, 10 * SLOWER)
        assert gateway.stop() == 0
        gateway.announce("gateway_died", "call_failed", "journal_torn")
        assert gateway.unannounced() == []
        checked = gateway.command("journal", "check")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        printed = gateway.command("journal", "print")
        assert printed.returncode == 0
        self.records = [json.loads(line) for line in printed.stdout.splitlines()]
        self.usage = usage_of(gateway)
        self.rebuilt = rebuild(gateway)
        self.upstream = {call: row for call, row in sim.calls().items() if call not in before}

    def of_kind(self, kind):
        return [r for r in self.records if r["kind"] == kind]
