// How one upload looks: a row made from the page's <template>, brought up to date from its entry.

import { byteRate, clock, percent, size, span } from "./format.js";

const LOOKS = {
  waiting: ["mute", "s-off", "o"],
  sending: ["busy", "s-busy", "go"],
  finishing: ["busy", "s-busy", "go"],
  paused: ["warn", "s-pause", "p"],
  interrupted: ["warn", "s-pause", "p"],
  unattended: ["warn", "s-pause", "p"],
  elsewhere: ["busy", "s-busy", "go"],
  done: ["ok", "s-ok", "r"],
  failed: ["bad", "s-fail", "max"],
  blocked: ["bad", "s-fail", "max"],
};
const BUTTONS = {
  waiting: ["cancel"],
  sending: ["pause", "cancel"],
  finishing: [],
  paused: ["resume", "cancel"],
  interrupted: ["resume", "cancel"],
  unattended: ["choose", "cancel"],
  elsewhere: ["cancel"],
  done: ["dismiss"],
  failed: ["retry", "cancel"],
  blocked: ["retry", "cancel"],
  asking: ["delete", "keep"],
};
const REDRAW_MS = 250;

export class Row {
  #section;
  #texts;
  #drawnAt = 0;
  #timer = null;

  /** `onAction(name)` is called with pause, resume, retry, choose, cancel, delete, keep or dismiss. */
  constructor(section, onAction) {
    this.#section = section;
    this.#texts = section.querySelector("[data-texts]").dataset;
    const made = section.querySelector("[data-row-template]").content.cloneNode(true);
    this.element = made.querySelector(".upr");
    this.element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-do]");
      if (button) onAction(button.dataset.do);
    });
    section.querySelector("[data-rows]").append(this.element);
  }

  text(name, values = {}) {
    return (this.#texts[name] ?? "").replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
  }

  /** Draws a few times a second at most, unless the state is another one or `now` is wanted. */
  draw(entry, now = false) {
    clearTimeout(this.#timer);
    const wait = this.#drawnAt + REDRAW_MS - Date.now();
    if (!now && wait > 0 && this.element.dataset.state === entry.look) this.#timer = setTimeout(() => this.#draw(entry), wait);
    else this.#draw(entry);
  }

  #draw(entry) {
    this.#drawnAt = Date.now();
    const part = (name) => this.element.querySelector(`[data-${name}]`);
    const [colour, shape, bar] = LOOKS[entry.look];
    const share = entry.size ? (entry.sent / entry.size) * 100 : Number(entry.look === "done") * 100;
    this.element.dataset.state = entry.look;
    this.element.dataset.name = entry.name;
    part("name").textContent = entry.name;
    part("name").title = entry.name;
    part("pool-name").textContent = this.text("to", { pool: entry.poolName });
    part("colour").className = colour;
    const use = part("colour").querySelector("use");
    use.setAttribute("href", use.getAttribute("href").replace(/#.*/, `#${shape}`));
    const progress = this.element.querySelector("svg.bar");
    progress.setAttribute("aria-valuenow", String(Math.floor(share)));
    progress.setAttribute("aria-label", entry.name);
    progress.firstElementChild.setAttribute("width", String(share));
    progress.firstElementChild.setAttribute("class", bar);
    part("detail").textContent = this.#detail(entry);
    const shown = BUTTONS[entry.isAsking ? "asking" : entry.look];
    for (const button of this.element.querySelectorAll("[data-do]")) button.hidden = !shown.includes(button.dataset.do);
    this.#link(entry);
  }

  #detail(entry) {
    if (entry.isAsking) return this.text("ask", { sent: size(entry.sent) });
    if (entry.complaint) return entry.complaint;
    const words = { sent: size(entry.sent), total: size(entry.size) };
    if (entry.look === "sending") {
      if (entry.isRetrying) return this.text("retrying", words);
      if (!entry.rate) return this.text("starting", words);
      const left = span((entry.size - entry.sent) / entry.rate);
      const share = percent((entry.sent / entry.size) * 100);
      return this.text("sending", { ...words, percent: share, rate: byteRate(entry.rate), left });
    }
    if (entry.look === "done") {
      if (entry.tookS == null) return this.text("doneLate", words);
      return this.text("done", { ...words, took: span(Math.max(1, entry.tookS)) });
    }
    if (entry.look === "failed" || entry.look === "blocked") return this.#failure(entry.problem);
    return this.text(entry.look, { ...words, time: clock(new Date(entry.changedAt ?? Date.now())).slice(0, 5) });
  }

  #failure(problem) {
    if (problem.message) return problem.message;
    if (problem.code === "unreadable") return this.text("unreadable");
    if (problem.code === "no_contact") return this.text("noContact");
    return this.text("refused", { status: problem.status });
  }

  #link(entry) {
    const link = this.element.querySelector("[data-new-guest]");
    const base = this.#section.dataset.newGuest;
    link.hidden = !(entry.look === "done" && entry.isoId && base);
    if (!link.hidden) link.href = `${base}?iso=${entry.isoId}`;
  }

  remove() {
    clearTimeout(this.#timer);
    this.element.remove();
  }
}
