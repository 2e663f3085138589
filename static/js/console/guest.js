// How the guest is: what the live fragment #console-guest says.

export class Guest extends EventTarget {
  constructor() {
    super();
    let before = this.summary;
    document.body.addEventListener("htmx:afterSettle", () => {
      if (this.summary === before) return;
      before = this.summary;
      this.dispatchEvent(new Event("change"));
    });
  }

  get element() {
    return document.getElementById("console-guest");
  }

  get isOn() {
    return this.element.dataset.on === "1";
  }

  /** When it came into its present state: tells a guest that was switched off and on from one that was not. */
  get since() {
    return this.element.dataset.since;
  }

  get summary() {
    return `${this.element.dataset.on} ${this.element.dataset.since}`;
  }
}
