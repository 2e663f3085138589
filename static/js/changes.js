// Changes that are made at once, without a job: a note says what was done, and can take it back.

import { say } from "./notices.js";
import { text } from "./texts.js";

document.body.addEventListener("kw:done", ({ detail }) => {
  document.getElementById("dialog")?.close();
  document.body.dispatchEvent(new CustomEvent("live:guests", { bubbles: true })); // seen at once, also without the socket
  if (!detail.text) return;
  say(detail.text, "ok");
  if (detail.undo) offerUndo(detail.undo);
});

function offerUndo(url) {
  const note = document.querySelector("#notices .note");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-default btn-xs";
  button.textContent = text("undo");
  button.addEventListener("click", () => window.htmx.ajax("POST", url, { source: document.body, swap: "none" }));
  note?.querySelector("[data-close-note]")?.before(button);
}

// A tag that is clicked is typed into the field above it.
document.addEventListener("click", (event) => {
  const choice = event.target.closest("[data-add-tag]");
  const field = choice?.closest(".field")?.querySelector("[data-tags]");
  if (!field) return;
  const typed = field.value.split(",").map((name) => name.trim()).filter(Boolean);
  const at = typed.indexOf(choice.dataset.addTag);
  if (at < 0) typed.push(choice.dataset.addTag);
  else typed.splice(at, 1);
  field.value = typed.join(", ");
  field.focus();
});
