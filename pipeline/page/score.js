// How surprising text is.

import {follow, leftOut, nats, readAhead, tail} from "./reader.js";
import {lookup, openParagraph, split} from "./tokenizer.js";

/**
 * Return how surprising pieces of text are that follow a text one after the other.
 *
 * A piece may change the token before it: "Sr" and ".".
 *
 * @returns {object} nats, −ln p(piece | text), and tokens of each piece.
 */
export function score(model, text, pieces) {
  let all = text;
  const texts = [text, ...pieces.map((piece) => (all += piece))];
  const tokens = texts.map((one) => split(model.rules, openParagraph(model.rules, one)));
  const left = leftOut(tokens[0]);
  const ids = tokens.map((some) => lookup(model, tail(some, left)));
  const answer = {
    nats: pieces.map((_, i) => difference(model, ids[i], ids[i + 1])),
    tokens: pieces.map((_, i) => ids[i + 1].length - ids[i].length),
  };
  readAhead(model, tokens.at(-1)); // what follows is asked next
  return answer;
}

/** Return ln p(before) − ln p(now), of ids that differ at the end only. */
function difference(model, before, now) {
  let same = 1; // both begin with <s>
  while (same < before.length && before[same] === now[same]) same++;
  return natsFrom(model, now, same) - natsFrom(model, before, same);
}

/** Return −ln p of the ids from a place on. */
function natsFrom(model, ids, first) {
  if (first >= ids.length) return 0;
  const places = follow(model, ids);
  let total = 0;
  for (let t = first; t < ids.length; t++) total += nats(model, places[t - 1], ids[t]);
  return total;
}
