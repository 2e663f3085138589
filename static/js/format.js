// Numbers and times as people read them; the same words as kvmweb/units.py.

import { text } from "./texts.js";

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const BIT_RATES = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"];
const spoken = document.documentElement.lang || "en";
const language = spoken === "en" ? "en-GB" : spoken; // day before month, as the server writes it
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });

const short = (value) => (value >= 100 ? whole : tenths).format(value);

function scaled(value, step, units) {
  let index = 0;
  while (index < units.length - 1 && Number(value.toFixed(value >= 100 ? 0 : 1)) >= step) {
    value /= step;
    index += 1;
  }
  return `${short(value)} ${units[index]}`;
}

export const size = (bytes) => (bytes == null ? "—" : scaled(bytes, 1024, SIZES));
export const byteRate = (bytesPerSecond) => (bytesPerSecond == null ? "—" : `${size(bytesPerSecond)}/s`);
export const bitRate = (bytesPerSecond) => (bytesPerSecond == null ? "—" : scaled(bytesPerSecond * 8, 1000, BIT_RATES));
export const percent = (share) => (share == null ? "—" : `${whole.format(share)} %`);

/** Seconds in their largest unit: "42 s", "12 min", "6 h", "88 d". */
export function span(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "—";
  if (seconds < 60) return text("seconds", { number: whole.format(Math.floor(Math.max(0, seconds))) });
  if (seconds < 3600) return text("minutes", { number: whole.format(Math.floor(seconds / 60)) });
  if (seconds < 86400) return text("hours", { number: whole.format(Math.floor(seconds / 3600)) });
  return text("days", { number: whole.format(Math.floor(seconds / 86400)) });
}

const ago = (seconds) => (seconds < 5 ? text("now") : text("ago", { span: span(seconds) }));

/** The time of day, "12:03:41". */
export function clock(when = new Date()) {
  return when.toLocaleTimeString("en-GB", { hour12: false });
}

/** "12:03:41" today, else "2 Nov 12:03". */
function moment(when) {
  if (when.toDateString() === new Date().toDateString()) return clock(when);
  const day = when.toLocaleDateString(language, { day: "numeric", month: "short" });
  return `${day} ${clock(when).slice(0, 5)}`;
}

/** Brings every <time data-time> below `root` up to date, in the reader's own time zone. */
export function refreshTimes(root = document) {
  const now = Date.now();
  for (const element of root.querySelectorAll("time[data-time]")) {
    const when = new Date(element.dateTime);
    if (Number.isNaN(when.getTime())) continue;
    const seconds = (now - when.getTime()) / 1000;
    const mode = element.dataset.time;
    const shown = mode === "ago" ? ago(seconds) : mode === "age" ? span(seconds) : moment(when);
    if (element.textContent !== shown) element.textContent = shown;
    if (!element.dataset.titled) {
      element.title = when.toLocaleString(language, { dateStyle: "medium", timeStyle: "medium" });
      element.dataset.titled = "yes";
    }
  }
}
