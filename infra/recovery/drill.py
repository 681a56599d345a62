#!/usr/bin/env python3
"""Rehearses the disasters of the runbook on this machine, with people connected: all of Redis is lost, then Postgres with its
data, which is restored from a dump. Says what was lost and how long people waited.

    infra/recovery/drill.py NODE      NODE is the node's program; needs Postgres, Redis and Python's websockets
"""

import asyncio
import os
import pathlib
import signal
import sys
import time

from people import Person, read_all
from servers import Cluster

ROOMS = ("lobby", "den", "attic")
PEOPLE = 12
CALM_SECONDS = 3


async def wait_until(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} after {seconds} s"
        await asyncio.sleep(0.05)


def acks_since(people, moment):
    return [sum(when > moment for when, _, _ in person.acked) for person in people]


def longest_delay(people, since):
    """The longest way of a message sent after `since` from one person to any other in the room, in seconds."""
    sent = {cid: when for person in people for cid, when in person.sent.items() if when > since}
    return max((when - sent[cid] for person in people for when, cid in person.seen.values() if cid in sent), default=0.0)


async def lose_redis(cluster, people):
    """People write and read on, across nodes, while there is no Redis, and after a new one has begun."""
    before = time.monotonic()
    cluster.redis.end()
    await asyncio.sleep(CALM_SECONDS)
    without = acks_since(people, before)
    assert min(without) > 0, f"without Redis somebody could not write: {without}"
    cluster.redis.begin()
    back = time.monotonic()
    await wait_until("not everybody writes", lambda: min(acks_since(people, back)) > 3)
    return {"acknowledged without Redis": sum(without), "longest way of a message (s)": round(longest_delay(people, before), 2)}


async def lose_postgres(cluster, people):
    """The data is gone with the server; a dump from before is restored, by the steps of the runbook."""
    dump = str(pathlib.Path(cluster.folder.name) / "dump")
    dumped = time.monotonic()
    await asyncio.to_thread(cluster.postgres.dump, dump)
    await asyncio.sleep(CALM_SECONDS)

    lost = time.monotonic()
    await asyncio.to_thread(cluster.postgres.lose)
    gone = time.monotonic()
    await wait_until("the nodes say that they are ready", lambda: not any(node.is_ready() for node in cluster.nodes))
    during = sum(acks_since(people, gone + 0.5))
    assert during == 0, f"{during} messages were acknowledged without a store"

    # The runbook: stop the nodes, restore, begin a new epoch, start the nodes.
    mending = time.monotonic()
    for node in cluster.nodes:
        await asyncio.to_thread(node.end)
    cluster.redis.end()
    await asyncio.to_thread(cluster.postgres.begin)
    await asyncio.to_thread(cluster.postgres.restore, dump)
    await asyncio.to_thread(cluster.nodes[0].new_epoch)
    cluster.redis.begin()
    for node in cluster.nodes:
        await asyncio.to_thread(node.begin)
    await wait_until("not everybody writes again", lambda: min(acks_since(people, mending)) > 3)
    served = max(min(when for when, _, _ in person.acked if when > mending) for person in people)
    return dumped, mending, {"from the loss to everybody writing again (s)": round(served - lost, 2),
                             "of it from the first step of the runbook (s)": round(served - mending, 2)}


async def judge(cluster, people, dumped, mending):
    """Compares what people were told with what there is."""
    kept = lost_before = lost_after = 0
    for room in ROOMS:
        log = await read_all(cluster.nodes[0].url(), room)
        assert sorted(log) == list(range(1, len(log) + 1)), f"{room} has holes"
        cids = [cid for cid in log.values() if cid]
        assert len(cids) == len(set(cids)), f"{room} has a message twice"
        for person in (one for one in people if one.room == room):
            assert person.repeats == person.holes == 0, f"{person.name} saw {person.repeats} repeats and {person.holes} holes"
            assert person.resets == 1, f"{person.name} was told {person.resets} times that history began anew"
            for when, seq, cid in person.acked:
                if log.get(seq) == cid:
                    kept += 1
                elif when < dumped or when > mending:
                    lost_before += 1
                else:
                    lost_after += 1
    assert lost_before == 0, f"{lost_before} messages are lost that were acknowledged before the dump or after the restore"
    return {"kept": kept, "lost, acknowledged before the dump": lost_before, "lost, acknowledged after the dump": lost_after}


async def drill(program):
    """The whole rehearsal; its figures."""
    with Cluster(program) as cluster:
        urls = [node.url() for node in cluster.nodes]
        people = [Person(f"person{number}", ROOMS[number % len(ROOMS)], urls[number % 2:] + urls[:number % 2]) for number in range(PEOPLE)]
        lives = [asyncio.create_task(person.live()) for person in people]
        try:
            await wait_until("not everybody writes", lambda: min(len(person.acked) for person in people) > 10)
            redis = await lose_redis(cluster, people)
            dumped, mending, postgres = await lose_postgres(cluster, people)
        finally:
            for life in lives:
                life.cancel()
            await asyncio.gather(*lives, return_exceptions=True)
        failed = [life.exception() for life in lives if not life.cancelled() and life.exception()]
        assert not failed, failed
        return {"all Redis lost": redis, "Postgres lost and restored": {**postgres, **await judge(cluster, people, dumped, mending)}}


def main():
    program = sys.argv[1] if len(sys.argv) == 2 else os.environ.get("HUBBUB_TEST_NODE")
    if not program:
        sys.exit("usage: infra/recovery/drill.py NODE")
    # Ended from outside it still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for disaster, figures in asyncio.run(drill(os.path.abspath(program))).items():
        print(f"{disaster}:")
        for name, figure in figures.items():
            print(f"  {figure:>8}  {name}")


if __name__ == "__main__":
    main()
