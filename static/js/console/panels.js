// What opens at the right of the picture: one panel at a time. Its button gets the focus back.

const middle = document.getElementById("console-middle");
const buttons = [...document.querySelectorAll("[data-panel]")];
const panelOf = (button) => document.getElementById(button.getAttribute("aria-controls"));

function show(wanted) {
  for (const button of buttons) {
    const open = button === wanted;
    button.setAttribute("aria-expanded", String(open));
    button.classList.toggle("on", open);
    panelOf(button).hidden = !open;
  }
  middle.classList.toggle("with-panel", Boolean(wanted));
}

export function openPanel(name) {
  const button = buttons.find((one) => one.dataset.panel === name);
  show(button);
  panelOf(button).querySelector("textarea, input:not([hidden]), select, button:not([data-panel-close])")?.focus();
}

/** Close what is open; `closed` is called where the focus may go back to the guest. */
export function wirePanels(closed) {
  for (const button of buttons) {
    button.addEventListener("click", () => {
      if (panelOf(button).hidden) openPanel(button.dataset.panel);
      else close(button);
    });
  }
  function close(button) {
    show(null);
    button.focus();
    closed();
  }
  middle.addEventListener("click", (event) => {
    const panel = event.target.closest("[data-panel-close]")?.closest(".conpan");
    if (panel) close(buttons.find((one) => panelOf(one) === panel));
  });
  middle.addEventListener("keydown", (event) => {
    const panel = event.target.closest(".conpan");
    if (event.key !== "Escape" || !panel) return;
    event.preventDefault();
    close(buttons.find((one) => panelOf(one) === panel));
  });
}
