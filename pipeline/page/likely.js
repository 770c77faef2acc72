// The keys that may come next.

import {likelihood, placesOf, readPrefix, withoutAccents} from "./prefixes.js";
import {read} from "./reader.js";
import {split} from "./tokenizer.js";
import {wordsOf} from "./words.js";

const MOST = 16;

/**
 * Return the keys that may follow what is typed, most probable first: letters that continue words of
 * the vocabulary, then what ends a word. After a finished word the space comes first.
 */
export function likelyKeys(model, {text, prefix}) {
  const {p, starts} = read(model, text);
  const words = wordsOf(model);
  const typed = prefix ? readPrefix(split(model.rules, prefix)) : null;
  const isCapital = typed ? typed.every : starts;
  const masses = new Map();
  const add = (key, mass) => masses.set(key, (masses.get(key) ?? 0) + mass);
  for (const i of placesOf(words, typed)) {
    if (i >= words.inside) break;
    const mass = p[words.ids[i]] * (typed ? likelihood(words, i, typed) : 1);
    if (!mass) continue;
    const letter = words.displays[i][prefix.length] ?? " ";
    add(isCapital ? letter.toUpperCase() : letter, mass);
  }
  for (const [key, mass] of [...masses]) if (withoutAccents(key) !== key) add(withoutAccents(key), mass);
  const letters = [...masses.keys()].sort((a, b) => masses.get(b) - masses.get(a)).slice(0, MOST);
  if (!typed) return [...new Set([...(/\S$/.test(text) ? " \n" : ""), ...letters])];
  return [...new Set([...letters, ...(masses.has(" ") ? " ,." : " ")])];
}
