// What a room folds its events into, whichever way and in whichever order they arrive. Run by `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Room } from "../../ui/room.js";

const ann = { id: "a", name: "Ann" };
const ben = { id: "b", name: "Ben" };
const said = (seq, text = `text ${seq}`, user = ann) => ({ seq, kind: "message", user, at: seq * 10, text });
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => said(from + i));

function joined(head) {
  const room = new Room("r");
  room.restart(head);
  return room;
}

test("events are taken once and in order", () => {
  const room = joined(0);
  assert.equal(room.extend(range(1, 3)).fresh.length, 3);
  assert.deepEqual(room.extend(range(2, 4)).fresh.map(({ seq }) => seq), [4]);
  const { missing, fresh } = room.extend(range(6, 7));
  assert.ok(missing && fresh.length === 0);
  assert.deepEqual(room.order, [1, 2, 3, 4]);
});

test("a join begins fifty before the head", () => {
  const room = joined(120);
  assert.equal(room.extend(range(71, 120)).missing, false);
  assert.equal(room.first, 71);
  room.prepend(range(21, 70));
  assert.equal(room.first, 21);
  assert.equal(room.order.length, 100);
});

test("an edit, a deletion and a reaction hold for a message that is loaded later", () => {
  const room = joined(60);
  room.extend(range(11, 60));
  room.extend([
    { seq: 61, kind: "edit", user: ann, at: 610, target: 5, text: "newer" },
    { seq: 62, kind: "delete", user: ann, at: 620, target: 6 },
    { seq: 63, kind: "react", user: ben, at: 630, target: 7, emoji: "👍", on: true },
  ]);
  room.prepend(range(1, 10));
  assert.equal(room.items.get(5).text, "newer");
  assert.equal(room.items.get(6).deleted, true);
  assert.deepEqual(room.reactions(7, "b"), [{ emoji: "👍", names: ["Ben"], mine: true }]);
});

test("what is older does not undo what is newer", () => {
  const room = joined(60);
  const react = (seq, on) => ({ seq, kind: "react", user: ben, at: seq * 10, target: 1, emoji: "👍", on });
  room.extend(range(11, 60));
  room.extend([react(61, false), { seq: 62, kind: "edit", user: ann, at: 620, target: 1, text: "second" }]);
  room.prepend([said(1), react(2, true), { seq: 3, kind: "edit", user: ann, at: 30, target: 1, text: "first" }, ...range(4, 10)]);
  assert.deepEqual(room.reactions(1, "a"), []);
  assert.equal(room.items.get(1).text, "second");
});

test("an edit without a text changes nothing", () => {
  const room = joined(0);
  room.extend([{ ...said(1, "present"), edited_at: 30 }, { seq: 2, kind: "edit", user: ann, at: 20, target: 1 }]);
  assert.equal(room.items.get(1).text, "present");
});

test("a gap is shown and filled from its end", () => {
  const room = joined(0);
  room.extend(range(1, 10));
  room.skip(11, 100);
  assert.equal(room.extend(range(101, 110)).missing, false);
  const hole = room.items.get(100);
  assert.deepEqual([hole.kind, hole.from, hole.seq], ["hole", 11, 100]);
  room.fill(hole, range(51, 100));
  const rest = room.items.get(50);
  assert.deepEqual([rest.kind, rest.from], ["hole", 11]);
  room.fill(rest, range(1, 50));
  assert.deepEqual(room.order, Array.from({ length: 110 }, (_, i) => i + 1));
  assert.ok([...room.items.values()].every(({ kind }) => kind === "message"));
});

test("a gap that is known already is none", () => {
  const room = joined(0);
  room.extend(range(1, 10));
  assert.equal(room.skip(4, 9).size, 0);
  room.skip(8, 20);
  assert.equal(room.items.get(20).from, 11);
});

test("a room does not grow without end", () => {
  const room = joined(0);
  room.extend(range(1, 3_001));
  assert.ok(room.trim());
  assert.equal(room.order.length, 2_000);
  assert.equal(room.first, room.order[0]);
  assert.equal(room.trim(), false);
});
