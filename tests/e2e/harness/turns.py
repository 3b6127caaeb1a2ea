# SPDX-License-Identifier: Apache-2.0
"""Whether a bad input holds others up: a call every 10 ms beside it, and the gateway's own measure of its turns.

The gateway must have one worker and a model `quick`. What the machine does beside is not the gateway's: where the
kernel lets us, worker and caller weigh most of all processes, and a round that something disturbed is done again.
Real time (SCHED_FIFO) would be worse: the kernel then stops them for up to 50 ms at a time for all that has waited.
"""
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import pytest

from harness import beside
from harness.processes import SLOWER

LATER_S = 0.002  # what no call may be later for another's sake
TRIED_S = 15  # for so long at least: one that is really held up is so in every round
ROUNDS = 12  # and so many
CALLS = 50  # of a quiet time


def put_first(*processes):
    """What answers the calls beside it weighs more than all else, from now on."""
    for pid in processes:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(PermissionError, ProcessLookupError):  # not ours to say; ended
                os.setpriority(os.PRIO_PROCESS, int(task.name), -20)


@contextlib.contextmanager
def before_others():
    """The thread that asks in the block weighs as much."""
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(PermissionError):  # not ours to say
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):  # not ours to say
            os.setpriority(os.PRIO_PROCESS, 0, usual)


@contextlib.contextmanager
def caller(gateway, least=1):
    """Calls while the block runs; the list that it gives is filled when it ends."""
    command = [sys.executable, beside.__file__, str(gateway.port), gateway.key, str(least)]
    took = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as calls:
        calls.stdout.readline()
        try:
            yield took
        finally:
            calls.stdin.close()
            took += json.loads(calls.stdout.read() or "[]")
    assert calls.returncode == 0, "the calls beside it failed"


def long_turns(gateway):
    """How many of the worker's turns were longer than a call may be held up."""
    found = gateway.metrics()
    return found["atlas_worker_turn_seconds_count"] - found['atlas_worker_turn_seconds_bucket{le="0.002"}']


def quiet(gateway):
    """How long a call takes when there is nothing else, the 99th of a hundred; and whether even so one was held up."""
    before = long_turns(gateway)
    with caller(gateway, CALLS) as took:
        pass
    is_disturbed = long_turns(gateway) > before or max(took) - statistics.median(took) > LATER_S
    return statistics.quantiles(took, n=100)[-1], is_disturbed


def holds_nobody_up(gateway, sim, bad):
    """Runs bad() until a round was good: no call later than by LATER_S, no turn longer than that.

    Where each of many rounds has something, it is the machine's if one had no long turn, and one no more than a
    tenth of its calls late: what the gateway does it does to all of them, and in every round.
    """
    if SLOWER > 1:  # a sanitizer's time is its own: what it finds is looked for, not how long it takes
        bad()
        return
    put_first(*gateway.children(), sim.process.pid)
    seen, disturbed = rounds_until_good(gateway, bad)
    if not seen or (min(late for _, late, _ in seen) <= LATER_S and min(turns for _, _, turns in seen) == 0):
        return
    if disturbed > len(seen) / 2:  # then a late call says nothing of the gateway
        pytest.skip(f"this machine holds calls up by itself: in {disturbed} of {len(seen)} times without a bad input")
    shown = [(round(latest * 1000, 2), round(late * 1000, 2), turns) for latest, late, turns in seen]
    raise AssertionError(f"ms by which the last call was later, one in ten, turns of more than {LATER_S * 1000} ms: {shown}")


def rounds_until_good(gateway, bad):
    """Nothing, or what was seen in each of many rounds; and how many quiet times between them were none."""
    seen, disturbed = [], 0
    usual, _ = quiet(gateway)
    end = time.monotonic() + TRIED_S
    while len(seen) < ROUNDS or time.monotonic() < end:
        before = long_turns(gateway)
        with caller(gateway) as took:
            bad()
        turns = long_turns(gateway) - before
        before_and_after = usual
        usual, is_disturbed = quiet(gateway)
        disturbed += is_disturbed
        quick = max(before_and_after, usual)
        took.sort()
        latest, late = took[-1] - quick, took[(len(took) - 1) * 9 // 10] - quick
        seen.append((latest, late, turns))
        if latest <= LATER_S and turns == 0:
            return [], 0
    return seen, disturbed
