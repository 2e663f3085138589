// One file on its way to the server, by tus-js-client. It knows no page: whoever made it is told by `onChange`.

const ENDPOINT = new URL("/api/v1/uploads", location.href).href;
const CHUNK_BYTES = 64 * 1024 * 1024; // passes proxies that limit a body
const RETRY_DELAYS_MS = [0, 1000, 3000, 5000, 10_000, 20_000]; // together longer than a dead connection keeps its lock
const RATE_WINDOW_MS = 5000;
const FIRST_POLL_MS = 400;
const LAST_POLL_MS = 5000;

/** Asks the upload API for JSON; an error is thrown as the API's problem: {status, code, message, details}. */
export async function ask(path = "", method = "GET") {
  let answer;
  try {
    answer = await fetch(ENDPOINT + path, { method, headers: { "Tus-Resumable": "1.0.0", Accept: "application/json" } });
  } catch {
    throw { status: 0, code: "no_contact" };
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw { ...body, status: answer.status };
  return body;
}

/** What the server said is wrong, out of an error of tus-js-client. */
function problemOf(error) {
  const response = error.originalResponse;
  if (!response) return { status: 0, code: "no_contact" };
  try {
    return { ...JSON.parse(response.getBody()), status: response.getStatus() };
  } catch {
    return { status: response.getStatus(), code: "" };
  }
}

const mayPass = ({ status, code }) => (code === "no_contact" || code === "wrong_offset" || status === 423 || status === 408
  || status === 429 || status === 502 || status === 503 || status === 504);

/** `state`: waiting, sending, paused, interrupted, finishing, done, failed. `sent` and `size` are bytes. */
export class Transfer {
  #upload = null;
  #samples = [];

  constructor({ file, pool, id = null, sent = 0, onChange }) {
    Object.assign(this, { file, pool, id, sent, onChange });
    this.size = file.size;
    this.state = "waiting";
    this.isRetrying = false;
    this.problem = null;
    this.isoId = null;
    this.startedAt = null;
    this.changedAt = null;
  }

  /** Bytes a second over the last seconds, or null before anybody can say. */
  get rate() {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    return first && last.at - first.at > 500 ? ((last.sent - first.sent) * 1000) / (last.at - first.at) : null;
  }

  /** Take a place in the queue; whoever keeps it calls `start`. */
  wait() {
    this.problem = null;
    this.#become("waiting");
  }

  start() {
    this.#upload ??= this.#make();
    this.#samples = [];
    this.startedAt ??= Date.now();
    this.problem = null;
    this.#become("sending");
    this.#upload.start();
  }

  pause() {
    this.#upload?.abort();
    this.#become("paused");
  }

  /** Stops, and removes what arrived. Throws the problem when the server does not want to. */
  async cancel() {
    this.#upload?.abort();
    this.#become("paused");
    if (this.id) await ask(`/${this.id}`, "DELETE");
  }

  #make() {
    const { file, pool } = this;
    const fingerprint = [file.name, file.size, file.lastModified, pool].join("|").slice(0, 255);
    return new window.tus.Upload(file, {
      endpoint: ENDPOINT,
      uploadUrl: this.id ? `${ENDPOINT}/${this.id}` : null,
      metadata: { filename: file.name, pool: String(pool), fingerprint },
      chunkSize: CHUNK_BYTES,
      retryDelays: RETRY_DELAYS_MS,
      storeFingerprintForResuming: false, // the server's list of unfinished uploads also knows those of other browsers
      onShouldRetry: (error) => {
        const again = mayPass(problemOf(error));
        if (again) {
          this.isRetrying = true;
          this.onChange(this);
        }
        return again;
      },
      onUploadUrlAvailable: () => {
        this.id = this.#upload.url.split("/").at(-1);
      },
      onProgress: (sent) => this.#progress(sent),
      onSuccess: () => this.#settle(),
      onError: (error) => this.#fail(problemOf(error)),
    });
  }

  #progress(sent) {
    const now = Date.now();
    this.isRetrying = false;
    if (sent < this.sent) this.#samples = []; // the server had less than we thought
    this.sent = sent;
    this.#samples = [...this.#samples.filter((sample) => now - sample.at < RATE_WINDOW_MS), { at: now, sent }];
    this.onChange(this);
  }

  /** All bytes are there: follow the row until the file has its name. */
  async #settle() {
    this.sent = this.size;
    this.#become("finishing");
    for (let pause = FIRST_POLL_MS; ; pause = Math.min(pause + FIRST_POLL_MS, LAST_POLL_MS)) {
      try {
        const row = await ask(`/${this.id}`);
        if (row.state === "done") {
          this.isoId = row.iso_id;
          this.#become("done");
          return;
        }
        if (row.error) {
          this.#fail({ status: 409, code: "not_finished", message: row.error });
          return;
        }
      } catch (problem) {
        if (!mayPass(problem)) {
          this.#fail(problem);
          return;
        }
      }
      await new Promise((done) => setTimeout(done, pause));
    }
  }

  async #fail(problem) {
    this.problem = problem;
    if (problem.code === "upload_in_progress" && this.#adopt(problem.details)) return;
    this.#upload = null; // the next start asks the server how far it is
    if (problem.code === "no_contact") {
      // A file that was changed or removed breaks the request off in the same way as a lost connection.
      const isThere = await this.file.slice(0, 1).arrayBuffer().then(() => true, () => false);
      if (!isThere) this.problem = { status: 0, code: "unreadable" };
    }
    this.#become(this.problem.code === "no_contact" ? "interrupted" : "failed");
  }

  /** The server knows this upload from another time: go on with that one, if the file can be the same. */
  #adopt(address) {
    const id = /^\/api\/v1\/uploads\/([0-9a-f-]{36})$/.exec(address ?? "")?.[1];
    if (!id || this.id) return false;
    ask(`/${id}`).then((row) => {
      if (row.size_bytes !== this.size || row.state !== "receiving") throw this.problem;
      this.id = id;
      this.#upload = null;
      this.start();
    }).catch(() => {
      this.#upload = null;
      this.#become("failed");
    });
    return true;
  }

  #become(state) {
    this.state = state;
    this.isRetrying = false;
    this.changedAt = Date.now();
    this.onChange(this);
  }
}
