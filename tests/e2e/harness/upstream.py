# SPDX-License-Identifier: Apache-2.0
"""A model server that does what a test says, byte by byte."""
import collections
import contextlib
import json
import socket
import ssl
import struct
import threading

from harness.waiting import until

CLOSE = object()  # what a script returns to end the connection
CHAT = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "served",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Salam"}, "logprobs": None,
                 "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
}
TEXT = {
    "id": "cmpl-1", "object": "text_completion", "created": 1, "model": "served",
    "choices": [{"index": 0, "text": "Salam", "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
}


def chunk(delta, finish=None, **more):
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "served",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def usage_chunk(prompt=7, completion=3):
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "served", "choices": [],
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}}


class Request:
    def __init__(self, line, fields, body):
        self.line, self.fields, self.body = line, fields, body
        self.method, self.target, _ = line.split(" ")

    def header(self, name):
        """Its values, joined; None where it is missing."""
        values = [v for n, v in self.fields if n.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def json(self):
        return json.loads(self.body)


class Connection:
    """What a script writes to."""

    def __init__(self, raw):
        self.raw = raw
        self.gone = threading.Event()  # the gateway closed it

    def send(self, data):
        self.raw.sendall(data if isinstance(data, bytes) else data.encode())

    def reset(self):
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.raw.close()

    def wait_gone(self, within_s=10):
        """Until the other side ends the connection; False if it does not in time."""
        self.raw.settimeout(within_s)
        try:
            return self.raw.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False


def read_request(stream):
    line = stream.readline().decode("latin-1").strip()
    if not line:
        return None
    fields = []
    while (field := stream.readline().decode("latin-1").strip()):
        name, _, value = field.partition(":")
        fields.append((name, value.strip()))
    found = {n.lower(): v for n, v in fields}
    body = stream.read(int(found.get("content-length", 0)))
    return Request(line, fields, body)


def reply(status, body, headers=(), reason="Said"):
    """A script: one whole answer, then the connection waits for more."""
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    fields = dict(headers)
    fields.setdefault("Content-Type", "application/json")
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Length: {len(data)}\r\n" + "".join(
        f"{n}: {v}\r\n" for n, v in fields.items()) + "\r\n"
    return lambda connection, request: connection.send(head.encode() + data)


def data(event):
    """An event's bytes: of an object, or of text as it is."""
    return b"data: " + (event if isinstance(event, str) else json.dumps(event)).encode() + b"\n\n"


def stream(*events, end=True, head="", cut=False):
    """A script: an event stream of objects, texts (a data line) and bytes (as they are); chunked."""
    def script(connection, request):
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + head
                        + "Transfer-Encoding: chunked\r\n\r\n")
        for event in events:
            piece = event if isinstance(event, bytes) else data(event)
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        if cut:
            return CLOSE
        if end:
            connection.send(b"e\r\ndata: [DONE]\n\n\r\n")
        connection.send(b"0\r\n\r\n")  # servers do send it apart
        return None
    return script


def usual(connection, request):
    """The answer where no script says another."""
    if request.target.endswith("/models"):
        return reply(200, {"object": "list", "data": [{"id": "served", "object": "model"}]})(connection, request)
    asked = request.json
    if request.target.endswith("/embeddings"):
        inputs = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        return reply(200, {"object": "list", "model": "served", "usage": {"prompt_tokens": 7, "total_tokens": 7},
                           "data": [{"object": "embedding", "index": i, "embedding": [0.5, -1, 2]}
                                    for i, _ in enumerate(inputs)]})(connection, request)
    if asked.get("stream"):
        return stream(chunk({"role": "assistant", "content": ""}), chunk({"content": "Salam"}), chunk({}, "stop"),
                      usage_chunk())(connection, request)
    return reply(200, TEXT if request.target.endswith("/v1/completions") else CHAT)(connection, request)


def hang(connection, request):
    """A script: nothing, until the gateway has gone."""
    connection.wait_gone(60)
    return CLOSE


class Upstream:
    """Listens at once. `script()` says what the next requests get, one each; then `usual` again."""

    def __init__(self, tls=None, port=0):
        self.tls = tls  # (certificate, key)
        self.requests = []
        self.connections = 0
        self.open = set()
        self.scripts = collections.deque()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{self.port}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def script(self, *scripts):
        self.scripts.extend(scripts)

    def forget(self):
        self.requests.clear()
        self.scripts.clear()

    @property
    def last(self):
        return self.requests[-1]

    def wait_requests(self, count, within_s=5):
        until(lambda: len(self.requests) >= count, within_s, f"{count} requests at the model server")

    def close_idle(self):
        """Ends every connection, as a server does whose keep-alive is over."""
        for raw in list(self.open):
            with contextlib.suppress(OSError):  # it may just have gone
                raw.shutdown(socket.SHUT_RDWR)

    def close(self):
        with contextlib.suppress(OSError):  # it is closed already
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
        self.listener.close()
        for raw in list(self.open):
            raw.close()

    def _accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw):
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*self.tls)
                raw = context.wrap_socket(raw, server_side=True)
            self.connections += 1
            self.open.add(raw)
            self._answer(raw)
        except (OSError, ValueError):
            pass  # the gateway, or the test, ended it
        finally:
            self.open.discard(raw)
            raw.close()

    def _answer(self, raw):
        reader, peer = raw.makefile("rb"), raw.getpeername()
        while (request := read_request(reader)):
            script = self.scripts.popleft() if self.scripts else usual
            request.peer = peer
            self.requests.append(request)
            if script(Connection(raw), request) is CLOSE:
                reader.close()
                return
