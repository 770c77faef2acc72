// From text to the state after it. The states after all tokens of the last text are kept, so a key
// costs one step at most, and most keys none.

import {begin, probabilities, step} from "./network.js";
import {BREAK, lookup, opened, split} from "./tokenizer.js";

// Tokens of context: a recurrent network forgets earlier ones. The context of a long text begins at
// a multiple of this number, so that it is read anew only now and then.
const CONTEXT = 100;

/**
 * Read a text from its beginning.
 *
 * @returns {object} tokens, all of the text, first BREAK; state, of the network after them; starts,
 *   whether the next word begins a sentence; p, of each id after the text, Float32Array (V).
 */
export function read(model, text) {
  const tokens = split(model.rules, opened(model.rules, text));
  const place = follow(model, lookup(model, tail(tokens, leftOut(tokens)))).at(-1);
  return {tokens, starts: startsSentence(model.rules, tokens), state: place.state, p: place.p};
}

/** Return how many tokens of a text are too far from its end to be read. */
export function leftOut(tokens) {
  return Math.max(0, CONTEXT * (Math.floor(tokens.length / CONTEXT) - 1));
}

/** Return tokens without the first of them, as a text of their own. */
export function tail(tokens, left) {
  return left ? [BREAK, ...tokens.slice(left)] : tokens;
}

/**
 * Return the place after each id, see `after`; those of the last text are taken up again.
 *
 * `chain` keeps texts that take turns apart, which would displace each other.
 */
export function follow(model, ids, chain = "typed") {
  const chains = model.chains ??= {};
  const known = chains[chain] ?? [];
  let same = 0;
  while (same < ids.length && known[same]?.id === ids[same]) same++;
  const places = known.slice(0, same);
  for (const id of ids.slice(same)) places.push(after(model, places.at(-1)?.state, id));
  // The beginning of what is known leaves the rest in place: it is asked for again.
  if (same < ids.length) chains[chain] = places;
  return places;
}

/** Return an id, the network's state after it and, once it is asked for, p of the next id. */
export function after(model, state = begin(model), id) {
  const next = step(model, state, id);
  let p;
  return {id, state: next, get p() { return p ??= probabilities(model, next); }};
}

/** Return whether a sentence begins after tokens, the first of which is BREAK. */
export function startsSentence(rules, tokens) {
  return rules.ends.test(tokens.findLast((token) => !rules.opens.test(token)));
}
