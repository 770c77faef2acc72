// What was meant by the typed words.

import {ask} from "./asking.js";
import {CLOSES, LETTER, LETTERS, LONGEST, contextAt, countKey, field, text, write}
  from "./field.js";
import {$, fill, filled, keep, kept, messages} from "./language.js";
import {chosen, offer} from "./offers.js";
import {USES, isPersonal, keepPersonal, mayBePersonal} from "./personal.js";

// A finished word, of whole pieces, and how it is left: the marks behind it, and a space.
const FINISHED = new RegExp(`(?:^|[\\s"“«(\\[{—–])(${LETTERS}(?:['’_-]${LETTERS})*)`
  + `[${CLOSES}"]*\\s?$`, "u"), LEFT = new RegExp(`^[${CLOSES}"]*\\s$`);
const SETTING = "corrigir-sozinho";

// A finished word in its place, as it is typed and as it stands; and the words that may be meant:
// null while an answer is awaited, none if it may be right.
export let marks = [];
let corrects = false;
let newest = null; // the mark of the word that was finished last
let mended = null; // the mark that was just replaced without being asked, and the caret after it
let shown = {}; // what showMeant shows: the mark, and a look of its buttons
const changedMarks = () => field.dispatchEvent(new Event("marked"));

export function correctWords() {
  corrects = true;
  for (const element of document.querySelectorAll("[data-corrects]")) element.hidden = false;
}
export function moveMarks(end, by) {
  mended = null;
  for (const mark of marks) {
    if (mark.start < end) continue;
    mark.start += by;
    mark.end += by;
  }
  marks = marks.filter(mark => text.slice(mark.start, mark.end) === mark.word
    && !LETTER.test(text[mark.start - 1] ?? "") && !LETTER.test(text[mark.end] ?? ""));
}
export async function finishWord() {
  const caret = field.selectionStart, from = Math.max(0, caret - 2 * LONGEST);
  const found = text.slice(from, caret).match(FINISHED), word = found?.[1];
  if (!word || word.length > LONGEST) return;
  const start = from + found.index + found[0].indexOf(word);
  let mark = marks.find(m => m.start === start);
  if (!mark) {
    mark = {start, end: start + word.length, typed: word, word, words: null};
    marks.push(mark);
    newest = mark;
    keepWords();
    $("perhaps").textContent = "";
    mark.words = await whatIsMeant(mark);
    if (!marks.includes(mark)) return;
    keepWords(); // this one too, if one has typed on
    // Not by `say`: the next suggestions would drown it.
    if (mark.words.length) fill($("perhaps"), messages.maybe, mark.words[0]);
  }
  // Only before one types on: a word that changes behind one's back is worse than an error.
  if ($("auto").checked && mark.words?.length && mark.word === mark.typed
      && field.selectionStart === field.selectionEnd
      && LEFT.test(text.slice(mark.end, field.selectionStart))) {
    replace(mark, mark.words[0], "mended");
    mended = {mark: marks.at(-1), caret: field.selectionStart};
  }
  changedMarks();
}
async function whatIsMeant({start, word}) {
  if (!corrects || chosen.has(word.toLowerCase()) || isPersonal(word)) return [];
  const answer = await ask("correct", {text: contextAt(start), word});
  return answer?.sure ? answer.words : [];
}

// A word is kept when the one behind it is finished: until then it may still be mended. One that
// has a wave is kept when it is chosen.
export function keepWords({all = false} = {}) {
  for (const mark of marks) {
    if ((mark === newest && !all) || mark.isKept || mark.words?.length !== 0) continue;
    mark.isKept = true;
    learn(mark);
  }
}
async function learn({word, start}, uses = 1) {
  if (!mayBePersonal(word)) return;
  const answer = await ask("knows", {text: contextAt(start), word});
  if (!answer || answer.known) return;
  keepPersonal(word, {uses, begins: answer.starts});
  field.dispatchEvent(new Event("learned"));
}

function replace(mark, word, by) {
  const {start, end} = mark, caret = field.selectionStart, most = start + word.length;
  const after = caret < end ? Math.min(caret, most) : caret + most - end;
  write(start, end, word, by);
  field.setSelectionRange(after, after);
  if (by === "mended") marks.push({...mark, end: most, word});
  fill($("perhaps"), by === "mended" ? messages.mended : "{}", word, mark.typed);
  offer({quiet: true});
}
function choose(mark, word) {
  const held = $("meant").contains(document.activeElement);
  chosen.add(word.toLowerCase());
  if (word === mark.typed) learn({...mark, word}, USES);
  if (word !== mark.word) replace(mark, word, "taken");
  else countKey();
  marks = marks.filter(m => m !== mark);
  if (held) field.focus();
  changedMarks();
}
field.addEventListener("erasing", event => {
  const {mark, caret} = mended ?? {};
  if (!mark || field.selectionStart !== caret || field.selectionEnd !== caret) return;
  event.preventDefault(); // it undoes the replacement instead
  choose(mark, mark.typed);
});
export function showMeant() {
  const caret = field.selectionStart;
  const before = marks.filter(m => m.words?.length && m.start <= caret);
  before.sort((a, b) => a.end - b.end);
  // The one at the caret, or the last to be decided.
  const mark = before.filter(m => caret <= m.end + 1 || m.word === m.typed).at(-1);
  const all = mark ? [mark.typed, ...mark.words.filter(w => w !== mark.typed)] : [];
  const look = [messages.keep, mark?.word, ...all].join("\n");
  if (mark === shown.mark && look === shown.look) return mark;
  shown = {mark, look};
  $("meant").replaceChildren(...all.filter((w, i) => !i || w !== mark.word).map((word, i) => {
    const button = document.createElement("button"), back = mark.word !== mark.typed;
    button.type = "button";
    button.lang = "pt-BR";
    button.textContent = i ? word : `“${word}”`;
    const message = i ? "{}" : back ? messages.restore : messages.keep;
    button.setAttribute("aria-label", filled(message, word));
    if (i === (back ? 0 : 1)) button.setAttribute("aria-keyshortcuts", "Alt+0");
    button.addEventListener("mousedown", event => event.preventDefault()); // the caret stays
    button.addEventListener("click", () => choose(mark, word));
    return button;
  }));
  return mark;
}
$("auto").checked = kept(SETTING) === "sim";
$("auto").addEventListener("change", () => keep(SETTING, $("auto").checked ? "sim" : "não"));
