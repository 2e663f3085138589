// Keeps a console connected: fetches tickets, opens channels, and knows when trying again makes sense and when it does not.
//
// States: connecting, connected, reconnecting, off (the guest is), failed (only a click goes on).

import { Channel } from "./channel.js";
import { addressOf, fetchTicket, Problem } from "./tickets.js";

const PAUSES_MS = [500, 1000, 2000, 4000, 8000, 10_000];
const SILENT_MS = 10_000; // for a display to say its first word
const STEADY_MS = 5_000; // a connection that lasted so long starts the pauses anew
const TAKEN_MS = 3_000; // for the news that the guest was switched to arrive, before a serial port counts as taken over
const PING_MS = 5_000;

// By close code, as in consoles/closing.py. What is not here is a connection that broke.
const ENDINGS = {
  4400: { final: true },
  4401: { final: true },
  4403: { final: true },
  4404: { final: true },
  4409: { hop: "display", quiet: true },
  4410: { hop: "display", quiet: true },
  4415: { hop: "display", final: true },
  4416: { hop: "display", final: true },
  4500: { hop: "display" },
  4503: { hop: "host" },
  4504: { hop: "host" },
};

export class Connection extends EventTarget {
  constructor(page, view, guest) {
    super();
    Object.assign(this, { page, view, guest });
    this.viewOnly = page.viewOnly;
    this.state = "connecting";
    this.problem = null;
    this.milliseconds = null;
    this.failures = 0;
    this.door = "web";
    this.channel = null;
    this.timer = null;
    this.turn = 0; // the attempt under way; what an older one still has to say is not heard
    guest.addEventListener("change", () => this.guestChanged());
    addEventListener("online", () => this.state === "reconnecting" && this.connect());
    addEventListener("pagehide", () => this.drop());
    setInterval(() => this.measure(), PING_MS);
  }

  set(state, problem = null) {
    this.state = state;
    this.problem = problem;
    this.dispatchEvent(new Event("change"));
  }

  /** Give up what there is and connect anew. */
  async connect() {
    this.drop();
    if (!this.guest.isOn) return this.set("off");
    const turn = this.turn;
    if (this.state !== "reconnecting") this.set("connecting");
    try {
      const entrance = await fetchTicket(this.page, this);
      if (turn !== this.turn) return;
      if (this.door === "gateway" && !entrance.gateway_url) this.door = "web";
      this.hasGateway = Boolean(entrance.gateway_url);
      this.open(addressOf(entrance, this.door), turn);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (turn === this.turn) this.failed(problem);
    }
  }

  open(url, turn) {
    const channel = new Channel(url, { answersText: this.door === "web" });
    this.channel = channel;
    channel.addEventListener("close", () => turn === this.turn && this.closed(channel));
    const silence = setTimeout(() => {
      if (turn !== this.turn) return;
      this.drop();
      this.failed(new Problem("errorSilent", { hop: "display" }));
    }, SILENT_MS);
    this.view.attach(channel, this.viewOnly, () => {
      clearTimeout(silence);
      if (turn !== this.turn) return;
      this.connectedAt = performance.now();
      this.guestSince = this.guest.since;
      this.milliseconds = null;
      this.set("connected");
      this.measure();
    });
    channel.addEventListener("close", () => clearTimeout(silence));
  }

  /** End the connection under way, if there is one, without a word. */
  drop() {
    this.turn += 1;
    clearTimeout(this.timer);
    this.channel?.close();
    this.channel = null;
    this.view.detach();
  }

  closed(channel) {
    const lasted = this.state === "connected" ? performance.now() - this.connectedAt : 0;
    if (lasted > STEADY_MS) this.failures = 0;
    this.drop();
    if (!channel.wasOpen) {
      if (this.hasGateway) this.door = this.door === "web" ? "gateway" : "web";
      this.failed(new Problem("errorWebsocket", { hop: "websocket" }));
      return;
    }
    const ending = ENDINGS[channel.code] ?? { quiet: true };
    const name = ENDINGS[channel.code] ? `error${channel.code}` : "errorOffline";
    if (channel.code === 4410 && this.page.kind === "serial") this.takenOver();
    else this.failed(new Problem(name, { ...ending, details: channel.reason }), ending.quiet);
  }

  /** A serial port has room for one: whoever opens it throws the other out. Unless the guest itself was switched. */
  takenOver() {
    this.set("reconnecting");
    this.timer = setTimeout(() => {
      if (this.guest.since !== this.guestSince || !this.guest.isOn) this.connect();
      else this.set("failed", new Problem("error4410Serial", { final: true }));
    }, TAKEN_MS);
  }

  /** Try again after a pause where that can help. A first quiet failure shows no message: the next try may be well. */
  failed(problem, quiet = false) {
    if (!this.guest.isOn) return this.set("off");
    if (problem.final) return this.set("failed", problem);
    const pause = PAUSES_MS[Math.min(this.failures, PAUSES_MS.length - 1)];
    this.failures += 1;
    this.set("reconnecting", this.failures > (quiet ? 2 : 1) ? problem : null);
    this.timer = setTimeout(() => this.connect(), pause * (0.8 + 0.4 * Math.random()));
  }

  guestChanged() {
    if (this.guest.isOn && this.state === "off") {
      this.failures = 0;
      this.connect();
    } else if (!this.guest.isOn && this.state === "reconnecting") {
      this.drop();
      this.set("off");
    }
  }

  async measure() {
    const channel = this.channel;
    if (this.state !== "connected" || !channel || document.hidden) return;
    const milliseconds = await channel.ping();
    if (channel !== this.channel || milliseconds === null) return;
    this.milliseconds = milliseconds;
    this.dispatchEvent(new Event("change"));
  }
}
