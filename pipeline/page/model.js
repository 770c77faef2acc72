// The packed model: see pack in weights.py.
import {withMultiply} from "./multiply.js";
import {compile} from "./tokenizer.js";

const TYPES = {
  int8: Int8Array, uint8: Uint8Array, int16: Int16Array, int32: Int32Array, float32: Float32Array,
};

/** Return the bytes of a packed model from its base64, which stands in the page. */
export async function unpack(base64) {
  const letters = atob(base64.trim());
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * Read a model from its bytes.
 *
 * @param {Uint8Array} packed
 * @returns {object} the header; arrays: name → typed array, with shape; multiply, see multiply.js;
 *   and what is made of them: vocabulary.displays (V), vocabulary.ids: token → id, and rules, see
 *   tokenizer.js.
 */
export function load(packed) {
  const length = new DataView(packed.buffer, packed.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(packed.subarray(4, 4 + length)));
  const sizes = Object.values(header.arrays).flatMap(({shape}) => shape);
  const {bytes: {buffer, byteOffset}, multiply} = withMultiply(packed, Math.max(...sizes));
  const start = byteOffset + 4 + length;
  const arrays = {};
  for (const [name, { dtype, shape, offset }] of Object.entries(header.arrays)) {
    const size = shape.reduce((product, n) => product * n, 1);
    arrays[name] = new TYPES[dtype](buffer, start + offset, size);
    arrays[name].shape = shape;
  }
  const { tokens, displays, ...choices } = header.vocabulary;
  const vocabulary = {
    ...choices,
    tokens,
    displays: tokens.map((token, id) => displays[id] ?? token),
    ids: new Map(tokens.map((token, id) => [token, id])),
  };
  return { ...header, arrays, multiply, vocabulary, rules: compile(header.patterns) };
}
