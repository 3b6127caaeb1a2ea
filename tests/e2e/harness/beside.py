# SPDX-License-Identifier: Apache-2.0
"""A caller in a process of its own, so that what a test does beside it costs it nothing. Run as a program:

beside.py PORT KEY LEAST → calls every 10 ms until its input ends, but LEAST times; on standard output how long each
took, in seconds, as JSON
"""
import contextlib
import json
import os
import pathlib
import select
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness.raw import Raw  # noqa: E402

ASK = {"model": "quick", "messages": [{"role": "user", "content": "hi"}]}
EVERY_S = 0.01


def main(port, key, least):
    with contextlib.suppress(PermissionError):  # what else the machine does is not the gateway's
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    took = []
    with Raw(int(port), key, timeout=60) as raw:
        while not select.select([sys.stdin], [], [], EVERY_S)[0] or len(took) < int(least):
            begun = time.monotonic()
            raw.request("POST", "/v1/chat/completions", ASK)
            assert raw.read_reply().status == 200
            took.append(time.monotonic() - begun)
            if len(took) == 1:
                print(flush=True)  # it runs
    print(json.dumps(took))


if __name__ == "__main__":
    main(*sys.argv[1:])
