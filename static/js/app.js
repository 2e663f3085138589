// What every page needs. Pages with more (console, upload, graphs) load their own module beside this one.

import "./changes.js";
import "./dialogs.js";
import "./fragments.js";
import "./keyboard.js";
import "./lists.js";
import "./notices.js";
import "./tray.js";
import { announce, say } from "./notices.js";
import { text } from "./texts.js";

// --- copy -----------------------------------------------------------------------------------------------------------
async function copy(words) {
  if (navigator.clipboard && isSecureContext) return navigator.clipboard.writeText(words);
  const field = document.createElement("textarea"); // plain http from another machine has no clipboard of its own
  field.value = words;
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("not allowed");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = button.dataset.copy
    ? document.querySelector(button.dataset.copy)
    : button.closest(".one, dd, .card, section")?.querySelector("pre, code");
  try {
    await copy((source?.value ?? source?.textContent ?? "").trim());
  } catch {
    say(text("notCopied"), "warn");
    return;
  }
  const label = button.querySelector("span") ?? button;
  const before = label.textContent;
  if (label !== button) label.textContent = text("copied");
  button.title = text("copied");
  setTimeout(() => {
    if (label !== button) label.textContent = before;
  }, 1500);
});

// --- jobs that the page shows: their end is said aloud, and a page that waited goes on ------------------------------
const jobStates = new Map();
const unfinished = new Set(["queued", "running"]);
function followJobs() {
  for (const job of document.querySelectorAll("[data-job]")) {
    const { job: pk, jobStatus, words } = job.dataset;
    const before = jobStates.get(pk);
    jobStates.set(pk, jobStatus);
    if (!unfinished.has(before) || unfinished.has(jobStatus)) continue;
    announce(words);
    const place = job.closest("[data-follow-job]");
    if (!place || jobStatus !== "succeeded") continue;
    if (place.dataset.then) location.assign(place.dataset.then);
    else location.reload();
  }
}
followJobs();
document.body.addEventListener("htmx:afterSwap", followJobs);

// --- fields that send their form, the sheet of the navigation ---------------------------------------------------------
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form?.requestSubmit();
});

document.addEventListener("click", (event) => {
  const side = document.getElementById("side");
  const button = event.target.closest("[data-side]");
  if (!side) return;
  const open = button ? !side.classList.contains("open") : false;
  if (!button && (!side.classList.contains("open") || side.contains(event.target))) return;
  side.classList.toggle("open", open);
  document.querySelector("[data-side]")?.setAttribute("aria-expanded", String(open));
});
