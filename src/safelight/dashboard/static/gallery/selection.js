// What is selected, also on pages that are not there just now; and its deletion, asked once more in a dialog.
const MOST = 200;

export function selection(pages, announce) {
  const form = document.getElementById("selection");
  if (!form) return;
  const said = document.getElementById("selected");
  const none = document.getElementById("select-none");
  const dialog = document.getElementById("deletion");
  const part = document.getElementById("deletion-part");
  const elsewhere = form.appendChild(document.createElement("div"));
  const chosen = new Set();
  const boxes = () => [...pages.querySelectorAll("input[name=id]")];
  let anchor = null;

  function show() {
    const there = new Set();
    for (const box of boxes()) {
      there.add(box.value);
      const isChosen = chosen.has(box.value);
      if (box.checked !== isChosen) box.checked = isChosen;
      const tile = box.closest(".shot");
      if (tile.classList.contains("chosen") !== isChosen) tile.classList.toggle("chosen", isChosen);
    }
    elsewhere.replaceChildren(...[...chosen].filter((id) => !there.has(id)).map((id) => {
      const field = document.createElement("input");
      return Object.assign(field, { type: "hidden", name: "id", value: id });
    }));
    none.hidden = chosen.size === 0;
    form.hidden = chosen.size === 0;
    const text = chosen.size === 0 ? "Select with the boxes in the corners." : `${chosen.size} selected`;
    if (said.textContent !== text) said.textContent = text;
  }

  function choose(some, isChosen) {
    for (const box of some) {
      if (!isChosen) chosen.delete(box.value);
      else if (chosen.size < MOST) chosen.add(box.value);
      else if (!chosen.has(box.value)) announce(`At most ${MOST} at once.`);
    }
    show();
  }

  pages.addEventListener("click", (event) => {
    const all = event.target.closest("[data-selects-page]");
    if (all) {
      event.preventDefault();
      const own = [...all.closest(".page").querySelectorAll("input[name=id]")];
      return choose(own, own.some((box) => !chosen.has(box.value)));
    }
    const box = event.target.closest("input[name=id]");
    if (!box) return;
    const all_boxes = boxes();
    const [from, to] = [all_boxes.indexOf(anchor), all_boxes.indexOf(box)].sort((a, b) => a - b);
    choose(event.shiftKey && from >= 0 ? all_boxes.slice(from, to + 1) : [box], box.checked);
    anchor = box;
  });

  none.addEventListener("click", () => {
    chosen.clear();
    show();
    pages.querySelector("input[name=id]")?.focus();
  });

  document.addEventListener("htmx:after:swap", () => {
    if (!part.firstElementChild) return;
    if (!dialog.open) dialog.showModal();
    const gone = [...part.querySelectorAll("[data-deleted]")].map((each) => each.dataset.deleted);
    if (gone.length === 0) return;
    for (const id of gone) {
      chosen.delete(id);
      pages.querySelector(`[data-id="${CSS.escape(id)}"]`)?.remove();
    }
    part.querySelector("#deletion-title").focus();
    document.dispatchEvent(new CustomEvent("gallery-deleted"));
    show();
  });

  dialog.addEventListener("click", (event) => {
    if (event.target.closest("a[data-closes]")) event.preventDefault();
  });
  dialog.addEventListener("close", () => {
    const wasDone = part.querySelector("#deleted") !== null;
    part.replaceChildren();
    if (wasDone) document.querySelector("#lightbox[open]") ?? pages.querySelector("[data-item]")?.focus();
  });
  document.addEventListener("gallery-changed", show);
  for (const box of boxes()) if (box.checked) chosen.add(box.value);
  show();
}
