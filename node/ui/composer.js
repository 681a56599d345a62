// The field that messages are written in: plain ones, answers and changes of earlier ones.

import { parts, notice, showContext } from "./page.js";

const LONGEST_TEXT_BYTES = 16 * 1024;
const TYPING_EVERY_MS = 3_000;

export const byteLength = (text) => new TextEncoder().encode(text).length;

/**
 * `act` is what comes of it: add(command without its room), typing(), newest() gives the reader's newest message or
 * nothing.
 */
export class Composer {
  #act;
  #editing = null; // the message whose text is being changed
  #replyTo = null; // the message that is being answered
  #typedAt = 0;

  constructor(act) {
    this.#act = act;
    parts.text.addEventListener("input", () => this.#typed());
    parts.text.addEventListener("keydown", (event) => this.#key(event));
    parts.contextCancel.addEventListener("click", () => this.plain());
    parts.composer.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** The next text is a message of its own. */
  plain() {
    if (this.#editing) parts.text.value = "";
    this.#begin(null, null, null);
  }

  reply(item) {
    if (this.#editing) parts.text.value = "";
    this.#begin(null, item, `Reply to ${item.user.name}: ${item.text}`);
    parts.text.focus();
  }

  edit(item) {
    parts.text.value = item.text;
    this.#begin(item, null, "Editing your message");
    parts.text.focus();
  }

  #begin(editing, replyTo, context) {
    this.#editing = editing;
    this.#replyTo = replyTo;
    showContext(context);
    this.#grow();
  }

  #submit() {
    const text = parts.text.value;
    if (!text.trim()) return;
    if (byteLength(text) > LONGEST_TEXT_BYTES) return notice("The message is too long: at most 16 KiB.");
    if (this.#editing) this.#act.add({ op: "edit", seq: this.#editing.seq, text });
    else this.#act.add({ op: "send", text, ...(this.#replyTo ? { reply_to: this.#replyTo.seq } : {}) });
    this.#typedAt = 0;
    parts.text.value = "";
    this.plain();
  }

  #typed() {
    this.#grow();
    if (!parts.text.value.trim() || this.#editing || Date.now() - this.#typedAt < TYPING_EVERY_MS) return;
    this.#typedAt = Date.now();
    this.#act.typing();
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === "Escape") {
      this.plain();
    } else if (event.key === "ArrowUp" && !parts.text.value) {
      const item = this.#act.newest();
      if (!item) return;
      event.preventDefault();
      this.edit(item);
    }
  }

  /** The field is as high as its text. */
  #grow() {
    parts.text.style.height = "auto";
    parts.text.style.height = `${parts.text.scrollHeight + 2}px`;
  }
}
