# SPDX-License-Identifier: Apache-2.0
"""Clients without a key who begin a request's head and go no further. Run as a program, it ends by itself:

partial_heads.py PORT COUNT BYTES SECONDS → on standard output: how many were told 503, reset, and neither, so many
seconds after the last one began
"""
import collections
import contextlib
import selectors
import socket
import sys
import time


def begin(port, head):
    raw = socket.create_connection(("127.0.0.1", port), timeout=10)
    with contextlib.suppress(ConnectionError):  # it may have been answered already
        raw.sendall(head)
    return raw


def ended(raw):
    """What it came to, once it can be read."""
    try:
        said = raw.recv(4096)
    except ConnectionError:
        return "reset"
    return "503" if said.startswith(b"HTTP/1.1 503 ") and b"\r\nConnection: close\r\n" in said else "other"


def main(port, count, size, seconds):
    said = collections.Counter()
    head = b"GET /v1/models HTTP/1.1\r\nX: " + b"x" * size
    with selectors.DefaultSelector() as open_ones:
        for _ in range(count):
            open_ones.register(begin(port, head), selectors.EVENT_READ)
        until = time.monotonic() + seconds
        while open_ones.get_map() and (left := until - time.monotonic()) > 0:
            for key, _ in open_ones.select(left):
                said[ended(key.fileobj)] += 1
                open_ones.unregister(key.fileobj)
                key.fileobj.close()
        said["other"] += len(open_ones.get_map())
    print(said["503"], said["reset"], said["other"])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
