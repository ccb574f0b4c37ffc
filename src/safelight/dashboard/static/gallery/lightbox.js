// One generation over the gallery: its page's own content, at its own address, by mouse and by keyboard.

// As htmx marks it, which would write over any other state.
const OPEN = { htmx: true, lightbox: true };

export function openLightbox(pages, announce) {
  const dialog = document.getElementById("lightbox");
  const part = document.getElementById("lightbox-part");
  let id = null;
  let opener = null;

  const links = () => [...pages.querySelectorAll("[data-item]")];
  const linkOf = (wanted) => pages.querySelector(`[data-id="${CSS.escape(wanted)}"] [data-item]`);

  async function load(address) {
    const rel = part.contains(document.activeElement) ? document.activeElement.rel : null;
    await htmx.ajax("GET", address, { target: "#lightbox-part", swap: "innerHTML" });
    id = part.querySelector("[data-item-id]")?.dataset.itemId ?? id;
    const title = part.querySelector("#item-title");
    (rel ? part.querySelector(`[rel=${rel}]`) : null ?? title)?.focus({ preventScroll: true });
    dialog.scrollTop = 0;
    if (title) announce(title.textContent);
  }

  function open(address) {
    if (!dialog.open) dialog.showModal();
    return load(address);
  }

  function goTo(address) {
    if (!address) return;
    history.replaceState(OPEN, "", address);
    load(address);
  }

  /** The address of a neighbour: a tile of this window, or what the server says is next. */
  function beside(step) {
    const all = links();
    const place = all.findIndex((link) => link.closest("[data-id]").dataset.id === id);
    const found = place < 0 ? null : all[place + step];
    return found?.href ?? part.querySelector(step < 0 ? "[rel=prev]" : "[rel=next]")?.href;
  }

  pages.addEventListener("click", (event) => {
    const link = event.target.closest("[data-item]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    opener = link;
    id = link.closest("[data-id]").dataset.id;
    history.pushState(OPEN, "", link.href);
    open(link.href);
  });

  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) return dialog.close();
    const link = event.target.closest("a[rel=prev], a[rel=next]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    goTo(link.href);
  });

  document.addEventListener("keydown", (event) => {
    if (!dialog.open || document.querySelector("#deletion[open]") || event.target.closest("video, input, select")) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const ways = {
      ArrowLeft: () => beside(-1),
      ArrowRight: () => beside(1),
      Home: () => links().at(0)?.href,
      End: () => links().at(-1)?.href,
    };
    if (!(event.key in ways)) return;
    event.preventDefault();
    goTo(ways[event.key]());
  });

  dialog.addEventListener("close", () => {
    part.replaceChildren();
    if (history.state?.lightbox) history.back();
    else goBack();
  });

  /** To the tile of what was looked at last. */
  function goBack() {
    (linkOf(id) ?? (opener?.isConnected ? opener : null))?.focus();
  }

  addEventListener("popstate", () => {
    // A way back through the history takes the focus away, after this.
    if (!history.state?.lightbox) setTimeout(goBack);
    if (history.state?.lightbox) open(location.href);
    else if (dialog.open) dialog.close();
  });

  document.addEventListener("gallery-deleted", () => {
    if (dialog.open && id && !linkOf(id)) dialog.close();
  });
}
