// What was meant by a typed word, given the text before it; see pipeline/export/correct.py.

import {LONGEST, channelCosts, countDifferent, encode, letterSet} from "./channel.js";
import {keepBest, written} from "./suggest.js";
import {UNKNOWN, replace, split} from "./tokenizer.js";
import {logInContext, weigh, wordsOf} from "./words.js";

// Letters that only one of two words has, and how much their lengths differ.
const DIFFERENT_LETTERS = 2;
const LONGER = 2;
// Nats below the best word, from which on other words do not change its probability.
const NEGLIGIBLE = 18;

/** Return whether tokens are one plain word, without digits and not in capitals. */
function isPlain(rules, tokens) {
  const [word] = tokens;
  return (
    tokens.length === 1 &&
    rules.word.test(word) &&
    !/\p{Lu}.*\p{Lu}/u.test(word) &&
    [...word].length <= LONGEST
  );
}

/** Return words of the list that may be meant by what is typed: itself and the k best at least. */
function candidates(words, logits, lowered, k) {
  const {channel, displays, sets, lengths, symbols} = words;
  const typed = encode(channel, lowered);
  const itself = words.places.get(lowered);
  const own = letterSet(channel, typed, typed.length);
  const letterSets = sets[LONGEST];
  const found = [];
  const best = [];
  for (let i = 0; i < letterSets.length; i++) {
    if (countDifferent(own, letterSets[i]) > DIFFERENT_LETTERS) continue;
    if (Math.abs(lengths[i] - typed.length) > LONGER) continue;
    const letters = symbols.subarray(i * LONGEST, i * LONGEST + lengths[i]);
    const prior = weigh(words, logInContext(words, logits, i), i);
    const least = Math.min(best[k - 1]?.score, best[0]?.score - NEGLIGIBLE); // NaN at first
    const costs = channelCosts(channel, typed, letters, i === itself ? Infinity : prior - least);
    if (!costs) continue;
    const one = {i, word: displays[i], score: prior - costs[letters.length]};
    found.push(one);
    if (words.suggested[i]) keepBest(best, one, k);
  }
  return found;
}

/** Return what is meant by a word if it is a verb with a pronoun, and the score of the verb. */
function readVerb({accents, verbs}, words, logits, lowered) {
  const word = replace(lowered, accents);
  const verb = replace(word, verbs);
  const i = verb === word || words.isNever(word) ? undefined : words.places.get(verb);
  if (i === undefined) return {word, score: -Infinity};
  return {word, score: weigh(words, logInContext(words, logits, i), i)};
}

/**
 * Find what may have been meant by a typed word, most probable first, with what was typed among it.
 *
 * @param {object} read what `read` returned for the text before.
 * @returns {{words: string[], probabilities: number[], sure: boolean}} sure, whether the first word
 *   should replace what is typed without being asked.
 */
export function correct(model, {place, starts}, text) {
  const words = wordsOf(model);
  const tokens = split(model.rules, text);
  const lowered = tokens.join("").toLowerCase();
  if (!isPlain(model.rules, tokens) || words.isNever(lowered)) {
    return {words: [text], probabilities: [1], sure: false};
  }
  const {weights, enough} = words.channel;
  const logits = place.logs;
  const first = /^\p{Lu}/u.test(tokens[0]);
  const isPossible = ({score}) => score > -Infinity;
  const isTyped = ({i}) => words.lowered[i] === lowered;
  const found = candidates(words, logits, lowered, model.suggestions).filter(isPossible);
  const verb = readVerb(model.rules, words, logits, lowered);
  const isRight = verb.word === lowered;
  const withAccent = {word: verb.word, score: verb.score - words.channel.accent};
  // One that a list has is among the others.
  const verbs = isRight || words.places.has(verb.word) ? [] : [withAccent].filter(isPossible);
  const others = found.filter((one) => !isTyped(one));
  const unlisted = Math.max(
    weights.context * logits[UNKNOWN] + weights.unlisted,
    isRight ? verb.score : -Infinity,
  );
  const name = first && !starts ? weights.name : 0;
  const own = found.find(isTyped)?.score ?? unlisted;
  const typed = {word: text, score: own + weights.right + name};
  // Words that are never suggested have their share, too.
  const total = sumOfLogs([typed, ...verbs, ...others].map(({score}) => score));
  const best = [];
  for (const {word, score} of [...verbs, ...others.filter(({i}) => words.suggested[i])]) {
    // One place is that of what is typed.
    keepBest(best, {word: written(word, {first}), score}, model.suggestions - 1);
  }
  keepBest(best, typed, model.suggestions);
  const probabilities = best.map(({score}) => Math.exp(score - total));
  const sure = best[0] !== typed && probabilities[0] >= weights.sure && words.meant >= enough;
  return {words: best.map(({word}) => word), probabilities, sure};
}

/** Return ln of the sum of numbers, given ln of each. */
function sumOfLogs(logs) {
  const most = logs.reduce((a, b) => Math.max(a, b));
  return most + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - most), 0));
}
