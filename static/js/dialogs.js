// Questions and menus. A question is a <dialog> filled from its own address; without script the address is a page.

import { jobStarted } from "./tray.js";

const dialog = document.getElementById("dialog");

export function openDialog(url) {
  return window.htmx.ajax("GET", url, { target: "#dialog", swap: "innerHTML" });
}

function arm(form) {
  const button = form.querySelector("[data-confirm-button]");
  const name = form.dataset.confirmName;
  const field = form.querySelector("[name=confirm_name]");
  if (!name || !button || !field) return;
  const check = () => {
    button.disabled = field.value !== name;
  };
  field.addEventListener("input", check);
  check();
}
document.querySelectorAll("form[data-confirm]").forEach(arm);

document.body.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target !== dialog) return;
  dialog.querySelectorAll("form[data-confirm]").forEach(arm);
  if (!dialog.open) dialog.showModal();
  (dialog.querySelector("[autofocus]") ?? dialog.querySelector("[data-cancel]"))?.focus();
});

document.addEventListener("click", (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
  const asks = event.target.closest("[data-dialog]");
  if (asks && dialog && plain) {
    event.preventDefault();
    asks.closest("[popover]")?.hidePopover();
    openDialog(asks.href ?? asks.dataset.dialog);
    return;
  }
  const cancels = event.target.closest("[data-cancel]");
  if (cancels?.closest("dialog")) {
    event.preventDefault();
    cancels.closest("dialog").close();
  } else if (event.target === dialog) dialog.close(); // the backdrop
});

// Enter never destroys: it works on the button that has the focus, and does not send a question from a field.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches?.("form[data-confirm]:not([data-harmless]) input")) event.preventDefault();
});

// A form with data-stay starts a job and leaves the reader where they are.
document.body.addEventListener("htmx:beforeOnLoad", (event) => {
  const { elt, xhr } = event.detail;
  if (!elt.closest("[data-stay]") || !xhr.getResponseHeader("HX-Redirect")) return;
  event.preventDefault();
  if (dialog?.open && dialog.contains(elt)) dialog.close();
  jobStarted();
});

// A menu opens at its button, above it where there is more room.
document.addEventListener("beforetoggle", (event) => {
  const menu = event.target;
  if (event.newState !== "open" || !menu.matches?.(".menu[popover]")) return;
  const button = document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`);
  if (!button) return;
  const at = button.getBoundingClientRect();
  const above = at.bottom > innerHeight * 0.6;
  const leftHalf = at.left < innerWidth / 3;
  Object.assign(menu.style, {
    top: above ? "auto" : `${at.bottom + 4}px`,
    bottom: above ? `${innerHeight - at.top + 4}px` : "auto",
    left: leftHalf ? `${Math.max(8, at.left)}px` : "auto",
    right: leftHalf ? "auto" : `${Math.max(8, document.documentElement.clientWidth - at.right)}px`,
  });
}, true);

// Arrow keys walk through a menu.
document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.(".menu") ?? document.querySelector(".menu:popover-open");
  if (!menu || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
  const entries = [...menu.querySelectorAll("a, button:not(:disabled)")];
  if (!entries.length) return;
  event.preventDefault();
  const step = event.key === "ArrowDown" ? 1 : -1;
  const from = entries.indexOf(document.activeElement);
  entries[(from + step + entries.length) % entries.length].focus();
});
