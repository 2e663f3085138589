// A console's WebSocket as noVNC wants to have it, and a little more: it keeps how it ended, and it measures the way.
// Binary messages are the guest's. Text messages are ours: the server answers "ping" with "pong" (the gateway knows no text).

export class Channel extends EventTarget {
  constructor(url, { answersText }) {
    super();
    this.wasOpen = false;
    this.code = 0;
    this.reason = "";
    this.onopen = this.onmessage = this.onclose = this.onerror = null;
    this.answersText = answersText;
    this.pinged = null;
    this.socket = new WebSocket(url, ["binary"]);
    this.socket.binaryType = "arraybuffer";
    this.socket.addEventListener("open", (event) => {
      this.wasOpen = true;
      this.onopen?.(event);
      this.dispatchEvent(new Event("open"));
    });
    this.socket.addEventListener("message", (event) => this.received(event));
    this.socket.addEventListener("error", (event) => this.onerror?.(event));
    this.socket.addEventListener("close", (event) => {
      this.code = event.code;
      this.reason = event.reason;
      this.onclose?.(event);
      this.dispatchEvent(new Event("close"));
    });
  }

  received(event) {
    if (typeof event.data !== "string") {
      this.onmessage?.(event);
    } else if (this.pinged) {
      this.pinged.answered(performance.now() - this.pinged.at);
      this.pinged = null;
    }
  }

  /** How many milliseconds it takes to the server and back; null where it cannot be told. */
  ping() {
    if (!this.answersText || this.pinged || this.readyState !== WebSocket.OPEN) return Promise.resolve(null);
    return new Promise((answered) => {
      this.pinged = { at: performance.now(), answered };
      this.socket.send("ping");
    });
  }

  // What noVNC asks of a channel.
  get readyState() {
    return this.socket.readyState;
  }

  get protocol() {
    return this.socket.protocol;
  }

  get binaryType() {
    return this.socket.binaryType;
  }

  set binaryType(type) {
    this.socket.binaryType = type;
  }

  send(data) {
    this.socket.send(data);
  }

  close() {
    this.socket.close();
  }
}
