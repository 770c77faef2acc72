// One step of the recurrent network, h' = f₁(x, h), and the probabilities after it, f₂(h).
// Names and order of the weights: weights_of in weights.py.

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** Return the network's state before a text: for each layer [h] or, of an LSTM, [h, c]. */
export function begin({ config }) {
  const { cell, layers, units, context, embedding } = config;
  const size = cell === "feedforward" ? context * embedding : units;
  const parts = cell === "lstm" ? 2 : 1;
  return Array.from({ length: layers }, () =>
    Array.from({ length: parts }, () => new Float32Array(size)));
}

/** Return the state after the token of an id. */
export function step(model, state, id) {
  let x = row(model, "embedding", id);
  const after = [];
  for (const [i, before] of state.entries()) {
    after.push(CELLS[model.config.cell](model, `layer.${i}`, x, before));
    x = after[i][0];
  }
  return after;
}

/** Return p of each id of the vocabulary after a state, Float32Array (V). */
export function probabilities(model, state) {
  const p = logits(model, state);
  const most = largest(p);
  let total = 0;
  for (let i = 0; i < p.length; i++) total += p[i] = Math.exp(p[i] - most);
  for (let i = 0; i < p.length; i++) p[i] /= total;
  return p;
}

/** Return −ln p of an id after a state, in nats. */
export function surprise(model, state, id) {
  const y = logits(model, state);
  const most = largest(y);
  let total = 0;
  for (const value of y) total += Math.exp(value - most);
  return Math.log(total) + most - y[id];
}

function logits(model, state) {
  let x = state.at(-1)[0];
  for (let i = 0; `readout.${i}.kernel` in model.arrays; i++) {
    x = add(multiply(model, `readout.${i}.kernel`, x), model.arrays[`readout.${i}.bias`]);
    // The hidden layer of a feedforward network.
    if (i === 0 && model.config.cell === "feedforward") x = x.map(Math.tanh);
  }
  const matrix = "output" in model.arrays ? "output" : "embedding";
  return add(multiply(model, matrix, x), model.arrays.output_bias);
}

const CELLS = {
  // h' = tanh(W x + U h + b)
  simple_rnn(model, name, x, [h]) {
    return [gates(model, name, x, h).map(Math.tanh)];
  },

  // c' = f c + i g, h' = o tanh c'; gates in Keras's order i, f, g, o.
  lstm(model, name, x, [h, c]) {
    [x, h] = mogrify(model, name, x, h);
    const a = gates(model, name, x, h);
    const n = c.length;
    const after = [new Float32Array(n), new Float32Array(n)];
    for (let j = 0; j < n; j++) {
      const input = sigmoid(a[j]) * Math.tanh(a[2 * n + j]);
      after[1][j] = sigmoid(a[n + j]) * c[j] + input;
      after[0][j] = sigmoid(a[3 * n + j]) * Math.tanh(after[1][j]);
    }
    return after;
  },

  // h' = z h + (1 − z) g with g = tanh(a_g + r m_g); in Keras's order z, r, g.
  gru(model, name, x, [h]) {
    const n = h.length;
    const bias = model.arrays[`${name}.bias`]; // (2, 3 H): of the input, of the state
    const a = add(multiply(model, `${name}.kernel`, x), bias.subarray(0, 3 * n));
    const m = add(multiply(model, `${name}.recurrent`, h), bias.subarray(3 * n));
    return [h.map((before, j) => {
      const z = sigmoid(a[j] + m[j]);
      const r = sigmoid(a[n + j] + m[n + j]);
      return z * before + (1 - z) * Math.tanh(a[2 * n + j] + r * m[2 * n + j]);
    })];
  },

  // The vectors of the last words, oldest first.
  feedforward(model, name, x, [window]) {
    const after = new Float32Array(window.length);
    after.set(window.subarray(x.length));
    after.set(x, window.length - x.length);
    return [after];
  },
};

/** Return W x + U h + b. */
function gates(model, name, x, h) {
  const a = add(multiply(model, `${name}.kernel`, x), model.arrays[`${name}.bias`]);
  return add(a, multiply(model, `${name}.recurrent`, h));
}

/** Return input and state after they have gated each other: x ← 2 σ(Q h) x, h ← 2 σ(R x) h, … */
function mogrify(model, name, x, h) {
  for (let round = 1; round <= model.config.mogrifier; round++) {
    const gate = multiply(model, `${name}.gate.${round}`, round % 2 ? h : x);
    const gated = (value, j) => 2 * sigmoid(gate[j]) * value;
    if (round % 2) x = x.map(gated);
    else h = h.map(gated);
  }
  return [x, h];
}

function largest(a) {
  let most = a[0];
  for (const value of a) if (value > most) most = value;
  return most;
}

function add(a, b) {
  for (let j = 0; j < a.length; j++) a[j] += b[j];
  return a;
}

/** Return a row of a rounded matrix, Float32Array (C). */
function row({ arrays }, name, index) {
  const matrix = arrays[name];
  const columns = matrix.shape[1];
  const scale = arrays[`${name}.scale`][index];
  return Float32Array.from(matrix.subarray(index * columns, (index + 1) * columns), (v) => v * scale);
}

/** Return a rounded matrix (R, C) times x (C), Float32Array (R). */
function multiply(model, name, x) {
  return model.multiply(model.arrays[name], model.arrays[`${name}.scale`], x);
}
