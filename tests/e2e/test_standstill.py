# SPDX-License-Identifier: Apache-2.0
"""A worker that stands still: it is said, then the gateway is ended and started again. Who is stopped on purpose is not."""
import contextlib
import ctypes
import os
import signal
from pathlib import Path

import pytest

from harness.processes import SLOWER, get
from harness.waiting import stays, until

PTRACE_ATTACH, PTRACE_DETACH, WALL = 16, 17, 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def threads(pid):
    """Thread ids by name; of the workers one."""
    return {(task / "comm").read_text().strip(): int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()}


class Held:
    """A thread that is stopped while its process runs on."""

    def __init__(self, thread):
        self.thread, self.ended = thread, False
        if LIBC.ptrace(PTRACE_ATTACH, thread, None, None) != 0:
            pytest.skip("only root may stop one thread of the gateway")
        os.waitpid(thread, WALL)

    def __enter__(self):
        return self

    def has_ended(self):
        """Whether its process was killed. Only who holds it can bury it."""
        if not self.ended:
            pid, status = os.waitpid(self.thread, WALL | os.WNOHANG)
            self.ended = pid != 0 and os.WIFSIGNALED(status)
        return self.ended

    def __exit__(self, *_):
        if not self.has_ended():
            LIBC.ptrace(PTRACE_DETACH, self.thread, None, None)


def gateway_with(make_gateway, sim, most):
    return make_gateway({"worker_still_max": most, "upstreams": {"u": {"url": sim.base}}, "models": {"m": {"upstream": "u"}}})


def readiness(gateway):
    """The kinds of trouble that /readyz names; None where nobody answers."""
    with contextlib.suppress(OSError, ValueError):  # the connection dies with the gateway
        return {problem["kind"]: problem for problem in get(gateway.admin_url + "/readyz").json()["problems"]}
    return None


def test_a_worker_that_stands_still_is_said_and_makes_the_gateway_not_ready(make_gateway, sim):
    gateway = gateway_with(make_gateway, sim, "0s")  # and is let stand
    gateway.announce("worker_still")
    [child] = until(gateway.children)
    with Held(threads(child)["atlas-worker"]):
        until(lambda: gateway.count_log("worker_still") == 1, 20 * SLOWER)
        assert get(gateway.admin_url + "/readyz").status_code == 503
        assert readiness(gateway)["worker_still"]["level"] == "error"
        assert gateway.metrics()['atlas_health_problems{kind="worker_still"}'] == 1
        assert "worker_still" in gateway.command("status").stdout
    until(lambda: gateway.count_log("worker_still") == 2, 20 * SLOWER, "it is over")
    assert get(gateway.admin_url + "/readyz").status_code == 200


def test_a_gateway_whose_worker_stands_still_is_ended_and_another_serves(make_gateway, sim):
    gateway = gateway_with(make_gateway, sim, f"{2 * SLOWER}s")
    gateway.announce("worker_still", "gateway_still", "gateway_died")
    [child] = until(gateway.children)
    with Held(threads(child)["atlas-worker"]) as held:
        until(lambda: (readiness(gateway) or {}).get("worker_still"), 5 * SLOWER, "/readyz names it")
        until(held.has_ended, 10 * SLOWER, "the gateway is killed")
    until(lambda: gateway.children() not in ([], [child]), 5 * SLOWER, "another one")
    until(lambda: readiness(gateway) == {}, 10 * SLOWER, "it serves")
    assert gateway.chat("m").status_code == 200
    assert gateway.count_log("gateway_still") == 1


def test_a_gateway_whose_main_thread_stands_still_is_ended_and_another_serves(make_gateway, sim):
    gateway = gateway_with(make_gateway, sim, f"{SLOWER}s")
    gateway.announce("gateway_still", "gateway_died")
    [child] = until(gateway.children)
    with Held(child) as held:
        until(held.has_ended, 20 * SLOWER, "the gateway is killed")
    until(lambda: gateway.children() not in ([], [child]) and readiness(gateway) == {}, 10 * SLOWER, "another one serves")
    assert gateway.chat("m").status_code == 200


def test_a_gateway_that_was_stopped_and_that_nobody_lets_go_on_is_ended_and_another_serves(make_gateway, sim):
    gateway = gateway_with(make_gateway, sim, f"{SLOWER}s")
    gateway.announce("gateway_still", "gateway_died")
    [child] = until(gateway.children)
    os.kill(child, signal.SIGSTOP)
    until(lambda: gateway.children() not in ([], [child]) and readiness(gateway) == {}, 20 * SLOWER, "another one serves")
    assert gateway.chat("m").status_code == 200


@pytest.mark.parametrize("who", ["the gateway", "the gateway and its parent"])
def test_who_is_stopped_on_purpose_is_not_ended_for_it(make_gateway, sim, who):
    gateway = gateway_with(make_gateway, sim, "2s")
    [child] = until(gateway.children)
    stopped = [child] if who == "the gateway" else [child, gateway.process.pid]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    stays(lambda: gateway.children() == [child], 7.5, "it is stopped for longer than three times worker_still_max")
    for pid in reversed(stopped):
        os.kill(pid, signal.SIGCONT)
    assert gateway.chat("m").status_code == 200
    stays(lambda: gateway.children() == [child] and readiness(gateway) == {}, 1.5, "nobody holds it against it")
    assert gateway.count_log("gateway_still") == 0
