// Live updates: one WebSocket tells which topics changed; the fragments that follow them fetch themselves again.
// A fragment says what it follows with data-live="guest-12 jobs" and hx-trigger="live:guest-12 from:body".
// The client sends {"subscribe": [topics]}, which replaces the whole set; the server answers {"subscribed": [topics]}
// and from then on sends {"topic": "guest-12"}.

import { clock } from "./format.js";
import { text } from "./texts.js";

const DEBOUNCE_MS = 100;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8_000;
const OFFLINE_AFTER_MS = 5_000;

const indicator = document.getElementById("live");
const timers = new Map(); // topic → timer of the event to come
const told = new Map(); // topic → when its last event went out
const waiting = new Set(); // topics that changed while nobody looked
let socket = null;
let asked = ""; // the topics asked for last
let confirmed = new Set(); // the topics that the server sends
let retries = 0;
let retryTimer = null;
let lostAt = null;
let offlineTimer = null;

function topics() {
  const found = new Set();
  for (const element of document.querySelectorAll("[data-live]")) {
    for (const topic of element.dataset.live.split(/\s+/)) if (topic) found.add(topic);
  }
  return [...found].sort();
}

function show(state, words) {
  if (!indicator) return;
  indicator.dataset.state = state;
  indicator.textContent = words;
}

function subscribe() {
  if (socket?.readyState !== WebSocket.OPEN) return;
  const wanted = topics();
  if (wanted.join(" ") === asked) return;
  asked = wanted.join(" ");
  socket.send(JSON.stringify({ subscribe: wanted }));
}

/** Whether a fragment that follows the topic is being fetched. htmx forgets an event of a fragment that it then replaces. */
const isUnderWay = (topic) => document.querySelector(`.htmx-request[data-live~="${CSS.escape(topic)}"]`) !== null;

/**
 * A topic changed: its event goes out at once, then at most every DEBOUNCE_MS, and only while the page is looked at. What
 * is on its way may have been drawn before the change, so the event waits for it.
 */
export function changed(topic) {
  if (timers.has(topic)) return;
  const pause = Math.max(0, (told.get(topic) ?? 0) + DEBOUNCE_MS - performance.now());
  timers.set(topic, setTimeout(() => {
    timers.delete(topic);
    told.set(topic, performance.now());
    if (document.hidden) waiting.add(topic);
    else if (isUnderWay(topic)) changed(topic);
    else document.body.dispatchEvent(new CustomEvent(`live:${topic}`, { bubbles: true }));
  }, pause));
}

function opened() {
  retries = 0;
  lostAt = null;
  asked = "";
  confirmed = new Set();
  clearTimeout(offlineTimer);
  offlineTimer = null;
  show("live", `${text("live")} · ${clock()}`);
  document.body.dispatchEvent(new CustomEvent("kw:online"));
  subscribe();
}

function received(event) {
  const { topic, subscribed } = JSON.parse(event.data);
  if (subscribed) {
    // What changed between the drawing of a fragment and this moment would otherwise be missed.
    const fresh = subscribed.filter((name) => !confirmed.has(name));
    confirmed = new Set(subscribed);
    fresh.forEach(changed);
    return;
  }
  show("live", `${text("live")} · ${clock()}`);
  changed(topic);
}

function lost() {
  socket = null;
  if (!lostAt) {
    lostAt = new Date();
    show("connecting", text("connecting"));
    offlineTimer = setTimeout(() => {
      show("offline", text("offline", { time: clock(lostAt).slice(0, 5) }));
      document.body.dispatchEvent(new CustomEvent("kw:offline", { detail: { since: lostAt } }));
    }, OFFLINE_AFTER_MS);
  }
  const pause = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** retries) * (0.5 + Math.random());
  retries += 1;
  clearTimeout(retryTimer);
  retryTimer = setTimeout(connect, pause);
}

function connect() {
  if (socket) return;
  clearTimeout(retryTimer);
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const opening = new WebSocket(`${scheme}://${location.host}/ws/live/`);
  socket = opening;
  opening.addEventListener("open", opened);
  opening.addEventListener("message", received);
  opening.addEventListener("close", () => {
    if (socket === opening) lost();
  });
}

// Swapped fragments bring and take topics.
let observing = null;
new MutationObserver(() => {
  observing ??= setTimeout(() => {
    observing = null;
    subscribe();
  }, 20);
}).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-live"] });

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  if (!socket) connect();
  const missed = [...waiting];
  waiting.clear();
  missed.forEach(changed);
});
addEventListener("online", connect);
document.body.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.successful && lostAt) connect(); // kvmweb answers again: no need to wait for the next try
});
addEventListener("offline", () => socket?.close());
addEventListener("pagehide", () => {
  const leaving = socket;
  socket = null;
  leaving?.close();
});
addEventListener("pageshow", (event) => {
  if (event.persisted) connect();
});
connect();
