// One stream a tab: elements with data-live="<ids>" are told when one of those generations moves, those with data-live-new
// when there is a new one. They say with hx-trigger="live" what they do then. Closed while nobody looks at the tab.

const SOON = 3000, LATE = 60000;

let source = null;
let pause = SOON;
let again = 0;
let missed = false; // the page was there without a stream for a while: anything may have moved

const address = () => document.body.dataset.stream;
const under = '[data-live]:not([data-live=""])';
const listeners = () => document.querySelectorAll(`${under}, [data-live-new]`);
const tell = (elements) => elements.forEach((element) => htmx.trigger(element, "live"));

function close() {
  clearTimeout(again);
  again = 0;
  source?.close();
  source = null;
}

function hear(move, announce) {
  const elements = document.querySelectorAll(`[data-live~="${CSS.escape(move.id)}"]`);
  tell(elements);
  document.dispatchEvent(new CustomEvent("moved", { detail: move }));
  for (const element of elements) {
    if (element.dataset.state && element.dataset.state !== move.state) {
      element.dataset.state = move.state;
      announce(`${element.dataset.name ?? move.id}: ${move.state}`);
    }
  }
}

function open(announce) {
  if (source || again || document.hidden || !address() || listeners().length === 0) return;
  source = new EventSource(address());
  source.addEventListener("open", () => {
    pause = SOON;
    // Between the page and its stream something may have ended; after a while away, something may be new as well.
    tell(missed ? listeners() : document.querySelectorAll(under));
    missed = false;
  });
  source.addEventListener("error", () => {
    missed = true;
    if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    close();
    again = setTimeout(() => { again = 0; open(announce); }, pause);
    pause = Math.min(2 * pause, LATE);
  });
  source.addEventListener("moved", (event) => {
    const moved = JSON.parse(event.data);
    for (const move of moved) hear(move, announce);
    if (moved.some((move) => move.is_new)) tell(document.querySelectorAll("[data-live-new]"));
  });
}

/** Open the stream when the page has something that lives, and look at it all again after a while away. */
export function follow(announce) {
  open(announce);
  document.addEventListener("htmx:after:swap", () => open(announce));
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    missed = true;
    open(announce);
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => {
    missed ||= event.persisted;
    open(announce);
  });
}
