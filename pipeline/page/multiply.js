// A rounded matrix times a vector, by WebAssembly's SIMD instructions where a browser has them.

// multiply.wat, assembled by wat2wasm.
const CODE =
  "AGFzbQEAAAABCgFgBn9/f39/fwACEQEFbW9kZWwGbWVtb3J5AgABAwIBAAcMAQhtdWx0aXBseQAACpwCAZkCAwR/A3sB" +
  "fSADIARBAnRqIQYDQCACIQkgACAFaiEHIAAgBUF4cWohCP0MAAAAAAAAAAAAAAAAAAAAACEL/QwAAAAAAAAAAAAAAAAA" +
  "AAAAIQwCQANAIAAgCEYNASAA/QEDACEKIAsgCv2nAf36ASAJ/QAEAP3mAf3kASELIAwgCv2oAf36ASAJ/QAEEP3mAf3k" +
  "ASEMIABBCGohACAJQSBqIQkMAAsLIAsgDP3kASELIAv9HwAgC/0fAZIgC/0fAiAL/R8DkpIhDQJAA0AgACAHRg0BIA0g" +
  "ACwAALIgCSoCAJSSIQ0gAEEBaiEAIAlBBGohCQwACwsgAyANIAEqAgCUOAIAIAFBBGohASADQQRqIQMgAyAGSQ0ACwsA" +
  "qwEEbmFtZQJnAQAOAAZtYXRyaXgBBnNjYWxlcwIGdmVjdG9yAwdwcm9kdWN0BARyb3dzBQdjb2x1bW5zBgNlbmQHB3Jv" +
  "d19lbmQICmVpZ2h0c19lbmQJAXgKBWVpZ2h0CwNsb3cMBGhpZ2gNA3N1bQM7AQAFAAhuZXh0X3JvdwEIbm9fZWlnaHQC" +
  "Cm5leHRfZWlnaHQDCW5vX2NvbHVtbgQLbmV4dF9jb2x1bW4=";
const MEMORY_PAGE = 2 ** 16; // bytes

/**
 * Return bytes and a function that multiplies the matrices in them.
 *
 * @param {Uint8Array} bytes
 * @param {number} most rows or columns of a matrix.
 * @returns {object} bytes, the given ones or a copy; multiply, of a matrix and the scales of its
 *   rows, both views on these bytes, and of a vector: (R, C) · (C) = Float32Array (R).
 */
export function withMultiply(bytes, most) {
  try {
    return inWebAssembly(bytes, most);
  } catch {
    return {bytes, multiply: multiplyPlainly};
  }
}

function inWebAssembly(bytes, most) {
  const vector = 4 * Math.ceil(bytes.length / 4), product = vector + 4 * most;
  const memory = new WebAssembly.Memory({initial: Math.ceil((product + 4 * most) / MEMORY_PAGE)});
  const code = new WebAssembly.Module(Uint8Array.from(atob(CODE), (c) => c.charCodeAt(0)));
  const {exports} = new WebAssembly.Instance(code, {model: {memory}});
  const copy = new Uint8Array(memory.buffer, 0, bytes.length);
  copy.set(bytes);
  return {
    bytes: copy,
    multiply(matrix, scales, x) {
      const [rows, columns] = matrix.shape;
      new Float32Array(memory.buffer, vector, columns).set(x);
      exports.multiply(matrix.byteOffset, scales.byteOffset, vector, product, rows, columns);
      return new Float32Array(memory.buffer, product, rows).slice();
    },
  };
}

function multiplyPlainly(matrix, scales, x) {
  const columns = matrix.shape[1];
  return Float32Array.from(scales, (scale, r) => {
    let sum = 0;
    for (let j = 0, at = r * columns; j < columns; j++) sum += matrix[at + j] * x[j];
    return sum * scale;
  });
}
