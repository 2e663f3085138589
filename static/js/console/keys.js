// Keys by name and by character: what noVNC needs to press them. A scan code says which key, a keysym what it means.

import keysyms from "../../vendor/novnc/core/input/keysymdef.js";

const NAMED = {
  Control: [0xffe3, "ControlLeft"],
  Alt: [0xffe9, "AltLeft"],
  Shift: [0xffe1, "ShiftLeft"],
  Super: [0xffeb, "MetaLeft"],
  Delete: [0xffff, "Delete"],
  Backspace: [0xff08, "Backspace"],
  Tab: [0xff09, "Tab"],
  Escape: [0xff1b, "Escape"],
  Enter: [0xff0d, "Enter"],
  Print: [0xff61, "PrintScreen"],
  Left: [0xff51, "ArrowLeft"],
  Up: [0xff52, "ArrowUp"],
  Right: [0xff53, "ArrowRight"],
  Down: [0xff54, "ArrowDown"],
};
for (let number = 1; number <= 12; number += 1) NAMED[`F${number}`] = [0xffbd + number, `F${number}`];

// The printing keys of a US keyboard: scan code, without Shift, with Shift.
const US_KEYS = [
  ["Backquote", "`~"], ["Digit1", "1!"], ["Digit2", "2@"], ["Digit3", "3#"], ["Digit4", "4$"], ["Digit5", "5%"],
  ["Digit6", "6^"], ["Digit7", "7&"], ["Digit8", "8*"], ["Digit9", "9("], ["Digit0", "0)"], ["Minus", "-_"],
  ["Equal", "=+"], ["BracketLeft", "[{"], ["BracketRight", "]}"], ["Backslash", "\\|"], ["Semicolon", ";:"],
  ["Quote", "'\""], ["Comma", ",<"], ["Period", ".>"], ["Slash", "/?"], ["Space", "  "],
  ..."abcdefghijklmnopqrstuvwxyz".split("").map((letter) => [`Key${letter.toUpperCase()}`, letter + letter.toUpperCase()]),
];
const US = new Map();
for (const [code, [plain, shifted]] of US_KEYS) {
  US.set(shifted, { code, shift: true });
  US.set(plain, { code, shift: false });
}
const CONTROLS = { "\n": "Enter", "\t": "Tab" };

/** The key called `name` ("Control", "F4", or a single character) as [keysym, scan code]. */
export function keyOf(name) {
  return NAMED[name] ?? [name.codePointAt(0), US.get(name)?.code];
}

/** The strokes that write `character`: a list of keys, the modifier first; null where the keyboard has no such key. */
export function strokesOf(character, layout) {
  if (CONTROLS[character]) return [NAMED[CONTROLS[character]]];
  if (layout === "unicode") return [[keysyms.lookup(character.codePointAt(0)), undefined]];
  const key = US.get(character);
  if (!key) return null;
  const stroke = [character.codePointAt(0), key.code];
  return key.shift ? [NAMED.Shift, stroke] : [stroke];
}
