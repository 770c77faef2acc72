// What the page asks the worker.

import {complete} from "./complete.js";
import {correct} from "./correct.js";
import {generate} from "./generate.js";
import {score} from "./score.js";
import {after, read} from "./reader.js";
import {suggest} from "./suggest.js";

/** Questions by name: functions of the model and the body of a question, both ways plain data. */
export const QUESTIONS = {
  suggest(model, {text, prefix}) {
    const before = read(model, text), {starts} = before;
    if (prefix) {
      const next = (id) => after(model, before.place, id).p;
      return {...complete(model, before, prefix, next), starts};
    }
    const answer = suggest(model, text);
    return {...answer, kinds: answer.words.map(() => "completion"), starts};
  },
  correct: (model, {text, word}) => correct(model, read(model, text), word),
  knows: (model, {text, word}) => ({known: knows(model, word), starts: read(model, text).starts}),
  score: (model, {text, pieces}) => score(model, text, pieces),
  generate: (model, {text, ...sampling}) => ({text: generate(model, text, sampling)}),
};

/** Return whether a word is one of the model's, of its vocabulary or its lexicon. */
function knows(model, word) {
  model.known ??= new Set([...model.vocabulary.tokens, ...model.lexicon].map((w) => w.toLowerCase()));
  return model.known.has(word.toLowerCase());
}
