// Uploads on a page: files dropped or chosen, two sent at a time, and those that were left unfinished, here or elsewhere.
// What the library has already is not sent before somebody said so: it may be copied from where it is.

import { size } from "./format.js";
import { say } from "./notices.js";
import { askLibrary, Known } from "./upload-known.js";
import { fill, Row } from "./upload-row.js";
import { ask, Transfer } from "./upload-transfer.js";

const AT_ONCE = 2;
const REFRESH_MS = 5000;

const section = document.getElementById("uploads");
const part = (name) => section.querySelector(`[data-${name}]`);
const fileInput = part("files");
const poolChoice = part("pool");
const entries = [];
const isKnown = (entry) => entry.look === "here" || entry.look === "known";
const text = (name, values) => fill(section, name, values);
let chosenFor = null; // the unfinished upload for which the file dialog is open

/** An upload as the page shows it: a Transfer or a Known in this tab, or a row of the server's that waits for its file. */
class Entry {
  constructor({ name, size: bytes, sent = 0, id = null, poolName }) {
    Object.assign(this, { name, size: bytes, sent, id, poolName });
    this.poolId = null;
    this.transfer = null;
    this.isAsking = false;
    this.complaint = ""; // a sentence about what was tried last
    this.serverError = ""; // why a file that arrived whole did not get its name
    this.isMoving = false;
    this.wasResumed = false;
    this.row = new Row(section, (action) => act(this, action));
    entries.push(this);
    this.draw();
  }

  get look() {
    if (this.transfer) return this.transfer.state;
    if (this.serverError) return "blocked";
    return this.isMoving ? "elsewhere" : "unattended";
  }

  get rate() {
    return this.transfer?.rate;
  }

  get isRetrying() {
    return this.transfer?.isRetrying;
  }

  get problem() {
    return this.transfer ? this.transfer.problem : { message: this.serverError };
  }

  get isoId() {
    return this.transfer?.isoId;
  }

  get source() {
    return this.transfer?.source;
  }

  get topic() {
    return this.transfer?.topic ?? "";
  }

  get wasCopied() {
    return this.transfer?.wasCopied;
  }

  get changedAt() {
    return this.transfer?.changedAt;
  }

  get tookS() {
    const { startedAt, changedAt } = this.transfer ?? {};
    return startedAt && !this.wasResumed ? (changedAt - startedAt) / 1000 : null;
  }

  /** Keeps the file until the library has said whether it knows it. */
  hold(file, pool) {
    this.transfer = new Known({ file, pool, onChange: this.#follow() });
    this.draw();
  }

  send(file, pool) {
    this.complaint = "";
    this.wasResumed = this.sent > 0;
    this.transfer = new Transfer({ file, pool, id: this.id, sent: this.sent, onChange: this.#follow() });
    this.draw();
    startNext();
  }

  #follow() {
    let before = "";
    return (transfer) => {
      this.sent = transfer.sent;
      this.id = transfer.id;
      this.isAsking &&= !["finishing", "done"].includes(transfer.state); // too late to delete
      this.draw();
      if (transfer.state === before) return;
      before = transfer.state;
      announce(this, before);
      startNext();
    };
  }

  draw(now = false) {
    this.row.draw(this, now);
    count();
  }

  forget() {
    entries.splice(entries.indexOf(this), 1);
    this.row.remove();
    count();
  }
}

function count() {
  part("count").textContent = String(entries.length);
  part("count").hidden = !entries.length;
  part("clear").hidden = !entries.some((entry) => entry.look === "done");
  const known = entries.filter(isKnown);
  part("known-bar").hidden = known.length < 2;
  part("known-words").textContent = text("knownMany", { number: known.length });
  for (const button of part("known-bar").querySelectorAll("[data-all]")) {
    const number = button.dataset.all === "dismiss" ? known.length : known.filter((entry) => entry.look === "known").length;
    button.textContent = text(`${button.dataset.all}All`, { number });
    button.hidden = !number;
  }
}

function announce(entry, state) {
  const done = entry.wasCopied ? "saidCopied" : "saidDone";
  const said = { done, failed: "saidFailed", interrupted: "saidFailed", uncopied: "saidUncopied" }[state];
  if (said) part("said").textContent = text(said, { name: entry.name });
}

function startNext() {
  const busy = entries.filter((entry) => entry.transfer?.state === "sending").length;
  entries.filter((entry) => entry.transfer?.state === "waiting").slice(0, Math.max(0, AT_ONCE - busy))
    .forEach((entry) => entry.transfer.start());
}

// --- what a row's buttons do --------------------------------------------------------------------------------------
async function act(entry, action) {
  entry.complaint = "";
  if (action === "pause") entry.transfer.pause();
  else if (action === "resume") entry.transfer.wait();
  else if (action === "retry") retry(entry);
  else if (action === "choose") choose(entry);
  else if (action === "copy") insteadOf(entry, () => entry.transfer.copy());
  else if (action === "upload") insteadOf(entry, () => entry.send(entry.transfer.file, entry.transfer.pool));
  else if (action === "cancel" && entry.sent > 0 && entry.id) askFirst(entry, true);
  else if (action === "keep") askFirst(entry, false);
  else if (action === "cancel" || action === "delete") await cancel(entry);
  else if (action === "dismiss") entry.forget();
}

/** What was offered goes, and with it the button that was pressed: the cursor moves on to what there is now. */
function insteadOf(entry, act) {
  act();
  entry.draw(true);
  entry.row.element.querySelector("[data-do]:not([hidden])")?.focus();
}

function askFirst(entry, isAsking) {
  entry.isAsking = isAsking;
  entry.draw(true);
  entry.row.element.querySelector(`[data-do="${isAsking ? "keep" : "cancel"}"]`)?.focus();
}

async function retry(entry) {
  if (entry.problem?.code === "unreadable") {
    choose(entry);
  } else if (entry.transfer) {
    entry.transfer.wait();
  } else {
    await ask(`/${entry.id}`, "HEAD").catch(() => {}); // makes the server try again to give the file its name
    await refresh().catch(() => {});
  }
}

async function cancel(entry) {
  entry.isAsking = false;
  try {
    if (entry.transfer) await entry.transfer.cancel();
    else await ask(`/${entry.id}`, "DELETE");
    entry.forget();
    startNext();
  } catch (problem) {
    if (problem.status === 404 || problem.status === 410) {
      entry.forget();
      return;
    }
    entry.complaint = problem.message ?? entry.row.text("noContact");
    entry.draw(true);
  }
}

function choose(entry) {
  chosenFor = entry;
  fileInput.multiple = !entry;
  fileInput.click();
}

// --- files ------------------------------------------------------------------------------------------------------------
const plain = (name) => name.normalize("NFC").trim();

function destination() {
  const option = poolChoice.selectedOptions?.[0];
  return { pool: poolChoice.value ?? poolChoice.dataset.value, poolName: (option ?? poolChoice).dataset.name };
}

const waits = (entry) => !entry.transfer || ["failed", "interrupted", "paused"].includes(entry.transfer.state);
const isOf = (file) => (entry) => entry.name === plain(file.name) && entry.size === file.size;

async function take(files) {
  const { pool, poolName } = destination();
  const fresh = files.map((file) => list(file, pool, poolName)).filter(Boolean);
  if (!fresh.length) return;
  const answers = await askLibrary(pool, fresh);
  const found = fresh.filter((entry, index) => {
    const isFound = entry.transfer.offer(answers[index]);
    if (!isFound) entry.send(entry.transfer.file, pool);
    return isFound;
  });
  if (found.length === 1) part("said").textContent = text("saidKnown", { name: found[0].name, place: found[0].row.place(found[0]) });
  else if (found.length) part("said").textContent = text("knownMany", { number: found.length });
}

/** Puts a file on the list; an entry whose file is to be asked about, or nothing when it is on its way or was before. */
function list(file, pool, poolName) {
  const known = entries.find(isOf(file));
  if (known && waits(known)) {
    known.send(file, known.poolId ?? pool);
    return null;
  }
  if (known && known.look !== "done") {
    say(text("twice", { name: file.name }), "info");
    return null;
  }
  const entry = new Entry({ name: plain(file.name), size: file.size, poolName });
  entry.hold(file, pool);
  return entry;
}

function takeFor(entry, file) {
  if (isOf(file)(entry)) {
    entry.send(file, entry.poolId ?? destination().pool);
    return;
  }
  const words = { name: file.name, size: size(file.size), wanted: entry.name, total: size(entry.size) };
  entry.complaint = entry.row.text("anotherFile", words);
  entry.draw(true);
}

part("choose").addEventListener("click", () => choose(null));
function takeChosen() {
  const files = [...fileInput.files];
  fileInput.value = "";
  if (chosenFor && files.length) takeFor(chosenFor, files[0]);
  else take(files);
  chosenFor = null;
}
fileInput.addEventListener("change", takeChosen);

const zone = part("drop");
const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault(); // a file that misses the zone would be opened in place of this page
    zone.classList.add("over");
  });
}
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) zone.classList.remove("over");
});
addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  zone.classList.remove("over");
  const files = [];
  for (const item of event.dataTransfer.items) {
    const file = item.getAsFile();
    if (!file) continue;
    if (item.webkitGetAsEntry?.()?.isDirectory) say(text("folder", { name: file.name }), "warn");
    else files.push(file);
  }
  take(files);
});

part("known-bar").addEventListener("click", (event) => {
  const action = event.target.closest("[data-all]")?.dataset.all;
  if (!action) return;
  entries.filter((entry) => entry.look === "known" || (action === "dismiss" && isKnown(entry)))
    .forEach((entry) => act(entry, action));
  part("choose").focus(); // these buttons go
});

part("clear").addEventListener("click", () => {
  entries.filter((entry) => entry.look === "done").forEach((entry) => entry.forget());
});

// --- what was left unfinished -------------------------------------------------------------------------------------
async function refresh() {
  const { items } = await ask("?state=receiving,finishing&limit=200");
  for (const item of items) {
    const known = entries.find((entry) => entry.id === item.id);
    if (known?.transfer) continue;
    const entry = known ?? new Entry({
      name: item.name, size: item.size_bytes, sent: item.offset, id: item.id, poolName: poolText(item.pool),
    });
    entry.poolId = item.pool.id;
    entry.isMoving = Boolean(known) && (item.offset > entry.sent || item.state === "finishing");
    entry.sent = item.offset;
    entry.serverError = item.error;
    entry.draw();
  }
  const left = new Set(items.map((item) => item.id));
  entries.filter((entry) => !entry.transfer && !left.has(entry.id)).forEach((entry) => entry.forget());
}

const poolText = ({ name, host }) => text("place", { pool: name, host });

function goOn() {
  entries.filter((entry) => entry.look === "interrupted").forEach((entry) => entry.transfer.wait());
}

addEventListener("online", goOn);
document.body.addEventListener("kw:online", goOn);
setInterval(() => {
  if (!document.hidden && entries.some((entry) => !entry.transfer)) refresh().catch(() => {});
}, REFRESH_MS);
refresh().catch(() => {});
takeChosen(); // what was chosen before this script had come
