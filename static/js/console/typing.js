// The panel "Type text": writes a text with key presses, so that it works where no clipboard does.

import { words } from "./words.js";

const at = (id) => document.getElementById(id);
const form = at("type-form");
const text = at("type-text");
const secret = at("type-secret");
const hide = at("type-hide");
const enter = at("type-enter");
const layout = at("type-layout"); // a serial port has none
const speed = at("type-speed");
const go = at("type-go");
const stop = at("type-stop");
const progress = at("type-progress");

let stopped = false;

const field = () => (hide.checked ? secret : text);
const characters = () => [...field().value.replace(/\r\n?/g, "\n"), ...(enter.checked ? ["\n"] : [])];
const pause = () => new Promise((done) => setTimeout(done, 1000 / Number(speed.value)));

function announce() {
  const number = characters().length;
  progress.textContent = words("keys", { number, seconds: Math.max(1, Math.round(number / Number(speed.value))) });
}

async function type(view) {
  const wanted = characters();
  const unknown = wanted.find((one) => !view.canWrite(one, layout?.value));
  if (unknown) {
    progress.textContent = words("untypable", { text: unknown });
    return;
  }
  stopped = false;
  go.disabled = true;
  stop.disabled = false;
  let done = 0;
  for (const one of wanted) {
    if (stopped) break;
    if (!view.write(one, layout?.value)) {
      progress.textContent = words("notTyped", { done, number: wanted.length });
      break;
    }
    done += 1;
    if (done % 10 === 0 || done === wanted.length) {
      progress.textContent = words("typed", { done, number: wanted.length });
    }
    await pause();
  }
  go.disabled = false;
  stop.disabled = true;
  secret.value = "";
}

export function wireTyping(view) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    type(view);
  });
  form.addEventListener("input", announce);
  stop.addEventListener("click", () => {
    stopped = true;
  });
  hide.addEventListener("change", () => {
    text.hidden = hide.checked;
    secret.hidden = !hide.checked;
    field().focus();
  });
}
