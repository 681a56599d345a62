// The connection: hello, answers by id, reconnecting, moving to another node. Knows nothing of rooms or of the page.

const SUBPROTOCOL = "hubbub.v1.json";
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
// A connection that lived this long was a good one: the next pause starts small again.
const PROVEN_MS = 10_000;
const WELCOME_WITHIN_MS = 15_000;
// An error that came this shortly before a close is its reason.
const REASON_LASTS_MS = 1_000;
const CLOSING = new Set(["bad_frame", "too_large", "hello_expected", "unauthenticated", "banned", "overloaded"]);

/** Why a command was not done. `code` is one of the wire's codes, or `disconnected`: it may or may not be done. */
export class Refused extends Error {
  constructor(code, message, retryAfterMs) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Events: `state` {state, at?} where state is connecting, open, waiting (until `at`) or ended; `welcome`, `frame` with
 * the frame; `end` {code, refusal, message} (the close code, the code of the error before it) after which it does not come back by itself.
 *
 * `hello()` gives the fields of each hello: credential, resume, epoch.
 */
export class Wire extends EventTarget {
  #url;
  #hello;
  #link = null; // in use
  #next = null; // being opened, in place of #link or because there is none
  #failures = 0;
  #timer = 0;
  #running = false;

  constructor(url, hello) {
    super();
    this.#url = url;
    this.#hello = hello;
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState !== "visible") return;
      this.#hurry();
      this.#link?.probe(5_000);
    });
  }

  get open() {
    return this.#link !== null;
  }

  start() {
    this.#running = true;
    this.#failures = 0;
    this.#connect();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
    for (const link of [this.#link, this.#next]) link?.close();
    this.#link = this.#next = null;
  }

  /** Sends a command and gives its `ok`; rejects with `Refused`. */
  request(frame) {
    if (!this.#link) return Promise.reject(new Refused("disconnected", "not connected"));
    return this.#link.request(frame);
  }

  #connect() {
    clearTimeout(this.#timer);
    if (this.#next || !this.#running) return;
    if (!this.#link) this.#tell("state", { state: "connecting" });
    const link = new Link(this.#url, this.#hello(), {
      welcome: (frame) => this.#welcomed(link, frame),
      frame: (frame) => this.#received(link, frame),
      closed: (code, error) => this.#closed(link, code, error),
    });
    this.#next = link;
  }

  #welcomed(link, frame) {
    const old = this.#link;
    this.#link = link;
    this.#next = null;
    old?.close();
    this.#tell("welcome", frame);
    this.#tell("state", { state: "open" });
  }

  #received(link, frame) {
    if (frame.op === "goaway" && link === this.#link) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#connect(), frame.after_ms ?? 0);
    } else if (link === this.#link) {
      this.#tell("frame", frame);
    }
  }

  #closed(link, code, { refusal, message }) {
    if (link !== this.#link && link !== this.#next) return;
    if (link === this.#link) this.#link = null;
    if (link === this.#next) this.#next = null;
    if (!this.#running) return;
    if (code >= 4100 && code < 4200) {
      this.stop();
      this.#tell("state", { state: "ended" });
      this.#tell("end", { code, refusal, message });
      return;
    }
    if (link.ageMs > PROVEN_MS) this.#failures = 0;
    // Another connection that is on its way goes on; there is nothing to add to it.
    if (!this.#next) this.#retryLater();
    else if (!this.#link) this.#tell("state", { state: "connecting" });
  }

  #retryLater() {
    const ceiling = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures);
    this.#failures += 1;
    const pause = ceiling / 2 + Math.random() * (ceiling / 2);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), pause);
    if (!this.#link) this.#tell("state", { state: "waiting", at: Date.now() + pause });
  }

  #hurry() {
    if (this.#running && !this.#link && !this.#next) this.#connect();
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** One socket, from hello to close. */
class Link {
  #socket;
  #told;
  #answers = new Map();
  #nextId = 1;
  #lastError = { refusal: "", message: "", at: 0 };
  #openedAt = 0;
  #heardAt = 0;
  #heart = 0;
  #over = false;

  constructor(url, hello, told) {
    this.#told = told;
    this.#socket = new WebSocket(url, [SUBPROTOCOL]);
    this.#socket.onopen = () =>
      this.#sendWithId({ op: "hello", ...hello }, (frame) => this.#welcome(frame), (error) => this.#unwelcome(error));
    this.#socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    this.#socket.onclose = ({ code, reason }) => this.#finish(code, this.#recentError() ?? { message: reason });
    setTimeout(() => this.#openedAt || this.close(), WELCOME_WITHIN_MS);
  }

  /** How long it has been of use, in milliseconds. */
  get ageMs() {
    return this.#openedAt ? Date.now() - this.#openedAt : 0;
  }

  request(frame) {
    return new Promise((resolve, reject) => this.#sendWithId(frame, resolve, reject));
  }

  close() {
    this.#socket.close(1000);
    this.#finish(1000, { message: "" });
  }

  /** Gives the other side `patienceMs` to show a sign of life. */
  probe(patienceMs) {
    const asked = Date.now();
    this.#sendWithId({ op: "ping" }, () => {}, () => {});
    setTimeout(() => {
      if (this.#heardAt < asked) this.close();
    }, patienceMs);
  }

  #welcome(frame) {
    this.#openedAt = Date.now();
    const pause = frame.heartbeat_ms ?? 25_000;
    this.#heart = setInterval(() => this.probe(pause), pause);
    this.#told.welcome(frame);
  }

  /** A wrong `hello` leaves the connection open, but to repeat it would change nothing. */
  #unwelcome({ code, message }) {
    if (code !== "bad_request") return;
    this.#socket.close(1000);
    this.#finish(4100, { refusal: code, message });
  }

  #recentError() {
    return Date.now() - this.#lastError.at < REASON_LASTS_MS ? this.#lastError : null;
  }

  #receive(frame) {
    if (this.#over) return;
    this.#heardAt = Date.now();
    const answer = this.#answers.get(frame.id);
    if (frame.op === "error") {
      if (CLOSING.has(frame.code)) {
        this.#lastError = { refusal: frame.code, message: frame.message, at: this.#heardAt };
      }
      if (!answer) return this.#told.frame(frame);
      this.#answers.delete(frame.id);
      return answer.reject(new Refused(frame.code, frame.message, frame.retry_after_ms));
    }
    if (!answer) return this.#told.frame(frame);
    this.#answers.delete(frame.id);
    answer.resolve(frame);
  }

  #sendWithId(frame, resolve, reject) {
    if (this.#socket.readyState !== WebSocket.OPEN) return reject(new Refused("disconnected", "not connected"));
    const id = this.#nextId;
    this.#nextId = (id % 0xffff_ffff) + 1;
    this.#answers.set(id, { resolve, reject });
    this.#socket.send(JSON.stringify({ ...frame, id }));
  }

  #finish(code, error) {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#heart);
    for (const { reject } of this.#answers.values()) reject(new Refused("disconnected", "the connection was lost"));
    this.#answers.clear();
    this.#told.closed(code, error);
  }
}
