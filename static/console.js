/* What makes the console quicker to use; every page works without it except the live refresh. */
"use strict";

const REFRESH_MS = 2000;
const words = document.body.dataset;
const dialog = document.getElementById("dialog");
const keys = document.getElementById("keys");
document.documentElement.classList.add("scripted");

/* Live refresh: fetch the same page and swap its marked regions, where they differ. */

const regions = () => document.querySelectorAll("[data-live][id]");
const liveTable = () => document.querySelector("[data-live-rows]");
const light = document.querySelector("[data-live-light]");
let misses = 0;

function isBusy() {
  const selection = document.getSelection();
  return document.hidden || document.querySelector("dialog[open], details.menu[open]")
    || (selection && !selection.isCollapsed);
}

async function refresh() {
  if (isBusy()) return;
  try {
    const answer = await fetch(location.href, { headers: { "X-Live": "1" }, redirect: "error" });
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (isBusy()) return;
    regions().forEach((region) => swap(region, fresh.getElementById(region.id)));
    const table = liveTable();
    if (table) updateRows(table, fresh.getElementById(table.id));
    misses = 0;
  } catch {
    misses += 1;
  }
  const stale = misses > 1;
  light.classList.toggle("is-stale", stale);
  light.title = stale ? words.wordStale : light.dataset.title;
}

function swap(region, fresh) {
  if (!fresh || region.contains(document.activeElement) && region !== document.activeElement) return;
  const open = [...region.querySelectorAll("details[id]")].map((fold) => [fold.id, fold.open]);
  const scrolled = [...region.querySelectorAll("pre")].map((pre) => pre.scrollTop);
  for (const [id, isOpen] of open) {
    const fold = fresh.querySelector(`#${CSS.escape(id)}`);
    if (fold) fold.open = isOpen;
  }
  if (region.innerHTML !== fresh.innerHTML) {
    region.innerHTML = fresh.innerHTML;
    region.querySelectorAll("pre").forEach((pre, n) => { pre.scrollTop = scrolled[n] || 0; });
  }
  if (fresh.dataset.retry) region.dataset.retry = fresh.dataset.retry;
  else delete region.dataset.retry;
}

/* Rows keep their places: those that stay are updated, those that left are dimmed, and new ones
   are announced instead of pushing the list down under the reader's eyes. */
function updateRows(table, fresh) {
  const rows = new Map([...(fresh ? fresh.tBodies[0].rows : [])].map((row) => [row.dataset.key, row]));
  const shown = [...table.tBodies[0].rows];
  const known = new Set(shown.map((row) => row.dataset.key));
  for (const row of shown) {
    const next = rows.get(row.dataset.key);
    row.classList.toggle("is-gone", !next);
    if (!next || row.contains(document.activeElement)) continue;
    if (next.dataset.retry) row.dataset.retry = next.dataset.retry;
    else delete row.dataset.retry;
    [...row.cells].forEach((cell, n) => {
      const other = next.cells[n];
      if (!cell.classList.contains("tick") && other && cell.innerHTML !== other.innerHTML) cell.innerHTML = other.innerHTML;
    });
  }
  if (!("mayGrow" in table.dataset)) return;
  let count = 0;
  for (const key of rows.keys()) {
    if (known.has(key)) break;
    count += 1;
  }
  announce(table, count);
}

function announce(table, count) {
  let pill = document.querySelector(".newer-pill");
  if (!count) { if (pill) pill.remove(); return; }
  if (!pill) {
    pill = document.createElement("button");
    pill.type = "button";
    pill.className = "button is-small newer-pill";
    pill.addEventListener("click", () => location.reload());
    table.closest(".table-box").before(pill);
  }
  pill.textContent = count === 1 ? words.wordNewerOne : words.wordNewerMany.replace("COUNT", count);
}

if (light && (regions().length > 1 || liveTable())) {
  light.hidden = false;
  light.dataset.title = light.title;
  setInterval(refresh, REFRESH_MS);
  document.addEventListener("visibilitychange", refresh);
}

/* Dialogs: the page of a verb, shown in place. */

async function openDialog(address) {
  let answer;
  try {
    answer = await fetch(address, { headers: { "X-Dialog": "1" } });
  } catch {
    location.href = address;
    return;
  }
  show(await answer.text(), address);
}

function show(text, address) {
  const content = new DOMParser().parseFromString(text, "text/html").querySelector("[data-dialog]");
  if (!content) { location.href = address; return; }
  dialog.replaceChildren(document.adoptNode(content));
  const form = dialog.querySelector("form");
  if (form && !form.getAttribute("action")) form.action = address;
  if (!dialog.open) dialog.showModal();
  /* The first one that is not folded away, so that a long form is read from its top. */
  const fields = [...dialog.querySelectorAll("textarea, select, input:not([type=hidden])")];
  const field = fields.find((one) => one.checkVisibility());
  if (field) field.focus();
  dialog.scrollTop = 0;
}

dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("[data-close]")) {
    event.preventDefault();
    dialog.close();
  }
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.matches("[data-theme-form]")) {
    event.preventDefault();
    document.documentElement.dataset.theme = event.submitter.value;
    form.querySelectorAll("[aria-current]").forEach((button) => button.removeAttribute("aria-current"));
    event.submitter.setAttribute("aria-current", "true");
    const body = new FormData(form, event.submitter);
    fetch(form.action, { method: "POST", body, redirect: "manual" });
    form.closest("details").open = false;
  } else if (form.matches("[data-bulk]")) {
    event.preventDefault();
    const address = event.submitter.formAction;
    const answer = await fetch(address, { method: "POST", body: new FormData(form) });
    show(await answer.text(), location.href);
  } else if (event.submitter && event.submitter.name === "preview" && dialog.contains(form)) {
    event.preventDefault();
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form, event.submitter), headers: { "X-Dialog": "1" } });
    show(await answer.text(), form.action);
  } else if (form.matches("[data-once]")) {
    /* A second press would be harmless (same request id), but looks like a mistake. */
    requestAnimationFrame(() => form.querySelectorAll("button").forEach((button) => { button.disabled = true; }));
  }
});

/* Rows */

const rows = () => [...document.querySelectorAll("tr[data-href]")];
let current = null;

function select(row) {
  if (!row) return;
  if (current) current.classList.remove("is-current");
  current = row;
  row.classList.add("is-current");
  row.scrollIntoView({ block: "nearest" });
  const link = row.querySelector("a");
  if (link) link.focus({ preventScroll: true });
}

function move(step) {
  const all = rows();
  const at = all.findIndex((row) => row.dataset.key ? row.dataset.key === (current && current.dataset.key) : row === current);
  select(all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step))]);
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    openDialog(opener.href);
    return;
  }
  const copied = event.target.closest("[data-copy]");
  if (copied) {
    copy(copied.textContent, copied);
    /* What has the focus is not refreshed; a click is over at once. */
    if (event.detail) copied.blur();
  }
  document.querySelectorAll("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  const row = event.target.closest("tr[data-href]");
  if (!row || event.target.closest("a, button, input, label, summary, time") || String(document.getSelection())) return;
  if (event.target.closest(".tick")) { toggle(row); return; }
  if (event.ctrlKey || event.metaKey) window.open(row.dataset.href);
  else location.href = row.dataset.href;
});

/* Ticks */

function toggle(row) {
  const box = row && row.querySelector(".tick input");
  if (box) { box.checked = !box.checked; updateTicks(); }
}

function updateTicks() {
  const form = document.querySelector("[data-bulk]");
  if (!form) return;
  const any = form.querySelector("[name=saga]:checked, [name=letter]:checked, [data-all-matching]:checked");
  form.querySelectorAll("[data-needs-ticks]").forEach((button) => { button.disabled = !any; });
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-tick-all]")) {
    document.querySelectorAll(".tick input").forEach((box) => { box.checked = event.target.checked; });
  }
  const preview = event.target.matches("dialog select") && event.target.form.elements.preview;
  if (preview) event.target.form.requestSubmit(preview);
  const filters = event.target.closest("[data-filters]");
  if (filters && event.target.matches("select, [type=checkbox]")) filters.requestSubmit();
  updateTicks();
});

/* Only the filters that are set go into the address. */
document.querySelectorAll("[data-filters]").forEach((form) => {
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
  });
});
updateTicks();

/* Copying */

document.querySelectorAll("pre[data-copyable]").forEach((pre) => {
  if (!navigator.clipboard) return;
  const box = document.createElement("div");
  const button = document.createElement("button");
  box.className = "copy-box";
  button.type = "button";
  button.className = "button is-small";
  button.textContent = words.wordCopy;
  pre.replaceWith(box);
  box.append(pre, button);
  button.addEventListener("click", () => {
    copy(pre.textContent, button);
    button.textContent = words.wordCopied;
    setTimeout(() => { button.textContent = words.wordCopy; }, 1200);
  });
});

function copy(text, element) {
  if (!navigator.clipboard) { document.getSelection().selectAllChildren(element); return; }
  navigator.clipboard.writeText(text).then(() => {
    const before = element.title;
    element.title = words.wordCopied;
    element.classList.add("is-copied");
    setTimeout(() => { element.title = before; element.classList.remove("is-copied"); }, 1200);
  });
}

/* Keyboard */

const GO = { o: 0, s: 1, d: 2 };
let went = 0;

function onKey(event) {
  const menu = document.querySelector("details.menu[open]");
  if (event.key === "Escape" && menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input, textarea, select, [contenteditable]")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (Date.now() - went < 1000 && event.key in GO) {
    const link = document.querySelectorAll("#places a")[GO[event.key]];
    if (link) location.href = link.href;
    return;
  }
  if ((event.key === "Enter" || event.key === " ") && event.target.matches("[data-copy]")) {
    event.preventDefault();
    event.target.click();
    return;
  }
  const retry = (current && current.dataset.retry) || (document.querySelector("[data-retry]:not(tr)") || { dataset: {} }).dataset.retry;
  const actions = {
    "/": () => document.querySelector("[data-key-search]").focus(),
    "?": () => keys.showModal(),
    j: () => move(1),
    k: () => move(-1),
    x: () => toggle(current),
    g: () => { went = Date.now(); },
    r: () => { if (retry) openDialog(retry); },
    Enter: () => { if (current && event.target.closest("tr") !== current && event.target === document.body) location.href = current.dataset.href; },
  };
  const action = actions[event.key];
  if (!action) return;
  if (event.key !== "Enter") event.preventDefault();
  action();
}

if (dialog && document.querySelector("[data-key-search]")) {
  document.addEventListener("keydown", onKey);
  const opener = document.querySelector("[data-open-keys]");
  opener.hidden = false;
  opener.addEventListener("click", () => keys.showModal());
}
