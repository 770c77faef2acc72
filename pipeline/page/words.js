// The words of the vocabulary and of the lexicon, which may be completed or meant.

import {LONGEST, encode, openChannel} from "./channel.js";
import {withoutAccents} from "./prefixes.js";

// The letters of no word: they differ from those of any other.
const NO_SET = -1;

/** Return the words of a model, listed once. */
export function wordsOf(model) {
  return model.words ??= listWords(model);
}

/**
 * List the W words of a model, those of the vocabulary first.
 *
 * Returns arrays, (W,): `displays` as in mid-sentence, `lowered`, `bare` without accents, `ids` of
 * the vocabulary and `shares` of their probability, `frequencies` as ln, `suggested`, 1 or 0;
 * `places` of lowered words and `byLetter`, the places of words by their first letter without
 * accent; `suggestions`, the words of an answer; and what `spell` returns.
 */
function listWords({vocabulary, lexicon, never, arrays, channel, suggestions}) {
  const ids = [...vocabulary.displays.keys()].filter((id) => arrays.is_word[id]);
  const inside = ids.length;
  const size = vocabulary.displays.length;
  const {frequencies: logs, "lexicon.suggested": others} = arrays;
  const displays = [...ids.map((id) => vocabulary.displays[id]), ...lexicon];
  const lowered = displays.map((word) => word.toLowerCase());
  /** Make an array of a part for the vocabulary's words, and one for the lexicon's. */
  const join = (Type, known, unknown) =>
    Type.from(displays, (_, i) => (i < inside ? known(ids[i]) : unknown(i - inside)));
  const words = {
    displays, lowered, inside,
    bare: lowered.map(withoutAccents),
    ids: join(Int32Array, (id) => id, () => 0),
    shares: join(Float32Array, () => 1, (i) => arrays["lexicon.f"][i]),
    frequencies: join(Float32Array, (id) => logs[id], (i) => logs[size + i]),
    suggested: join(Uint8Array, (id) => arrays.suggested[id], (i) => others[i]),
    places: new Map(),
    byLetter: new Map(),
  };
  words.logShares = words.shares.map(Math.log);
  const patterns = never.map((pattern) => new RegExp(`^(?:${pattern})$`, "u"));
  words.isNever = (lowered) => patterns.some((pattern) => pattern.test(lowered));
  lowered.forEach((word, i) => {
    if (!words.places.has(word)) words.places.set(word, i);
    const letter = words.bare[i][0];
    if (!words.byLetter.has(letter)) words.byLetter.set(letter, []);
    words.byLetter.get(letter).push(i);
  });
  const different = new Set(lowered.filter((_, i) => words.suggested[i])).size;
  words.suggestions = Math.min(suggestions, different);
  return {...words, ...spell(words, openChannel(channel))};
}

/**
 * Return the letters of the words that may be meant; of words that differ in case, the first.
 *
 * `symbols`, LONGEST of each word; `lengths`; `sets[n]` of the first n letters of each word, the
 * last of all its letters; `meant`, how many these words are.
 */
function spell({lowered, places}, channel) {
  const count = lowered.length;
  const symbols = new Uint8Array(count * LONGEST);
  const lengths = new Uint8Array(count);
  const sets = Array.from({length: LONGEST + 1}, () => new Int32Array(count).fill(NO_SET));
  let meant = 0;
  for (let i = 0; i < count; i++) {
    const own = encode(channel, lowered[i]);
    if (own.length > LONGEST || places.get(lowered[i]) !== i) continue;
    meant++;
    symbols.set(own, i * LONGEST);
    lengths[i] = own.length;
    let set = 0;
    for (let n = 0; n <= LONGEST; n++) {
      sets[n][i] = set;
      set |= channel.bits[own[n] ?? 0];
    }
  }
  return {channel, symbols, lengths, sets, meant};
}

/** Return ln p(word i | text), given ln p of each id. */
export function logInContext(words, logits, i) {
  return logits[words.ids[i]] + words.logShares[i];
}

/** Return ln p(word i | text)^α p(word i)^β, given ln p(word i | text). */
export function weigh({channel, frequencies}, context, i) {
  return channel.weights.context * context + channel.weights.frequency * frequencies[i];
}
