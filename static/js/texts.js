// The sentences of templates/_texts.html, with {names} filled in.

const store = document.getElementById("texts")?.dataset ?? {};

export function text(name, values = {}) {
  return (store[name] ?? "").replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}
