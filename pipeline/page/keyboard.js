// The keyboard on the screen.

import {erase, field, type} from "./field.js";
import {beforeFrame} from "./frame.js";
import {$, messages} from "./language.js";

const NAMES = {"⇧": "shift", "⌫": "erase", "␣": "space", "↵": "newLine", "?123": "signs",
  "abc": "letters", ".": "fullStop", ",": "comma"};
const LAYERS = {
  abc: ["á à â ã é ê í ó ô õ ú", "q w e r t y u i o p", "a s d f g h j k l ç",
    "⇧ z x c v b n m ⌫", "?123 , ␣ . ↵"],
  "?123": ["º ª ü _ / \\ % + = *", "1 2 3 4 5 6 7 8 9 0", "- — : ; ( ) $ & @ #",
    "! ? … ' \" « » ⌫", "abc , ␣ . ↵"],
};
let layer = "abc", shift = true, isChosen = false, holding;

export function buildKeyboard() {
  const rows = LAYERS[layer].map((line, r) => {
    const row = document.createElement("div");
    if (!r) row.className = "marks";
    row.append(...line.split(" ").map(key => {
      const button = document.createElement("button");
      button.type = "button";
      button.tabIndex = -1;
      button.dataset.key = key;
      if (NAMES[key]) button.setAttribute("aria-label", messages[NAMES[key]]);
      if (/^(⇧|⌫|↵|\?123|abc)$/.test(key)) button.className = "other";
      if (key === "␣") button.className = "space";
      return button;
    }));
    return row;
  });
  $("keyboard").replaceChildren(...rows);
  $("keyboard").querySelector("button").tabIndex = 0;
  labelKeys();
}
function labelKeys() {
  for (const button of $("keyboard").querySelectorAll("button")) {
    const key = button.dataset.key;
    button.textContent = key === "␣" ? messages.space : shift && !NAMES[key] ? key.toUpperCase() : key;
    if (key === "⇧") button.setAttribute("aria-pressed", String(shift));
  }
}
// Where a sentence starts the next letter has a capital, unless a person has just pressed ⇧.
export function autoShift(starts) {
  if (starts !== shift && !isChosen) { shift = starts; beforeFrame(labelKeys); }
}
function press(key) {
  isChosen = key === "⇧";
  if (isChosen) { shift = !shift; labelKeys(); }
  else if (LAYERS[key]) { layer = key; buildKeyboard(); }
  else if (key === "⌫") erase();
  else if (key === "␣" || key === "↵") type(key === "␣" ? " " : "\n");
  else type(shift && layer === "abc" ? key.toUpperCase() : key);
}
const keyOf = event => event.target.closest("button")?.dataset.key;
let touched = false; // by a pointer that has pressed the key already, before the click
$("keyboard").addEventListener("pointerdown", event => {
  event.preventDefault();
  const key = keyOf(event);
  if (!key || event.button) return;
  touched = true;
  press(key);
  if (key === "⌫") holding = setTimeout(() => { holding = setInterval(erase, 70); }, 450);
});
for (const kind of ["pointerup", "pointercancel"]) {
  addEventListener(kind, () => { clearTimeout(holding); clearInterval(holding); });
}
$("keyboard").addEventListener("mousedown", event => event.preventDefault());
$("keyboard").addEventListener("click", event => {
  const key = keyOf(event), mine = document.activeElement === event.target;
  if (key && !touched) {
    press(key);
    // The key that leads back stands where this one stood.
    if (mine && LAYERS[key]) $("keyboard").lastChild.firstChild.focus();
  }
  touched = false;
});
$("keyboard").addEventListener("keydown", event => {
  touched = false; // a pointer that left its key, or a second finger, has brought no click
  const rows = Array.from($("keyboard").children, row => Array.from(row.children));
  const r = rows.findIndex(row => row.includes(event.target)), c = rows[r]?.indexOf(event.target);
  const [down, right] = {ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1],
    ArrowLeft: [0, -1]}[event.key] ?? [];
  if (r < 0 || down === undefined) return;
  event.preventDefault();
  const row = rows[(r + down + rows.length) % rows.length];
  // Rows have different lengths: the key above or below stands at the same share of its row.
  const at = down ? Math.round(c / (rows[r].length - 1) * (row.length - 1)) : c + right;
  row[(at + row.length) % row.length].focus();
});
$("keyboard").addEventListener("focusin", event => {
  for (const button of $("keyboard").querySelectorAll("[tabindex='0']")) button.tabIndex = -1;
  event.target.tabIndex = 0;
});
export function showKeyboard(shown) {
  $("keyboard").hidden = !shown;
  $("toggle").setAttribute("aria-expanded", String(shown));
  $("toggle").textContent = shown ? messages.hideKeyboard : messages.showKeyboard;
  // On a phone one keyboard is enough.
  field.inputMode = shown && matchMedia("(pointer: coarse)").matches ? "none" : "text";
}
$("toggle").addEventListener("click", () => showKeyboard($("keyboard").hidden));
