#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py FOLDER NAME PORT: multilingual-e5-small behind /v1/embeddings on 127.0.0.1:PORT.

Calls the C engine of the unpacked package in FOLDER. `input` is a string or a list of strings (the
engine keeps its tokenizer to itself, so token arrays are a 400); `encoding_format` float or base64;
`input_type` query (as if not given) or passage, which is how e5 models are asked.
"""
import array
import base64
import ctypes
import http.server
import json
import pathlib
import sys
import threading

MOST_BYTES, MOST_TEXTS = 32 << 20, 2048


class Engine:
    """One model in memory. It computes one batch at a time, on all cores."""

    def __init__(self, folder):
        self.lock = threading.Lock()
        self.lib = ctypes.CDLL(str(next(folder.glob("_engine*.so"))))
        self.lib.e5_load.restype = ctypes.c_void_p
        self.model = ctypes.c_void_p(self.lib.e5_load(str(folder / "e5-small-q4.bin").encode()))
        if not self.model:
            raise SystemExit("embed.py: the engine did not load its model")
        self.width = self.lib.e5_dim(self.model)

    def embed(self, texts, query):
        """The vectors, and how many tokens the texts were."""
        raw = (ctypes.c_char_p * len(texts))(*[t.replace("\0", " ").encode() for t in texts])
        out = (ctypes.c_float * (len(texts) * self.width))()
        with self.lock:
            self.lib.e5_embed_batch(self.model, raw, len(texts), int(query), out)
            tokens = sum(self.lib.e5_token_count(self.model, text, int(query)) for text in raw)
        flat = array.array("f", out)
        return [flat[i:i + self.width] for i in range(0, len(flat), self.width)], tokens


class Refused(Exception):
    """A request that the caller must mend."""


def answer(engine, name, body):
    try:
        asked = json.loads(body)
        given = asked.get("input")
    except (ValueError, AttributeError):
        raise Refused("the body must be a JSON object") from None
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not 1 <= len(texts) <= MOST_TEXTS:
        raise Refused(f"'input' must be a string or a list of 1 to {MOST_TEXTS} strings")
    if not all(isinstance(text, str) for text in texts):
        raise Refused("'input' must hold strings: this model server takes no token arrays")
    if asked.get("dimensions") not in (None, engine.width):
        raise Refused(f"'dimensions' must be {engine.width} or left out")
    vectors, tokens = engine.embed(texts, asked.get("input_type") not in ("passage", "document"))
    write = list
    if asked.get("encoding_format") == "base64":
        def write(vector):
            return base64.b64encode(vector.tobytes()).decode()
    rows = [{"object": "embedding", "index": i, "embedding": write(v)} for i, v in enumerate(vectors)]
    return {"object": "list", "data": rows, "model": name,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave in one write
    engine, name = None, ""

    def reply(self, status, value):
        body = json.dumps(value, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def refuse(self, status, why):
        self.reply(status, {"error": {"message": why, "type": "invalid_request_error",
                                      "param": None, "code": None}})

    def do_GET(self):
        if self.path == "/health":
            self.reply(200, {"status": "ok"})
        elif self.path == "/v1/models":
            self.reply(200, {"object": "list", "data": [
                {"id": self.name, "object": "model", "created": 0, "owned_by": "local"}]})
        else:
            self.refuse(404, "there is no such route")

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self.close_connection = True
            return self.refuse(411 if not length else 413, "a Content-Length up to 32 MiB is needed")
        body = self.rfile.read(int(length))
        if self.path != "/v1/embeddings":
            return self.refuse(404, "there is no such route")
        try:
            return self.reply(200, answer(self.engine, self.name, body))
        except Refused as why:
            return self.refuse(400, str(why))

    def log_message(self, *args):
        """Says nothing: what is asked is nobody's business."""


Handler.engine, Handler.name = Engine(pathlib.Path(sys.argv[1])), sys.argv[2]
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[3])), Handler).serve_forever()
