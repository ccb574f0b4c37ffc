// The gallery moves within a window of pages: those near it are there, those far are empty and keep their place. Without
// this, each page has its links.
import { announce } from "../app.js";
import { openLightbox } from "./lightbox.js";
import { previews } from "./preview.js";
import { selection } from "./selection.js";

const MOST = 200; // pages of one window: what is beyond is another one, by the same link
const AT_TOP = 200; // pixels
const AHEAD = "1600px";

const pages = document.getElementById("pages");
const arrivals = document.getElementById("arrivals");
const sections = () => [...pages.querySelectorAll(":scope > .page")];
const isGone = (section) => "gone" in section.dataset;
const tileOf = (id) => pages.querySelector(`[data-id="${CSS.escape(id)}"]`);
const changed = () => document.dispatchEvent(new CustomEvent("gallery-changed"));
let current = null;

/** A page as the server has it now; null if there is nothing on it any more. */
async function fetchPage(address) {
  const answer = await fetch(address, { headers: { "HX-Request": "true" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  return template.content.querySelector(".page");
}

const nearby = new Set();
const heights = new WeakMap();

function drop(section) {
  section.style.height = `${heights.get(section)}px`;
  section.dataset.gone = "";
  section.replaceChildren();
}

/** Empty the pages that are farthest from those that are near. */
function dropFar() {
  const all = sections();
  const places = all.flatMap((section, place) => (nearby.has(section) ? [place] : []));
  if (places.length === 0) return;
  const away = (place) => Math.max(places[0] - place, place - places.at(-1));
  const there = [...all.keys()].filter((place) => !isGone(all[place]));
  const far = there.filter((place) => away(place) > 1 && heights.has(all[place]) && !all[place].contains(document.activeElement));
  far.sort((a, b) => away(b) - away(a));
  far.slice(0, Math.max(0, there.length - Number(pages.dataset.keeps))).forEach((place) => drop(all[place]));
}

async function bringBack(section) {
  if (!isGone(section) || section.dataset.gone === "coming") return;
  section.dataset.gone = "coming";
  try {
    const fresh = await fetchPage(section.dataset.again);
    if (fresh) section.replaceChildren(...fresh.childNodes);
    section.style.height = "";
    delete section.dataset.gone;
    dropFar();
    changed();
  } catch {
    section.dataset.gone = ""; // when it is near again, it is tried again
  }
}

const near = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting, boundingClientRect } of entries) {
    if (isIntersecting) {
      nearby.add(target);
      countDown(target);
      bringBack(target);
    } else {
      nearby.delete(target);
      if (!isGone(target)) heights.set(target, boundingClientRect.height);
    }
  }
}, { rootMargin: AHEAD });

const end = new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting) && sections().length < MOST) {
    htmx.trigger(entries[0].target, "more");
  }
}, { rootMargin: `0px 0px ${AHEAD} 0px` });

const looked = new IntersectionObserver((entries) => {
  const now = entries.filter((entry) => entry.isIntersecting).pop();
  if (!now || now.target === current) return;
  const isFirst = current === null;
  current = now.target;
  for (const link of document.querySelectorAll("#dates [aria-current]")) link.removeAttribute("aria-current");
  document.querySelector(`#dates a[data-day="${current.dataset.day}"]`)?.setAttribute("aria-current", "date");
  if (!isFirst && !history.state?.lightbox) history.replaceState(history.state, "", current.dataset.at);
}, { rootMargin: "-50% 0px -49% 0px" });

/** See to what has come: new pages, and the link to those behind them. */
function watch() {
  for (const section of sections()) {
    if (section.dataset.watched) continue;
    section.dataset.watched = "yes";
    near.observe(section);
    looked.observe(section);
  }
  end.disconnect();
  const on = document.querySelector("#on a[rel=next]");
  if (on) end.observe(on);
  dropFar();
  changed();
}

/** What was made since, where this window begins with the newest: at once at its top, else by a button. */
async function lookForNew(isWanted = false) {
  const [first] = sections();
  if (!first) return location.reload();
  if (isGone(first)) return;
  const fresh = await fetchPage(first.dataset.again).catch(() => null);
  if (!fresh) return;
  if (fresh.dataset.last !== first.dataset.last) return location.reload();
  const come = [...fresh.querySelectorAll("[data-id]")].filter((tile) => !tileOf(tile.dataset.id));
  const link = arrivals.querySelector("a");
  link.hidden = come.length === 0 || isWanted || scrollY < AT_TOP;
  link.textContent = `${come.length} new`;
  if (come.length === 0) return;
  announce(`${come.length} new`);
  if (!link.hidden) return;
  const list = first.querySelector(".tiles");
  for (const tile of come) {
    list.insertBefore(tile, [...list.children].find((other) => other.dataset.id < tile.dataset.id) ?? null);
  }
  changed();
}

if (arrivals) {
  let waiting = null;
  const soon = () => { waiting ??= setTimeout(() => { waiting = null; lookForNew(); }, 250); };
  document.addEventListener("moved", (event) => { if (event.detail.state === "completed") soon(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
  arrivals.addEventListener("click", (event) => {
    if (isGone(sections()[0])) return; // the link leads to the top of a new window
    event.preventDefault();
    scrollTo({ top: 0 });
    lookForNew(true);
  });
}

function left(seconds) {
  for (const [unit, name, lesser, lesserName] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (seconds < unit) continue;
    const rest = Math.floor((seconds % unit) / lesser);
    return `${Math.floor(seconds / unit)} ${name}${rest ? ` ${rest} ${lesserName}` : ""}`;
  }
  return `${Math.floor(seconds)} s`;
}

/** Tell anew when what is near will be deleted. Nothing is asked of the layout between the writes. */
function countDown(section) {
  for (const time of section.querySelectorAll("time[data-deletes]")) {
    const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
    const text = seconds > 0 ? `${left(seconds)} left` : "deleted";
    if (time.textContent !== text) time.textContent = text;
  }
}

setInterval(() => nearby.forEach(countDown), 60_000);

document.addEventListener("htmx:after:swap", watch);
// Ways back within this page are the lightbox's.
document.addEventListener("htmx:before:history:restore", (event) => event.preventDefault());
openLightbox(pages, announce);
selection(pages, announce);
previews(pages);
watch();
