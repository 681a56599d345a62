// Brings it all together: who is here, which rooms, what the connection says, what the reader does.

import { Composer, byteLength } from "./composer.js";
import * as identity from "./identity.js";
import { Outbox } from "./outbox.js";
import * as page from "./page.js";
import { NEWEST, Room } from "./room.js";
import { Timeline } from "./timeline.js";
import { Refused, Wire } from "./wire.js";

const ROOM_NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const ROOMS_KEY = "hubbub.rooms";
const LONGEST_NAME_BYTES = 64;
const MOST_RESUMED = 200;
const MOST_PAGES = 5; // of history, in search of something to show
const TYPING_LASTS_MS = 5_000;
const READ_AFTER_MS = 1_000;

const { parts } = page;
const rooms = new Map();
const open = new Set(); // names of the rooms that are open on the present connection
let self = null; // who to be: see identity.js
let me = null; // who the server says this is: {id, name}
let epoch;
let current = null;

const wire = new Wire(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`, hello);
const outbox = new Outbox(wire, (room) => open.has(room));
const timeline = new Timeline(
  { scroller: parts.scroller, list: parts.messages, pending: parts.pending },
  {
    reply: (item) => composer.reply(item),
    edit: (item) => composer.edit(item),
    remove: (item) => {
      if (confirm("Delete this message for everybody?")) outbox.add({ op: "delete", room: current.name, seq: item.seq });
    },
    react: (item, emoji, on) => outbox.add({ op: "react", room: current.name, seq: item.seq, emoji, on }),
    fill: fillHole,
    retry: (cid) => outbox.retry(cid),
    discard: (cid) => outbox.settle(cid),
  },
);

const composer = new Composer({
  add(command) {
    outbox.add({ ...command, room: current.name });
    if (command.op === "send") timeline.toEnd();
  },
  typing: () => open.has(current.name) && ask({ op: "typing", room: current.name }),
  newest: () => (me ? current.newestOf(me.id) : null),
});

// ---- the connection

function hello() {
  const known = [...rooms.values()].filter((room) => room.joined).slice(0, MOST_RESUMED);
  const resume = Object.fromEntries(known.map((room) => [room.name, room.last]));
  return { ...identity.credential(self), ...(known.length ? { resume, epoch } : {}) };
}

wire.addEventListener("state", ({ detail }) => {
  if (detail.state !== "open") open.clear();
  page.showState(detail);
});

wire.addEventListener("welcome", ({ detail: welcome }) => {
  me = welcome.user;
  epoch = welcome.epoch;
  self = { ...self, name: me.name, token: welcome.token ?? self.token };
  identity.remember(self);
  page.showMe(me.name);
  open.clear();
  for (const room of [...rooms.values()]) {
    const resumed = welcome.rooms?.[room.name];
    const refused = welcome.refused?.[room.name];
    if (resumed) opened(room, resumed);
    else if (refused && refused !== "overloaded") drop(room, refused);
    else join(room);
  }
});

wire.addEventListener("end", ({ detail: { code, refusal, message } }) => {
  const why = { 4101: "You are banned from this server", 4105: "Your session has ended" };
  if (code === 4100 && refusal === "unauthenticated") return enterAgain(notLetIn());
  if (code === 4100 && self.guest && message.startsWith("`guest`")) return enterAgain("This name belongs to somebody with an account. Choose another, or enter their password if it is you.");
  enterAgain(`${why[code] ?? "The server ended the connection"}${message ? `: ${message}` : ""}.`);
});

wire.addEventListener("frame", ({ detail: frame }) => {
  if (frame.op === "error") return page.notice(frame.message);
  const room = rooms.get(frame.room);
  if (room && open.has(room.name)) RECEIVE[frame.op]?.(room, frame);
});

const RECEIVE = {
  events(room, { events }) {
    const { fresh, touched, missing } = room.extend(events);
    if (missing) return join(room);
    for (const event of fresh) {
      if (event.cid && event.user.id === me.id) outbox.settle(event.cid);
      if (event.kind === "message" && event.seq > room.liveAfter) heard(room, event);
    }
    outbox.settleUpTo(room.name, room.last);
    drawEvents(room, touched);
  },
  gap(room, { from, to }) {
    const touched = room.skip(from, to);
    outbox.settleUpTo(room.name, room.last);
    drawEvents(room, touched);
  },
  presence(room, { count, joined = [], left = [] }) {
    room.count = count;
    for (const { id } of left) room.people.delete(id);
    for (const { id, name } of joined) room.people.set(id, name);
    if (room === current) page.showPeople(room, me.id);
  },
  typing(room, { user }) {
    room.typing.set(user.id, { name: user.name, until: Date.now() + TYPING_LASTS_MS });
    setTimeout(() => drawTyping(room), TYPING_LASTS_MS + 50);
    drawTyping(room);
  },
};

// ---- rooms

async function join(room) {
  const from = room.joined ? { after: room.last } : { limit: NEWEST };
  try {
    opened(room, await wire.request({ op: "join", room: room.name, ...from }));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.code === "disconnected" || !rooms.has(room.name)) return;
    if (error.retryAfterMs === undefined && error.code !== "internal") return drop(room, error.code);
    setTimeout(() => wire.open && !open.has(room.name) && rooms.has(room.name) && join(room), error.retryAfterMs ?? 2_000);
  }
}

/** The server has opened the room; its events follow. */
function opened(room, answer) {
  open.add(room.name);
  if (!room.joined || answer.reset) {
    room.restart(answer.head);
    room.liveAfter = answer.head;
    for (const { frame, state } of outbox.messages(room.name)) if (state === "sent") outbox.settle(frame.cid);
    if (room === current) timeline.show(room, me.id);
  }
  room.joined = true;
  room.role = answer.role ?? room.role;
  room.title = answer.title ?? room.title;
  room.count = answer.members ?? room.count;
  outbox.settleUpTo(room.name, room.last);
  if (room === current) drawRoom();
  outbox.flush();
  refreshPeople(room);
}

async function refreshPeople(room) {
  const answer = await ask({ op: "presence", room: room.name });
  if (!answer) return;
  room.count = answer.count;
  room.people = new Map(answer.users.map(({ id, name }) => [id, name]));
  if (room === current) page.showPeople(room, me.id);
}

function addRoom(name) {
  const room = Object.assign(new Room(name), { joined: false, liveAfter: 0, readUpTo: 0, typing: new Map() });
  rooms.set(name, room);
  if (wire.open) join(room);
  return room;
}

function openRoom(name) {
  const room = rooms.get(name) ?? addRoom(name);
  saveRooms();
  current = room;
  room.unread = 0;
  if (location.hash !== `#${name}`) location.hash = name;
  composer.plain();
  page.uncoverRoom();
  timeline.show(room, me?.id);
  timeline.showPending(outbox.messages(name));
  page.allowText(true);
  drawRoom();
  parts.text.focus();
}

function leave(name) {
  if (open.delete(name)) ask({ op: "leave", room: name });
  rooms.delete(name);
  saveRooms();
  if (current?.name === name) openRoom([...rooms.keys()][0] ?? "lobby");
  drawRooms();
}

function drop(room, code) {
  const why = { not_found: "there is no such room, or you may not see it", banned: "you are banned from it" };
  rooms.delete(room.name);
  saveRooms();
  if (room === current && rooms.size) openRoom([...rooms.keys()][0]);
  else if (room === current) page.allowText(false);
  drawRooms();
  const told = `#${room.name} cannot be opened: ${why[code] ?? code}. Join another room.`;
  // A room that stays on the page says why it is empty for as long as it stays.
  if (room === current) parts.older.textContent = told;
  page.notice(told);
}

/** A message was just said. */
function heard(room, { user, text }) {
  room.typing.delete(user.id);
  if (user.id === me.id) return;
  if (room !== current || document.hidden || !timeline.atEnd) room.unread += 1;
  if (room === current) page.announce(`${user.name}: ${text}`);
}

function saveRooms() {
  try {
    localStorage.setItem(ROOMS_KEY, JSON.stringify([...rooms.keys()]));
  } catch {
    // Storage may be switched off; then the rooms are not there at the next visit.
  }
}

function savedRooms() {
  try {
    return JSON.parse(localStorage.getItem(ROOMS_KEY) ?? "[]").filter((name) => ROOM_NAME.test(name));
  } catch {
    return [];
  }
}

// ---- history

/** Loads older events until there is something new to see. */
async function loadOlder() {
  const room = current;
  if (!room?.joined || room.loading || room.first <= 1 || !open.has(room.name)) return;
  room.loading = true;
  parts.older.textContent = "Loading older messages…";
  for (let pages = 0, seen = false; pages < MOST_PAGES && !seen && room.first > 1; pages += 1) {
    const answer = await ask({ op: "history", room: room.name, before: room.first, limit: NEWEST });
    if (!answer) break;
    const touched = room.prepend(answer.events);
    if (!answer.more) room.first = 1;
    if (room === current) timeline.updateAbove(touched);
    seen = answer.events.some(({ kind }) => kind === "message");
  }
  room.loading = false;
  if (room === current) afterDrawing(room);
}

async function fillHole(hole) {
  const room = current;
  const answer = await ask({ op: "history", room: room.name, before: hole.seq + 1, limit: NEWEST });
  if (!answer || room.items.get(hole.seq) !== hole) return;
  const touched = room.fill(hole, answer.events);
  if (room === current) timeline.updateAbove(touched);
}

/** A command whose loss does no harm: its `ok`, or nothing. */
async function ask(frame) {
  try {
    return await wire.request(frame);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.code !== "disconnected" && frame.op === "history") page.notice(`Older messages: ${error.message}`);
    return null;
  }
}

// ---- drawing

function drawEvents(room, touched) {
  if (room !== current) return drawRooms();
  if (timeline.atEnd && room.trim()) timeline.show(room, me.id);
  else timeline.update(touched);
  drawTyping(room);
  page.showTitle(room);
  afterDrawing(room);
}

function drawRoom() {
  page.showTitle(current);
  page.showPeople(current, me?.id);
  drawTyping(current);
  drawRooms();
  afterDrawing(current);
}

function drawRooms() {
  page.showRooms([...rooms.values()], current, { open: openRoom, leave });
}

function drawTyping(room) {
  for (const [id, { until }] of room.typing) if (until < Date.now()) room.typing.delete(id);
  if (room === current) page.showTyping([...room.typing.values()].map(({ name }) => name));
}

function afterDrawing(room) {
  if (!room.loading) parts.older.textContent = room.joined && room.first <= 1 ? "This is the beginning of the room." : "";
  parts.toEnd.hidden = timeline.atEnd;
  if (timeline.fits && room.last >= room.liveAfter) loadOlder();
  markRead();
}

let readTimer = 0;

/** Tells the server, after a moment, that the end of the room was seen. */
function markRead() {
  if (document.hidden || !timeline.atEnd || !current) return;
  if (current.unread) {
    current.unread = 0;
    drawRooms();
  }
  if (!open.has(current.name) || current.last <= current.readUpTo) return;
  clearTimeout(readTimer);
  const room = current;
  readTimer = setTimeout(() => {
    room.readUpTo = room.last;
    ask({ op: "read", room: room.name, seq: room.last });
  }, READ_AFTER_MS);
}

// ---- what the reader does

parts.toEnd.addEventListener("click", () => timeline.toEnd());
parts.scroller.addEventListener("scroll", () => {
  parts.toEnd.hidden = timeline.atEnd;
  if (parts.scroller.scrollTop < 200) loadOlder();
  markRead();
}, { passive: true });

parts.joinForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const name = parts.room.value.trim().toLowerCase().replace(/^#/, "");
  if (!ROOM_NAME.test(name)) return page.notice("A room's name is made of a-z, 0-9, - and _, begins with a letter or digit, and has up to 64 of them.");
  parts.room.value = "";
  openRoom(name);
});

parts.entryForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = new FormData(parts.entryForm);
  const name = fields.get("name").trim();
  const password = fields.get("password");
  const register = event.submitter?.value === "register";
  if (!name || byteLength(name) > LONGEST_NAME_BYTES) return page.showEntryError(name ? "The name is too long." : "Choose a name.");
  if (register && !password) return page.showEntryError("A new account needs a password.");
  try {
    enter(password ? await identity.signIn(name, password, { register }) : { name, guest: true });
  } catch (error) {
    page.showEntryError(error.message);
  }
});

parts.signOut.addEventListener("click", () => {
  identity.signOut(self);
  identity.forget();
  enterAgain();
});

outbox.addEventListener("change", ({ detail: { frame } }) => {
  if (frame.op === "send" && frame.room === current?.name) timeline.showPending(outbox.messages(frame.room));
});
outbox.addEventListener("failed", ({ detail: { frame, error } }) => {
  if (frame.op === "send") return;
  outbox.settle(frame.cid);
  const what = { edit: "The message was not changed", delete: "The message was not deleted", react: "The reaction was not taken" };
  page.notice(`${what[frame.op]}: ${error.message}.`);
});

addEventListener("hashchange", () => {
  const name = roomInAddress();
  if (current && name && name !== current.name) openRoom(name);
});
addEventListener("beforeunload", (event) => {
  if (outbox.unfinished) event.preventDefault();
});
document.addEventListener("visibilitychange", markRead);

function roomInAddress() {
  const name = location.hash.slice(1);
  return ROOM_NAME.test(name) ? name : null;
}

// ---- coming and going

function enter(who) {
  self = who;
  page.showChat();
  page.showMe(self.name);
  for (const name of savedRooms()) addRoom(name);
  openRoom(roomInAddress() ?? [...rooms.keys()][0] ?? "lobby");
  wire.start();
}

function notLetIn() {
  if (!self.guest) return "You are no longer signed in. Enter your name and password again.";
  if (self.token) return "The server does not know you any more. Enter again.";
  return "Guests are not let in here. Enter with the name and password of an account.";
}

function enterAgain(why) {
  wire.stop();
  outbox.clear();
  open.clear();
  rooms.clear();
  current = me = null;
  page.showEntry(self?.name, why);
  self = null;
}

const known = identity.remembered();
if (known?.name) enter(known);
else page.showEntry();
