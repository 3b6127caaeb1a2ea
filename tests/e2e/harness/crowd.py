# SPDX-License-Identifier: Apache-2.0
"""Very many callers at once, in one thread."""
import asyncio
import json


class Gone(Exception):
    """The connection ended before the reply did."""


class Caller:
    """One connection, made when it is needed."""

    def __init__(self, port, within_s=60):
        self.port, self.within_s = port, within_s
        self.reader = self.writer = None

    async def send(self, secret, body, path="/v1/chat/completions"):
        data = json.dumps(body).encode()
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        self.writer.write(f"POST {path} HTTP/1.1\r\nHost: atlas\r\nAuthorization: Bearer {secret}\r\n"
                          f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        await self.writer.drain()

    async def read_head(self):
        """Status and fields, the names in small letters."""
        try:
            text = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), self.within_s)
        except (asyncio.IncompleteReadError, ConnectionError) as e:
            self.drop()
            raise Gone from e
        lines = text.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
        return int(lines[0].split()[1]), fields

    async def read_body(self, fields):
        try:
            return await asyncio.wait_for(self._read_body(fields), self.within_s)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError) as e:
            self.drop()
            raise Gone from e

    async def _read_body(self, fields):
        if fields.get("transfer-encoding") != "chunked":
            return await self.reader.readexactly(int(fields.get("content-length", 0)))
        body = b""
        while True:
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            piece = await self.reader.readexactly(size + 2)
            if size == 0:
                return body
            body += piece[:-2]

    async def call(self, secret, body, path="/v1/chat/completions"):
        """Status, fields and body of a whole reply."""
        try:
            await self.send(secret, body, path)
        except ConnectionError as e:
            self.drop()
            raise Gone from e
        status, fields = await self.read_head()
        data = await self.read_body(fields)
        if fields.get("connection") == "close":
            self.drop()
        return status, fields, data

    def drop(self):
        """Leaves; the next call has a new connection."""
        if self.writer is not None:
            self.writer.transport.abort()
            self.reader = self.writer = None


async def _work(port, todo, secrets, body, tell):
    caller = Caller(port)
    while todo:
        i = todo.pop()
        status, fields, _ = await caller.call(secrets[i], body)
        tell(i, status, fields)
    caller.drop()


def run(port, secrets, order, body, connections, tell):
    """Asks once with each secret whose number stands in `order`; tell(number, status, fields) of each reply."""
    async def all_of_them():
        todo = list(order)
        await asyncio.gather(*(_work(port, todo, secrets, body, tell) for _ in range(connections)))

    asyncio.run(all_of_them())
