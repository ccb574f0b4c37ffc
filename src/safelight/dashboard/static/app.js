// On every page. Nothing here is needed: each page works without it.
import { follow } from "./live.js";

/** Say something to those who listen to the page, once. */
export function announce(text) {
  const place = document.getElementById("announcer");
  if (place) place.textContent = text;
}

// <button data-copy="#id of an element"> copies its text, or its value.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  if (!source) return;
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    button.textContent = "Copied";
    announce("Copied");
  } catch {
    getSelection().selectAllChildren(source);
    button.textContent = "Selected: press Ctrl+C";
  }
  setTimeout(() => { button.textContent = before; }, 2000);
});

// <form data-sends> is sent when a field of it changes; without scripts it has its button.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-sends]");
  if (form) form.requestSubmit();
});

// <button data-opens="#id of a dialog">, and within it <button data-closes>.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) {
    event.preventDefault();
    document.querySelector(opener.dataset.opens)?.showModal();
  }
  const closer = event.target.closest("[data-closes]");
  if (closer) closer.closest("dialog")?.close();
});

// A key that is shown once does not come back from the browser's memory of pages.
addEventListener("pageshow", (event) => {
  if (event.persisted && document.querySelector("[data-once]")) location.reload();
});

// What somebody opened stays open when its piece of the page comes anew.
htmx.registerExtension("stays-open", {
  htmx_before_morph_attr: (element, { attrName, newValue }) => !(element.matches("details") && attrName === "open" && newValue === null),
});

// What went wrong is told until something works again.
document.addEventListener("htmx:after:request", (event) => {
  if (event.detail.ctx.response.status < 400) document.getElementById("trouble")?.replaceChildren();
});

follow(announce);
