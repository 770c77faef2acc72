// Text that the model writes.

import {ask} from "./asking.js";
import {CLOSING, contextAt, field, text, write} from "./field.js";
import {$, messages, number, say} from "./language.js";

const still = matchMedia("(prefers-reduced-motion: reduce)");
let run = null; // the object of the run that writes, or null

export function labelWriting() {
  $("write").textContent = run ? messages.stop : messages.start;
}
export function stopWriting() {
  if (!run) return;
  run = null;
  labelWriting();
}
function append(string) {
  // The model knows where spaces go, but cannot take one back.
  const from = CLOSING.test(string) && text.endsWith(" ") ? text.length - 1 : text.length;
  write(from, text.length, string, "written");
}
async function writeOn() {
  const mine = run = {};
  labelWriting();
  // There any key stops it, and the browser can undo; on a phone it would show another keyboard.
  if (!matchMedia("(pointer: coarse)").matches) field.focus();
  say(messages.writing);
  for (let left = 20, silent = 0; left && silent < 3; left--) {
    const answer = await ask("generate", {
      text: contextAt(text.length), length: 6, temperature: Number($("temperature").value),
      seed: Math.floor(Math.random() * 2 ** 31)});
    if (!answer || run !== mine) break;
    const strings = answer.text.match(/\s*\S+|\s+$/g) ?? [];
    silent = strings.length ? 0 : silent + 1;
    for (const string of strings) {
      if (run !== mine) return;
      append(string);
      if (!still.matches) await new Promise(done => setTimeout(done, 90));
    }
  }
  if (run !== mine) return;
  stopWriting();
  say(messages.stopped);
}
$("write").addEventListener("click", () => {
  if (run) { stopWriting(); say(messages.stopped); } else writeOn();
});
export function showTemperature() {
  $("degrees").textContent = number.format($("temperature").value);
}
$("temperature").addEventListener("input", showTemperature);
