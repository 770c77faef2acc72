// Answers to the likely next keys: the worker gives them while a person has pressed none, so that the
// suggestions are there with the letter.

import {askAhead} from "./asking.js";

let foreseen = new Map(); // a question → its answer

const nameOf = ({text, prefix}) => `${text}\0${prefix}`;
export const foreseenAnswer = question => foreseen.get(nameOf(question));

export function foresee(question) {
  foreseen = new Map();
  askAhead(question, answers => {
    for (const [question, answer] of answers) foreseen.set(nameOf(question), answer);
  });
}
