// The palette behind Ctrl K: what is typed is looked up by the server; arrows choose, Enter opens or does it.

const palette = document.getElementById("palette");
const field = document.getElementById("palette-input");
const list = document.getElementById("palette-list");

export function openPalette() {
  if (!palette || document.querySelector("dialog[open]")) return Boolean(palette?.open);
  palette.showModal();
  field.value = "";
  field.focus();
  document.body.dispatchEvent(new CustomEvent("kw:palette"));
  return true;
}

const options = () => [...list.querySelectorAll("[role=option]")];
const current = () => list.querySelector("[aria-selected=true]");

function choose(option) {
  current()?.setAttribute("aria-selected", "false");
  option?.setAttribute("aria-selected", "true");
  option?.scrollIntoView({ block: "nearest" });
  if (option) field.setAttribute("aria-activedescendant", option.id);
  else field.removeAttribute("aria-activedescendant");
}

function step(by) {
  const all = options();
  if (!all.length) return;
  const at = all.indexOf(current());
  choose(all[(at + by + all.length) % all.length]);
}

// Enter does what is shown for what is typed: never the first entry of an answer that is still under way.
let asked = 0;
let answered = 0;
let isWaiting = false;
field?.addEventListener("input", () => {
  asked += 1;
  isWaiting = false;
});
field?.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    step(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter") {
    event.preventDefault();
    if (asked === answered) current()?.click();
    else isWaiting = true;
  } else if (event.key === "Escape") {
    event.preventDefault();
    field.blur(); // at once: the next key is the page's
    palette.close();
  }
});

document.body.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.elt === field) detail.xhr.asked = asked;
});
document.body.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target !== list) return;
  answered = detail.xhr.asked;
  choose(options()[0]);
  if (isWaiting && asked === answered) {
    isWaiting = false;
    current()?.click();
  }
});

list?.addEventListener("mousemove", ({ target }) => {
  const option = target.closest("[role=option]");
  if (option && option !== current()) choose(option);
});
list?.addEventListener("click", (event) => {
  if (event.target.closest("[role=option]") && !event.ctrlKey && !event.metaKey) palette.close();
}, true);
palette?.addEventListener("click", (event) => {
  if (event.target === palette) palette.close(); // the backdrop
});
