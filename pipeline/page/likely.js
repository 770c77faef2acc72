// The keys that may come next.

import {likelihood, readPrefix, withoutAccents} from "./prefixes.js";
import {read} from "./reader.js";
import {split} from "./tokenizer.js";
import {wordsOf} from "./words.js";

const MOST = 16;

/**
 * Return keys after what is typed, most probable first: letters with which words of the vocabulary
 * go on, what ends a word, and, where a word has ended, a space.
 */
export function likelyKeys(model, {text, prefix}) {
  const {p, starts} = read(model, text);
  const words = wordsOf(model);
  const typed = prefix ? readPrefix(split(model.rules, prefix)) : null;
  const isCapital = typed ? typed.every : starts;
  const masses = new Map();
  const add = (key, mass) => masses.set(key, (masses.get(key) ?? 0) + mass);
  for (const i of typed ? words.byLetter.get(typed.bare[0]) ?? [] : words.displays.keys()) {
    if (i >= words.inside) break;
    const mass = p[words.ids[i]] * (typed ? likelihood(words, i, typed) : 1);
    if (!mass) continue;
    const letter = words.displays[i][prefix.length] ?? " ";
    const key = isCapital ? letter.toUpperCase() : letter;
    add(key, mass);
    if (withoutAccents(key) !== key) add(withoutAccents(key), mass);
  }
  const letters = [...masses.keys()].sort((a, b) => masses.get(b) - masses.get(a)).slice(0, MOST);
  const marks = typed ? (masses.has(" ") ? " ,." : " ") : /\S$/.test(text) ? " \n" : "";
  return [...new Set([...(typed ? letters : marks), ...(typed ? marks : letters)])];
}
