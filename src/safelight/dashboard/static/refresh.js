// An element with data-refresh="5" is told "live" every 5 seconds, while somebody looks at the page.
for (const element of document.querySelectorAll("[data-refresh]")) {
  const { id } = element;
  setInterval(() => {
    const now = document.getElementById(id);
    if (!document.hidden && now) htmx.trigger(now, "live");
  }, Number(element.dataset.refresh) * 1000);
}
