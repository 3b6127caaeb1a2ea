# SPDX-License-Identifier: Apache-2.0
"""Clients that write their own bytes, and readers of what comes back."""
import json
import socket


class Reply:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def header(self, name):
        return next((v for n, v in self.fields if n.lower() == name.lower()), None)

    @property
    def json(self):
        return json.loads(self.body)


class Raw:
    """One connection."""

    def __init__(self, port, key=None, timeout=10, tls=None, receive_buffer=None):
        self.key = key
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.reader = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.reader.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def request(self, method, path, body=None, headers=(), close=False):
        """A well-formed request; the body is JSON unless it is bytes."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: atlas"]
        if self.key:
            lines.append(f"Authorization: Bearer {self.key}")
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        lines += [f"{n}: {v}" for n, v in headers]
        if close:
            lines.append("Connection: close")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + data)

    def read_head(self):
        line = self.reader.readline()
        if not line:
            return None
        fields = []
        while (field := self.reader.readline().strip()):
            name, _, value = field.decode("latin-1").partition(":")
            fields.append((name, value.strip()))
        return Reply(int(line.split()[1]), fields, b"")

    def read_chunk(self):
        """The next chunk of a chunked body; b"" at its end; None where it was cut."""
        size = self.reader.readline()
        if not size.endswith(b"\r\n"):
            return None
        data = self.reader.read(int(size, 16))
        self.reader.readline()
        return data

    def read_reply(self, head_only=False):
        reply = self.read_head()
        if reply is None or head_only or reply.status in (100, 204):
            return reply
        if reply.header("transfer-encoding") == "chunked":
            while (piece := self.read_chunk()):
                reply.body += piece
        elif reply.header("content-length") is not None:
            reply.body = self.reader.read(int(reply.header("content-length")))
        else:
            reply.body = self.reader.read()
        return reply

    def is_closed(self):
        """Waits for the other side to end the connection; anything else that comes is an error."""
        try:
            rest = self.reader.read(1)
        except ConnectionError:
            return True
        assert rest == b"", rest
        return True


def events(body):
    """The data of each event, parsed, of a whole event stream; the end is "[DONE]"."""
    text = body.decode() if isinstance(body, bytes) else body
    out = []
    for event in text.split("\n\n"):
        lines = [line[6:] for line in event.split("\n") if line.startswith("data: ")]
        if lines:
            out.append(lines[0] if lines[0] == "[DONE]" else json.loads("\n".join(lines)))
    return out


def content(chunks):
    """The text of all deltas."""
    return "".join((c["choices"][0]["delta"].get("content") or "") for c in chunks if c != "[DONE]" and c.get("choices"))
