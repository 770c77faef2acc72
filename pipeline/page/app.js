// The page: what follows when the text, the caret or the language changes.

import {startWorker} from "./asking.js";
import {CLOSES, field, readField, showKeys, text, write} from "./field.js";
import {beforeFrame} from "./frame.js";
import {install} from "./install.js";
import {buildKeyboard, showKeyboard} from "./keyboard.js";
import {$, filled, keep, messages, otherLanguage, preferredLanguage, say, translate, whole}
  from "./language.js";
import {correctWords, finishWord, keepWords, moveMarks, showMeant} from "./meant.js";
import {chosen, isAsked, offer, offers, showOffers, take} from "./offers.js";
import {countPersonal, forgetPersonal, openPersonal, personalWords} from "./personal.js";
import {forgetPieces, paint, scoreSoon, showBubble, showEnd, showLegend, wordAt}
  from "./surprise.js";
import {labelWriting, showTemperature, stopWriting} from "./writing.js";

function speak(language) {
  translate(language);
  field.placeholder = messages.placeholder;
  $("language").textContent = messages.other;
  $("language").lang = otherLanguage();
  labelWriting();
  buildKeyboard();
  showKeyboard(!$("keyboard").hidden);
  showTemperature();
  showKeys();
  showOffers(offers);
  showMeant();
  showLegend();
  showPersonal();
  beforeFrame(paint);
}
$("language").addEventListener("click", () => {
  const language = otherLanguage();
  keep("language", language);
  speak(language);
});

// The text changes

const FINISHES = new RegExp(`^[\\s${CLOSES}"]$`);
field.addEventListener("written", ({detail: {start, end, by, added, hand}}) => {
  offer({quiet: hand === "written"}); // the worker answers while the rest is done
  moveMarks(end, by);
  forgetPieces(start);
  if (!text) chosen.clear();
  if (hand !== "written") stopWriting();
  showBubble();
  for (const work of [paint, showEnd, showMeant]) beforeFrame(work);
  scoreSoon();
  if (hand === "typed" && FINISHES.test(added)) finishWord();
});
field.addEventListener("marked", () => { beforeFrame(paint); showMeant(); });
$("clear").addEventListener("click", () => {
  field.focus();
  keepWords({all: true});
  if (text) write(0, text.length, "", "typed");
});

// The caret moves, and keys that are no letters

let leaving = false;
field.addEventListener("keydown", event => {
  if (event.isComposing) return;
  const plain = !event.ctrlKey && !event.altKey && !event.metaKey && !event.shiftKey;
  if (event.key === "Escape") {
    leaving = true;
    stopWriting();
    showBubble();
    say(messages.leaving);
  } else if (event.key === "Tab" && plain && !leaving) {
    if (!offers || offers.length) event.preventDefault();
    take(0);
  } else if (event.altKey && /^Digit[0123]$/.test(event.code)) {
    const i = Number(event.code.at(-1));
    const button = $(i ? "offers" : "meant").querySelector(`[aria-keyshortcuts="Alt+${i}"]`);
    // Where it takes nothing, or types a letter of the keyboard's own, it stays what it is.
    if (!button?.textContent || /^[ºª¹²³]$/.test(event.key)) return;
    event.preventDefault();
    button.click();
  } else if (event.key !== "Tab") {
    leaving = false;
    if (!/^(Control|Alt|Meta|Shift|CapsLock)$/.test(event.key)) stopWriting();
  }
});
field.addEventListener("pointerdown", stopWriting);
field.addEventListener("blur", () => { leaving = false; showBubble(); });
document.addEventListener("selectionchange", moved);
field.addEventListener("keyup", moved);
field.addEventListener("click", moved);
function moved() {
  if (document.activeElement !== field || isAsked()) return;
  if (field.value !== text) return; // an input event is on its way
  const word = wordAt(field.selectionStart);
  offer({quiet: word});
  showBubble(word);
  const mark = showMeant(), wrong = word && mark?.start === word.start && mark.word === mark.typed;
  if (!word) return;
  say(`{}: ${word.told}${wrong ? `; ${messages.maybe}` : ""}`, [word.string, mark?.words[0]], 400);
}

// Personal words

function showPersonal() {
  const all = personalWords(), once = countPersonal() - all.length;
  $("own-count").textContent =
    filled(messages.ownWords, whole.format(all.length), whole.format(once));
  $("own-words").replaceChildren(...all.map(({key, word}) => {
    const item = document.createElement("li"), button = document.createElement("button");
    item.lang = "pt-BR";
    button.type = "button";
    button.textContent = "×";
    button.setAttribute("aria-label", filled(messages.forgetOne, word));
    button.addEventListener("click", () => {
      forgetPersonal(key);
      $("forget").focus();
    });
    item.append(word, button);
    return item;
  }));
}
field.addEventListener("learned", showPersonal);
$("forget").addEventListener("click", () => {
  forgetPersonal();
  say(messages.forgotten);
});

async function start() {
  speak(preferredLanguage());
  readField(); // what the browser kept from before a reload
  openPersonal().then(isKept => { $("unsaved").hidden = isKept; showPersonal(); });
  install();
  const isReady = await startWorker();
  $("loading").hidden = true;
  if (!isReady) return;
  $("offers").hidden = false;
  correctWords();
  offer();
  scoreSoon();
}
start();
