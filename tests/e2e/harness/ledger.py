# SPDX-License-Identifier: Apache-2.0
"""A model server that answers well, late, badly or not at all as a seed says, and remembers what usage it told of each call."""
import asyncio
import json
import random
import threading

from harness.upstream import chunk

# How often each thing is done. Of what stands in EXACT the usage is told whole.
FATES = {"told": 50, "told_beside_a_choice": 8, "told_with_every_chunk": 8, "told_as_zero": 4, "told_as_more": 4,
         "told_cached": 6, "untold": 6, "told_oddly": 6, "reset_at_once": 3, "reset_midway": 4, "error": 3}
EXACT = frozenset(("told", "told_beside_a_choice", "told_with_every_chunk", "told_as_zero", "told_cached"))
WORDS = ["Salam", " to", " all", " who", " read", " this", " and", " more"]


class Cut(Exception):
    """The connection is reset."""


class Ledger:
    """`said`: of each call id the usages of its attempts, each (fate, prompt, cached, completion)."""

    def __init__(self, seed, fates=FATES, slow_s=0.02):
        self.chance = random.Random(seed)
        self.fates, self.slow_s = fates, slow_s
        self.said, self.running = {}, 0
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        threading.Thread(target=self._run, args=(started,), daemon=True).start()
        started.wait()

    def _run(self, started):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096, limit=1 << 20))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        started.set()
        self.loop.run_forever()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def _serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                if head.startswith("get"):
                    await self._reply(writer, 200, {"object": "list", "data": [{"id": "served", "object": "model"}]})
                    continue
                self.running += 1
                try:
                    await self._answer(writer, fields["x-request-id"], json.loads(body))
                finally:
                    self.running -= 1
        except (asyncio.IncompleteReadError, ConnectionError, Cut):
            pass  # the gateway ended it, or the seed
        finally:
            writer.transport.abort()

    def _usage(self, fate, asked):
        prompt, completion, cached = self.chance.randrange(5, 40), self.chance.randrange(1, asked.get("max_tokens", 20) + 1), 0
        if fate == "told_as_zero":
            completion = 0
        elif fate == "told_as_more":
            completion = 5000
        elif fate == "told_cached":
            cached = prompt // 2
        return prompt, cached, completion

    async def _answer(self, writer, call, asked):
        fate = self.chance.choices(list(self.fates), list(self.fates.values()))[0]
        prompt, cached, completion = self._usage(fate, asked)
        await asyncio.sleep(self.chance.random() * self.slow_s)
        if fate == "reset_at_once":
            raise Cut
        if fate == "error":
            await self._reply(writer, 500, {"error": {"message": "out of order"}})
            return
        self.said.setdefault(call, []).append((fate, prompt, cached, completion))
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        if cached:
            usage["prompt_tokens_details"] = {"cached_tokens": cached}
        if fate == "untold":
            usage = None
        elif fate == "told_oddly":
            usage = {"prompt_tokens": "many", "completion_tokens": -3}
        if asked.get("stream"):
            most = min(asked.get("max_tokens", 20), len(WORDS))
            words = WORDS[:0 if fate == "told_as_zero" else self.chance.randrange(1, most + 1)]
            await self._stream(writer, fate, usage, words)
        elif fate == "reset_midway":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"id\":")
            await writer.drain()
            raise Cut
        else:
            await self._reply(writer, 200, {
                "id": "c", "object": "chat.completion", "created": 1, "model": "served",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "" if fate == "told_as_zero" else "Salam"}, "logprobs": None, "finish_reason": "stop"}],
                **({"usage": usage} if usage else {})})

    async def _reply(self, writer, status, body):
        data = json.dumps(body).encode()
        writer.write(b"HTTP/1.1 %d Said\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(data)) + data)
        await writer.drain()

    async def _stream(self, writer, fate, usage, words):
        async def send(event):
            piece = b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n"
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()

        every = {"usage": {"prompt_tokens": usage["prompt_tokens"], "completion_tokens": 0, "total_tokens": usage["prompt_tokens"]}} \
            if fate == "told_with_every_chunk" else {}
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        await send(chunk({"role": "assistant", "content": ""}, **every))
        for i, word in enumerate(words):
            if fate == "reset_midway" and i == len(words) // 2:
                raise Cut
            if self.chance.random() < 0.3:
                await asyncio.sleep(self.chance.random() * self.slow_s)
            await send(chunk({"content": word}, **every))
        if fate in ("told_beside_a_choice", "told_with_every_chunk"):
            await send(chunk({}, "stop", usage=usage))
        else:
            await send(chunk({}, "stop"))
            if usage is not None:
                await send({**chunk({}), "choices": [], "usage": usage})
        await send(b"[DONE]")
        writer.write(b"0\r\n\r\n")
        await writer.drain()
