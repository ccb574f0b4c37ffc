// One stream a tab: elements with data-live="<id>" are told when that generation moves, those with data-live-new when
// there is a new one. They say with hx-trigger="live" what they do then. Closed while nobody looks at the tab.

let source = null;

const address = () => document.body.dataset.stream;
const listeners = () => document.querySelectorAll("[data-live], [data-live-new]");
const tell = (elements) => elements.forEach((element) => htmx.trigger(element, "live"));

function close() {
  source?.close();
  source = null;
}

function open(announce) {
  if (source || document.hidden || !address() || listeners().length === 0) return;
  source = new EventSource(address());
  // What happened between the page and the stream is in neither.
  source.addEventListener("open", () => tell(document.querySelectorAll('[data-live]:not([data-live=""])')));
  source.addEventListener("moved", (event) => {
    const moved = JSON.parse(event.data);
    for (const move of moved) {
      const id = CSS.escape(move.id);
      const elements = document.querySelectorAll(`[data-live~="${id}"]`);
      tell(elements);
      document.dispatchEvent(new CustomEvent("moved", { detail: move }));
      for (const element of elements) {
        if (element.dataset.state && element.dataset.state !== move.state) {
          element.dataset.state = move.state;
          announce(`${element.dataset.name ?? move.id}: ${move.state}`);
        }
      }
    }
    if (moved.some((move) => move.is_new)) tell(document.querySelectorAll("[data-live-new]"));
  });
}

/** Open the stream when the page has something that lives, and look at it all again after a while away. */
export function follow(announce) {
  open(announce);
  document.addEventListener("htmx:after:swap", () => open(announce));
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    tell(listeners());
    open(announce);
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", () => open(announce));
}
