// Keys, where the page has what they stand for. Single letters are off in fields, in the console and when switched off.
// No key destroys anything.

import { clearSelection, currentRow, moveRow, pickRow } from "./lists.js";
import { openPalette } from "./palette.js";
import { setTray, toggleTray } from "./tray.js";

const FIRST_KEY_MS = 1500;
let goAt = 0;

const inField = (element) => element.closest?.("input:not(.cb), select, textarea, [contenteditable], canvas, .con, .xterm");

function lettersAreOn() {
  try {
    return localStorage.getItem("kvmweb.keys") !== "off";
  } catch {
    return true;
  }
}

const press = (element) => {
  element?.click();
  return Boolean(element);
};

function focus(selector) {
  const field = document.querySelector(selector);
  field?.focus();
  field?.select?.();
  return Boolean(field);
}

function neighbourTab(step) {
  const tabs = [...document.querySelectorAll(".tabs a")];
  const here = tabs.findIndex((tab) => tab.matches("[aria-current], .on"));
  return here >= 0 && press(tabs[here + step]);
}

const LETTERS = {
  "/": () => focus(".query input, input[data-filter]"),
  j: () => (toggleTray(), true),
  n: () => press(document.querySelector("[data-key=n]")),
  u: () => press(document.querySelector("[data-key=u]")),
  x: () => pickRow(false),
  X: () => pickRow(true),
  c: () => press((currentRow() ?? document).querySelector("[data-key=c]")),
  ".": () => press(currentRow()?.querySelector("[popovertarget]")),
  "[": () => neighbourTab(-1),
  "]": () => neighbourTab(1),
  "?": () => (showShortcuts(), true),
  ArrowDown: () => moveRow(1),
  ArrowUp: () => moveRow(-1),
};

export function showShortcuts() {
  const list = document.getElementById("shortcuts");
  if (list && !list.open) list.showModal();
}

function escape(event) {
  if (inField(event.target)) {
    event.target.blur();
    return true;
  }
  if (clearSelection()) return true;
  if (document.documentElement.classList.contains("tray-open") && innerWidth <= 1280) {
    setTray(false);
    return true;
  }
  return false;
}

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && !event.target.closest?.(".con")) {
    if (openPalette() || focus("[data-search]")) event.preventDefault();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]") || document.querySelector(":popover-open")) return;
  if (event.key === "Escape") {
    if (escape(event)) event.preventDefault();
    return;
  }
  if (inField(event.target) || !lettersAreOn()) return;
  if (Date.now() - goAt < FIRST_KEY_MS) {
    goAt = 0;
    if (press(document.querySelector(`[data-go="${CSS.escape(event.key.toLowerCase())}"]`))) event.preventDefault();
    return;
  }
  if (event.key === "g") {
    goAt = Date.now();
    return;
  }
  if (LETTERS[event.key]?.()) event.preventDefault();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-shortcuts]")) showShortcuts();
});

const keys = document.querySelector("[data-letter-keys]");
if (keys) {
  keys.checked = lettersAreOn();
  keys.addEventListener("change", () => {
    try {
      localStorage.setItem("kvmweb.keys", keys.checked ? "on" : "off");
    } catch {
      // storage is switched off: the choice holds for this page only
    }
  });
}
