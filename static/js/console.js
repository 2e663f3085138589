// The console page: puts the parts together. The screen or the serial port is a view, the connection keeps it fed.

import { runCheck } from "./console/check.js";
import { Connection } from "./console/connection.js";
import { Guest } from "./console/guest.js";
import { hideProblem, showProblem } from "./console/message.js";
import { openPanel, wirePanels } from "./console/panels.js";
import { wireTouch } from "./console/touch.js";
import { wireTyping } from "./console/typing.js";
import { words } from "./console/words.js";

const root = document.getElementById("console");
const bar = root.querySelector(".conbar");
const status = document.getElementById("console-status");
const spoken = document.getElementById("console-status-words");
const latency = document.getElementById("console-latency");
const place = document.getElementById("screen");
const page = {
  kind: root.dataset.kind,
  name: root.dataset.name,
  ticketUrl: root.dataset.ticketUrl,
  viewOnly: root.dataset.viewOnly === "1",
};
// Each kind brings a big library of its own; only one is loaded.
const { Serial, Screen } = page.kind === "serial" ? await import("./console/serial.js") : await import("./console/screen.js");
const view = page.kind === "serial" ? new Serial(place) : new Screen(place);
const connection = new Connection(page, view, new Guest());

// --- what is shown ----------------------------------------------------------------------------------------------------
function showState() {
  const { state, viewOnly, milliseconds } = connection;
  status.dataset.state = state;
  const text = words(state === "connected" && viewOnly ? "viewing" : state);
  if (spoken.textContent !== text) spoken.textContent = text; // read aloud; the latency beside it is not
  const known = state === "connected" && milliseconds !== null;
  latency.textContent = known ? words("latency", { number: Math.max(1, Math.round(milliseconds)) }) : "";
  for (const each of root.querySelectorAll("[data-needs-keys]")) each.disabled = viewOnly;
  if (connection.problem) showProblem(connection.problem, page.kind);
  else hideProblem();
}

function showSize() {
  const text = view.size ? words(page.kind === "serial" ? "terminal" : "size", view.size) : "";
  document.getElementById("console-size").textContent = text;
}

connection.addEventListener("change", showState);
view.addEventListener("size", showSize);

// --- what the buttons do ----------------------------------------------------------------------------------------------
async function savePicture() {
  const picture = await view.picture();
  if (!picture) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(picture);
  link.download = `${page.name} ${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function toggleFullScreen() {
  if (document.fullscreenElement) {
    await document.exitFullscreen();
    return;
  }
  await root.requestFullscreen();
  await navigator.keyboard?.lock?.().catch(() => undefined); // Alt Tab and the like go to the guest, where browsers can
  view.focus();
}

function toggleViewOnly(button) {
  connection.viewOnly = !connection.viewOnly;
  button.setAttribute("aria-pressed", String(connection.viewOnly));
  connection.connect(); // the server holds to what its ticket says, so this needs a new one
}

function popOut() {
  const address = new URL(location);
  if (connection.viewOnly) address.searchParams.set("view_only", "1");
  open(address, `kvmweb-console-${root.dataset.guest}`, "popup,width=1100,height=780");
}

function check() {
  openPanel("check");
  runCheck(page, connection);
}

const ACTIONS = {
  "clipboard-send": () => view.giveClipboard(document.getElementById("clipboard-text").value),
  check,
  fullscreen: toggleFullScreen,
  picture: savePicture,
  popout: popOut,
  retry: () => connection.connect(),
  "view-only": toggleViewOnly,
};

root.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { do: action, keys, scale } = button.dataset;
  if (action) ACTIONS[action]?.(button);
  else if (keys) view.press(keys.split(" "));
  else if (scale) setScale(scale);
  if (!keys && !scale) return;
  button.closest("[popover]").hidePopover();
  view.focus();
});

function setScale(scale) {
  view.setScale(scale);
  showScale();
}

function showScale() {
  for (const button of root.querySelectorAll("[data-scale]")) {
    button.setAttribute("aria-pressed", String(button.dataset.scale === view.scale));
  }
  const label = document.getElementById("scale-label");
  if (label) label.textContent = words(view.scale);
}

view.addEventListener("clipboard", ({ detail }) => {
  document.getElementById("clipboard-text").value = detail;
});

// --- keys of the page: before noVNC and xterm see them ------------------------------------------------------------------
const CHORDS = {
  KeyF: toggleFullScreen,
  KeyD: () => view.press(["Control", "Alt", "Delete"]),
  KeyT: () => openPanel("type"),
  KeyR: () => undefined, // what all of them do first is all that it does
};
addEventListener("keydown", (event) => {
  const chord = event.ctrlKey && event.altKey && event.shiftKey ? CHORDS[event.code] : null;
  if (!chord) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  view.release();
  chord();
}, true);

// --- full screen: the bar comes back at the top edge --------------------------------------------------------------------
root.addEventListener("pointermove", (event) => {
  if (!document.fullscreenElement) return;
  if (event.clientY < 4) bar.classList.add("peek");
  else if (event.clientY > 60 && !bar.querySelector(":popover-open")) bar.classList.remove("peek");
});
document.addEventListener("fullscreenchange", () => {
  bar.classList.remove("peek");
  root.querySelector('[data-do="fullscreen"]').setAttribute("aria-pressed", String(Boolean(document.fullscreenElement)));
});

wirePanels(() => view.focus());
wireTyping(view);
wireTouch(view);
showScale();
showState();
showSize();
connection.connect();
