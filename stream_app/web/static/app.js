// Joins the page: an address becomes a view, a view becomes photos.

import * as api from "./api.js";
import { addressOf, relatedTo, viewOf } from "./address.js";
import { listenForPhotos } from "./drops.js";
import { Grid } from "./grid.js";
import { LiveCount } from "./live.js";
import { PAGE, sourceOf } from "./sources.js";
import { Status } from "./status.js";
import { droppedSubject, photoSubject, trailSteps } from "./subject.js";
import { Uploads } from "./uploads.js";

const TYPING_MS = 180;
const KEPT_VIEWS = 30;

const at = (id) => document.getElementById(id);
const words = at("words");
const status = new Status(at("status"));
const kept = new Map();

let view = { kind: "album" };
let leaving = new AbortController();
let ended = true;
let loadingMore = false;
let countAtLoad = null;
let typing = 0;
let shown = {};

const grid = new Grid(at("grid"), {
  linkTo: (item) => addressOf(relatedTo(item.photo_id, view)),
  onOpen: (id) => open(relatedTo(id, view)),
});
const live = new LiveCount(at("count"), { onChange: counted, onBack: () => status.failed && load() });
const uploads = new Uploads(at("tray"), {
  onOpen: open,
  onFindable: () => live.soon(),
  bytesMax: () => live.stats.upload_bytes_max,
});

// ---- from view to view

function open(next, { replace = false } = {}) {
  keep();
  view = next;
  const key = replace && history.state?.key ? history.state.key : freshKey();
  history[replace ? "replaceState" : "pushState"]({ key }, "", addressOf(view));
  if (view.kind === "image") kept.set(key, { view });
  scrollTo(0, 0);
  load();
}

// crypto.randomUUID exists on secure origins only; a worker in the house is often reached by plain HTTP.
function freshKey() {
  return `${Date.now()}-${Math.random()}`;
}

function returned() {
  const found = kept.get(history.state?.key);
  view = found?.view ?? viewOf(location.search);
  if (!found?.items) return load();
  const signal = begin();
  countAtLoad = found.countAtLoad;
  ended = found.ended;
  showSubject(found.photo, signal);
  present(found);
  scrollTo(0, found.scrollY);
}

function keep() {
  const key = history.state?.key;
  if (!key || !shown.items) return;
  kept.delete(key);
  kept.set(key, { ...shown, view, ended, countAtLoad, scrollY });
  if (kept.size > KEPT_VIEWS) kept.delete(kept.keys().next().value);
}

function begin() {
  leaving.abort();
  leaving = new AbortController();
  loadingMore = false;
  shown = {};
  at("fresh").hidden = true;
  if (document.activeElement !== words) words.value = view.kind === "words" ? view.q : "";
  const headings = { album: "Sightline", words: `${view.q} · Sightline`, related: "Related · Sightline", image: "Your photo · Sightline" };
  document.title = headings[view.kind];
  return leaving.signal;
}

async function load() {
  const signal = begin();
  grid.busy(true);
  status.waiting(view, signal);
  if (view.kind !== "related") showSubject(null, signal);
  try {
    countAtLoad = live.photos;
    const [result, photo] = await Promise.all([sourceOf(view).first(signal), photoOf(view, signal)]);
    ended = result.ended;
    showSubject(photo, signal);
    present({ ...result, photo });
    fill();
  } catch (error) {
    if (signal.aborted) return;
    ended = true;
    showSubject(null, signal);
    grid.show([]);
    status.problem(error, () => load());
  } finally {
    if (!signal.aborted) grid.busy(false);
  }
}

function present(result) {
  shown = result;
  grid.busy(false);
  grid.show(result.items);
  status.found(view, result);
}

// Asked for together with its relatives: both appear at once, and nothing is pushed down.
async function photoOf({ kind, id }, signal) {
  return kind === "related" ? api.photo(id, signal) : null;
}

function showSubject(photo, signal) {
  const subject = at("subject");
  const trail = at("trail");
  trail.hidden = view.kind !== "related" || !view.via.length;
  trail.replaceChildren(...(trail.hidden ? [] : trailSteps(view.via, open)));
  if (view.kind === "image") subject.replaceChildren(...droppedSubject(view.files, { onAdd: (files) => uploads.add(files), onOpen: open, signal }));
  if (photo) subject.replaceChildren(...photoSubject(photo, { onOpen: open, onDelete: () => remove(photo.photo_id) }));
  subject.hidden = !photo && view.kind !== "image";
}

async function remove(id) {
  try {
    await api.remove(id);
  } catch (error) {
    if (error.status !== 404) return status.problem(error, () => remove(id));
  }
  for (const each of kept.values()) if (each.items) each.items = each.items.filter((item) => item.photo_id !== id);
  grid.remove(id);
  live.soon();
  if (history.length > 1 && kept.size) history.back();
  else open({ kind: "album" });
}

// ---- more photos: further down, and newly indexed

async function fill() {
  if (ended || loadingMore || !nearEnd()) return;
  loadingMore = true;
  const { signal } = leaving;
  try {
    const result = await sourceOf(view).more(grid.count, signal);
    grid.append(result.items);
    shown.items = [...shown.items, ...result.items.filter((item) => !shown.items.some((old) => old.photo_id === item.photo_id))];
    ended = result.ended;
  } catch (error) {
    if (!signal.aborted) status.problem(error, () => fill());
    ended = ended || !signal.aborted;
  } finally {
    if (!signal.aborted) loadingMore = false;
  }
  if (!signal.aborted) requestAnimationFrame(fill);
}

function nearEnd() {
  return at("more").getBoundingClientRect().top < innerHeight + 800;
}

async function counted(now) {
  countAtLoad ??= now;
  if (view.kind === "album" && grid.count < PAGE && shown.items) return join();
  const fresh = at("fresh");
  const more = now - countAtLoad;
  fresh.hidden = more <= 0 || view.kind === "image" || !shown.items;
  fresh.textContent = `${more.toLocaleString()} new since you looked · show`;
}

// The first photos of a new album join at the end of the grid: nothing that is looked at moves away.
async function join() {
  const { signal } = leaving;
  const result = await sourceOf(view).first(signal).catch(() => null);
  if (!result || signal.aborted) return;
  grid.append(result.items);
  shown = { ...result, items: [...shown.items, ...result.items.filter((item) => !shown.items.some((old) => old.photo_id === item.photo_id))] };
  ended = result.ended;
  countAtLoad = live.photos;
  status.found(view, shown);
  fill();
}

// ---- what a person does

function typed() {
  clearTimeout(typing);
  typing = setTimeout(() => {
    const q = words.value.trim();
    if (q === (view.q ?? "")) return;
    const next = q ? { kind: "words", q } : { kind: "album" };
    open(next, { replace: view.kind === "words" });
  }, TYPING_MS);
}

function submitted(event) {
  event.preventDefault();
  clearTimeout(typing);
  const q = words.value.trim();
  if (q && q === view.q) load();
  else if (q) open({ kind: "words", q }, { replace: view.kind === "words" });
}

function pressed(event) {
  if (event.metaKey || event.ctrlKey || event.altKey) return;
  const writing = event.target.matches?.("input, textarea");
  if (event.key === "/" && !writing) {
    event.preventDefault();
    words.focus();
    words.select();
  } else if (event.key === "Escape") {
    escaped(event);
  }
}

function escaped(event) {
  clearTimeout(typing);
  event.preventDefault();
  words.blur();
  words.value = "";
  if (view.kind !== "album") open({ kind: "album" });
}

words.addEventListener("input", typed);
at("search").addEventListener("submit", submitted);
at("home").addEventListener("click", (event) => {
  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  open({ kind: "album" });
});
at("fresh").addEventListener("click", () => {
  scrollTo(0, 0);
  load();
});
addEventListener("keydown", pressed);
addEventListener("popstate", returned);
addEventListener("scroll", () => {
  fill();
  if (history.state?.key && shown.items) keep();
}, { passive: true });
listenForPhotos({
  veil: at("drop"),
  chooser: at("files"),
  onDropped: (files) => open({ kind: "image", files }),
  onChosen: (files) => uploads.add(files),
});

history.scrollRestoration = "manual";
view = viewOf(location.search);
history.replaceState({ key: history.state?.key ?? freshKey() }, "", location.href);
load();
