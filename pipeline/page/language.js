// The language of the page, and what is said to those who do not see it.

import {MESSAGES} from "./messages.js";

export const $ = id => document.getElementById(id);
export let messages, percent, number, whole;

export const otherLanguage = () =>
  Object.keys(MESSAGES).find(language => language !== document.documentElement.lang);

export const filled = (message, ...strings) =>
  message.split("{}").reduce((said, part, i) => said + strings[i - 1] + part);

export function translate(language) {
  document.documentElement.lang = language;
  messages = MESSAGES[language];
  percent = new Intl.NumberFormat(language, {style: "percent", maximumFractionDigits: 1});
  number = new Intl.NumberFormat(language, {maximumSignificantDigits: 2});
  whole = new Intl.NumberFormat(language, {maximumFractionDigits: 0});
  for (const element of document.querySelectorAll("[data-text]")) {
    element.innerHTML = messages[element.dataset.text]; // ours, with elements of ours
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", messages[element.dataset.label]);
  }
}

export function preferredLanguage() {
  const ours = Object.keys(MESSAGES), short = language => language?.slice(0, 2).toLowerCase();
  return [kept("language"), ...navigator.languages]
    .map(language => ours.find(own => short(own) === short(language))).find(Boolean) ?? "en";
}

// A browser may allow no storage.
export function kept(setting) {
  try { return localStorage.getItem(setting); } catch { return null; }
}
export function keep(setting, value) {
  try { localStorage.setItem(setting, value); } catch {}
}

let saying;
export function say(message, spoken = [], after = 0) {
  clearTimeout(saying);
  saying = setTimeout(() => fill($("said"), message, ...spoken), after);
}

// The words of the text are Portuguese, whatever the language of the message is.
export function fill(element, message, ...spoken) {
  element.replaceChildren(...message.split("{}").flatMap((part, i) => {
    if (!i) return [part];
    const span = document.createElement("span");
    span.lang = "pt-BR";
    span.textContent = spoken[i - 1];
    return [span, part];
  }));
}
