"""A small Hubbub client, written from docs/protocol.md on top of public libraries."""

import asyncio
import json

import msgpack
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

PATIENCE_SECONDS = 20


class Json:
    subprotocol = "hubbub.v1.json"
    encode = staticmethod(json.dumps)

    @staticmethod
    def decode(frame):
        assert isinstance(frame, str), "JSON comes in text frames"
        return json.loads(frame)


class MessagePack:
    subprotocol = "hubbub.v1.msgpack"
    encode = staticmethod(msgpack.packb)

    @staticmethod
    def decode(frame):
        assert isinstance(frame, bytes), "MessagePack comes in binary frames"
        return msgpack.unpackb(frame)


class Client:
    """One connection. What the server says unasked is kept in `heard`, a room's events in `log`."""

    def __init__(self, socket, codec):
        self.socket = socket
        self.codec = codec
        self.heard = []
        self.log = []
        self.answers = {}
        self.changed = asyncio.Condition()
        self.reader = asyncio.create_task(self._read())

    @classmethod
    async def hello(cls, url, codec, **fields):
        """Connects and says hello; gives the client and its `welcome`."""
        socket = await connect(url, subprotocols=[codec.subprotocol])
        assert socket.subprotocol == codec.subprotocol
        assert not socket.protocol.extensions, "no extension is negotiated"
        client = cls(socket, codec)
        return client, await client.ask("hello", **fields)

    async def ask(self, op, **fields):
        """Sends a command and waits for its one answer."""
        ident = len(self.answers) + 1
        self.answers[ident] = asyncio.get_running_loop().create_future()
        await self.socket.send(self.codec.encode({"op": op, "id": ident, **fields}))
        return await asyncio.wait_for(self.answers[ident], PATIENCE_SECONDS)

    async def until(self, holds):
        """Waits until `holds(self)` is true after something was heard."""

        async def wait():
            async with self.changed:
                await self.changed.wait_for(lambda: self.reader.done() or holds(self))

        await asyncio.wait_for(wait(), PATIENCE_SECONDS)
        if not holds(self):
            self.reader.result()
            raise self._closed()

    async def knows(self, seq):
        """Waits for the event `seq` and gives the log up to there."""
        await self.until(lambda _: self.log and self.log[-1]["seq"] >= seq)
        return self.log

    async def close(self):
        await self.socket.close()
        await self.reader

    async def _read(self):
        try:
            async for frame in self.socket:
                frame = self.codec.decode(frame)
                async with self.changed:
                    self._take(frame)
                    self.changed.notify_all()
        except ConnectionClosed:
            pass  # whoever waits is told below
        finally:
            for answer in self.answers.values():
                if not answer.done():
                    answer.set_exception(self._closed())
            async with self.changed:
                self.changed.notify_all()

    def _closed(self):
        return AssertionError(f"closed with {self.socket.close_code} {self.socket.close_reason!r}")

    def _take(self, frame):
        if "id" in frame:
            answer = self.answers[frame["id"]]
            assert not answer.done(), f"a second answer: {frame}"
            answer.set_result(frame)
        elif frame["op"] == "events":
            for event in frame["events"]:
                assert not self.log or event["seq"] == self.log[-1]["seq"] + 1, f"a hole before {event}"
                self.log.append(event)
        else:
            self.heard.append(frame)
