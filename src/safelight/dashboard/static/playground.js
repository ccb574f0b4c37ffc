// What a form cannot do by itself: pictures dropped and pasted, Ctrl+Enter, and a price that follows each key.
import { announce } from "./app.js";

const form = () => document.getElementById("ask");
const run = () => document.getElementById("do-run");
const groups = () => [...document.querySelectorAll(".references")];
const fileInput = (group) => group.querySelector("input[type=file]");
let isRunning = false;
let isAnswered = false;  // what the form shows is a run's answer, and nothing was changed since

// --- Pictures. `held` has what was chosen, by role: inputs come and go with the model.
const held = new Map();

/** How many more pictures a group takes. */
function room(group) {
  const checked = group.querySelectorAll("input[type=checkbox]:checked").length;
  return Number(group.dataset.most) - checked - (held.get(group.dataset.role)?.length ?? 0);
}

function changed() {
  form()?.dispatchEvent(new Event("change", { bubbles: true }));
}

/** Give a group's pictures to its input, and show them. */
function settle(group) {
  const files = held.get(group.dataset.role) ?? [];
  const transfer = new DataTransfer();
  files.forEach((file) => transfer.items.add(file));
  fileInput(group).files = transfer.files;
  const list = group.querySelector(".chosen");
  list.querySelectorAll("img").forEach((image) => URL.revokeObjectURL(image.src));
  list.replaceChildren(...files.map((file, place) => entry(group, file, place)));
}

function entry(group, file, place) {
  const item = document.createElement("li");
  const image = document.createElement("img");
  image.src = URL.createObjectURL(file);
  image.alt = "";
  const name = document.createElement("span");
  name.textContent = file.name;
  const remove = document.createElement("button");
  remove.type = "button";
  remove.className = "small";
  remove.textContent = "Remove";
  remove.setAttribute("aria-label", `Remove ${file.name}`);
  remove.addEventListener("click", () => {
    held.get(group.dataset.role).splice(place, 1);
    settle(group);
    announce(`${file.name} removed`);
    fileInput(group).focus();
    changed();
  });
  item.append(image, name, remove);
  return item;
}

function add(group, files) {
  const role = group.dataset.role;
  const taken = files.slice(0, Math.max(0, room(group)));
  held.set(role, [...(held.get(role) ?? []), ...taken]);
  settle(group);
  const left = files.length - taken.length;
  announce(`${taken.length} added${left ? `, ${left} left out: it takes up to ${group.dataset.most}` : ""}`);
  changed();
}

/** After the form came anew: pictures go where their role is, or where there is room, or wait for a model that takes them. */
function settleAll() {
  const known = new Map(groups().map((group) => [group.dataset.role, group]));
  for (const [role, files] of held) {
    if (known.has(role)) continue;
    const place = groups().find((group) => room(group) >= files.length);
    if (!place || !files.length) continue;
    held.set(place.dataset.role, [...(held.get(place.dataset.role) ?? []), ...files]);
    held.delete(role);
  }
  known.forEach(settle);
}

document.addEventListener("change", (event) => {
  const group = event.target.matches?.(".references input[type=file]") && event.target.closest(".references");
  if (!group || !event.isTrusted) return;
  const files = [...event.target.files];
  fileInput(group).value = "";
  add(group, files);
});

const images = (transfer) => [...(transfer?.files ?? [])].filter((file) => file.type.startsWith("image/"));

document.addEventListener("dragover", (event) => {
  const group = event.target.closest?.(".references");
  if (!event.dataTransfer?.types.includes("Files") || !form()) return;
  event.preventDefault();  // a file that is dropped beside it does not replace the page
  groups().forEach((each) => each.classList.toggle("over", each === group));
});
document.addEventListener("drop", (event) => {
  if (!event.dataTransfer?.types.includes("Files") || !form()) return;
  event.preventDefault();
  groups().forEach((each) => each.classList.remove("over"));
  const group = event.target.closest?.(".references") ?? groups().find((each) => room(each) > 0);
  if (group) add(group, images(event.dataTransfer));
});
document.addEventListener("paste", (event) => {
  const files = images(event.clipboardData);
  if (!files.length) return;
  const own = document.activeElement?.closest?.(".references");
  const group = own ?? groups().find((each) => room(each) > 0);
  if (!group) return announce("This model takes no more pictures");
  event.preventDefault();
  add(group, files);
});

// "Use as reference" on a result, without losing what stands in the form.
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-use]");
  const group = link && groups().find((each) => room(each) > 0);
  if (!group) return;
  event.preventDefault();
  const picks = group.querySelector(".picker .picks");
  let box = picks.querySelector(`input[value="${CSS.escape(link.dataset.use)}"]`);
  if (!box) {
    const label = document.createElement("label");
    label.className = "pick";
    box = document.createElement("input");
    Object.assign(box, { type: "checkbox", name: `pick.${group.dataset.role}`, value: link.dataset.use });
    const image = document.createElement("img");
    Object.assign(image, { src: link.dataset.thumbnail, alt: link.dataset.use });
    label.append(box, image);
    picks.prepend(label);
  }
  box.checked = true;
  group.querySelector(".picker").open = true;
  box.focus();
  announce("Added as a reference");
  changed();
});

// --- The form. Its questions carry the names of files, not the files.
document.addEventListener("htmx:config:request", (event) => {
  const { sourceElement, request } = event.detail.ctx;
  if (sourceElement !== form()) return;
  for (const group of groups()) {
    request.body.delete(group.dataset.role);
    for (const file of held.get(group.dataset.role) ?? []) request.body.append(`named.${group.dataset.role}`, file.name);
  }
  if (isRunning || isAnswered) event.preventDefault();  // a question from before the run would wipe its answer away
});
for (const kind of ["input", "change"]) {
  document.addEventListener(kind, (event) => { if (form()?.contains(event.target)) isAnswered = false; }, true);
}
document.addEventListener("input", (event) => {
  if (form()?.contains(event.target)) htmx.trigger(form(), "htmx:abort");  // its answer would be older than the form
}, true);
document.addEventListener("htmx:before:request", (event) => {
  if (event.detail.ctx.sourceElement !== run()) return;
  isRunning = true;
  htmx.trigger(form(), "htmx:abort");
});
document.addEventListener("htmx:finally:request", (event) => {
  if (event.detail.ctx.sourceElement.id !== "do-run") return;
  isRunning = false;
  isAnswered = true;
  document.getElementById("runs")?.scrollIntoView({ block: "nearest" });
});
document.addEventListener("htmx:after:swap", () => {
  if (!form()) return;
  // What was chosen by hand counts for more than attributes; the answer knows of it.
  form().querySelectorAll("select").forEach((each) => {
    const option = each.querySelector("option[selected]") ?? each.options[0];
    if (option) each.value = option.value;
  });
  form().querySelectorAll("input[type=checkbox], input[type=radio]").forEach((each) => {
    if (!each.closest(".picker")) each.checked = each.hasAttribute("checked");
  });
  settleAll();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing || !form()?.contains(event.target)) return;
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    run().click();
  } else if (event.target.matches("input:not([type=checkbox], [type=radio], [type=file])")) {
    event.preventDefault();  // Enter in a field buys nothing
    changed();
  }
});

// How long a run has been under way.
setInterval(() => {
  for (const each of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(each.dataset.since)) / 1000));
    each.textContent = seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  }
}, 1000);
