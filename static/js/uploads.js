// Uploads on a page: files dropped or chosen, two sent at a time, and those that were left unfinished, here or elsewhere.

import { size } from "./format.js";
import { say } from "./notices.js";
import { Row } from "./upload-row.js";
import { ask, Transfer } from "./upload-transfer.js";

const AT_ONCE = 2;
const REFRESH_MS = 5000;

const section = document.getElementById("uploads");
const part = (name) => section.querySelector(`[data-${name}]`);
const fileInput = part("files");
const poolChoice = part("pool");
const entries = [];
let chosenFor = null; // the unfinished upload for which the file dialog is open

/** An upload as the page shows it: a transfer in this tab, or a row of the server's that waits for its file. */
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

  get changedAt() {
    return this.transfer?.changedAt;
  }

  get tookS() {
    const { startedAt, changedAt } = this.transfer ?? {};
    return startedAt && !this.wasResumed ? (changedAt - startedAt) / 1000 : null;
  }

  send(file, pool) {
    this.complaint = "";
    this.wasResumed = this.sent > 0;
    let before = "";
    this.transfer = new Transfer({
      file, pool, id: this.id, sent: this.sent,
      onChange: (transfer) => {
        this.sent = transfer.sent;
        this.id = transfer.id;
        this.isAsking &&= !["finishing", "done"].includes(transfer.state); // too late to delete
        this.draw();
        if (transfer.state === before) return;
        before = transfer.state;
        announce(this, before);
        startNext();
      },
    });
    this.draw();
    startNext();
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
}

function announce(entry, state) {
  const said = { done: "saidDone", failed: "saidFailed", interrupted: "saidFailed" }[state];
  if (said) part("said").textContent = entry.row.text(said, { name: entry.name });
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
  else if (action === "cancel" && entry.sent > 0 && entry.id) askFirst(entry, true);
  else if (action === "keep") askFirst(entry, false);
  else if (action === "cancel" || action === "delete") await cancel(entry);
  else if (action === "dismiss") entry.forget();
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

function take(file) {
  const { pool, poolName } = destination();
  const known = entries.find(isOf(file));
  if (known && !waits(known) && known.look !== "done") {
    say(known.row.text("twice", { name: file.name }), "info");
    return;
  }
  const entry = known && waits(known) ? known : new Entry({ name: plain(file.name), size: file.size, poolName });
  entry.send(file, entry.poolId ?? pool);
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
  else files.forEach(take);
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
  for (const item of event.dataTransfer.items) {
    const file = item.getAsFile();
    if (!file) continue;
    const words = section.querySelector("[data-texts]").dataset.folder;
    if (item.webkitGetAsEntry?.()?.isDirectory) say(words.replace("{name}", file.name), "warn");
    else take(file);
  }
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

function poolText({ id, name, host }) {
  const option = poolChoice.dataset.value === String(id) ? poolChoice : poolChoice.querySelector(`option[value="${id}"]`);
  return option?.dataset.name ?? `${name} (${host})`;
}

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
