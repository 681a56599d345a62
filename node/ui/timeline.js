// The list of messages: draws what changed, keeps the reader's place. All text goes in as text, never as markup.

const EMOJI = ["👍", "❤️", "😂", "🎉", "👀"];
const NEAR_END_PX = 60;

/** Makes an element with attributes (`text` is its text, `on…` are listeners) and children. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter(Boolean));
  return made;
}

/**
 * `act` holds what a reader can do: reply(item), edit(item), remove(item), react(item, emoji, on), fill(hole),
 * retry(cid), discard(cid).
 */
export class Timeline {
  #scroller;
  #list;
  #pending;
  #act;
  #room = null;
  #me = "";
  #drawn = new Map(); // seq to element
  #reading = true; // the end, when the reader last moved

  constructor({ scroller, list, pending }, act) {
    this.#scroller = scroller;
    this.#list = list;
    this.#pending = pending;
    this.#act = act;
    // A notice or a keyboard that takes room must not push the newest message out of sight; scroll events that tell of
    // nothing but the lost room come before the observer's call.
    let height = scroller.clientHeight;
    scroller.addEventListener("scroll", () => {
      if (scroller.clientHeight === height) this.#reading = this.atEnd;
    }, { passive: true });
    new ResizeObserver(() => {
      height = scroller.clientHeight;
      if (this.#reading) this.toEnd();
    }).observe(scroller);
  }

  get atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  }

  /** Whether all that is drawn fits without scrolling. */
  get fits() {
    return this.#scroller.scrollHeight <= this.#scroller.clientHeight;
  }

  toEnd() {
    this.#reading = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** Draws a room from its beginning and goes to its end. */
  show(room, me) {
    this.#room = room;
    this.#me = me;
    this.#drawn.clear();
    this.#list.replaceChildren(...room.order.map((seq) => this.#draw(seq)));
    this.toEnd();
  }

  /** Draws the items `touched` anew; who read the end goes on reading the end. */
  update(touched) {
    const follow = this.atEnd;
    for (const seq of [...touched].sort((a, b) => a - b)) this.#redraw(seq);
    if (follow) this.toEnd();
  }

  /** As `update`, for what is above the reader: what is on the screen stays there. */
  updateAbove(touched) {
    const { scrollHeight, scrollTop } = this.#scroller;
    for (const seq of [...touched].sort((a, b) => b - a)) this.#redraw(seq);
    this.#scroller.scrollTop = scrollTop + (this.#scroller.scrollHeight - scrollHeight);
  }

  /** Draws what is not in the log yet. */
  showPending(entries) {
    const follow = this.atEnd;
    this.#pending.replaceChildren(...entries.map((entry) => this.#drawPending(entry)));
    if (follow) this.toEnd();
  }

  /** Brings a message to the reader's eye. */
  reveal(seq) {
    const target = this.#drawn.get(seq);
    target?.scrollIntoView({ block: "center" });
    target?.focus();
  }

  #redraw(seq) {
    const old = this.#drawn.get(seq);
    if (!this.#room.items.has(seq)) {
      old?.remove();
      this.#drawn.delete(seq);
      return;
    }
    const focused = old?.contains(document.activeElement) ? document.activeElement.dataset.action : undefined;
    const made = this.#draw(seq);
    if (old) {
      old.replaceWith(made);
      if (focused) (made.querySelector(`[data-action="${focused}"]`) ?? made).focus();
    } else {
      this.#list.insertBefore(made, this.#elementAfter(seq));
    }
  }

  #elementAfter(seq) {
    const { order } = this.#room;
    // Nearly always it is the newest or the oldest that is drawn.
    for (let i = order.lastIndexOf(seq) + 1; i < order.length; i += 1) {
      const next = this.#drawn.get(order[i]);
      if (next?.isConnected) return next;
    }
    return null;
  }

  #draw(seq) {
    const item = this.#room.items.get(seq);
    const made =
      item.kind === "message" ? this.#message(item)
      : item.kind === "hole" ? this.#hole(item)
      : element("li", { class: "note", text: item.text });
    this.#drawn.set(seq, made);
    return made;
  }

  #message(item) {
    const mine = item.user.id === this.#me;
    const classes = ["message", mine && "mine", item.deleted && "deleted"].filter(Boolean).join(" ");
    return element(
      "li",
      { class: classes, tabindex: "-1", "data-seq": item.seq },
      element(
        "div",
        { class: "meta" },
        element("span", { class: "who", text: item.user.name }),
        time(item.at),
        item.edited_at && !item.deleted ? element("span", { class: "state", text: "edited", title: when(item.edited_at) }) : null,
      ),
      item.reply_to ? this.#quote(item.reply_to) : null,
      element("div", { class: "text", dir: "auto", text: item.deleted ? "This message was deleted." : item.text }),
      item.deleted ? null : this.#reactions(item),
      item.deleted ? null : this.#actions(item, mine),
    );
  }

  #quote(seq) {
    const quoted = this.#room.items.get(seq);
    const text =
      !quoted || quoted.kind !== "message" ? "an earlier message"
      : quoted.deleted ? "a deleted message"
      : `${quoted.user.name}: ${quoted.text}`;
    return element("button", { class: "quote", type: "button", text: `↪ ${text}`, onclick: () => this.reveal(seq) });
  }

  #reactions(item) {
    const chips = this.#room.reactions(item.seq, this.#me).map(({ emoji, names, mine }) =>
      element("button", {
        class: "reaction",
        type: "button",
        "data-action": `reaction ${emoji}`,
        "aria-pressed": String(mine),
        "aria-label": `${emoji}, ${names.length}: ${names.join(", ")}`,
        title: names.join(", "),
        text: `${emoji} ${names.length}`,
        onclick: () => this.#act.react(item, emoji, !mine),
      }),
    );
    return element("div", { class: "reactions" }, ...chips);
  }

  #actions(item, mine) {
    const action = (name, label, run, text = label) =>
      element("button", { type: "button", "data-action": name, "aria-label": label, title: label, text, onclick: run });
    const moderates = this.#room.role === "owner" || this.#room.role === "moderator";
    return element(
      "div",
      { class: "actions" },
      ...EMOJI.map((emoji) => action(`react ${emoji}`, `React with ${emoji}`, () => this.#act.react(item, emoji, true), emoji)),
      action("reply", "Reply", () => this.#act.reply(item)),
      mine ? action("edit", "Edit", () => this.#act.edit(item)) : null,
      mine || moderates ? action("delete", "Delete", () => this.#act.remove(item)) : null,
    );
  }

  #hole(item) {
    const count = item.seq - item.from + 1;
    return element(
      "li",
      { class: "hole" },
      element("button", {
        type: "button",
        text: `${count} earlier events are not shown. Load more`,
        onclick: () => this.#act.fill(item),
      }),
    );
  }

  #drawPending({ frame, state, error }) {
    const told =
      state === "failed" ? `not sent: ${error.message}`
      : state === "sent" ? "sent"
      : error && error.code !== "disconnected" ? `waiting: ${error.message}`
      : "sending…";
    return element(
      "li",
      { class: `message mine waiting ${state === "failed" ? "failed" : ""}` },
      element("div", { class: "meta" }, element("span", { class: "state", text: told })),
      element("div", { class: "text", dir: "auto", text: frame.text }),
      state === "failed"
        ? element(
            "div",
            { class: "failed-actions" },
            element("button", { type: "button", text: "Try again", onclick: () => this.#act.retry(frame.cid) }),
            element("button", { type: "button", text: "Discard", onclick: () => this.#act.discard(frame.cid) }),
          )
        : null,
    );
  }
}

function time(at) {
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  const text = today ? date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) : when(at);
  return element("time", { datetime: date.toISOString(), title: when(at), text });
}

function when(at) {
  return new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
