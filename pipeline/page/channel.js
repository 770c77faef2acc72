// The noisy channel p(typed | meant); its tables come from pipeline/text/channel.py.
//
// A word is an array of symbols: 0 is no letter, then the letters of the alphabet, then any other.

// Letters of the longest word that may be meant.
export const LONGEST = 24;

/** Unpack the tables: costs in nats of each edit, by the symbols that it has. */
export function openChannel({ alphabet, tables, clusters, bits, ...costs }) {
  const numbers = new Map([...alphabet].map((letter, i) => [letter, i + 1]));
  for (const edit of Object.keys(tables)) tables[edit] = Float64Array.from(tables[edit]);
  const rows = [0, 1, 2, 3].map(() => new Float64Array(LONGEST + 1));
  return { ...tables, ...costs, clusters, bits, numbers, size: numbers.size + 2, rows };
}

/** Return the symbols of a word in lower case. */
export function encode(channel, word) {
  return Uint8Array.from([...word], (letter) => channel.numbers.get(letter) ?? channel.size - 1);
}

/** Return which letters, without accents, are among the first symbols of a word, as bits. */
export function letterSet(channel, symbols, count) {
  return symbols.subarray(0, count).reduce((set, symbol) => set | channel.bits[symbol], 0);
}

/** Count the letters that only one of two sets has. */
export function countDifferent(set, other) {
  let bits = set ^ other;
  bits -= (bits >>> 1) & 0x55555555;
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return (((bits + (bits >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}

/**
 * Compute the cost of typing some letters while the first 0, 1, …, length letters of a word are
 * meant; length ≤ LONGEST.
 *
 * Returns nats, (length + 1,) and more, in an array that the next call overwrites.
 */
export function channelCosts(channel, typed, word, length) {
  const { substitute, insert, delete: lose, merge, split, clusters, size, first } = channel;
  let [row, last, second, lost] = channel.rows;
  row[0] = 0;
  for (let j = 1; j <= length; j++) {
    const before = j > 1 ? word[j - 2] : 0;
    lost[j] = lose[word[j - 1] * size + before] + (j === 1 ? first : 0);
    row[j] = row[j - 1] + lost[j];
  }
  for (let i = 0; i < typed.length; i++) {
    [row, last, second] = [second, row, last];
    const letter = typed[i];
    const previous = i ? typed[i - 1] : 0;
    const pair = i ? clusters[previous * size + letter] : 0;
    const begins = i ? 0 : first;
    row[0] = last[0] + insert[letter * size] + begins;
    for (let j = 1, before = 0; j <= length; j++) {
      const meant = word[j - 1];
      let cost = last[j] + insert[letter * size + meant] + begins;
      const changed = last[j - 1] + substitute[letter * size + meant];
      cost = Math.min(cost, j === 1 && letter !== meant ? changed + begins : changed);
      if (j > 1) cost = Math.min(cost, last[j - 2] + merge[clusters[before * size + meant] * size + letter]);
      if (pair) cost = Math.min(cost, second[j - 1] + split[pair * size + meant]);
      if (i && j > 1 && letter === before && previous === meant) cost = Math.min(cost, second[j - 2] + channel.swapped);
      row[j] = Math.min(cost, row[j - 1] + lost[j]);
      before = meant;
    }
  }
  return row;
}
