# SPDX-License-Identifier: Apache-2.0
"""A TLS 1.3 client that says nothing but KeyUpdate, which Python's ssl cannot. Run as a program, it ends by itself:

key_updates.py PORT SECONDS → on standard output: records sent, connections made
"""
import contextlib
import ctypes
import ctypes.util
import socket
import sys
import time

SSL = ctypes.CDLL(ctypes.util.find_library("ssl"))
for _name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
    getattr(SSL, _name).restype = ctypes.c_void_p
NOT_REQUESTED = 0


class Flooder:
    """One connection after the other: the gateway ends each."""

    def __init__(self, port):
        self.port, self.records, self.connections = port, 0, 0
        self.context = ctypes.c_void_p(SSL.SSL_CTX_new(ctypes.c_void_p(SSL.TLS_client_method())))

    def flood(self, until):
        """Over one connection, until the other side ends it or the time is there."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as raw:
            raw.settimeout(None)  # OpenSSL writes to a blocking socket
            ssl = ctypes.c_void_p(SSL.SSL_new(self.context))
            SSL.SSL_set_fd(ssl, raw.fileno())
            if SSL.SSL_connect(ssl) == 1:
                self.connections += 1
                while time.monotonic() < until and SSL.SSL_key_update(ssl, NOT_REQUESTED) == 1 \
                        and SSL.SSL_do_handshake(ssl) == 1:
                    self.records += 1
            SSL.SSL_free(ssl)


def main(port, seconds):
    flooder, until = Flooder(port), time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError):  # the gateway has ended it: another follows
            flooder.flood(until)
    print(flooder.records, flooder.connections)


if __name__ == "__main__":
    import signal
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    main(int(sys.argv[1]), float(sys.argv[2]))
