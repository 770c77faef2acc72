// The surprise of each word.

import {ask} from "./asking.js";
import {LETTERS, LONGEST, contextAt, field, text} from "./field.js";
import {beforeFrame} from "./frame.js";
import {$, filled, messages, number, percent, whole} from "./language.js";
import {marks} from "./meant.js";

// The end of a text has colours: these many letters at least. Where they begin moves in such steps,
// for all that is drawn moves with it.
const COLOURED = 2000;
// A word with its marks inside, or a run of one mark; each with the space before it.
const INSIDE = "(?:['’_-]|[.,:](?=\\p{N}))", MARKS = "([^\\s\\p{L}\\p{M}\\p{N}])\\1*";
const PIECE = new RegExp(`\\s*(?:${LETTERS}(?:${INSIDE}${LETTERS})*|${MARKS})`, "gu");
const LEVELS = [[.1, "likely"], [.01, "common"], [.001, "unexpected"], [.0001, "rare"],
  [0, "surprising"]];

const known = new Map(); // the end of a text up to a piece → nats and tokens of the piece
let pieces = [], piecesBegin = 0; // of the end of the text; told: their nats and tokens
let painted = []; // the words that have a colour: {start, end, string, nats, name, span}
let lines = []; // what the mirror shows, a block for each
let scored = 0, soon, later;

export function scoreSoon() {
  soon ??= setTimeout(() => { soon = undefined; scorePieces(false); }, 200);
  clearTimeout(later);
  later = setTimeout(() => scorePieces(true), 1200); // the last word too, finished or not
}
// Forgets the pieces that a change from a place on concerns; it may also join the two before it.
export function forgetPieces(place) {
  let left = pieces.length;
  while (left && pieces[left - 1].end >= place) left--;
  pieces.length = Math.max(0, left - 2);
}
function lastPieces() {
  const from = Math.max(0, (Math.floor(text.length / COLOURED) - 1) * COLOURED);
  const begin = from + (from && text.slice(from).search(/\s|$/));
  if (begin !== piecesBegin) pieces = [];
  piecesBegin = begin;
  const last = pieces.at(-1)?.end ?? begin;
  for (const {0: string, index} of text.slice(last).matchAll(PIECE)) {
    const start = last + index, end = start + string.length;
    pieces.push({from: start, start: end - string.trimStart().length, end,
      key: text.slice(Math.max(0, end - 400), end), isWord: /[\p{L}\p{N}]/u.test(string)});
  }
  for (const piece of pieces) {
    piece.told ??= piece.end - piece.from > LONGEST ? {nats: 0, tokens: 0} : known.get(piece.key);
  }
  return pieces;
}
async function scorePieces(all) {
  const now = ++scored;
  if (known.size > 5000) known.clear();
  for (;;) {
    const piece = lastPieces().find(({told}) => !told);
    if (!piece || (!all && piece.end === text.length)) break;
    const body = {text: contextAt(piece.from), pieces: [text.slice(piece.from, piece.end)]};
    const answer = await ask("score", body);
    if (!answer || now !== scored) return;
    known.set(piece.key, {nats: answer.nats[0], tokens: answer.tokens[0]});
    beforeFrame(paint);
  }
}

function scoredWords() {
  const found = [];
  for (const {from, start, end, isWord, told} of lastPieces()) {
    const last = found.at(-1);
    if (told && told.tokens < 1 && from === start && last?.end === start) {
      last.end = end; // a mark that belongs to the word: Sr., 50%
      last.nats += told.nats;
    } else if (told?.tokens > 0 && isWord) {
      found.push({start, end, nats: told.nats});
    }
  }
  return found;
}
const chanceOf = ({nats}) => Math.exp(-Math.max(0, nats));
function levelOf(word) {
  const p = chanceOf(word);
  return LEVELS.findIndex(([least]) => p >= least);
}
function tell(word) {
  const p = chanceOf(word);
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
  const wrong = new Map(marks.map(m => [m.start, m]));
  painted = scoredWords();
  for (const word of painted) {
    const mark = wrong.get(word.start), isMarked = mark?.words?.length;
    word.string = text.slice(word.start, word.end);
    word.name = `s${levelOf(word)} ${!isMarked ? "" : mark.word === mark.typed ? "wrong" : "mended"}`;
  }
  drawLines();
  $("mirror").scrollTop = field.scrollTop;
  if ($("list").open) listWords();
}
export function showEnd() {
  if (field.selectionEnd === text.length) field.scrollTop = field.scrollHeight;
  $("mirror").scrollTop = field.scrollTop;
}
// While one types, most lines stay as they are, and only what is new is drawn and laid out.
function drawLines() {
  const before = lines, words = painted;
  let start = 0, next = 0;
  lines = text.split("\n").map(string => {
    const first = next, at = start;
    start += string.length + 1;
    while (next < words.length && words[next].start < start) next++;
    const own = words.slice(first, next);
    const places = own.map(word => `${word.start - at},${word.end - at},${word.name}`);
    return {start: at, string, look: `${string}\n${places}`, words: own};
  });
  let head = 0, tail = 0;
  const most = Math.min(lines.length, before.length);
  while (head < most && lines[head].look === before[head].look) head++;
  while (tail < most - head && lines.at(-1 - tail).look === before.at(-1 - tail).look) tail++;
  for (let i = 0; i < head; i++) takeOver(lines[i], before[i]);
  for (let i = 1; i <= tail; i++) takeOver(lines.at(-i), before.at(-i));
  const after = tail ? lines.at(-tail).block : null;
  for (const {block} of before.slice(head, before.length - tail)) block.remove();
  for (const line of lines.slice(head, lines.length - tail)) {
    drawLine(line);
    $("mirror").insertBefore(line.block, after);
  }
}
function takeOver(line, {block, words}) {
  line.block = block;
  line.words.forEach((word, i) => { word.span = words[i].span; });
}
function drawLine(line) {
  line.block = document.createElement("div");
  let end = line.start;
  for (const word of line.words) {
    word.span = document.createElement("span");
    word.span.className = word.name;
    word.span.textContent = word.string;
    line.block.append(text.slice(end, word.start), word.span);
    end = word.end;
  }
  line.block.append(`${line.string.slice(end - line.start)}\n`); // without letters it has a height too
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
  bubble.style.left = "0"; // where it is as wide as its text
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
