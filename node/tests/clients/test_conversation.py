"""Clients made of other people's libraries talk to each other through a real node: one speaks JSON, one MessagePack."""

import tempfile
import unittest

from client import Client, Json, MessagePack
from node import Node

ROOM = "strangers"


class Conversation(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="hubbub-clients-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.start()

    def start(self):
        self.node = Node(self.folder)
        self.addCleanup(self.node.kill)

    async def hello(self, codec, **fields):
        client, welcome = await Client.hello(self.node.url, codec, **fields)
        self.addAsyncCleanup(client.close)
        self.assertEqual(welcome["op"], "welcome", welcome)
        return client, welcome

    async def ok(self, client, op, **fields):
        answer = await client.ask(op, **fields)
        self.assertEqual(answer["op"], "ok", answer)
        return answer

    async def send(self, client, cid, text, **fields):
        return (await self.ok(client, "send", room=ROOM, cid=cid, text=text, **fields))["seq"]

    async def test_two_codecs_one_room(self):
        ann, ann_is = await self.hello(Json, guest="Ann")
        ben, ben_is = await self.hello(MessagePack, guest="Ben")
        for client in (ann, ben):
            joined = await self.ok(client, "join", room=ROOM)
            self.assertEqual((joined["room"], joined["head"]), (ROOM, 0))

        # They talk, and each sees all of it, in one order.
        self.assertEqual(await self.send(ann, "a1", "Hello from JSON: ä 🎉"), 1)
        self.assertEqual(await self.send(ben, "b1", "Hello from MessagePack: ä 🎉", reply_to=1), 2)
        self.assertEqual(await self.send(ann, "a1", "said again"), 1, "a cid is done once")
        await self.ok(ann, "edit", room=ROOM, cid="a2", seq=1, text="Hello, changed")
        await self.ok(ben, "react", room=ROOM, cid="b2", seq=1, emoji="👍", on=True)
        await self.ok(ben, "delete", room=ROOM, cid="b3", seq=2)
        self.assertEqual(await ann.knows(5), await ben.knows(5))
        self.assertEqual([event["kind"] for event in ann.log], ["message", "message", "edit", "react", "delete"])
        self.assertEqual(ann.log[1]["text"], "Hello from MessagePack: ä 🎉")
        self.assertEqual(ann.log[1]["user"], ben_is["user"])
        self.assertEqual((ann.log[1]["reply_to"], ann.log[1]["cid"]), (1, "b1"))

        # They see each other.
        await self.ok(ben, "typing", room=ROOM)
        await ann.until(lambda it: {"op": "typing", "room": ROOM, "user": ben_is["user"]} in it.heard)
        presence = await self.ok(ben, "presence", room=ROOM)
        by_name = sorted(presence["users"], key=lambda user: user["name"])
        self.assertEqual(by_name, [ann_is["user"], ben_is["user"]])

        # History shows the present state, the same in both codecs.
        histories = [await self.ok(client, "history", room=ROOM) for client in (ann, ben)]
        first, second = histories[0]["events"][:2]
        self.assertEqual(histories[0]["events"], histories[1]["events"])
        self.assertEqual((first["text"], "edited_at" in first), ("Hello, changed", True))
        self.assertEqual((second["text"], second["deleted"]), ("", True))

        # A refusal leaves the connection alone.
        for client in (ann, ben):
            refused = await client.ask("send", room="elsewhere", cid="c", text="not joined")
            self.assertEqual((refused["op"], refused["code"]), ("error", "not_joined"))
            self.assertEqual((await client.ask("ping"))["op"], "pong")

    async def test_resume_on_a_second_connection_in_the_other_codec(self):
        for first, second in ((Json, MessagePack), (MessagePack, Json)):
            with self.subTest(first=first.__name__):
                ann, ann_is = await self.hello(first, guest="Ann")
                ben, _ = await self.hello(second, guest="Ben")
                for client in (ann, ben):
                    await self.ok(client, "join", room=ROOM, limit=0)
                seen = await self.send(ann, "before", "before")
                await ann.knows(seen)
                await ann.close()
                missed = [await self.send(ben, f"missed-{i}", f"missed {i}") for i in range(3)]
                credential = {"token": ann_is["token"], "epoch": ann_is["epoch"]}
                again, welcome = await self.hello(second, **credential, resume={ROOM: seen})
                self.assertEqual(welcome["user"], ann_is["user"])
                self.assertEqual(welcome["rooms"][ROOM]["head"], missed[-1])
                self.assertNotIn("reset", welcome["rooms"][ROOM])
                self.assertEqual([event["seq"] for event in await again.knows(missed[-1])], missed)

    async def test_a_killed_node_has_kept_what_it_acked(self):
        ann, ann_is = await self.hello(MessagePack, guest="Ann")
        await self.ok(ann, "join", room=ROOM)
        last = [await self.send(ann, f"cid-{i}", f"text {i}") for i in range(20)][-1]
        self.node.kill()
        self.start()
        credential = {"token": ann_is["token"], "epoch": ann_is["epoch"]}
        again, welcome = await self.hello(Json, **credential, resume={ROOM: 0})
        self.assertEqual(welcome["user"], ann_is["user"])
        log = await again.knows(last)
        self.assertEqual([event["text"] for event in log], [f"text {i}" for i in range(20)])
        self.assertEqual(await self.send(again, "cid-7", "sent again"), 8)

    async def test_what_is_no_frame_of_the_codec_is_told_and_closed(self):
        for codec, frame in ((Json, b"\x80"), (Json, "not json"), (MessagePack, "{}"), (MessagePack, b"\xc1")):
            with self.subTest(codec=codec.__name__, frame=frame):
                client, _ = await self.hello(codec, guest="Ann")
                await client.socket.send(frame)
                await client.until(lambda it: any(said.get("code") == "bad_frame" for said in it.heard))
                await client.reader
                self.assertEqual(client.socket.close_code, 4102)


if __name__ == "__main__":
    unittest.main()
