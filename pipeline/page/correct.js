// What was meant by a typed word, given the text before it; see pipeline/export/correct.py.

import { LONGEST, channelCosts, countDifferent, encode, letterSet } from "./channel.js";
import { capitalise, keepBest } from "./complete.js";
import { split } from "./tokenizer.js";
import { logInContext, weigh } from "./words.js";

// Letters that only one of two words has, and how much their lengths differ.
const DIFFERENT_LETTERS = 2;
const LONGER = 2;

// An infinitive loses its r before a pronoun, and its last vowel gets an accent: compra-la.
const PRONOUN = /-l[oa]s?$/;
const ACCENTS = [
  [/a(-l[oa]s?)$/, "á$1"],
  [/e(-l[oa]s?)$/, "ê$1"],
  [/o(-l[oa]s?)$/, "ô$1"],
  [/([aeou])i(-l[oa]s?)$/, "$1í$2"],
];

/** Return whether tokens are one plain word, without digits and not in capitals. */
function isPlain(tokens) {
  const [word] = tokens;
  return (
    tokens.length === 1 &&
    /^\p{L}[\p{L}\p{M}'-]*$/u.test(word) &&
    !/\p{Lu}.*\p{Lu}/u.test(word) &&
    [...word].length <= LONGEST
  );
}

/** Return a word that may be meant and ln p(meant | typed, text), up to a constant. */
function weighed({ words, logits }, word, i, cost) {
  return { word, i, score: weigh(words, logInContext(words, logits, i), i) - cost };
}

/** Return the words of the list that may be meant by the symbols typed. */
function candidates(context, typed) {
  const { channel, displays, sets, lengths, symbols } = context.words;
  const own = letterSet(channel, typed, typed.length);
  const found = [];
  sets[LONGEST].forEach((set, i) => {
    const length = lengths[i];
    if (countDifferent(own, set) > DIFFERENT_LETTERS || Math.abs(length - typed.length) > LONGER) return;
    const word = symbols.subarray(i * LONGEST, (i + 1) * LONGEST);
    const cost = channelCosts(channel, typed, word, length)[length];
    found.push(weighed(context, displays[i], i, cost));
  });
  return found;
}

/** Return the word that lacks an accent before its pronoun, if it is one and no list has it. */
function verbsWithPronoun(context, lowered) {
  const { places, channel, isNever } = context.words;
  const verb = ACCENTS.reduce((word, [pattern, to]) => word.replace(pattern, to), lowered);
  const infinitive = places.get(lowered.replace(PRONOUN, "r"));
  if (verb === lowered || infinitive === undefined || places.has(verb) || isNever(verb)) return [];
  return [weighed(context, verb, infinitive, channel.accent)];
}

/**
 * Return what may have been meant by a typed word, most probable first, and whether the first of
 * them should replace it without being asked.
 *
 * @param {object} model with `words`, see words.js.
 * @param {{p: Float32Array, starts: boolean}} place after the text before the word: p of each id (V),
 *   and whether a sentence begins.
 * @returns {{words: string[], probabilities: number[], sure: boolean}}
 */
export function correct(model, { p, starts }, word) {
  const { words, suggestions: k } = model;
  const tokens = split(model.rules, word);
  const lowered = tokens.join("").toLowerCase();
  if (!isPlain(tokens) || words.isNever(lowered)) {
    return { words: [word], probabilities: [1], sure: false };
  }
  const { channel, allowed } = words;
  const { weights } = channel;
  const context = { words, logits: p.map(Math.log) };
  const first = /^\p{Lu}/u.test(tokens[0]);
  const found = candidates(context, encode(channel, lowered)).filter(isPossible);
  const isTyped = ({ i }) => words.lowered[i] === lowered;
  const unlisted = { score: weights.context * context.logits[UNKNOWN] + weights.unlisted };
  const right = weights.right + (first && !starts ? weights.name : 0);
  const typed = { word, score: (found.find(isTyped) ?? unlisted).score + right };
  // Words that are never suggested have their share, too.
  const others = [...verbsWithPronoun(context, lowered).filter(isPossible), ...found.filter((one) => !isTyped(one))];
  const total = logSum([typed, ...others]);
  const best = [typed];
  for (const one of others) {
    if (allowed[one.i]) keepBest(best, { ...one, word: capitalise(one.word, { first }) }, k);
  }
  const probabilities = best.map(({ score }) => Math.exp(score - total));
  const sure = best[0] !== typed && probabilities[0] >= weights.sure && words.meant >= channel.enough;
  return { words: best.map((one) => one.word), probabilities, sure };
}

const isPossible = ({ score }) => score > -Infinity;

/** Return ln of the sum of what the scores are ln of. */
function logSum(scored) {
  const most = scored.reduce((a, { score }) => Math.max(a, score), -Infinity);
  return most + Math.log(scored.reduce((sum, { score }) => sum + Math.exp(score - most), 0));
}
