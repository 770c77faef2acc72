// Answers to the next key, whichever it is: the worker gives them while a person has not pressed it
// yet, so that the suggestions are there with the letter.

import {ask} from "./asking.js";
import {questionAfter} from "./question.js";

// By their frequency in Portuguese.
const BY_FREQUENCY = "aeosrindmutclpvghqbfzjxãçáéíêóõúàâôkwy";

let foreseen = new Map(); // a question → its answer

const nameOf = ({text, prefix}) => `${text}\0${prefix}`;
export const foreseenAnswer = question => foreseen.get(nameOf(question));

export async function foresee(question, answer, begins) {
  const mine = foreseen = new Map();
  let keys = likelyKeys(question, answer, begins);
  while (keys.length) {
    const answers = await ask("foresee", {...question, keys});
    if (!answers || mine !== foreseen) return;
    answers.forEach((answer, i) => mine.set(nameOf(questionAfter(question, keys[i])), answer));
    keys = keys.slice(answers.length);
  }
}
// The letters of the suggestions first. Each mark is a step of the network, so only those are asked
// for that follow what may be a word.
function likelyKeys({text, prefix}, {words, kinds}, begins) {
  const next = words.map(word => word[prefix.length] ?? " "), capitals = BY_FREQUENCY.toUpperCase();
  const isWord = words.includes(prefix) || !kinds.includes("completion");
  const keys = prefix ? [isWord ? " ,." : " ", BY_FREQUENCY]
    : [/\S$/.test(text) ? " \n" : "", ...(begins ? [capitals, BY_FREQUENCY] : [BY_FREQUENCY, capitals])];
  return [...new Set(next.concat(...keys.map(some => Array.from(some))))];
}
