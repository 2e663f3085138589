// How htmx behaves here: which answers are swapped in, how errors are shown, when a live fragment has to wait.

import { clock, refreshTimes } from "./format.js";
import { say, showNotes, unsay } from "./notices.js";
import { text } from "./texts.js";

const isLive = (detail) => (detail.requestConfig?.triggeringEvent?.type ?? "").startsWith("live:");
const postponed = new Map(); // fragment → the live event that it has yet to follow

/** A fragment in which somebody is busy: an open menu, or a field with the cursor in it. */
function inUse(element) {
  if (element.querySelector(":popover-open")) return true;
  const focused = document.activeElement;
  return element.contains(focused) && focused.matches("input:not(.cb), select, textarea");
}

function goOn() {
  for (const [element, name] of postponed) {
    if (element.isConnected && inUse(element)) continue;
    postponed.delete(element);
    if (element.isConnected) document.body.dispatchEvent(new CustomEvent(name, { bubbles: true }));
  }
}
document.addEventListener("toggle", () => setTimeout(goOn, 50), true);
document.addEventListener("focusout", () => setTimeout(goOn, 50));

/** Whether a live fragment has to wait; then it follows its event once nobody is busy in it. */
function hasToWait(detail) {
  if (!isLive(detail) || !inUse(detail.elt)) return false;
  postponed.set(detail.elt, detail.requestConfig.triggeringEvent.type);
  return true;
}

document.body.addEventListener("htmx:beforeRequest", (event) => {
  if (hasToWait(event.detail)) event.preventDefault();
});

document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const { status } = detail.xhr;
  if (status < 400 && hasToWait(detail)) detail.shouldSwap = false; // a menu was opened while it was on its way
  if (status < 400) return;
  detail.isError = false;
  detail.shouldSwap = status === 422; // the form again, with what is wrong in it
  if (detail.shouldSwap || isLive(detail)) return; // the indicator already says when kvmweb is away
  const answer = new DOMParser().parseFromString(detail.xhr.responseText, "text/html");
  const notes = [...answer.querySelectorAll(".note")];
  if (notes.length) showNotes(notes);
  else say(text("failed", { status }));
});

// Old is shown as old: while kvmweb is away the page says so, and takes it back when kvmweb is there again.
const noAnswer = (since) => say(text("noAnswer", { time: clock(since).slice(0, 5) }), "warn", "no-answer");
let awaySince = null;
for (const name of ["htmx:sendError", "htmx:timeout"]) {
  document.body.addEventListener(name, ({ detail }) => {
    if (!isLive(detail)) noAnswer(awaySince ?? new Date());
  });
}
document.body.addEventListener("kw:offline", ({ detail }) => {
  awaySince = detail.since;
  noAnswer(awaySince);
});
document.body.addEventListener("kw:online", () => {
  awaySince = null;
  unsay("no-answer");
});

document.body.addEventListener("htmx:afterSwap", () => refreshTimes());
refreshTimes();
setInterval(refreshTimes, 5_000);
