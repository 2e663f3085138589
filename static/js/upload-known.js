// Files that the library seems to have already: the question before an upload, and a copy from host to host in place of it.

const LIBRARY = new URL("/api/v1/isos", location.href).href;
const JOBS = new URL("/api/v1/jobs", location.href).href;
const ANSWER_MS = 2000; // who chose a file does not wait longer than that for its upload to begin
const AT_ONCE = 1000; // files in one question: the server takes no more

const csrfToken = () => document.cookie.match(/(?:^|; )kvmweb_csrf=([^;]+)/)?.[1] ?? ""; // a login elsewhere renews it

const post = (url, body, options = {}) => fetch(url, {
  method: "POST",
  headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrfToken() },
  body: JSON.stringify(body),
  ...options,
});

/** What the library has with the name and the size of each file: {here, elsewhere}, or null where nothing was said in time. */
export async function askLibrary(pool, files) {
  const asked = files.slice(0, AT_ONCE);
  const rest = files.length > AT_ONCE ? askLibrary(pool, files.slice(AT_ONCE)) : [];
  const body = { pool: Number(pool), files: asked.map(({ name, size }) => ({ name, size_bytes: size })) };
  let found = asked.map(() => null);
  try {
    const answer = await post(`${LIBRARY}/known`, body, { signal: AbortSignal.timeout(ANSWER_MS) });
    if (answer.ok) found = await answer.json();
  } catch {
    // kvmweb is slow or away: the upload finds out
  }
  return [...found, ...await rest];
}

/**
 * A file that was not sent yet, in place of a Transfer. `state`: looking, then nothing more is heard of it, or here (it is in
 * that pool) or known (another pool has it); from known on: copying, uncopied (`problem` says why not), done.
 */
export class Known {
  #job = null;
  #isAsking = false;
  #changedMeanwhile = false;
  #hear = () => this.#look();

  constructor({ file, pool, onChange }) {
    Object.assign(this, { file, pool, onChange });
    this.size = file.size;
    this.state = "looking";
    this.sent = 0;
    this.id = null;
    this.problem = null;
    this.source = null; // the image that it seems to be: {iso_id, pool, host}
    this.isoId = null;
    this.wasCopied = false;
  }

  get topic() {
    return this.#job ? `job-${this.#job}` : "";
  }

  /** Offers what the library has. Whether that is anything. */
  offer(answer) {
    this.source = answer?.here ?? answer?.elsewhere[0] ?? null;
    if (this.source) this.#become(answer.here ? "here" : "known");
    return this.source !== null;
  }

  async copy() {
    this.sent = 0;
    this.problem = null;
    this.#become("copying");
    try {
      const answer = await post(`${LIBRARY}/${this.source.iso_id}/copy`, { pools: [Number(this.pool)] });
      const body = await answer.json().catch(() => ({}));
      if (!answer.ok) throw { ...body, status: answer.status };
      this.#job = body[0].id;
      document.body.addEventListener(`live:${this.topic}`, this.#hear);
      this.onChange(this);
      this.#look();
    } catch (problem) {
      this.#fail(problem instanceof TypeError ? { status: 0, code: "no_contact" } : problem);
    }
  }

  /** Stops the copy; what was copied goes with it. Throws the problem when the server does not want to. */
  async cancel() {
    if (this.#job && this.state === "copying") {
      const answer = await post(`${JOBS}/${this.#job}/cancel`, {}).catch(() => { throw { status: 0 }; });
      if (!answer.ok) throw { ...await answer.json().catch(() => ({})), status: answer.status };
    }
    this.#forget();
  }

  /** How far the copy is. Jobs tell that they changed by live messages, some while the last answer is on its way. */
  async #look() {
    if (this.#isAsking) {
      this.#changedMeanwhile = true;
      return;
    }
    this.#isAsking = true;
    this.#changedMeanwhile = false;
    try {
      const answer = await fetch(`${JOBS}/${this.#job}`, { headers: { Accept: "application/json" } });
      if (answer.ok && this.#job) this.#show(await answer.json());
    } catch {
      // the topic is told again when the connection is back
    }
    this.#isAsking = false;
    if (this.#changedMeanwhile && this.#job) this.#look();
  }

  #show(job) {
    if (job.status === "succeeded") {
      this.sent = this.size;
      this.isoId = job.result.iso_id;
      this.wasCopied = true;
      this.#forget();
      this.#become("done");
    } else if (job.status === "failed" || job.status === "cancelled") {
      this.#fail({ status: 409, code: job.error_code, message: job.error });
    } else {
      this.sent = job.total ? (this.size * job.done) / job.total : 0;
      this.onChange(this);
    }
  }

  #fail(problem) {
    this.#forget();
    this.sent = 0;
    this.problem = problem;
    this.#become("uncopied");
  }

  #forget() {
    document.body.removeEventListener(`live:${this.topic}`, this.#hear);
    this.#job = null;
  }

  #become(state) {
    this.state = state;
    this.onChange(this);
  }
}
