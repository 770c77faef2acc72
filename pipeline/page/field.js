// The text, and the keys that it took.
//
// The field tells what happens to it by events: "written" when its text has changed, with a detail
// of {start, end, by, added, hand}; "erasing" before Backspace, which may be prevented; "marked" when
// the words that may be meant have changed.

import {beforeFrame} from "./frame.js";
import {$, filled, messages, percent, whole} from "./language.js";

export const field = $("text");
export let text = "";
let brought = -1; // the caret after a suggestion's own space
let isPressed = false; // whether that space was typed besides
let costs = []; // keys that each letter of the text took: 0 if a suggestion brought it
let pressed = 0; // keys: of all letters, and those that took a suggestion, or took it away again
let unaided = 0; // letters
let hand = "typed"; // who changes the text: typed | taken (a suggestion) | mended | written (on)

export const LETTER = /[\p{L}\p{M}\p{N}]/u;
// Marks that stand without a space before them; a line break likes none either.
export const CLOSES = ",;:!?.…)\\]}”»";
export const CLOSING = new RegExp(`^[${CLOSES}\n]`);
// What no space follows.
const OPENING = /(^|[\s([{“«—–@#$/'’-])$/;
// The longest word that is asked about.
export const LONGEST = 100;
// A word with its marks inside.
export const LETTERS = "[\\p{L}\\p{M}\\p{N}]+";
// Letters of context, at least, and steps in which its beginning moves on: were it to move with every
// key, the model would have to read it all again.
const CONTEXT = 2000;

// The end of the text before a place, which the model reads; it begins with a word.
export function contextAt(place) {
  const from = Math.max(0, (Math.floor(place / CONTEXT) - 1) * CONTEXT);
  const context = text.slice(from, place);
  return from ? context.replace(/^\S*\s/, "") : context;
}

// A straight quotation mark opens, and the next one in its paragraph closes.
function isQuoted(place) {
  const paragraph = text.slice(text.lastIndexOf("\n", place - 1) + 1, place);
  return paragraph.split('"').length % 2 === 0;
}
// Returns whether a string stands without a space after what is before a place.
export const leansOn = (string, place) =>
  CLOSING.test(string) || (string.startsWith('"') && isQuoted(place));
// Returns whether a word needs a space before it.
export const needsSpace = place => !OPENING.test(text.slice(Math.max(0, place - 1), place))
  && !(text[place - 1] === '"' && isQuoted(place));

export function write(start, end, string, by) {
  hand = by;
  const holder = document.activeElement, lent = holder !== field && holder !== document.body;
  if (lent) field.focus({preventScroll: true});
  const has = document.activeElement === field;
  if (has) field.setSelectionRange(start, end);
  // The only way that the browser can undo; it works where the caret is.
  if (!has || !document.execCommand(string ? "insertText" : "delete", false, string)) {
    field.setRangeText(string, start, end, "end");
  }
  if (lent) holder.focus({preventScroll: true});
  readField();
  hand = "typed";
}
export function readField() {
  const now = field.value;
  if (now === text) return;
  let a = 0, b = 0;
  const most = Math.min(now.length, text.length);
  const code = (string, back) => string.charCodeAt(string.length - 1 - back);
  while (a < most && now.charCodeAt(a) === text.charCodeAt(a)) a++;
  while (b < most - a && code(now, b) === code(text, b)) b++;
  const added = now.slice(a, now.length - b), end = text.length - b;
  countKeys(a, end, added);
  const by = now.length - text.length;
  text = now;
  brought = -1;
  if (!text) { costs = []; pressed = unaided = 0; }
  beforeFrame(showKeys);
  field.dispatchEvent(new CustomEvent("written", {detail: {start: a, end, by, added, hand}}));
}
function countKeys(start, end, added) {
  // A letter may be a pair of codes.
  const letters = string => string.split("").map(code => code >= "\ud800" && code <= "\udfff" ? .5 : 1);
  const sum = list => list.reduce((a, b) => a + b, 0);
  const fresh = letters(added), removed = costs.slice(start, end);
  unaided += sum(fresh) - sum(letters(text.slice(start, end)));
  const helped = hand === "taken" || hand === "mended";
  if (helped) fresh.fill(0);
  pressed += sum(fresh) - sum(removed);
  // One key brings it all, or none; what it replaces took keys too. Errors that are deleted are none.
  if (helped || (!added && removed.includes(0))) pressed += sum(removed) + (hand !== "mended");
  costs = costs.slice(0, start).concat(fresh, costs.slice(end));
}
export function countKey() {
  pressed++;
  beforeFrame(showKeys);
}
export function showKeys() {
  $("saved").textContent = unaided ? percent.format(1 - pressed / unaided) : "–";
  const counted = pressed === 1 ? messages.key : messages.keys;
  $("keys").textContent = !unaided ? messages.nothing
    : `${filled(counted, whole.format(pressed), whole.format(unaided))} ${messages.keysHelp}`;
}

export function bringSpace() {
  brought = field.selectionStart;
  isPressed = false;
}
export function type(string) {
  const start = field.selectionStart, end = field.selectionEnd;
  const follows = start === end && start === brought && text[start - 1] === " ";
  if (follows && string === " ") {
    isPressed = true;
    return countKey();
  }
  // A hyphen joins a pronoun: chamou-se.
  const joins = follows && ((string === "-" && !isPressed) || leansOn(string, start));
  write(joins ? start - 1 : start, end, string, "typed");
}
const isErasing = () => field.dispatchEvent(new Event("erasing", {cancelable: true}));
export function erase() {
  if (!isErasing()) return;
  const start = field.selectionStart, end = field.selectionEnd;
  const last = start === end ? [...text.slice(Math.max(0, start - 2), start)].at(-1) ?? "" : "";
  if (start - last.length < end) write(start - last.length, end, "", "typed");
}
field.addEventListener("input", event => {
  // The browser selects again what `write` had selected: the next key would delete it.
  if (event.inputType === "historyUndo") {
    field.setSelectionRange(field.selectionEnd, field.selectionEnd);
  }
  readField();
});
field.addEventListener("beforeinput", event => {
  if (hand !== "typed") return;
  if (event.inputType === "deleteContentBackward" && !isErasing()) event.preventDefault();
  if (brought !== field.selectionStart || event.isComposing) return;
  const string = event.inputType === "insertLineBreak" ? "\n" : event.data ?? "";
  if (!/^[ -]$/.test(string) && !leansOn(string, brought)) return;
  event.preventDefault();
  type(string);
});
