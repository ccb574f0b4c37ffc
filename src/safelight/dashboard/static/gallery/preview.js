// A video plays in its tile, without sound, once one has stayed there for a moment.
const AFTER = 350; // ms

export function previews(pages) {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let timer = null;
  let playing = null;

  function stop() {
    clearTimeout(timer);
    playing?.remove();
    timer = playing = null;
  }

  function soon(event) {
    const link = event.target.closest("[data-plays]");
    if (!link || still.matches || link.contains(playing)) return;
    stop();
    timer = setTimeout(() => {
      playing = document.createElement("video");
      Object.assign(playing, { muted: true, loop: true, playsInline: true, src: link.dataset.plays });
      playing.setAttribute("aria-hidden", "true");
      link.querySelector(".frame").append(playing);
      playing.play().catch(stop);
    }, AFTER);
  }

  function leave(event) {
    const link = event.target.closest("[data-plays]");
    if (link && !link.contains(event.relatedTarget)) stop();
  }

  pages.addEventListener("mouseover", soon);
  pages.addEventListener("mouseout", leave);
  pages.addEventListener("focusin", soon);
  pages.addEventListener("focusout", leave);
}
