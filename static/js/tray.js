// The job tray: opens and closes, remembers how it was left, opens by itself when a job starts on a wide screen.

import { announce, say } from "./notices.js";
import { text } from "./texts.js";

const root = document.documentElement;
const button = document.querySelector("[data-tray]");
const fits = matchMedia("(min-width: 701px)");
const beside = matchMedia("(min-width: 1281px)");

function remember(open) {
  try {
    localStorage.setItem("kvmweb.tray", open ? "open" : "closed");
  } catch {
    // storage is switched off: the tray is as the next page finds it
  }
}

const load = () => document.body.dispatchEvent(new CustomEvent("kw:tray"));

export function setTray(open) {
  root.classList.toggle("tray-open", open);
  button?.setAttribute("aria-expanded", String(open));
  remember(open);
  if (open) load();
}

export const toggleTray = () => setTray(!root.classList.contains("tray-open"));

/** A job was started and the page stays: its first news goes to the tray, or to a line where there is none. */
export function jobStarted() {
  if (beside.matches) {
    setTray(true);
    announce(text("jobStarted"));
  } else {
    load();
    say(text("jobStarted"), "info");
  }
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-tray-close]")) setTray(false);
  else if (event.target.closest("[data-tray]") && fits.matches && !event.ctrlKey && !event.metaKey) {
    event.preventDefault(); // on a phone the link leads to the page of jobs
    toggleTray();
  }
});

document.addEventListener("DOMContentLoaded", () => {
  const open = root.classList.contains("tray-open");
  button?.setAttribute("aria-expanded", String(open));
  if (open) load();
});
