// Commands that must not get lost: each has a cid and is sent again, with the same cid, until the server has answered.

import { Refused } from "./wire.js";

// Said about the moment, not about the command: worth another try.
const PASSING = new Set(["disconnected", "not_joined", "rate_limited", "overloaded", "internal"]);
const PAUSE_MS = 2_000;

/**
 * Entries {frame, state, seq?, error?}; the state is waiting, sending, sent (committed, its event is still to come) or
 * failed. Events: `change` with the entry, `failed` with the entry.
 */
export class Outbox extends EventTarget {
  #wire;
  #mayGo;
  #entries = new Map(); // cid to entry, in the order in which they were made
  #timer = 0;
  #pausedUntil = 0;

  /** `mayGo(room)` says whether the room is open on the present connection. */
  constructor(wire, mayGo) {
    super();
    this.#wire = wire;
    this.#mayGo = mayGo;
  }

  /** Adds a command without `cid`. */
  add(frame) {
    const entry = { frame: { ...frame, cid: newCid() }, state: "waiting" };
    this.#entries.set(entry.frame.cid, entry);
    this.#tell("change", entry);
    this.flush();
  }

  /** Messages of a room that are not in its log yet. */
  messages(room) {
    return [...this.#entries.values()].filter(({ frame }) => frame.op === "send" && frame.room === room);
  }

  get unfinished() {
    return [...this.#entries.values()].some(({ state }) => state === "waiting" || state === "sending");
  }

  /** Sends what is waiting, in order. */
  flush() {
    const pause = this.#pausedUntil - Date.now();
    if (pause > 0) return this.#later(pause);
    for (const entry of this.#entries.values()) {
      if (entry.state === "waiting" && this.#wire.open && this.#mayGo(entry.frame.room)) this.#send(entry);
    }
  }

  retry(cid) {
    const entry = this.#entries.get(cid);
    if (!entry) return;
    entry.state = "waiting";
    this.#tell("change", entry);
    this.flush();
  }

  /** The event of `cid` is in the log, or nobody waits for it any more. */
  settle(cid) {
    const entry = this.#entries.get(cid);
    if (!entry) return;
    this.#entries.delete(cid);
    this.#tell("change", entry);
  }

  /** Everything of the room up to `seq` is known: what is committed below needs no event. */
  settleUpTo(room, seq) {
    for (const [cid, entry] of this.#entries) {
      if (entry.frame.room === room && entry.state === "sent" && entry.seq <= seq) this.settle(cid);
    }
  }

  clear() {
    this.#entries.clear();
    clearTimeout(this.#timer);
  }

  async #send(entry) {
    entry.state = "sending";
    this.#tell("change", entry);
    try {
      const { seq } = await this.#wire.request(entry.frame);
      entry.state = "sent";
      entry.seq = seq;
      if (entry.frame.op === "send") this.#tell("change", entry);
      else this.settle(entry.frame.cid);
    } catch (error) {
      this.#refused(entry, error);
    }
  }

  #refused(entry, error) {
    if (!(error instanceof Refused)) throw error;
    if (!this.#entries.has(entry.frame.cid)) return;
    entry.error = error;
    entry.state = PASSING.has(error.code) ? "waiting" : "failed";
    if (entry.state === "waiting" && error.code !== "disconnected") {
      const pause = error.retryAfterMs ?? PAUSE_MS;
      this.#pausedUntil = Math.max(this.#pausedUntil, Date.now() + pause);
      this.#later(pause);
    }
    this.#tell("change", entry);
    if (entry.state === "failed") this.#tell("failed", entry);
  }

  #later(pause) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), pause + 10);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** 128 random bits; `crypto.randomUUID` is not there on pages without TLS. */
function newCid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
