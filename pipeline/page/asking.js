// Questions to the worker, which holds the model.
//
// The worker answers one at a time. What waits is asked in this order, and a newer question takes
// the place of an older one of its kind: a key never waits for more than the answer under way.

import {$, filled, messages} from "./language.js";

const ORDER = ["suggest", "correct", "knows", "generate", "score"];
const waiting = []; // {question, body, done}
let worker, isReady = false, underWay = null, told;

// Starts the worker; returns whether it has read the model.
export function startWorker() {
  return new Promise(resolve => {
    const failed = sentence => { complain(filled(messages.failed, sentence)); resolve(false); };
    const source = new Blob([$("worker").textContent], {type: "text/javascript"});
    try {
      worker = new Worker(URL.createObjectURL(source));
    } catch (error) {
      return failed(error.message);
    }
    worker.onerror = event => failed(event.message);
    worker.onmessage = ({data}) => {
      if (data.failed) return failed(data.failed);
      if (data.foreseen) return told(data.foreseen);
      if (data.ready) {
        isReady = true;
        resolve(true);
        askNext();
      } else {
        complain(data.error ? filled(messages.failed, data.error) : "");
        answered(data.answer ?? null);
      }
    };
    worker.postMessage({model: $("model").textContent});
    $("model").remove(); // it is large
  });
}
function complain(sentence) {
  if ($("notice").textContent === sentence) return; // said once
  $("notice").textContent = sentence;
  $("notice").hidden = !sentence;
}
function answered(answer) {
  const {done} = underWay;
  underWay = null;
  done(answer);
  askNext();
}
function askNext() {
  if (!isReady || underWay || !waiting.length) return;
  const rank = ({question}) => ORDER.indexOf(question);
  underWay = waiting.reduce((first, other) => rank(other) < rank(first) ? other : first);
  waiting.splice(waiting.indexOf(underWay), 1);
  const {question, body} = underWay;
  worker.postMessage({question, body});
}

// Returns the answer, or null if a newer question of the kind came first, or the model failed.
export function ask(question, body) {
  return new Promise(done => {
    if (question !== "correct" && question !== "knows") { // each word is asked about
      for (const old of waiting.filter(other => other.question === question)) {
        waiting.splice(waiting.indexOf(old), 1);
        old.done(null);
      }
    }
    waiting.push({question, body, done});
    askNext();
  });
}

// Asks for answers to what may be asked next; they come in parts, while nothing else is asked.
export function askAhead(body, tell) {
  told = tell;
  worker.postMessage({question: "foresee", body});
}
