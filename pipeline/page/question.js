// What is asked about a text: its suggestions, {text, prefix}.

const WORD_BEGUN = /^[\p{L}\p{N}][\p{L}\p{M}\p{N}'’_-]*$/u;

/** Return the question after one more letter. */
export function questionAfter({text, prefix}, letter) {
  const begun = prefix + letter;
  return WORD_BEGUN.test(begun) ? {text, prefix: begun} : {text: text + begun, prefix: ""};
}
