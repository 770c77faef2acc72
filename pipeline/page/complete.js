// Completions of what is typed, and what fills the places that they leave; see models/README.md.

import {beginNearly} from "./nearly.js";
import {readPrefix} from "./prefixes.js";
import {rank, written} from "./suggest.js";
import {lookup, split} from "./tokenizer.js";
import {wordsOf} from "./words.js";

/**
 * Complete a prefix.
 *
 * @param {object} read what `read` returned for the text before.
 * @param {(id: number) => Float32Array} next returns p after one more id.
 * @returns {{words: string[], probabilities: number[], kinds: string[]}}
 */
export function complete(model, {p, place, starts}, prefix, next) {
  const {suggestions} = wordsOf(model);
  const tokens = split(model.rules, prefix);
  const typed = readPrefix(tokens);
  const style = {first: starts || typed.first, every: typed.every};
  const id = tokens.length === 1 ? lookup(model, tokens)[0] : null;
  const isWord = model.arrays.is_word[id] === 1;
  // After a whole word another letter says that it is the beginning of a rarer one.
  const found = rank(model, p, {...style, typed, outside: !isWord});
  found.forEach((one) => { one.kind = "completion"; });
  if (id !== null && found.length < suggestions) {
    const own = new Set(found.map(({word}) => word.toLowerCase()));
    const others = isWord ? wordsAfter(model, p[id], next(id)) : nearly(model, place.logs, typed, style);
    const more = others.filter((one) => one.p > 0 && !own.has(one.word.toLowerCase()));
    found.push(...more.slice(0, suggestions - found.length));
  }
  return {
    words: found.map(({word}) => word),
    probabilities: found.map((one) => one.p),
    kinds: found.map(({kind}) => kind),
  };
}

/** Return the words that follow what is typed; p is p(typed | text) · p(next | text, typed). */
function wordsAfter(model, ofTyped, p) {
  return rank(model, p, {}).map((one) => ({word: one.word, p: ofTyped * one.p, kind: "next"}));
}

function nearly(model, logs, {lowered}, style) {
  if (!model.rules.word.test(lowered)) return [];
  const found = beginNearly(wordsOf(model), logs, lowered, model.suggestions);
  return found.map((one) => ({...one, word: written(one.word, style), kind: "similar"}));
}
