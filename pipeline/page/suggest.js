// The words of a model by rank: next words, or those that begin with what is typed. Only words are
// suggested, but p is over the whole vocabulary.

import {capitalise} from "./capitals.js";
import {likelihood, placesOf} from "./prefixes.js";
import {read} from "./reader.js";
import {wordsOf} from "./words.js";

/** Return the most probable next words after a text: {words, probabilities}. */
export function suggest(model, text) {
  const {p, starts} = read(model, text);
  const best = rank(model, p, {first: starts});
  return {words: best.map(({word}) => word), probabilities: best.map((one) => one.p)};
}

/**
 * Return the best words, ranked by p(word | text) · p(typed | word): {word, p, score}.
 *
 * A word of the lexicon, which the vocabulary lacks, has its share of p(<unk>).
 *
 * @param {Float32Array} p of each id.
 * @param {object} options
 *   first, every: write the words with a capital, or in capitals;
 *   typed: what the words begin with, see prefixes.js; null for nothing;
 *   outside: whether words of the lexicon are among them.
 */
export function rank(model, p, {first, every, typed = null, outside = true}) {
  const words = wordsOf(model);
  const {suggestions} = words;
  const best = [];
  for (const i of placesOf(words, typed)) {
    const own = p[words.ids[i]] * words.shares[i];
    const tooLate = own <= best[suggestions - 1]?.score;
    // Those of the lexicon come last, most frequent first.
    if (i >= words.inside && (tooLate || !outside)) break;
    const weight = typed ? likelihood(words, i, typed) : 1;
    if (tooLate || !weight || !words.suggested[i]) continue;
    const word = written(words.displays[i], {first, every});
    keepBest(best, {word, p: own, score: own * weight}, suggestions);
  }
  return best;
}

/** Write a word with a capital, or in capitals. */
export function written(word, {first, every}) {
  if (every) return word.toUpperCase();
  return first ? capitalise(word) : word;
}

/** Put a word among the best k, sorted by score: of equal ones the first, and each word once. */
export function keepBest(best, found, k) {
  const same = best.findIndex(({word}) => word === found.word);
  const last = same < 0 ? best[k - 1] : best[same];
  if (last?.score >= found.score) return;
  if (same >= 0) best.splice(same, 1);
  const place = best.findIndex(({score}) => score < found.score);
  best.splice(place < 0 ? best.length : place, 0, found);
  best.length = Math.min(best.length, k);
}
