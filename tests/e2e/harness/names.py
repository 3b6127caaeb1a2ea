# SPDX-License-Identifier: Apache-2.0
"""A DNS server on 127.0.0.1 that says what a test wants (RFC 1035 4)."""
import collections
import socket
import struct
import threading


class NameServer:
    """`names` has what each name is at, a list of IPv4 addresses; None: no answer is given. Others do not exist."""

    def __init__(self, names=None, ttl=60):
        self.names, self.ttl = names or {}, ttl
        self.mute = False
        self.asked = collections.Counter()  # for IPv4 addresses
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        wake = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        wake.sendto(b"", self.socket.getsockname())
        wake.close()
        self.thread.join(10)
        self.socket.close()

    def _serve(self):
        while True:
            question, peer = self.socket.recvfrom(1500)
            if not question:
                return
            labels, at = [], 12
            while question[at]:
                labels.append(question[at + 1:at + 1 + question[at]].decode())
                at += 1 + question[at]
            [kind] = struct.unpack_from(">H", question, at + 1)
            name = ".".join(labels).lower()
            if kind == 1:
                self.asked[name] += 1
            known = self.names.get(name, [])
            if self.mute or known is None:
                continue
            addresses = known if kind == 1 else []
            head = question[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, len(addresses), 0, 0)
            records = b"".join(struct.pack(">HHHIH", 0xC00C, 1, 1, self.ttl, 4) + socket.inet_aton(a) for a in addresses)
            self.socket.sendto(head + question[12:at + 5] + records, peer)
