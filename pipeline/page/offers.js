// Three suggestions.

import {ask} from "./asking.js";
import {CLOSING, LETTER, LONGEST, bringSpace, contextAt, field, text, write} from "./field.js";
import {$, filled, messages, say} from "./language.js";
import {withPersonal} from "./personal.js";

// The letters before the caret that a suggestion may complete.
const BEGUN = /[\p{L}\p{N}][\p{L}\p{M}\p{N}'’_-]*$/u;
const ENDED = /^[\p{L}\p{M}\p{N}'’_-]+/u;
const AFTER_CLOSING = /[,;:!?.…)\]}”»]$/;

export const chosen = new Set(); // words that were chosen are left alone
export let offers = null; // null while an answer is awaited
let turn = 0, asked = "";

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
const named = ({kind}) => ({similar: messages.similar, next: messages.next}[kind] ?? "{}");
export function showOffers(found) {
  offers = found;
  $("offers").classList.toggle("old", !found);
  if (!found) return;
  buttons.forEach((button, i) => {
    button.textContent = found[i]?.word ?? "";
    button.className = found[i]?.kind ?? "";
    const label = found[i] ? filled(named(found[i]), found[i].word) : messages.none;
    button.setAttribute("aria-label", label);
    button.setAttribute("aria-disabled", String(!found[i]));
  });
}
export const isAsked = () => asked === `${field.selectionStart} ${text}`;
export async function offer({quiet = false} = {}) {
  const now = ++turn, caret = field.selectionStart;
  const prefix = text.slice(0, caret).match(BEGUN)?.[0] ?? "";
  asked = `${caret} ${text}`;
  if (prefix.length > LONGEST) return showOffers([]);
  showOffers(null);
  const answer = await ask("suggest", {text: contextAt(caret - prefix.length), prefix});
  if (now !== turn) return;
  const inside = LETTER.test(text[caret] ?? ""); // of a word, which the next one cannot follow
  const fitting = (answer?.words ?? []).map((word, i) => ({word, kind: answer.kinds[i]}))
    // What stands there already would be no help.
    .filter(({word, kind}) => kind === "next" ? !inside : word !== prefix);
  const found = withPersonal(fitting, prefix).slice(0, 3);
  showOffers(found);
  if (!found.length || quiet) return;
  const list = found.map(named).join(", ");
  say(`${messages.suggestions}: ${list}`, found.map(({word}) => word), 700);
}
export function take(i) {
  if (!offers?.[i]) return;
  const caret = field.selectionStart, before = text.slice(0, caret);
  const prefix = before.match(BEGUN)?.[0] ?? "";
  let end = field.selectionEnd;
  if (end === caret && prefix) end += text.slice(end).match(ENDED)?.[0].length ?? 0;
  const {word, kind} = offers[i], follows = kind === "next";
  const lead = follows || (!prefix && AFTER_CLOSING.test(before)) ? " " : "";
  const space = end < text.length && /^[\s,;:!?.…)\]}”»]/.test(text.slice(end)) ? "" : " ";
  chosen.add(word.toLowerCase());
  write(follows ? caret : caret - prefix.length, end, lead + word + space, "taken");
  if (space) bringSpace();
}
