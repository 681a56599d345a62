// The parts of the page around the messages: entry form, bar, panels, notices. Draws what it is told.

import { element } from "./timeline.js";

const byId = (id) => document.getElementById(id);

/** The fixed parts of the page. */
export const parts = {
  scroller: byId("scroller"),
  messages: byId("messages"),
  pending: byId("pending"),
  older: byId("older"),
  toEnd: byId("to-end"),
  composer: byId("composer"),
  text: byId("text"),
  contextCancel: byId("context-cancel"),
  entryForm: byId("entry-form"),
  joinForm: byId("join-form"),
  room: byId("room"),
  signOut: byId("sign-out"),
};

const narrow = matchMedia("(max-width: 44rem)"); // as in style.css
const PANELS = [["open-rooms", "rooms-panel"], ["open-people", "people-panel"]].map((ids) => ids.map(byId));
for (const [button, panel] of PANELS) button.addEventListener("click", () => togglePanel(button, panel));
if (matchMedia("(min-width: 64rem)").matches) togglePanel(byId("open-people"), byId("people-panel"));

function togglePanel(button, panel) {
  const open = button.getAttribute("aria-expanded") !== "true";
  // On a narrow page each of them covers the room, and would cover the other one.
  if (open && narrow.matches) closePanels();
  button.setAttribute("aria-expanded", String(open));
  panel.classList.toggle("shown", open);
  if (panel.id === "people-panel") panel.hidden = !open;
}

/** On a narrow page rooms and people cover the room: takes them away. */
export function uncoverRoom() {
  if (narrow.matches) closePanels();
}

function closePanels() {
  for (const [button, panel] of PANELS) {
    if (button.getAttribute("aria-expanded") === "true") togglePanel(button, panel);
  }
}

export function showEntry(name, error) {
  byId("chat").hidden = true;
  byId("entry").hidden = false;
  byId("name").value = name ?? "";
  byId("password").value = "";
  showEntryError(error);
  byId("name").focus();
}

export function showEntryError(error) {
  byId("entry-error").textContent = error ?? "";
  byId("entry-error").hidden = !error;
}

export function showChat() {
  byId("entry").hidden = true;
  byId("chat").hidden = false;
}

export function showMe(name) {
  byId("me").textContent = name;
}

let countdown = 0;

/** How the connection is: `state` as the wire tells it. */
export function showState({ state, at }) {
  clearInterval(countdown);
  byId("status").dataset.state = state;
  const say = (text) => {
    byId("status").textContent = text;
  };
  if (state === "waiting") {
    const tick = () => say(`offline, next try in ${Math.max(0, Math.ceil((at - Date.now()) / 1000))} s`);
    tick();
    countdown = setInterval(tick, 1000);
  } else {
    say({ connecting: "connecting…", open: "connected", ended: "disconnected" }[state]);
  }
}

export function showTitle(room) {
  byId("room-title").textContent = `#${room.name}${room.title === room.name ? "" : ` · ${room.title}`}`;
  byId("room-topic").textContent = room.topic;
  document.title = `#${room.name} · Hubbub`;
}

/** The rooms, with a way into each and out of all but the last. */
export function showRooms(rooms, current, { open, leave }) {
  const rows = rooms.map((room) =>
    element(
      "li",
      {},
      element(
        "button",
        { class: "quiet room-link", "aria-current": String(room === current), onclick: () => open(room.name) },
        element("span", { text: `#${room.name} ` }),
        room.unread ? element("span", { class: "unread", text: String(room.unread), title: "new messages" }) : null,
      ),
      rooms.length > 1
        ? element("button", { class: "quiet", text: "×", "aria-label": `Leave ${room.name}`, onclick: () => leave(room.name) })
        : null,
    ),
  );
  byId("rooms").replaceChildren(...rows);
}

export function showPeople({ count, people }, me) {
  byId("people-count").textContent = String(count);
  byId("people-word").textContent = count === 1 ? "person" : "people";
  const names = [...people].sort(([, a], [, b]) => a.localeCompare(b));
  byId("people").replaceChildren(
    ...names.map(([id, name]) => element("li", { text: id === me ? `${name} (you)` : name })),
  );
  const more = count - people.size;
  byId("people-more").textContent = more > 0 ? `and ${more} more` : "";
}

export function showTyping(names) {
  byId("typing").textContent =
    names.length === 0 ? ""
    : names.length === 1 ? `${names[0]} is typing…`
    : names.length <= 3 ? `${names.join(", ")} are typing…`
    : "Several people are typing…";
}

let noticeTimer = 0;

/** Something that went wrong and that the reader should know. */
export function notice(text) {
  clearTimeout(noticeTimer);
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
  if (text) noticeTimer = setTimeout(() => notice(""), 8_000);
}

/** Says something to a screen reader. */
export function announce(text) {
  byId("news").textContent = text;
}

/** Whether there is a room to write to. */
export function allowText(allowed) {
  for (const part of [parts.text, byId("send")]) part.disabled = !allowed;
}

/** What the next text is for, where it is no plain message. */
export function showContext(text) {
  byId("context").hidden = !text;
  byId("context-text").textContent = text ?? "";
  byId("send").textContent = text?.startsWith("Editing") ? "Save" : "Send";
}
