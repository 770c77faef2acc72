// Match the letters that a person has typed against words: accents and capitals may be missing, but
// accents that are typed are meant.

// p(typed | word) where an accent is missing, and where the word is typed in full; see
// pipeline/text/suggestible.py.
const MISSING_ACCENT = 0.1;
const WHOLE = 0.1;

const bareLetters = new Map();

/** Return a text in which no letter has an accent; ç becomes c. */
export function withoutAccents(text) {
  if (!/[^\0-\x7f]/.test(text)) return text;
  return Array.from(text, (letter) => {
    if (!bareLetters.has(letter)) {
      const bare = letter.normalize("NFD").replace(/\p{M}/gu, "");
      bareLetters.set(letter, bare.length === letter.length ? bare : letter);
    }
    return bareLetters.get(letter);
  }).join("");
}

/**
 * Read the tokens of a prefix.
 *
 * @returns {object} lowered, and bare without accents; first and every, whether its first letter is
 *   a capital, and whether it has two capitals or more and no small letter.
 */
export function readPrefix(tokens) {
  const text = tokens.join("");
  const lowered = text.toLowerCase();
  return {
    lowered,
    bare: withoutAccents(lowered),
    first: /^\p{Lu}/u.test(text),
    every: /^\P{Ll}*\p{Lu}\P{Ll}*\p{Lu}\P{Ll}*$/u.test(text),
  };
}

/** Return the places of words that may begin with what is typed, null for nothing. */
export function placesOf(words, typed) {
  return typed?.bare ? words.byLetter.get(typed.bare[0]) ?? [] : words.displays.keys();
}

/** Return p(typed | word i), up to a factor; 0 where it does not begin with what is typed. */
export function likelihood(words, i, {lowered, bare}) {
  const own = words.bare[i];
  if (!own.startsWith(bare)) return 0;
  const word = words.lowered[i];
  if (word.startsWith(lowered)) return word.length > lowered.length ? 1 : WHOLE;
  const fits = (letter, at) => letter === word[at] || letter === own[at];
  return lowered.split("").every(fits) ? MISSING_ACCENT : 0;
}
