// Only adds to the page: a search over operations, parameters and errors, and buttons that copy examples.
"use strict";

const search = document.getElementById("search");
const found = document.getElementById("found");
const link = (id) => document.querySelector(`nav li a[href="#${CSS.escape(id)}"]`);

/** What an article is found by: the words at its top, and those of each parameter and error. */
const articles = [...document.querySelectorAll("article")].map((element) => ({
  element,
  item: link(element.id).parentElement,
  top: [...element.firstElementChild.children]
    .filter((each) => each.matches("h3, p"))
    .map((each) => each.textContent)
    .join(" ")
    .toLowerCase(),
  entries: [...element.querySelectorAll("dl > div")].map((entry) => ({ entry, text: entry.textContent.toLowerCase() })),
}));

function show(article, words) {
  const isWhole = words.every((word) => article.top.includes(word));
  let count = 0;
  for (const { entry, text } of article.entries) {
    const isShown = isWhole || words.every((word) => text.includes(word) || article.top.includes(word));
    entry.hidden = !isShown;
    count += isShown;
  }
  const isShown = isWhole || count > 0;
  article.element.hidden = article.item.hidden = !isShown;
  for (const details of article.element.querySelectorAll("details")) {
    const hits = [...details.querySelectorAll("dl > div")].filter((entry) => !entry.hidden).length;
    details.hidden = !isWhole && hits === 0;
    details.open = !isWhole && hits > 0;
  }
  for (const list of article.element.querySelectorAll("h4 + dl")) {
    list.previousElementSibling.hidden = list.querySelector(":scope > div:not([hidden])") === null;
  }
  return isShown;
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const count = articles.filter((article) => show(article, words)).length;
  for (const section of document.querySelectorAll("main > section:has(article)")) {
    const isEmpty = section.querySelector("article:not([hidden])") === null;
    section.hidden = isEmpty;
    document.querySelector(`nav h2 a[href="#${CSS.escape(section.querySelector("h2").id)}"]`).parentElement.hidden = isEmpty;
  }
  document.querySelector(".intro").hidden = words.length > 0;
  found.textContent = words.length === 0 ? "" : count === 1 ? "1 operation" : `${count} operations`;
}

function clear() {
  search.value = "";
  filter();
}

search.addEventListener("input", filter);
search.addEventListener("keydown", (event) => {
  if (event.key === "Escape") clear();
});
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
  event.preventDefault();
  search.focus();
  search.select();
});
addEventListener("hashchange", () => {
  const target = document.getElementById(location.hash.slice(1));
  if (!target?.closest("[hidden]")) return;
  clear();
  target.scrollIntoView();
});

for (const example of document.querySelectorAll(".example")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    const code = example.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch { // over plain HTTP a browser lends no clipboard
      getSelection().selectAllChildren(code);
      button.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  example.append(button);
}

search.closest(".search").hidden = false;
filter(); // a browser may bring back what was typed
