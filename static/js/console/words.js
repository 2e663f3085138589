// The sentences of templates/consoles/_texts.html, with {names} filled in.

const store = document.getElementById("console-texts").dataset;

export function words(name, values = {}) {
  return (store[name] ?? "").replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}
