// Completions of a mistyped beginning: mercdo finds mercado; see pipeline/export/beginnings.py.

import {LONGEST, channelCosts, countDifferent, encode, letterSet} from "./channel.js";
import {logInContext, weigh} from "./words.js";

// The fewest letters typed, the highest cost in nats, and by how many letters the beginning of a
// word may be longer or shorter than what is typed.
const LEAST_TYPED = 3;
const DEAREST = 9;
const OFF = 2;
// Letters that only one of both beginnings may have, among the first; words whose costs are
// computed.
const DIFFERENT_AT_FIRST = 2;
const FIRST_LETTERS = 12;
const CONSIDERED = 200;

/** Return the places of the words whose first letters are about those typed, and their priors. */
function likelyBeginnings(words, logits, typed) {
  const {channel, sets, suggested} = words;
  const seen = Math.min(typed.length, FIRST_LETTERS);
  const own = letterSet(channel, typed, seen);
  const firstTwo = letterSet(channel, typed, 2);
  const [, one, two] = sets;
  const beginnings = sets[seen];
  const near = [];
  for (let i = 0; i < beginnings.length; i++) {
    if (countDifferent(own, beginnings[i]) > DIFFERENT_AT_FIRST || !suggested[i]) continue;
    // A silent h, which is in no set, may be missing at the start of a word.
    if (firstTwo & (one[i] || two[i])) near.push(i);
  }
  const priors = Float32Array.from(near, (i) => weigh(words, logInContext(words, logits, i), i));
  const least = priors.slice().sort()[near.length - CONSIDERED] ?? -Infinity;
  const found = [];
  priors.forEach((prior, at) => prior >= least && found.push({i: near[at], prior}));
  return found;
}

/**
 * Find at most k words that most probably begin with what was meant by letters in lower case, fewer
 * than three of which have no such words; p(word | text) is theirs.
 */
export function beginNearly(words, logits, lowered, k) {
  const {channel, symbols, lengths, displays} = words;
  const typed = encode(channel, lowered);
  if (typed.length < LEAST_TYPED) return [];
  const found = [];
  for (const {i, prior} of likelyBeginnings(words, logits, typed)) {
    const length = Math.min(lengths[i], typed.length + OFF);
    const letters = symbols.subarray(i * LONGEST, i * LONGEST + length);
    const costs = channelCosts(channel, typed, letters, DEAREST);
    if (!costs) continue;
    let cost = Infinity; // of the beginning that costs least
    for (let end = typed.length - OFF; end <= length; end++) cost = Math.min(cost, costs[end]);
    if (cost <= DEAREST) found.push({i, score: prior - cost});
  }
  found.sort((one, other) => other.score - one.score);
  return found.slice(0, k).map(({i}) => ({
    word: displays[i], p: Math.exp(logInContext(words, logits, i)),
  }));
}
