// Capitals of words.

/** Return a word with a capital. */
export function capitalise(word) {
  const [letter = ""] = word;
  return letter.toUpperCase() + word.slice(letter.length);
}
