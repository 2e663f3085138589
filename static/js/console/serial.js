// The guest's serial port: xterm in #screen.

import { FitAddon } from "../../vendor/xterm/addon-fit.mjs";
import { Terminal } from "../../vendor/xterm/xterm.mjs";

const SEQUENCES = {
  Escape: "\x1b",
  Tab: "\t",
  Enter: "\r",
  Backspace: "\x7f",
  Delete: "\x1b[3~",
  Up: "\x1b[A",
  Down: "\x1b[B",
  Right: "\x1b[C",
  Left: "\x1b[D",
};
const encoder = new TextEncoder();

export class Serial extends EventTarget {
  constructor(place) {
    super();
    this.channel = null;
    this.terminal = new Terminal({
      cursorBlink: true,
      fontSize: 13,
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--tblr-font-monospace"),
      scrollback: 5000,
      theme: { background: "#050709", foreground: "#c3ccd5" },
    });
    const fit = new FitAddon();
    this.terminal.loadAddon(fit);
    this.terminal.open(place);
    new ResizeObserver(() => {
      fit.fit();
      this.dispatchEvent(new Event("size"));
    }).observe(place);
    this.terminal.onData((data) => this.send(data));
    this.terminal.onBinary((data) => this.channel?.send(Uint8Array.from(data, (one) => one.charCodeAt(0))));
    // Chords of the page go to the page.
    this.terminal.attachCustomKeyEventHandler((event) => !(event.ctrlKey && event.altKey && event.shiftKey));
  }

  attach(channel, viewOnly, connected) {
    this.channel = channel;
    this.terminal.options.disableStdin = viewOnly;
    channel.onmessage = ({ data }) => this.terminal.write(new Uint8Array(data));
    channel.addEventListener("open", () => {
      this.focus();
      connected();
    });
  }

  detach() {
    this.channel = null;
  }

  get size() {
    return { width: this.terminal.cols, height: this.terminal.rows };
  }

  focus() {
    const busy = document.activeElement?.closest(".conpan, dialog, .menu");
    if (!busy) this.terminal.focus();
  }

  send(text) {
    if (this.channel?.readyState !== WebSocket.OPEN) return false;
    this.channel.send(encoder.encode(text));
    return true;
  }

  press(names) {
    const key = names.at(-1);
    const text = SEQUENCES[key] ?? key;
    const control = names.includes("Control") && text.length === 1;
    const sent = control ? String.fromCharCode(text.toUpperCase().charCodeAt(0) & 0x1f) : text;
    this.send(names.includes("Alt") ? `\x1b${sent}` : sent);
  }

  release() {
    this.terminal.blur();
  }

  canWrite() {
    return true;
  }

  write(character) {
    return this.send(character === "\n" ? "\r" : character);
  }
}
