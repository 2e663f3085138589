// Lists: selecting rows, the bulk bar, moving by keyboard. A list is a <table data-list> whose rows have data-row="id";
// the check boxes carry form="<id of the bulk form>" and name="id", so that the browser itself sends what is selected.

import { text } from "./texts.js";

const selected = new Map(); // list id → set of row ids; survives live updates of the rows
const whole = new Set(); // ids of lists of which everything is selected, not just what the page shows
let lastBox = null;

const listOf = (element) => element.closest("table[data-list]");
const boxes = (list) => [...list.querySelectorAll("tbody .cb[name=id]")];

function chosen(list) {
  if (!selected.has(list.id)) selected.set(list.id, new Set());
  return selected.get(list.id);
}

function refresh(list) {
  const rows = chosen(list);
  const all = boxes(list);
  for (const box of all) {
    box.checked = rows.has(box.value);
    box.closest("tr").classList.toggle("sel", box.checked);
  }
  const header = list.querySelector("thead [data-select-all]");
  const number = all.filter((box) => box.checked).length;
  if (header) {
    header.checked = number > 0 && number === all.length;
    header.indeterminate = number > 0 && number < all.length;
  }
  const bar = document.querySelector(`[data-bulk="${CSS.escape(list.id)}"]`);
  if (!bar) return;
  bar.hidden = number === 0;
  const words = bar.querySelector("[data-bulk-count]");
  if (words) words.textContent = text("selected", { number });
  refreshAll(list, bar, number > 0 && number === all.length);
}

/** A list with more pages offers to select all that it matches; then the server looks up which those are. */
function refreshAll(list, bar, isWholePage) {
  const offer = bar.querySelector("[data-bulk-all]");
  if (!offer) return;
  const total = Number(list.dataset.total);
  const takesAll = isWholePage && whole.has(list.id);
  if (!takesAll) whole.delete(list.id);
  const shown = total.toLocaleString(document.documentElement.lang);
  offer.hidden = takesAll || !isWholePage || total <= boxes(list).length;
  offer.textContent = text("selectMatching", { number: shown });
  if (takesAll) bar.querySelector("[data-bulk-count]").textContent = text("selected", { number: shown });
  bar.elements.all.value = takesAll ? "yes" : "";
  bar.elements.match.value = takesAll ? list.dataset.match : "";
}

function choose(list, box, on) {
  chosen(list)[on ? "add" : "delete"](box.value);
}

export function clearSelection() {
  let had = false;
  for (const list of document.querySelectorAll("table[data-list]")) {
    had ||= chosen(list).size > 0;
    chosen(list).clear();
    whole.delete(list.id);
    refresh(list);
  }
  return had;
}

document.addEventListener("click", (event) => {
  const box = event.target.closest(".cb[name=id], [data-select-all]");
  const list = box && listOf(box);
  if (list && box.matches("[data-select-all]")) {
    boxes(list).forEach((each) => choose(list, each, box.checked));
    refresh(list);
  } else if (list) {
    pick(list, box, box.checked, event.shiftKey);
  } else if (event.target.closest("[data-bulk-clear]")) clearSelection();
  else if (event.target.closest("[data-bulk-all]")) {
    const bar = event.target.closest("[data-bulk]");
    const target = document.getElementById(bar.dataset.bulk);
    whole.add(target.id);
    refresh(target);
  }
});

/** Selects or leaves a row; with `range` all rows from the last one that was touched. */
export function pick(list, box, on, range) {
  const all = boxes(list);
  const from = range && lastBox?.isConnected ? all.indexOf(lastBox) : -1;
  const to = all.indexOf(box);
  const touched = from < 0 ? [box] : all.slice(Math.min(from, to), Math.max(from, to) + 1);
  touched.forEach((each) => choose(list, each, on));
  lastBox = box;
  refresh(list);
}

/** The row under the keyboard, if any. */
export const currentRow = () => document.querySelector("table[data-list] tr.cursor");

export function moveRow(step) {
  const rows = [...document.querySelectorAll("table[data-list] tbody tr[data-row]")];
  if (!rows.length) return false;
  const from = rows.indexOf(currentRow());
  const to = from < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, from + step));
  rows[from]?.classList.remove("cursor");
  rows[to].classList.add("cursor");
  rows[to].querySelector(".nm")?.focus({ preventScroll: true });
  rows[to].scrollIntoView({ block: "nearest" });
  return true;
}

export function pickRow(range) {
  const row = currentRow();
  const box = row?.querySelector(".cb[name=id]");
  if (box) pick(listOf(row), box, !box.checked || range, range);
  return Boolean(box);
}

let cursorAt = null;
document.body.addEventListener("htmx:beforeSwap", () => {
  cursorAt = currentRow()?.dataset.row ?? null;
});
document.body.addEventListener("htmx:afterSwap", () => {
  document.querySelectorAll("table[data-list]").forEach(refresh);
  if (cursorAt) document.querySelector(`table[data-list] tr[data-row="${CSS.escape(cursorAt)}"]`)?.classList.add("cursor");
});
