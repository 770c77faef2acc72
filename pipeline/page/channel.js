// The noisy channel p(typed | meant); its tables come from pipeline/text/channel.py.
//
// A word is an array of symbols: 0 is no letter, then the letters of the alphabet, then any other.

// Letters of the longest word that may be meant.
export const LONGEST = 24;

/** Unpack the tables: costs in nats of each edit, by the symbols that it has. */
export function openChannel({alphabet, tables, clusters, bits, ...costs}) {
  const numbers = new Map([...alphabet].map((letter, i) => [letter, i + 1]));
  for (const edit of Object.keys(tables)) tables[edit] = Float64Array.from(tables[edit]);
  const [lost, ...rows] = [1, 2, 3, 4].map(() => new Float64Array(LONGEST + 1));
  const size = numbers.size + 2;
  // The least that a letter can cost, which is less than nothing where its accent is left out.
  const gains = new Float64Array(size);
  tables.substitute.forEach((cost, at) => {
    gains[at % size] = Math.min(gains[at % size], cost);
  });
  return {
    ...costs, ...tables, numbers, size, gains, rows, lost,
    clusters: Uint8Array.from(clusters), bits: Int32Array.from(bits),
    pairs: new Uint8Array(LONGEST + 1),
  };
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
 * Compute the cost of typing some letters while the first 0, 1, …, L letters of a word are meant.
 *
 * @param {Uint8Array} typed symbols.
 * @param {Uint8Array} word symbols (L), L ≤ LONGEST.
 * @param {number} most nats that matter.
 * @returns {Float64Array} nats, (L + 1) and more, which the next call overwrites; null if all are
 *   more than `most`.
 */
export function channelCosts(channel, typed, word, most) {
  const {substitute, insert, delete: lose, merge, split: parted, first, swapped} = channel;
  const {clusters, size, lost, pairs} = channel;
  const length = word.length;
  let [row, last, second] = channel.rows;
  row[0] = 0;
  let gain = 0;
  let leastBefore = 0;
  for (let j = 1; j <= length; j++) {
    const meant = word[j - 1];
    const before = j > 1 ? word[j - 2] : 0;
    lost[j] = lose[meant * size + before] + (j === 1 ? first : 0);
    pairs[j] = clusters[before * size + meant];
    row[j] = row[j - 1] + lost[j];
    gain += channel.gains[meant];
  }
  for (let i = 0; i < typed.length; i++) {
    [row, last, second] = [second, row, last];
    const letter = typed[i];
    const at = letter * size;
    const previous = i ? typed[i - 1] : 0;
    const pair = clusters[previous * size + letter];
    const begins = i ? 0 : first;
    row[0] = last[0] + insert[at] + begins;
    let least = row[0];
    for (let j = 1, before = 0; j <= length; j++) {
      const meant = word[j - 1];
      const changed = j === 1 && letter !== meant ? begins : 0;
      let cost = Math.min(
        row[j - 1] + lost[j],
        last[j] + insert[at + meant] + begins,
        last[j - 1] + substitute[at + meant] + changed,
      );
      if (pairs[j]) cost = Math.min(cost, last[j - 2] + merge[pairs[j] * size + letter]);
      if (pair) cost = Math.min(cost, second[j - 1] + parted[pair * size + meant]);
      if (letter === before && previous === meant) cost = Math.min(cost, second[j - 2] + swapped);
      row[j] = cost;
      least = Math.min(least, cost);
      before = meant;
    }
    // What follows begins in one of two rows.
    if (Math.min(least, leastBefore) + gain > most) return null;
    leastBefore = least;
  }
  return row;
}
