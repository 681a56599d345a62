// What is known of one room: its events in order, folded into what is to be shown. Knows nothing of connection or page.

/** Events that a `join` asks for, and that follow a reset. */
export const NEWEST = 50;
const MOST_ITEMS = 3_000;
const TRIM_TO = 2_000;

/**
 * `items` maps a seq to what stands there: a `message`, a `note` about the room, or a `hole` (its seq is its end) that
 * was not replayed.
 */
export class Room {
  items = new Map();
  order = []; // the keys of items, ascending
  last = 0; // the newest seq that is known here
  first = 1; // everything from here to last is known, but for holes
  role = "member";
  topic = "";
  unread = 0;
  count = 0;
  people = new Map(); // id to name
  #edits = new Map(); // target to {seq, text, at}
  #deleted = new Set();
  #reactions = new Map(); // target to a map of person and emoji to {seq, on, emoji, user}

  constructor(name) {
    this.name = name;
    this.title = name;
  }

  /** Forgets everything; the newest `NEWEST` events up to `head` follow. */
  restart(head) {
    this.items.clear();
    this.order = [];
    this.#edits.clear();
    this.#deleted.clear();
    this.#reactions.clear();
    this.last = Math.max(0, head - NEWEST);
    this.first = this.last + 1;
  }

  /**
   * Takes new events. Gives those that are new here and the seqs of the items to draw anew; `missing` is true where the
   * events do not continue what is known, and then nothing is taken.
   */
  extend(events) {
    const fresh = events.filter((event) => event.seq > this.last);
    if (fresh.length && fresh[0].seq !== this.last + 1) return { fresh: [], touched: new Set(), missing: true };
    const touched = new Set();
    for (const event of fresh) {
      this.#fold(event, touched);
      this.last = event.seq;
    }
    return { fresh, touched, missing: false };
  }

  /** Takes older events, from `history`, that end where what is known begins. */
  prepend(events) {
    const touched = new Set();
    for (const event of events) {
      if (event.seq < this.first) this.#fold(event, touched);
    }
    if (events.length) this.first = Math.min(this.first, events[0].seq);
    return touched;
  }

  /** `from` to `to` are not replayed. Gives the seqs of the items to draw anew. */
  skip(from, to) {
    if (to <= this.last) return new Set();
    this.#place({ kind: "hole", seq: to, from: Math.max(from, this.last + 1) });
    this.last = to;
    return new Set([to]);
  }

  /** Takes events from `history` that end where the hole does. */
  fill(hole, events) {
    const touched = new Set([hole.seq]);
    this.#remove(hole.seq);
    const inside = events.filter((event) => event.seq >= hole.from && event.seq <= hole.seq);
    for (const event of inside) this.#fold(event, touched);
    const rest = inside.length ? inside[0].seq - 1 : hole.from - 1;
    if (rest >= hole.from) {
      this.#place({ kind: "hole", seq: rest, from: hole.from });
      touched.add(rest);
    }
    return touched;
  }

  /** Forgets the oldest items where there are very many; gives whether it did. */
  trim() {
    if (this.order.length <= MOST_ITEMS) return false;
    const gone = this.order.splice(0, this.order.length - TRIM_TO);
    this.first = gone.at(-1) + 1;
    for (const seq of gone) this.items.delete(seq);
    for (const known of [this.#edits, this.#deleted, this.#reactions]) {
      for (const target of known.keys()) if (target < this.first) known.delete(target);
    }
    return true;
  }

  /** The reactions to a message: [{emoji, names, mine}]. */
  reactions(seq, me) {
    const groups = new Map();
    for (const { on, emoji, user } of this.#reactions.get(seq)?.values() ?? []) {
      if (!on) continue;
      const group = groups.get(emoji) ?? { emoji, names: [], mine: false };
      group.names.push(user.name);
      group.mine ||= user.id === me;
      groups.set(emoji, group);
    }
    return [...groups.values()];
  }

  /** The newest message of `me` that can be edited. */
  newestOf(me) {
    for (let i = this.order.length - 1; i >= 0; i -= 1) {
      const item = this.items.get(this.order[i]);
      if (item.kind === "message" && item.user.id === me && !item.deleted) return item;
    }
    return null;
  }

  #fold(event, touched) {
    const { kind, seq } = event;
    if (kind === "message") {
      this.#place({ ...event });
      this.#amend(seq);
      touched.add(seq);
    } else if (kind === "edit") {
      const known = this.#edits.get(event.target);
      if (event.text !== undefined && !(known?.seq > seq)) {
        this.#edits.set(event.target, { seq, text: event.text, at: event.at });
      }
      this.#amend(event.target);
      touched.add(event.target);
    } else if (kind === "delete") {
      this.#deleted.add(event.target);
      this.#amend(event.target);
      touched.add(event.target);
    } else if (kind === "react") {
      this.#react(event);
      touched.add(event.target);
    } else {
      const text = describe(event);
      if (kind === "room" && seq > this.last) this.#change(event);
      if (!text) return;
      this.#place({ kind: "note", seq, at: event.at, text });
      touched.add(seq);
    }
  }

  /** Brings a message to what is known of it, whichever arrived first. */
  #amend(seq) {
    const item = this.items.get(seq);
    if (item?.kind !== "message") return;
    const edit = this.#edits.get(seq);
    if (edit && edit.at >= (item.edited_at ?? 0)) Object.assign(item, { text: edit.text, edited_at: edit.at });
    if (this.#deleted.has(seq)) Object.assign(item, { text: "", deleted: true });
  }

  #react({ target, emoji, on, user, seq }) {
    const known = this.#reactions.get(target) ?? new Map();
    this.#reactions.set(target, known);
    const key = `${user.id}\n${emoji}`;
    if (!(known.get(key)?.seq > seq)) known.set(key, { seq, on, emoji, user });
  }

  #change({ change, value }) {
    if (change === "title") this.title = value;
    if (change === "topic") this.topic = value;
  }

  #place(item) {
    if (!this.items.has(item.seq)) {
      let at = this.order.length;
      while (at > 0 && this.order[at - 1] > item.seq) at -= 1;
      this.order.splice(at, 0, item.seq);
    }
    this.items.set(item.seq, item);
  }

  #remove(seq) {
    this.items.delete(seq);
    this.order = this.order.filter((known) => known !== seq);
  }
}

const MEMBER = {
  invited: (by, who) => `${by} invited ${who}`,
  joined: (_, who) => `${who} became a member`,
  left: (_, who) => `${who} is no longer a member`,
  removed: (by, who) => `${by} removed ${who}`,
  role: (by, who, role) => `${by} made ${who} ${role}`,
  banned: (by, who) => `${by} banned ${who}`,
  unbanned: (by, who) => `${by} lifted the ban on ${who}`,
  muted: (by, who) => `${by} muted ${who}`,
  unmuted: (by, who) => `${by} let ${who} speak again`,
};

const ROOM = {
  title: (by, value) => `${by} changed the title to “${value}”`,
  topic: (by, value) => (value ? `${by} changed the topic to “${value}”` : `${by} removed the topic`),
  visibility: (by, value) => `${by} made the room ${value}`,
  archived: (by, value) => (value ? `${by} archived the room` : `${by} reopened the room`),
  slow_mode: (by, value) => (value ? `${by} set slow mode to ${value} s` : `${by} ended slow mode`),
};

/** A line about a change of room or membership; nothing for kinds that are not known. */
function describe({ kind, change, user, who, role, value, reason }) {
  const line =
    kind === "member" ? MEMBER[change]?.(user.name, who?.name, role)
    : kind === "room" ? ROOM[change]?.(user.name, value)
    : undefined;
  return line && reason ? `${line}: ${reason}` : line;
}
