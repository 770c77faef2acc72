// Where text has a space between two tokens; see pipeline/text/spacing.py.

import {BREAK} from "./tokenizer.js";

// The kinds of tokens, in the order of the patterns.
const KINDS = ["break", "eyes", "equals", "mouth", "closes", "opens", "quote", "apostrophe", "slash",
  "initial", "letters", "letter"];
const ALPHABETIC = new Set(["initial", "letters", "letter"]);

/** Return whether a space stands before each token; the first is BREAK. */
export function spaces(rules, tokens) {
  const kinds = tokens.map((token) => KINDS[rules.kinds.findIndex((kind) => kind.test(token))]);
  const odd = {quote: false, apostrophe: false}; // in each paragraph the first opens, the second …
  let opened = false; // the token before wants none after it
  let slashed = false; // the token before is a slash after letters
  return kinds.map((kind, i) => {
    const before = kinds[i - 1];
    if (kind === "break") odd.quote = odd.apostrophe = false;
    if (kind in odd) odd[kind] = !odd[kind];
    const slash = kind === "slash" && before === "letters";
    const mouth = kind === "mouth" && before !== "eyes" && before !== "equals";
    const closes = ["break", "eyes", "closes"].includes(kind) || slash || mouth
      || (kind in odd && !odd[kind]);
    const space = !(closes || opened || (slashed && ALPHABETIC.has(kind)));
    opened = kind === "break" || kind === "opens" || (kind in odd && odd[kind]);
    slashed = slash;
    return space;
  });
}
