// How one upload looks: a row made from the page's <template>, brought up to date from its entry.

import { byteRate, clock, percent, size, span } from "./format.js";

const LOOKS = {
  looking: ["mute", "s-off", "o"],
  here: ["busy", "s-info", "o"],
  known: ["busy", "s-info", "o"],
  copying: ["busy", "s-busy", "go"],
  uncopied: ["bad", "s-fail", "max"],
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
  looking: [],
  here: ["dismiss"], // a pool has one file of a name: it would be refused
  known: ["copy", "upload", "dismiss"],
  copying: ["cancel"],
  uncopied: ["copy", "upload", "dismiss"],
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

const share = ({ size: whole, sent, look }) => (whole ? (sent / whole) * 100 : Number(look === "done") * 100);

/** The sentence that the page's template calls `name`, with these values put in. */
export function fill(section, name, values = {}) {
  const words = section.querySelector("[data-texts]").dataset[name] ?? "";
  return words.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}

export class Row {
  #section;
  #drawnAt = 0;
  #timer = null;

  /** `onAction(name)` is called with pause, resume, retry, choose, cancel, delete, keep, copy, upload or dismiss. */
  constructor(section, onAction) {
    this.#section = section;
    const made = section.querySelector("[data-row-template]").content.cloneNode(true);
    this.element = made.querySelector(".upr");
    this.element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-do]");
      if (button) onAction(button.dataset.do);
    });
    section.querySelector("[data-rows]").append(this.element);
  }

  text(name, values = {}) {
    return fill(this.#section, name, values);
  }

  /** Where the image is that an entry's file seems to be: "iso on host-2". */
  place({ source }) {
    return source ? this.text("place", { pool: source.pool.name, host: source.host.name }) : "";
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
    this.element.dataset.state = entry.look;
    this.element.dataset.name = entry.name;
    if (this.element.dataset.live !== entry.topic) this.element.dataset.live = entry.topic;
    part("name").textContent = entry.name;
    part("name").title = entry.name;
    part("pool-name").textContent = this.text("to", { pool: entry.poolName });
    part("colour").className = colour;
    const use = part("colour").querySelector("use");
    use.setAttribute("href", use.getAttribute("href").replace(/#.*/, `#${shape}`));
    const progress = this.element.querySelector("svg.bar");
    progress.toggleAttribute("hidden", entry.look === "here" || entry.look === "known");
    progress.setAttribute("aria-valuenow", String(Math.floor(share(entry))));
    progress.setAttribute("aria-label", entry.name);
    progress.firstElementChild.setAttribute("width", String(share(entry)));
    progress.firstElementChild.setAttribute("class", bar);
    part("detail").textContent = this.#detail(entry);
    const shown = BUTTONS[entry.isAsking ? "asking" : entry.look];
    for (const button of this.element.querySelectorAll("[data-do]")) button.hidden = !shown.includes(button.dataset.do);
    this.#link(entry);
  }

  #detail(entry) {
    if (entry.isAsking) return this.text("ask", { sent: size(entry.sent) });
    if (entry.complaint) return entry.complaint;
    const words = { sent: size(entry.sent), total: size(entry.size), place: this.place(entry) };
    if (entry.look === "sending") {
      if (entry.isRetrying) return this.text("retrying", words);
      if (!entry.rate) return this.text("starting", words);
      const left = span((entry.size - entry.sent) / entry.rate);
      return this.text("sending", { ...words, percent: percent(share(entry)), rate: byteRate(entry.rate), left });
    }
    if (entry.look === "copying") {
      return this.text(entry.sent ? "copying" : "copyWaits", { ...words, percent: percent(share(entry)) });
    }
    if (entry.look === "done") {
      if (entry.wasCopied) return this.text("copied", words);
      if (entry.tookS == null) return this.text("doneLate", words);
      return this.text("done", { ...words, took: span(Math.max(1, entry.tookS)) });
    }
    if (entry.look === "failed" || entry.look === "blocked" || entry.look === "uncopied") return this.#failure(entry.problem);
    return this.text(entry.look, { ...words, time: clock(new Date(entry.changedAt ?? Date.now())).slice(0, 5) });
  }

  #failure(problem) {
    if (problem.message) return problem.message;
    if (problem.code === "unreadable") return this.text("unreadable");
    if (problem.code === "cancelled") return this.text("copyCancelled");
    if (problem.code === "no_contact") return this.text("noContact");
    return this.text("refused", { status: problem.status });
  }

  #link(entry) {
    const image = this.element.querySelector("[data-image]");
    image.hidden = !(entry.look === "here" || entry.look === "known");
    if (!image.hidden) image.href = `${this.#section.dataset.images}${entry.source.iso_id}/`;
    this.element.querySelector("[data-copy-words]").textContent = this.text("copyFrom", { place: this.place(entry) });
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
