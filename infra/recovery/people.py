"""People who chat all the time, keep what was acknowledged, and come back as docs/protocol.md says."""

import asyncio
import itertools
import json
import time

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

PAUSE_SECONDS = 0.1
PATIENCE_SECONDS = 10


class Person:
    """One guest in one room, on whichever node answers."""

    def __init__(self, name, room, urls):
        self.name, self.room = name, room
        self.urls = itertools.cycle(urls)
        self.acked = []  # (when, seq, cid)
        self.seen = {}  # seq: (when, cid), of this history
        self.sent = {}  # cid: when it was first sent
        self.resets, self.repeats, self.holes = 0, 0, 0
        self.token = self.epoch = None
        self.waiting = None  # the cid that has no answer
        self.count = itertools.count(1)

    def last(self):
        return max(self.seen, default=0)

    async def live(self):
        """Until cancelled."""
        while True:
            try:
                async with connect(next(self.urls), subprotocols=["hubbub.v1.json"], open_timeout=PATIENCE_SECONDS, close_timeout=1) as socket:
                    await self.talk(socket)
            except (OSError, WebSocketException, TimeoutError):
                await asyncio.sleep(PAUSE_SECONDS)

    async def talk(self, socket):
        known = {"token": self.token, "resume": {self.room: self.last()}, "epoch": self.epoch} if self.token else {"guest": self.name}
        welcome = await self.ask(socket, 1, op="hello", **known)
        if welcome["op"] != "welcome":
            # The store is away.
            await asyncio.sleep(PAUSE_SECONDS)
            return
        self.token, self.epoch = welcome.get("token", self.token), welcome["epoch"]
        opened = welcome.get("rooms", {}).get(self.room)
        if opened is None:
            joined = {"op": "join", "room": self.room}
            opened = await self.ask(socket, 2, **joined, **({"after": self.last()} if self.seen else {}))
            if opened["op"] != "ok":
                return
        if opened.get("reset"):
            self.resets += 1
            self.seen = {}
        for ident in itertools.count(3):
            self.waiting = self.waiting or f"{self.name}-{next(self.count)}"
            self.sent.setdefault(self.waiting, time.monotonic())
            answer = await self.ask(socket, ident, op="send", room=self.room, cid=self.waiting, text=self.waiting)
            if answer["op"] == "ok":
                self.acked.append((time.monotonic(), answer["seq"], self.waiting))
                self.waiting = None
            elif answer["op"] != "error":
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def ask(self, socket, ident, **command):
        """One command and its answer; what comes in between is heard."""
        await socket.send(json.dumps({"id": ident, **command}))
        while True:
            frame = await heard(socket)
            if frame.get("id") == ident:
                return frame
            self.hear(frame)

    def hear(self, frame):
        if frame["op"] == "reset" or frame.get("reset"):
            self.seen = {}
        for event in frame.get("events", []) if frame["op"] == "events" else []:
            if event["seq"] in self.seen:
                self.repeats += 1
            elif self.seen and event["seq"] != self.last() + 1:
                self.holes += 1
            self.seen.setdefault(event["seq"], (time.monotonic(), event.get("cid")))


async def heard(socket):
    """The next frame."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return json.loads(await socket.recv())


async def read_all(url, room):
    """All events of a room, as somebody new is shown them."""
    async with connect(url, subprotocols=["hubbub.v1.json"]) as socket:
        reader = Person("reader", room, [url])
        assert (await reader.ask(socket, 1, op="hello", guest="reader"))["op"] == "welcome"
        opened = await reader.ask(socket, 2, op="join", room=room, after=0)
        assert opened["op"] == "ok", opened
        while reader.last() < opened["head"]:
            reader.hear(await heard(socket))
        assert reader.holes == reader.repeats == 0
        return {seq: cid for seq, (_, cid) in reader.seen.items()}
