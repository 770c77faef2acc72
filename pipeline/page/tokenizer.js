// The Portuguese tokenizer. Its regular expressions are those of pipeline/text/tokenizer.py, put
// into the model by patterns.py; what they mean stands there.

// A line break begins a paragraph and is the token <s>.
export const BREAK = "\x02";
// The ids of <unk> and <s>.
export const UNKNOWN = 0;
export const BEGIN = 1;

/** Compile the patterns of a packed model. */
export function compile(patterns) {
  const whole = (pattern) => new RegExp(`^(?:${pattern})$`, "u");
  const replacements = (pairs) => pairs.map(([pattern, to]) => [new RegExp(pattern, "gu"), to]);
  return {
    joins: replacements(patterns.joins),
    folds: replacements(patterns.folds),
    rejoins: replacements(patterns.rejoins),
    invisible: new RegExp(patterns.invisible, "gu"),
    begins: new RegExp(`^${patterns.blank}`, "u"),
    finishes: new RegExp(`${patterns.blank}$`, "u"),
    spaced: new RegExp(`${patterns.spaced}$`, "u"),
    clean: whole(patterns.clean),
    number: whole(patterns.number),
    ends: whole(patterns.ends),
    opens: whole(patterns.opens),
    kinds: patterns.kinds.map(whole),
    word: whole(patterns.word),
    accents: replacements(patterns.accents),
    verbs: replacements(patterns.verbs),
    chunks: new Map(), // chunk between white space → its tokens
  };
}

/** Split text into tokens as they are written; a line break is BREAK. */
export function split(rules, text) {
  const joined = replace(text.replace(/[\ud800-\udfff]/gu, "?"), rules.joins);
  return joined.split(/[ \t\n\v\f\r]+/).flatMap((chunk) => (chunk ? splitChunk(rules, chunk) : []));
}

const MOST_CHUNKS = 10_000;

function splitChunk(rules, chunk) {
  let tokens = rules.chunks.get(chunk);
  if (tokens === undefined) {
    const clean = rules.clean.test(chunk) ? chunk : compose(chunk.replace(rules.invisible, ""));
    const parted = replace(replace(clean, rules.folds), rules.rejoins);
    tokens = parted.split(" ").filter(Boolean);
    if (rules.chunks.size >= MOST_CHUNKS) rules.chunks.clear();
    rules.chunks.set(chunk, tokens);
  }
  return tokens;
}

export function replace(text, replacements) {
  return replacements.reduce((now, [pattern, to]) => now.replace(pattern, to), text);
}

/** Compose letters and combining marks, at most three marks for a letter: a + ◌̃ → ã. */
function compose(text) {
  let letters = [...text];
  for (let round = 0; round < 3; round++) {
    const composed = letters.map((letter, i) => composition(letter, letters[i + 1]));
    letters = letters.flatMap((letter, i) => (composed[i - 1] ? [] : [composed[i] ?? letter]));
  }
  return letters.join("");
}

/** Return what a letter and a mark compose, or undefined: what NFC does to the two by themselves. */
function composition(letter, mark) {
  if (mark === undefined) return undefined;
  const both = (letter + mark).normalize("NFC");
  const single = both.length === 1 && !(both >= "가" && both <= "힣");
  // Not where NFC must change their order first.
  const parts = letter.normalize("NFC") === letter && letter.normalize("NFD") + mark;
  return single && both.normalize("NFD") === parts ? both : undefined;
}

/** Return text with a line break in place of what is blank before it, as the model reads it. */
export function opened(rules, text) {
  return "\n" + text.replace(rules.begins, "");
}

/** Return text that is a paragraph of its own: without what is blank around it. */
export function openParagraph(rules, text) {
  return opened(rules, text.replace(rules.finishes, ""));
}

/** Return the ids of tokens. */
export function lookup({vocabulary, rules}, tokens) {
  return tokens.map((token) => {
    if (token === BREAK) return BEGIN;
    const read = vocabulary.numbers === "class" && rules.number.test(token) ? "<num>" : token;
    return vocabulary.ids.get(vocabulary.case === "fold" ? read.toLowerCase() : read) ?? UNKNOWN;
  });
}

/** Return the ids of a text from its beginning, first <s>. */
export function tokenize(model, text) {
  return lookup(model, split(model.rules, opened(model.rules, text)));
}
