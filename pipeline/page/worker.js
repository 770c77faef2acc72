// The worker: it holds the model, so that typing never waits for it.
//
// Its first message has the packed model in base64: {model}; it is answered by {ready} or {failed}.
// A question {question, body} is answered by {answer} or {error}; "foresee" by {foreseen},
// some answers at a time.

import {QUESTIONS} from "./answers.js";
import {likelyKeys} from "./likely.js";
import {load, unpack} from "./model.js";
import {questionAfter} from "./question.js";
import {read, readAhead} from "./reader.js";

const TOGETHER = 6; // answers in a message

let model, foreseeing = 0;

self.onmessage = async ({data: {question, body, model: packed}}) => {
  if (packed) {
    try {
      model = load(await unpack(packed));
      // What is made but once is made now, and the functions are compiled.
      for (const question of ["suggest", "correct", "knows"]) {
        QUESTIONS[question](model, {text: "", prefix: "a", word: "a"});
      }
      self.postMessage({ready: true});
    } catch (error) {
      self.postMessage({failed: String(error)});
    }
    return;
  }
  if (question === "foresee") return foresee(body);
  try {
    self.postMessage({answer: QUESTIONS[question](model, body)});
  } catch (error) {
    self.postMessage({error: String(error)});
  }
};

/** Answer what may be asked after a question; no other question waits for it. */
async function foresee(question) {
  const mine = ++foreseeing;
  const {tokens} = read(model, question.text);
  while (!readAhead(model, tokens)) {
    await othersAreAnswered();
    if (mine !== foreseeing) return;
  }
  const keys = likelyKeys(model, question);
  let foreseen = [];
  for (const [i, key] of keys.entries()) {
    await othersAreAnswered();
    if (mine !== foreseeing) return;
    const next = questionAfter(question, key);
    foreseen.push([next, QUESTIONS.suggest(model, next)]);
    if (foreseen.length === TOGETHER || i === keys.length - 1) {
      self.postMessage({foreseen});
      foreseen = [];
    }
  }
}

// A message waits behind those that have come; a timer would wait for four ms.
const {port1, port2} = new MessageChannel();
const othersAreAnswered = () => new Promise((done) => {
  port1.onmessage = done;
  port2.postMessage(null);
});
