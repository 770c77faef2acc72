// The surprise of each word.

import {ask} from "./asking.js";
import {LETTERS, LONGEST, contextAt, field, text} from "./field.js";
import {$, filled, messages, number, percent, whole} from "./language.js";
import {marks} from "./meant.js";

const MOST_PIECES = 400, PIECES_AT_ONCE = 2;
// A word with its marks inside, or a run of one mark; each with the space before it.
const INSIDE = "(?:['’_-]|[.,:](?=\\p{N}))", MARKS = "([^\\s\\p{L}\\p{M}\\p{N}])\\1*";
const PIECE = new RegExp(`\\s*(?:${LETTERS}(?:${INSIDE}${LETTERS})*|${MARKS})`, "gu");
const LEVELS = [[.1, "likely"], [.01, "common"], [.001, "unexpected"], [.0001, "rare"],
  [0, "surprising"]];

const known = new Map(); // the end of a text up to a piece → nats and tokens of the piece
let painted = []; // the words that have a colour: {start, end, string, lead, nats, name, span}
let scored = 0, soon, later;

export function scoreSoon() {
  soon ??= setTimeout(() => { soon = undefined; scorePieces(false); }, 200);
  clearTimeout(later);
  later = setTimeout(() => scorePieces(true), 1200); // the last word too, finished or not
}
function lastPieces() {
  // However long the text is.
  const from = Math.max(0, text.length - 10 * MOST_PIECES);
  const begin = from + (from && text.slice(from).search(/\s|$/));
  return Array.from(text.slice(begin).matchAll(PIECE), match => {
    const start = begin + match.index, end = start + match[0].length;
    const key = text.slice(Math.max(0, end - 400), end);
    return {from: start, start: end - match[0].trimStart().length, end, key};
  }).slice(-MOST_PIECES);
}
async function scorePieces(all) {
  const now = ++scored, list = lastPieces();
  if (!all && list.at(-1)?.end === text.length) list.pop();
  if (known.size > 5000) known.clear();
  for (const piece of list) {
    if (piece.end - piece.from > LONGEST) known.set(piece.key, {nats: 0, tokens: 0});
  }
  for (;;) {
    const first = list.findIndex(piece => !known.has(piece.key));
    if (first < 0) break;
    const batch = list.slice(first, first + PIECES_AT_ONCE);
    const strings = batch.map(piece => text.slice(piece.from, piece.end));
    const answer = await ask("score", {text: contextAt(batch[0].from), pieces: strings});
    if (!answer || now !== scored) return;
    batch.forEach((piece, i) => {
      known.set(piece.key, {nats: answer.nats[i], tokens: answer.tokens[i]});
    });
    paint();
  }
}

function scoredWords() {
  const found = [];
  for (const {from, start, end, key} of lastPieces()) {
    const told = known.get(key), last = found.at(-1);
    if (told && told.tokens < 1 && from === start && last?.end === start) {
      last.end = end; // a mark that belongs to the word: Sr., 50%
      last.nats += told.nats;
    } else if (told?.tokens > 0 && /[\p{L}\p{N}]/u.test(text.slice(start, end))) {
      found.push({start, end, nats: told.nats});
    }
  }
  return found;
}
const levelOf = ({nats}) => LEVELS.findIndex(([least]) => Math.exp(-Math.max(0, nats)) >= least);
function tell(word) {
  const p = Math.exp(-Math.max(0, word.nats));
  const chance = p >= .001 ? percent.format(p)
    : filled(messages.oneIn, whole.format(Math.min(1 / p, 1e12)));
  const nats = number.format(Math.max(0, word.nats));
  return `${chance}, ${messages[LEVELS[levelOf(word)][1]]} (${nats} nats)`;
}
// The word with a colour where the caret is, and what is told of it.
export function wordAt(place) {
  const word = painted.find(({start, end}) => start <= place && place <= end);
  return word && {...word, told: tell(word)};
}
export function paint() {
  const mirror = $("mirror"), wrong = new Map(marks.map(m => [m.start, m]));
  const before = painted, now = scoredWords();
  let end = 0;
  for (const word of now) {
    const mark = wrong.get(word.start), isMarked = mark?.words?.length;
    word.string = text.slice(word.start, word.end);
    word.lead = text.slice(end, word.start);
    word.name = `s${levelOf(word)} ${!isMarked ? "" : mark.word === mark.typed ? "wrong" : "mended"}`;
    end = word.end;
  }
  // While one types, most stays: only what is new is drawn.
  let same = 0;
  while (same < before.length && same < now.length
      && ["string", "lead", "name"].every(key => before[same][key] === now[same][key])) {
    now[same].span = before[same].span;
    same++;
  }
  const last = now[same - 1]?.span;
  while (mirror.lastChild && mirror.lastChild !== last) mirror.lastChild.remove();
  for (const word of now.slice(same)) {
    word.span = document.createElement("span");
    word.span.className = word.name;
    word.span.textContent = word.string;
    mirror.append(word.lead, word.span);
  }
  mirror.append(`${text.slice(end)}\n`); // a last line without letters has a height too
  mirror.scrollTop = field.scrollTop;
  painted = now;
  if ($("list").open) listWords();
}
function listWords() {
  $("words").replaceChildren(...painted.map(word => {
    const item = document.createElement("li"), strong = document.createElement("strong");
    strong.lang = "pt-BR";
    strong.textContent = word.string;
    item.append(strong, ` ${tell(word)}`);
    return item;
  }));
}
export function showBubble(word) {
  const bubble = $("bubble");
  bubble.hidden = !word;
  if (!word) return;
  bubble.textContent = `${word.string}: ${tell(word)}`;
  const box = word.span.getClientRects()[0], base = field.getBoundingClientRect();
  const left = Math.min(box.left - base.left, base.width - bubble.offsetWidth - 4);
  bubble.style.left = `${Math.max(4, left)}px`;
  bubble.style.top = `${box.top - base.top - bubble.offsetHeight - 2}px`;
}
field.addEventListener("mousemove", ({clientX: x, clientY: y}) => {
  showBubble(painted.find(word => Array.from(word.span.getClientRects()).some(
    box => box.left <= x && x <= box.right && box.top <= y && y <= box.bottom)));
});
field.addEventListener("mouseleave", () => showBubble());
field.addEventListener("scroll", () => {
  $("mirror").scrollTop = field.scrollTop;
  showBubble();
});
$("list").addEventListener("toggle", paint);
export function showLegend() {
  $("legend").replaceChildren(...LEVELS.map(([least, name], i) => {
    const item = document.createElement("li"), message = least ? messages.atLeast : messages.less;
    item.className = `s${i}`;
    item.textContent = filled(message, messages[name], number.format(100 * least));
    return item;
  }));
}
