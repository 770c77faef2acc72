// The worker: it holds the model, so that typing never waits for it.
//
// Its first message has the packed model in base64: {model}; it is answered by {ready, corrects} or
// {failed}. A question {id, question, body} is answered by {id, answer} or {id, error}.

import {QUESTIONS} from "./answers.js";
import {load, unpack} from "./model.js";
import {wordsOf} from "./words.js";

let model;

self.onmessage = async ({data: {id, question, body, model: packed}}) => {
  if (packed) {
    try {
      model = load(await unpack(packed));
      wordsOf(model);
      self.postMessage({ready: true, corrects: "correct" in QUESTIONS});
    } catch (error) {
      self.postMessage({failed: String(error)});
    }
    return;
  }
  try {
    self.postMessage({id, answer: QUESTIONS[question](model, body)});
  } catch (error) {
    self.postMessage({id, error: String(error)});
  }
};
