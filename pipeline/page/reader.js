// From text to the state after it. What was read is kept, so a key costs one step at most, and most
// keys none.

import {begin, probabilities, step, surprise} from "./network.js";
import {BREAK, lookup, opened, split} from "./tokenizer.js";

// Tokens of context: a recurrent network forgets earlier ones. The context of a long text begins at
// a multiple of this number, so that it is read anew only now and then; see readAhead.
const CONTEXT = 100;
// Places that are kept at least; those of a text are twice CONTEXT at most, and while it is typed an
// earlier one is scored.
const KEPT = 8 * CONTEXT;
// Tokens that are read ahead at once, while other questions wait.
const AT_ONCE = 4;
// Smaller probabilities are not exact in 32 bits.
const LEAST_EXACT = 1e-37;

/**
 * Read a text from its beginning.
 *
 * @returns {object} tokens, all of the text, first BREAK; place, after them; starts, whether the next
 *   word begins a sentence; p, of each id after the text, Float32Array (V).
 */
export function read(model, text) {
  if (model.last?.text !== text) {
    const tokens = split(model.rules, opened(model.rules, text));
    const places = follow(model, lookup(model, tail(tokens, leftOut(tokens))));
    model.last = {text, tokens, places, starts: startsSentence(model.rules, tokens)};
  }
  const {tokens, places, starts} = model.last, place = places.at(-1);
  return {tokens, place, starts, p: place.p};
}

/**
 * Read some tokens from where their context will begin next, so that no key has to wait for all.
 *
 * @returns {boolean} whether all are read.
 */
export function readAhead(model, tokens) {
  const ahead = model.ahead = [];
  let place = beginning(model), steps = 0;
  for (const id of lookup(model, tail(tokens, leftOut(tokens) + CONTEXT))) {
    if (!place.next.has(id) && ++steps > AT_ONCE) return false;
    ahead.push(place = after(model, place, id));
  }
  return true;
}

/** Return how many tokens of a text are too far from its end to be read. */
export function leftOut(tokens) {
  return Math.max(0, CONTEXT * (Math.floor(tokens.length / CONTEXT) - 1));
}

/** Return tokens without the first of them, as a text of their own. */
export function tail(tokens, left) {
  return left ? [BREAK, ...tokens.slice(left)] : tokens;
}

/** Return the place before any text. */
function beginning(model) {
  return model.begin ??= {state: begin(model), next: new Map()};
}

/** Return the place after each id; those that are known are taken up again. */
export function follow(model, ids) {
  let place = beginning(model);
  const places = ids.map((id) => (place = after(model, place, id)));
  if (model.places > KEPT) keepOnly(model, [places, model.last?.places ?? [], model.ahead ?? []]);
  return places;
}

/**
 * Return an id and the place after it: the network's state; next, known places after one more id;
 * and, once they are asked for, p of the next id, and logs, ln p.
 */
export function after(model, place, id) {
  if (!place.next.has(id)) {
    const state = step(model, place.state, id);
    let p, logs;
    place.next.set(id, {
      id, state, next: new Map(),
      get p() { return p ??= probabilities(model, state); },
      get logs() { return logs ??= this.p.map(Math.log); },
    });
    model.places = (model.places ?? 0) + 1;
  }
  return place.next.get(id);
}

/** Forget all places but those of some texts, and those after the last of each. */
function keepOnly(model, texts) {
  const kept = new Set(texts.flat()), ends = new Set(texts.map((places) => places.at(-1)));
  model.places = kept.size;
  for (const place of [model.begin, ...kept]) {
    if (ends.has(place)) model.places += place.next.size;
    else place.next = new Map([...place.next].filter(([, one]) => kept.has(one)));
  }
}

/** Return −ln p of an id after a place, in nats. */
export function nats(model, {p, state}, id) {
  return p[id] > LEAST_EXACT ? -Math.log(p[id]) : surprise(model, state, id);
}

/** Return whether a sentence begins after tokens, the first of which is BREAK. */
export function startsSentence(rules, tokens) {
  return rules.ends.test(tokens.findLast((token) => !rules.opens.test(token)));
}
