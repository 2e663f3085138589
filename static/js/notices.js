// What the page has to say: notes at its top, or in the dialog that is open.

import { text } from "./texts.js";

function place() {
  const dialog = document.querySelector("dialog[open] .dialog-notices");
  return dialog ?? document.getElementById("notices");
}

/** Puts ready-made notes (elements) where the reader looks. */
export function showNotes(notes) {
  const target = place();
  if (!target) return;
  target.replaceChildren(...notes);
  target.scrollIntoView({ block: "nearest" });
}

/** A note of our own. `kind` is "bad", "warn", "info" or "ok"; `name` lets it be taken back by `unsay`. */
export function say(words, kind = "bad", name = "") {
  const note = document.createElement("div");
  note.className = `note note-${kind}`;
  note.dataset.note = name;
  note.setAttribute("role", kind === "bad" ? "alert" : "status");
  const body = document.createElement("div");
  body.className = "grow";
  body.textContent = words;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn-link-x mute";
  close.dataset.closeNote = "";
  close.textContent = text("close");
  note.append(body, close);
  showNotes([note]);
}

const BETWEEN_WORDS_MS = 2_000;
let unsaid = "";
let speaking = null;

/** Says something to those who hear the page, politely: at most one sentence in two seconds, the newest wins. */
export function announce(words) {
  unsaid = words;
  speaking ??= setTimeout(speak, 100);
}

function speak() {
  const region = document.getElementById("announce");
  speaking = unsaid ? setTimeout(speak, BETWEEN_WORDS_MS) : null;
  if (region && unsaid) region.textContent = unsaid;
  unsaid = "";
}

/** Takes the notes called `name` away: what they said holds no longer. */
export function unsay(name) {
  document.querySelectorAll(`.note[data-note="${name}"]`).forEach((note) => note.remove());
}

document.addEventListener("click", (event) => {
  event.target.closest?.("[data-close-note]")?.closest(".note")?.remove();
});
