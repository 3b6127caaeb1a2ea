# SPDX-License-Identifier: Apache-2.0
"""Waiting for conditions, never for time alone."""
import time

STEP_S = 0.002


def until(condition, within_s=5.0, what=None):
    """Gives the first true value of condition(); fails after within_s."""
    end = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"did not happen within {within_s} s: {what or condition}")
        time.sleep(STEP_S)


def stays(condition, for_s=0.3, what=None):
    """Fails as soon as condition() is false; it is looked at for for_s."""
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        assert condition(), f"did not stay so: {what or condition}"
        time.sleep(STEP_S)
