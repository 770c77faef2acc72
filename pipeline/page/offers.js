// Three suggestions.

import {ask} from "./asking.js";
import {LETTER, LONGEST, bringSpace, contextAt, field, leansOn, needsSpace, text, write}
  from "./field.js";
import {foresee, foreseenAnswer} from "./foresee.js";
import {autoShift} from "./keyboard.js";
import {$, filled, messages, say} from "./language.js";
import {withPersonal} from "./personal.js";

// The letters before the caret that a suggestion may complete.
const BEGUN = /[\p{L}\p{N}][\p{L}\p{M}\p{N}'’_-]*$/u;
const ENDED = /^[\p{L}\p{M}\p{N}'’_-]+/u;

export const chosen = new Set(); // words that were chosen are left alone
export let offers = null; // null while an answer is awaited
let turn = 0, asked = {};

const buttons = [0, 1, 2].map(i => {
  const button = document.createElement("button");
  button.type = "button";
  button.lang = "pt-BR";
  button.setAttribute("aria-keyshortcuts", `Alt+${i + 1}`);
  button.addEventListener("mousedown", event => event.preventDefault()); // the caret stays
  button.addEventListener("click", () => take(i));
  $("offers").append(button);
  return button;
});
// What stays is not laid out again.
const change = (element, property, value) => {
  if (element[property] !== value) element[property] = value;
};
const named = ({kind}) => ({similar: messages.similar, next: messages.next}[kind] ?? "{}");
export function showOffers(found) {
  offers = found;
  $("offers").classList.toggle("old", !found);
  if (!found) return;
  buttons.forEach((button, i) => {
    change(button, "textContent", found[i]?.word ?? "");
    change(button, "className", found[i]?.kind ?? "");
    change(button, "ariaLabel", found[i] ? filled(named(found[i]), found[i].word) : messages.none);
    change(button, "ariaDisabled", String(!found[i]));
  });
}
export const isAsked = () => asked.caret === field.selectionStart && asked.text === text;
// Of the letters before a place no more than one asks about: a long text is not searched.
const begunBefore = place =>
  text.slice(Math.max(0, place - LONGEST - 1), place).match(BEGUN)?.[0] ?? "";
export async function offer({quiet = false} = {}) {
  const now = ++turn, caret = field.selectionStart;
  const prefix = begunBefore(caret);
  asked = {caret, text};
  if (prefix) autoShift(false);
  if (prefix.length > LONGEST) return showOffers([]);
  const question = {text: contextAt(caret - prefix.length), prefix};
  let answer = foreseenAnswer(question);
  if (!answer) {
    showOffers(null);
    answer = await ask("suggest", question);
  }
  if (now !== turn) return;
  const starts = answer?.starts ?? false;
  if (answer) autoShift(starts && !prefix);
  const inside = LETTER.test(text[caret] ?? ""); // of a word, which the next one cannot follow
  const fitting = (answer?.words ?? []).map((word, i) => ({word, kind: answer.kinds[i]}))
    // What stands there already would be no help.
    .filter(({word, kind}) => kind === "next" ? !inside : word !== prefix);
  const found = withPersonal(fitting, prefix, starts).slice(0, 3);
  showOffers(found);
  if (answer) foresee(question);
  if (!found.length || quiet) return;
  const list = found.map(named).join(", ");
  say(`${messages.suggestions}: ${list}`, found.map(({word}) => word), 700);
}
export function take(i) {
  if (!offers?.[i]) return;
  const caret = field.selectionStart, prefix = begunBefore(caret);
  let end = field.selectionEnd;
  if (end === caret && prefix) end += text.slice(end).match(ENDED)?.[0].length ?? 0;
  const {word, kind} = offers[i], follows = kind === "next";
  const lead = follows || (!prefix && needsSpace(caret)) ? " " : "";
  const rest = text.slice(end, end + 1);
  const space = rest && (/\s/.test(rest) || leansOn(rest, end)) ? "" : " ";
  chosen.add(word.toLowerCase());
  write(follows ? caret : caret - prefix.length, end, lead + word + space, "taken");
  if (space) bringSpace();
}
