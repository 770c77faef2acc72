// Completions of what is typed, and what fills the places that they leave; see models/README.md.

import { beginNearly } from "./nearly.js";
import { lookup, split } from "./tokenizer.js";
import { withoutAccents } from "./words.js";

// p(typed | word) where an accent is missing, and where the word is typed in full; see
// pipeline/text/suggestible.py.
const MISSING_ACCENT = 0.1;
const WHOLE = 0.1;
// What is typed before the first letter.
const NOTHING = { lowered: "", bare: "" };

/**
 * Complete a prefix to at most k words.
 *
 * @param {object} model with `words`, see words.js.
 * @param {{p: Float32Array, starts: boolean}} place after the text: p of each id (V), and whether a
 *   sentence begins.
 * @param {(id: number) => Float32Array} next returns p after one more id.
 * @returns {{words: string[], probabilities: number[], kinds: string[]}}
 */
export function complete(model, { p, starts }, prefix, next) {
  const { words, suggestions: k } = model;
  const tokens = split(model.rules, prefix);
  const typed = readPrefix(tokens);
  const style = { first: starts || typed.capital, every: typed.capitals };
  const [id] = tokens.length === 1 ? lookup(model, tokens) : [];
  const isKnown = id !== undefined && model.arrays.is_word[id] === 1;
  // After a whole word another letter says that it is the beginning of a rarer one.
  const found = rank(words, p, { typed, style, k, outside: !isKnown }).map(as("completion"));
  if (isKnown && found.length < k) {
    // p(typed | text) · p(next | text, typed)
    const following = rank(words, next(id), { k });
    fill(found, following.map(({ word, p: after }) => ({ word, p: p[id] * after })), "next", k);
  } else if (tokens.length === 1 && found.length < k) {
    const near = beginNearly(words, p.map(Math.log), typed.lowered, k);
    fill(found, near.map(({ word, p }) => ({ word: capitalise(word, style), p })), "similar", k);
  }
  return {
    words: found.map(({ word }) => word),
    probabilities: found.map(({ p }) => p),
    kinds: found.map(({ kind }) => kind),
  };
}

const as = (kind) => (found) => ({ ...found, kind });

/** Put other words into free places; none that is there already. */
function fill(found, others, kind, k) {
  const own = new Set(found.map(({ word }) => word.toLowerCase()));
  const more = others.filter(({ word, p }) => p > 0 && !own.has(word.toLowerCase()));
  found.push(...more.slice(0, k - found.length).map(as(kind)));
}

/** Normalise a typed prefix, given its tokens, and look for capitals. */
function readPrefix(tokens) {
  const text = tokens.join("");
  const lowered = text.toLowerCase();
  return {
    lowered,
    bare: withoutAccents(lowered),
    capital: /^\p{Lu}/u.test(text),
    capitals: /^\P{Ll}*\p{Lu}\P{Ll}*\p{Lu}\P{Ll}*$/u.test(text),
  };
}

/**
 * Return the k best words, ranked by p(word | text) · p(typed | word): {word, p, score}.
 *
 * `style` says which letters are capitals; `outside`, whether words of the lexicon are among them.
 */
export function rank(words, p, { typed = NOTHING, style = {}, k, outside = true }) {
  const places = typed.bare ? words.byLetter.get(typed.bare[0]) ?? [] : words.displays.keys();
  const best = [];
  for (const i of places) {
    const share = p[words.ids[i]] * words.shares[i];
    // Those of the lexicon follow, most frequent first.
    if (i >= words.inside && (!outside || share <= best[k - 1]?.score)) break;
    if (!words.allowed[i] || share <= best[k - 1]?.score) continue;
    const weight = likelihood(words, i, typed);
    if (!weight) continue;
    keepBest(best, { word: capitalise(words.displays[i], style), p: share, score: share * weight }, k);
  }
  return best;
}

/** Return p(typed | word), up to a factor; 0 where word i does not begin with what is typed. */
function likelihood({ bare, lowered }, i, typed) {
  if (!bare[i].startsWith(typed.bare)) return 0;
  const word = lowered[i];
  if (word.startsWith(typed.lowered)) return word.length > typed.lowered.length ? 1 : WHOLE;
  const fits = (letter, at) => letter === word[at] || letter === bare[i][at];
  return typed.lowered.split("").every(fits) ? MISSING_ACCENT : 0;
}

/** Put a word among the best k, sorted by score; of equal ones the first, and a word once. */
export function keepBest(best, found, k) {
  if (best[k - 1]?.score >= found.score) return;
  const same = best.findIndex(({ word }) => word === found.word);
  if (same >= 0 && best[same].score >= found.score) return;
  if (same >= 0) best.splice(same, 1);
  const place = best.findIndex(({ score }) => score < found.score);
  best.splice(place < 0 ? best.length : place, 0, found);
  best.length = Math.min(best.length, k);
}

/** Write a word with a capital where a sentence begins, or in capitals. */
export function capitalise(word, { first, every }) {
  if (every) return word.toUpperCase();
  if (!first) return word;
  const [letter] = word;
  return letter.toUpperCase() + word.slice(letter.length);
}
