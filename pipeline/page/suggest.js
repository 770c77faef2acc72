// The words of a model by rank. Only words are suggested, but p is over the whole vocabulary.

import {capitalise} from "./capitals.js";
import {read} from "./reader.js";
import {UNKNOWN} from "./tokenizer.js";

/** Return the most probable next words after a text: {words, probabilities}. */
export function suggest(model, text) {
  const {p, starts} = read(model, text);
  return rank(model, p, {first: starts});
}

/**
 * Return the best words, ranked by p(word | text) · p(typed | word).
 *
 * A word of the lexicon, which the vocabulary lacks, has its share f of p(<unk>).
 *
 * @param {Float32Array} p of each id.
 * @param {object} options
 *   first, every: write the words with a capital, or in capitals;
 *   fit: p(typed | word) of each id, 0 where the word does not fit; null for 1;
 *   outside: words of the lexicon by f · p(typed | word), best first, as {place, share}; null for
 *     the most frequent.
 */
export function rank(model, p, {first, every = false, fit = null, outside = null}) {
  const {arrays, lexicon, vocabulary} = model;
  const {suggested} = arrays;
  const {forms, words} = countWords(model);
  const most = Math.min(model.suggestions, words);
  const wanted = most * forms;
  const found = best(wanted, p.length, (id) => (suggested[id] ? p[id] * (fit ? fit[id] : 1) : 0))
    .map(({place, score}) => ({word: vocabulary.displays[place], p: p[place], score}));
  for (const {place, share} of outside ?? frequent(model, wanted)) {
    const score = p[UNKNOWN] * share;
    found.push({word: lexicon[place], p: p[UNKNOWN] * arrays["lexicon.f"][place], score});
  }
  const ranked = new Map(); // "ele" and "Ele" are the same word where a sentence begins
  for (const {word, p: probability} of found.sort((a, b) => b.score - a.score)) {
    const written = every ? word.toUpperCase() : first ? capitalise(word) : word;
    if (!ranked.has(written)) ranked.set(written, probability);
    if (ranked.size === most) break;
  }
  return {words: [...ranked.keys()], probabilities: [...ranked.values()]};
}

/** Return the most frequent words of the lexicon that may be suggested, as `rank` takes them. */
function frequent({arrays, lexicon}, wanted) {
  const found = [];
  for (let place = 0; place < lexicon.length && found.length < wanted; place++) {
    if (arrays["lexicon.suggested"][place]) found.push({place, share: arrays["lexicon.f"][place]});
  }
  return found;
}

/** Return how often one word stands in the lists at most, in whatever case, and how many there are. */
function countWords(model) {
  if (!model.counted) {
    const {arrays, lexicon, vocabulary} = model;
    const counts = new Map();
    const words = vocabulary.tokens.filter((_, id) => arrays.suggested[id])
      .concat(lexicon.filter((_, place) => arrays["lexicon.suggested"][place]));
    for (const word of words) {
      const lowered = word.toLowerCase();
      counts.set(lowered, (counts.get(lowered) ?? 0) + 1);
    }
    model.counted = {forms: Math.max(1, ...new Set(counts.values())), words: counts.size};
  }
  return model.counted;
}

/** Return the places 0 … size − 1 with the highest scores above 0: {place, score}, best first. */
export function best(count, size, score) {
  const found = [];
  for (let place = 0; place < size; place++) {
    const own = score(place);
    if (own <= (found.length < count ? 0 : found[count - 1].score)) continue;
    let at = Math.min(found.length, count - 1);
    for (; at > 0 && found[at - 1].score < own; at--) found[at] = found[at - 1];
    found[at] = {place, score: own};
  }
  return found;
}
