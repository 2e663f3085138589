// The guest's screen: noVNC in #screen.

import RFB from "../../vendor/novnc/core/rfb.js";
import { keyOf, strokesOf } from "./keys.js";

const SCALE_KEY = "kvmweb.console.scale";

function remembered() {
  try {
    return localStorage.getItem(SCALE_KEY) ?? "fit";
  } catch {
    return "fit"; // storage is switched off
  }
}

export class Screen extends EventTarget {
  constructor(place) {
    super();
    this.place = place;
    this.rfb = null;
    this.scale = remembered();
    this.resizes = new ResizeObserver(() => this.dispatchEvent(new Event("size")));
  }

  attach(channel, viewOnly, connected) {
    const rfb = new RFB(this.place, channel, { shared: true });
    this.rfb = rfb;
    rfb.viewOnly = viewOnly;
    rfb.background = "transparent";
    this.applyScale();
    rfb.addEventListener("connect", () => {
      this.resizes.observe(this.canvas);
      this.focus();
      connected();
    });
    rfb.addEventListener("disconnect", () => {
      if (this.rfb === rfb) this.rfb = null;
    });
    rfb.addEventListener("credentialsrequired", () => channel.close()); // nobody can know a password of libvirt's
    rfb.addEventListener("clipboard", ({ detail }) => {
      this.dispatchEvent(new CustomEvent("clipboard", { detail: detail.text }));
    });
  }

  detach() {
    this.resizes.disconnect();
    const { rfb } = this;
    this.rfb = null;
    rfb?.disconnect();
  }

  get canvas() {
    return this.place.querySelector("canvas");
  }

  /** Width and height of the guest's picture and how large it is shown, or null without one. */
  get size() {
    const { canvas } = this;
    if (!this.rfb || !canvas?.width) return null;
    return { width: canvas.width, height: canvas.height, percent: Math.round((canvas.clientWidth * 100) / canvas.width) };
  }

  /** "fit", "one" (a pixel is a pixel) or "remote" (ask the guest for a picture of the window's size). */
  setScale(scale) {
    this.scale = scale;
    try {
      localStorage.setItem(SCALE_KEY, scale);
    } catch {
      // storage is switched off: it holds for this page only
    }
    this.applyScale();
  }

  applyScale() {
    if (!this.rfb) return;
    const touch = matchMedia("(pointer: coarse)").matches;
    this.rfb.scaleViewport = this.scale !== "one";
    this.rfb.resizeSession = this.scale === "remote";
    this.rfb.clipViewport = this.rfb.dragViewport = touch && this.scale === "one";
    this.dispatchEvent(new Event("size"));
  }

  focus() {
    const busy = document.activeElement?.closest(".conpan, dialog, .menu");
    if (!busy) this.rfb?.focus({ preventScroll: true });
  }

  /** Press the named keys in order and let them go again. */
  press(names) {
    const keys = names.map(keyOf);
    for (const [keysym, code] of keys) this.rfb?.sendKey(keysym, code, true);
    for (const [keysym, code] of keys.reverse()) this.rfb?.sendKey(keysym, code, false);
  }

  /** Let go of whatever may still be held down, and of the keyboard. */
  release() {
    for (const name of ["Control", "Alt", "Shift", "Super"]) this.rfb?.sendKey(...keyOf(name), false);
    this.rfb?.blur();
  }

  canWrite(character, layout) {
    return strokesOf(character, layout) !== null;
  }

  /** Write one character with the keys that give it. False when there is no connection. */
  write(character, layout) {
    if (!this.rfb) return false;
    const strokes = strokesOf(character, layout);
    for (const [keysym, code] of strokes) this.rfb.sendKey(keysym, code, true);
    for (const [keysym, code] of strokes.reverse()) this.rfb.sendKey(keysym, code, false);
    return true;
  }

  giveClipboard(text) {
    this.rfb?.clipboardPasteFrom(text);
  }

  /** The picture as a PNG file. */
  picture() {
    return new Promise((done) => {
      if (this.rfb) this.rfb.toBlob(done, "image/png");
      else done(null);
    });
  }
}
