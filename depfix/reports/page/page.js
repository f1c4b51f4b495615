"use strict";
// The page's own words, colours, filters, sorting and printing. All that it says is in the HTML already.
const depfixPage = (() => {
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const STEP = 50; // findings that are shown at once
  const NAMED = ["aria-label", "placeholder", "data-label"]; // attributes with words in them
  let language = root.dataset.language;

  // --- words ---

  function say(key, ...values) {
    const text = data.words[language][key];
    if (text === undefined) return key;
    const forms = text.split("|");
    const form = values.length && forms.length > 1 && String(values[0]) !== "1" ? forms[1] : forms[0];
    return form.replace(/\{(\d)\}/g, (_, index) => values[index]);
  }

  function translate(within = document) {
    for (const element of all("[data-words]", within)) {
      const values = element.dataset.values ? JSON.parse(element.dataset.values) : [];
      element.textContent = say(element.dataset.words, ...values) + (element.dataset.after || "");
    }
    for (const element of all("[data-said]", within)) {
      element.textContent = JSON.parse(element.dataset.said)[language];
      element.lang = language === "zh" ? "zh-CN" : "en";
    }
    for (const name of NAMED) {
      for (const element of all(`[data-words-${name}]`, within)) {
        const values = element.getAttribute(`data-values-${name}`);
        element.setAttribute(name, say(element.getAttribute(`data-words-${name}`), ...JSON.parse(values || "[]")));
      }
    }
  }

  function speak(chosen) {
    language = chosen;
    root.lang = chosen === "zh" ? "zh-CN" : "en";
    root.dataset.language = chosen;
    byId("language").lang = chosen === "zh" ? "en" : "zh-CN";
    translate();
    nameTheme();
    if (cards.length) showCards();
    document.dispatchEvent(new Event("depfix-language"));
  }

  function firstLanguage() {
    const kept = recall("depfix-language");
    if (kept in data.words) return kept;
    for (const wanted of navigator.languages || [navigator.language]) {
      const short = String(wanted).slice(0, 2).toLowerCase();
      if (short in data.words) return short;
    }
    return language;
  }

  function recall(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // no storage: choices last as long as the page
    }
  }

  function remember(key, value) {
    try {
      localStorage.setItem(key, value);
    } catch {
      // as above
    }
  }

  // --- colours ---

  const THEMES = ["auto", "light", "dark"];

  function theme() {
    return root.dataset.theme || "auto";
  }

  function nameTheme() {
    const words = say("theme", say(`theme.${theme()}`));
    byId("theme").setAttribute("aria-label", words);
    byId("theme").title = words;
  }

  function nextTheme() {
    const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    remember("depfix-theme", next);
    nameTheme();
    document.dispatchEvent(new Event("depfix-theme"));
  }

  // --- findings ---

  const cards = all("#cards > .card");
  const texts = new Map(); // card: its text in lower case, made when it is first searched
  let limit = STEP;
  let quietly = false; // while many are opened at once

  function textOf(card) {
    if (!texts.has(card)) texts.set(card, `${card.textContent} ${card.dataset.component}`.toLowerCase());
    return texts.get(card);
  }

  function matching() {
    const wanted = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const severities = new Set(all(".chip[aria-pressed=true]").map((chip) => chip.dataset.severity));
    const value = (id) => (byId(id) ? byId(id).value : "");
    const [rule, confidence, component] = ["rule", "confidence", "component"].map(value);
    return cards.filter(
      (card) =>
        severities.has(card.dataset.severity) &&
        (!rule || card.dataset.rule === rule) &&
        (!confidence || card.dataset.confidence === confidence) &&
        (!component || `=${card.dataset.component}` === component) &&
        wanted.every((word) => textOf(card).includes(word)),
    );
  }

  function showCards() {
    const found = matching();
    const shown = new Set(found.slice(0, limit));
    for (const card of cards) {
      if (card.hidden === shown.has(card)) card.hidden = !shown.has(card);
    }
    byId("cards").classList.add("filtered");
    byId("shown").textContent = say("findings.shown", shown.size, cards.length);
    byId("no-match").hidden = found.length > 0;
    byId("more").hidden = found.length <= limit;
    byId("more").textContent = say("more", Math.min(STEP, found.length - limit));
    byId("clear").hidden = !isFiltered();
  }

  function isFiltered() {
    const chosen = all("#filters select, #search").some((field) => field.value);
    return chosen || all(".chip").some((chip) => (chip.getAttribute("aria-pressed") === "true") !== isUsual(chip));
  }

  // What is merely possible is shown on request, unless there is nothing else.
  function isUsual(chip) {
    return chip.dataset.severity !== "info" || all(".chip").length === 1;
  }

  function usual() {
    for (const chip of all(".chip")) chip.setAttribute("aria-pressed", String(isUsual(chip)));
    for (const field of all("#filters select, #search")) field.value = "";
    limit = STEP;
    showCards();
  }

  function refilter() {
    limit = STEP;
    showCards();
  }

  function reveal(number) {
    const card = byId(`finding-${number}`);
    if (!card) return;
    if (card.hidden) {
      for (const chip of all(".chip")) chip.setAttribute("aria-pressed", "true");
      for (const field of all("#filters select, #search")) field.value = "";
      limit = Math.max(limit, cards.indexOf(card) + 1);
      showCards();
    }
    card.querySelector("details").open = true;
    card.scrollIntoView({ block: "center" });
    card.querySelector("summary").focus({ preventScroll: true });
  }

  function opened(details) {
    const card = details.closest(".card");
    if (!card || !details.open) return;
    explain(card);
    if (!quietly) document.dispatchEvent(new CustomEvent("depfix-open", { detail: numberOf(card) }));
  }

  const numberOf = (card) => Number(card.id.slice("finding-".length));

  // The text of a rule stands once in the page; a finding gets its own copy when it is opened.
  function explain(card) {
    const about = card.querySelector(".about");
    const rule = byId(`rule-${card.dataset.rule}`);
    if (about.querySelector("dl") || !rule) return;
    about.append(rule.querySelector("dl").cloneNode(true));
  }

  function expandAll(button) {
    const open = button.getAttribute("aria-pressed") !== "true";
    quietly = true;
    for (const card of cards) if (!card.hidden) card.querySelector("details").open = open;
    setTimeout(() => { quietly = false; }, 200); // `toggle` events come later
    button.setAttribute("aria-pressed", String(open));
    button.firstElementChild.dataset.words = open ? "collapse" : "expand";
    translate(button);
  }

  function walk(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || !event.target.matches(".card summary")) return;
    const shown = all("#cards > .card:not([hidden]) > details > summary");
    const wanted = shown.indexOf(event.target) + steps[event.key];
    shown[Math.max(0, Math.min(shown.length - 1, wanted))].focus();
    event.preventDefault();
  }

  // --- commands ---

  async function copy(button) {
    const text = button.previousElementSibling.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(button.previousElementSibling);
      if (!document.execCommand("copy")) return;
      getSelection().removeAllRanges();
    }
    button.textContent = say("copied");
    setTimeout(() => { button.textContent = say("copy"); }, 1600);
  }

  // --- table ---

  function sort(button) {
    const table = button.closest("table");
    const column = Number(button.dataset.column);
    const head = button.closest("th");
    const numbers = head.classList.contains("number");
    const known = head.getAttribute("aria-sort");
    const down = known ? known === "ascending" : numbers;
    const value = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
    const compare = (one, other) =>
      numbers ? value(one) - value(other) : value(one).localeCompare(value(other), undefined, { numeric: true });
    const rows = Array.from(table.tBodies[0].rows).sort((one, other) => (down ? -1 : 1) * compare(one, other));
    for (const each of all("th[aria-sort]", table)) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    table.tBodies[0].append(...rows);
  }

  // --- printing: everything opened ---

  let closed = [];
  let screenTheme;

  // The graph is painted before the printer's colours hold.
  function paint(chosen) {
    if (chosen === undefined) delete root.dataset.theme;
    else root.dataset.theme = chosen;
    document.dispatchEvent(new Event("depfix-theme"));
  }

  function openForPrint() {
    screenTheme = root.dataset.theme;
    paint("light");
    quietly = true;
    closed = all("details:not([open])");
    for (const details of closed) details.open = true;
  }

  function closeAfterPrint() {
    for (const details of closed) details.open = false;
    closed = [];
    paint(screenTheme);
    setTimeout(() => { quietly = false; }, 200);
  }

  // --- start ---

  function listen() {
    byId("language").addEventListener("click", () => {
      speak(language === "en" ? "zh" : "en");
      remember("depfix-language", language);
    });
    byId("theme").addEventListener("click", nextTheme);
    document.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (button.classList.contains("copy")) copy(button);
      else if (button.dataset.column) sort(button);
    });
    addEventListener("beforeprint", openForPrint);
    addEventListener("afterprint", closeAfterPrint);
    if (cards.length) listenToFindings();
  }

  function listenToFindings() {
    const filters = byId("filters");
    filters.addEventListener("submit", (event) => event.preventDefault());
    filters.addEventListener("input", refilter);
    for (const chip of all(".chip")) {
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
        refilter();
      });
    }
    byId("clear").addEventListener("click", () => {
      usual();
      byId("search").focus();
    });
    byId("search").addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !event.target.value) return;
      event.target.value = "";
      refilter();
    });
    byId("expand").addEventListener("click", (event) => expandAll(event.currentTarget));
    byId("more").addEventListener("click", () => {
      const first = matching()[limit];
      limit += STEP;
      showCards();
      first.querySelector("summary").focus();
    });
    byId("cards").addEventListener("toggle", (event) => opened(event.target), true);
    byId("cards").addEventListener("keydown", walk);
  }

  listen();
  if (cards.length) usual();
  speak(firstLanguage());
  const aimed = /^#finding-(\d+)$/.exec(location.hash);
  if (aimed) reveal(Number(aimed[1]));
  return { data, say, all, byId, reveal, numberOf, cards };
})();
