// Text that the model writes by itself, sampled token by token; see pipeline/export/generate.py.

import {capitalise} from "./capitals.js";
import {after, read, startsSentence} from "./reader.js";
import {spaces} from "./spacing.js";
import {BEGIN, BREAK, opened, split} from "./tokenizer.js";

// The nucleus: the fewest most probable tokens with this probability (Holtzman et al. 2020, §3.1).
const TOP_P = 0.95;
// Tokens in a row that a cold model does not repeat, and the tokens before in which they are looked
// for (Paulus et al. 2018, §2.5).
const ROW = 5, RECENT = 200;
// Keeps tokens possible when the model is certain of one that must not be drawn.
const LEAST = 1e-37;
// Division by this temperature leaves only the most probable token.
const COLDEST = 1e-20;

/** Return how a text may go on, to be appended to it as it is; a seed always gives the same. */
export function generate(model, text, {length, temperature, seed}) {
  const random = generator(seed);
  let {place} = read(model, text);
  const before = split(model.rules, opened(model.rules, text));
  let empty = before.at(-1) === BREAK; // the last paragraph
  const ids = [];
  while (ids.length < length) {
    const id = draw(allowed(model, place.p, {empty, ids, cold: 0 < temperature && temperature < 1}), temperature, random());
    ids.push(id);
    empty = id === BEGIN;
    place = after(model, place, id);
  }
  const {displays} = model.vocabulary;
  const tokens = ids.map((id) => (id === BEGIN ? BREAK : displays[id]));
  return join(model.rules, text, before, tokens);
}

/** Return p with 0 for what is not written: unknown words, empty paragraphs and repetitions. */
function allowed(model, p, {empty, ids, cold}) {
  const left = p.map((value, id) => (model.arrays.generated[id] ? Math.max(value, LEAST) : 0));
  if (empty) left[BEGIN] = 0;
  if (!cold) return left;
  const others = left.slice();
  for (const id of repeating(ids.slice(-RECENT))) others[id] = 0;
  return others.some((value) => value > 0) ? others : left;
}

/** Return the ids that would repeat ROW ids in a row. */
function repeating(recent) {
  const begun = recent.slice(recent.length - ROW + 1);
  return recent.slice(ROW - 1).filter((_, i) => begun.every((id, j) => recent[i + j] === id));
}

/** Draw an id from the nucleus of p^(1 / temperature), given a number in [0, 1). */
function draw(p, temperature, uniform) {
  const ids = Array.from(p.keys()).filter((id) => p[id] > 0).sort((a, b) => p[b] - p[a]);
  const most = Math.log(p[ids[0]]);
  const powers = ids.map((id) => Math.exp((Math.log(p[id]) - most) / Math.max(temperature, COLDEST)));
  const total = powers.reduce((a, b) => a + b);
  let size = 0, nucleus = 0;
  while (size < ids.length && nucleus < TOP_P * total) nucleus += powers[size++];
  let rest = uniform * nucleus, place = 0;
  while (place < size - 1 && rest >= powers[place]) rest -= powers[place++];
  return ids[place];
}

/** Return a function that returns random numbers in [0, 1): Mulberry32. */
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Join tokens that follow a text and its tokens, with spaces and capitals. */
export function join(rules, text, before, tokens) {
  const all = [...before, ...tokens];
  const spaced = spaces(rules, all);
  let written = "";
  for (let i = before.length; i < all.length; i++) {
    const space = spaced[i] && !(i === before.length && rules.spaced.test(text));
    const word = startsSentence(rules, all.slice(0, i)) ? capitalise(all[i]) : all[i];
    written += (space ? " " : "") + (all[i] === BREAK ? "\n" : word);
  }
  return written;
}
