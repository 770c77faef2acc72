// Personal words: those that the model does not know and a person keeps using. They never leave the
// browser. From its second use on, a word is completed when its first two letters are typed.

import {field} from "./field.js";

export const USES = 2;
const LEAST_LETTERS = 2;
const WORD = /^\p{L}[\p{L}\p{M}'’-]+$/u;

const own = new Map(); // a word in lower case → {key, word, uses}
let database = null; // where the browser keeps none, words are kept as long as the page is open

const settled = request => new Promise((done, fail) => {
  request.onsuccess = () => done(request.result);
  request.onerror = () => fail(request.error);
});
const storeOf = (kept, mode) => kept.transaction("words", mode).objectStore("words");
function alter(how) {
  if (!database) return;
  const store = storeOf(database, "readwrite");
  how(store);
  store.transaction.commit(); // at once: the page may be left
}

// Reads the words that were kept; returns whether the browser keeps any.
export async function openPersonal() {
  try {
    const request = indexedDB.open("nextword", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("words", {keyPath: "key"});
    const kept = await settled(request);
    const entries = await settled(storeOf(kept, "readonly").getAll());
    const early = [...own.values()]; // learned meanwhile
    database = kept;
    own.clear();
    for (const entry of entries) own.set(entry.key, entry);
    for (const {word, uses} of early) keepPersonal(word, {uses});
  } catch {
    database = null;
  }
  return database !== null;
}
export function keepPersonal(word, {uses, begins = false}) {
  const key = word.toLowerCase(), old = own.get(key);
  // Where a sentence begins, a capital letter tells nothing.
  const entry = {key, word: old && begins ? old.word : word, uses: (old?.uses ?? 0) + uses};
  own.set(key, entry);
  alter(store => store.put(entry));
}
// Forgets one word, in lower case, or all of them, in other tabs as well.
export function forgetPersonal(key) {
  forget(key);
  alter(store => key ? store.delete(key) : store.clear());
  tabs.postMessage(key);
}
function forget(key) {
  if (key) own.delete(key); else own.clear();
  field.dispatchEvent(new Event("learned"));
}
const tabs = new BroadcastChannel("nextword");
tabs.onmessage = ({data}) => forget(data);
export const mayBePersonal = word => WORD.test(word);
export const isPersonal = word => own.get(word.toLowerCase())?.uses >= USES;
export const countPersonal = () => own.size;
export const personalWords = () => [...own.values()].filter(entry => entry.uses >= USES)
  .sort((a, b) => b.uses - a.uses || a.word.localeCompare(b.word, "pt-BR"));

// Accents may lack, but those that are typed are meant.
function isBegun(word, typed) {
  const letters = [...word.toLowerCase()], begun = [...typed.toLowerCase()];
  return word.toLowerCase() !== typed.toLowerCase() && begun.length <= letters.length
    && begun.every((t, i) => t === letters[i] || t === letters[i].normalize("NFD")[0]);
}
function inCaseOf(typed, word, starts) {
  if (typed === typed.toLowerCase() && !starts) return word;
  const isCapital = typed.length > 1 && typed === typed.toUpperCase();
  return isCapital ? word.toUpperCase() : word[0].toUpperCase() + word.slice(1);
}

// Adds the personal words that begin with what is typed to the model's suggestions, {word, kind}: they
// stand behind its two best completions, and before words that are none. Where a sentence starts they
// have a capital.
export function withPersonal(suggestions, typed, starts) {
  const apart = suggestions.filter(({kind}) => kind !== "similar" || !isPersonal(typed));
  if ([...typed].length < LEAST_LETTERS) return apart;
  const there = new Set(apart.map(({word}) => word.toLowerCase()));
  const personal = personalWords()
    .filter(({key, word}) => isBegun(word, typed) && !there.has(key))
    .map(({word}) => ({word: inCaseOf(typed, word, starts), kind: "completion"}));
  const completions = apart.filter(({kind}) => kind === "completion");
  const others = apart.filter(({kind}) => kind !== "completion");
  return [...completions.slice(0, 2), ...personal, ...completions.slice(2), ...others];
}
