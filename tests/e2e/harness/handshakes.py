# SPDX-License-Identifier: Apache-2.0
"""A crowd of TLS clients who all begin their handshake at once. Run as a program, it ends by itself:

handshakes.py PORT COUNT SECONDS → on standard output: how many were answered by the server's part of it
"""
import contextlib
import selectors
import socket
import ssl
import sys
import time


def client_hello():
    """What a client says first."""
    said = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with contextlib.suppress(ssl.SSLWantReadError):  # the rest is for later
        context.wrap_bio(ssl.MemoryBIO(), said, server_hostname="localhost").do_handshake()
    return said.read()


def main(port, count, seconds):
    hello, until, answered = client_hello(), time.monotonic() + seconds, 0
    with selectors.DefaultSelector() as crowd:
        for _ in range(count):
            crowd.register(socket.create_connection(("127.0.0.1", port), timeout=10), selectors.EVENT_READ)
        for key in list(crowd.get_map().values()):
            key.fileobj.sendall(hello)
        while crowd.get_map() and (left := until - time.monotonic()) > 0:
            for key, _ in crowd.select(left):
                answered += key.fileobj.recv(1) == b"\x16"  # a handshake record: RFC 8446 5.1
                crowd.unregister(key.fileobj)
                key.fileobj.close()
    print(answered)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
