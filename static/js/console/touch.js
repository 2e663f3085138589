// The row of keys at the thumb, and the keyboard of a phone: browsers open it for text fields only, so there is one.

const row = document.querySelector(".conkeys");
const field = document.getElementById("soft-keyboard");
const FILLING = "  "; // something to delete, or Backspace would not be told

function held() {
  return [...row.querySelectorAll('[data-hold][aria-pressed="true"]')].map((button) => button.dataset.hold);
}

function letGo() {
  for (const button of row.querySelectorAll("[data-hold]")) button.setAttribute("aria-pressed", "false");
}

export function wireTouch(view) {
  const press = (name) => {
    view.press([...held(), name]);
    letGo();
  };
  row.addEventListener("pointerdown", (event) => event.preventDefault()); // the focus stays where it is
  row.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.press) press(button.dataset.press);
    else if (button.dataset.hold) {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    } else {
      field.value = FILLING;
      field.focus();
    }
  });
  field.addEventListener("input", (event) => {
    if (event.inputType === "deleteContentBackward") press("Backspace");
    else if (event.inputType === "insertLineBreak") press("Enter");
    else {
      for (const character of event.data ?? "") {
        if (held().length) press(character);
        else view.write(character, "us") || view.write(character, "unicode");
      }
    }
    field.value = FILLING;
  });
}
