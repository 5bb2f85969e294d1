// Joins the page: what a person does becomes a view, and the reader shows it.

import { addressOf } from "./address.js";
import { Basket } from "./basket.js";
import { listenForPhotos } from "./drops.js";
import { stays } from "./elements.js";
import { Filters } from "./filters.js";
import { Keys } from "./keys.js";
import { LiveCount } from "./live.js";
import { Notices } from "./notices.js";
import { Reader } from "./reader.js";
import { Selection } from "./selection.js";
import { Uploads } from "./uploads.js";

const TYPING_MS = 160;
const ROOMS = { galleries: { kind: "galleries" }, quests: { kind: "quests", q: "", photos: [] }, photographers: { kind: "photographers", q: "", photos: [] } };

const at = (id) => document.getElementById(id);
const words = at("words");
const selection = new Selection();
const notices = new Notices(at("notices"));
let typing = 0;

const filters = new Filters({
  panel: at("filters"),
  opener: at("filter-opener"),
  chips: at("chips"),
  onChange: (filter) => reader.open({ ...reader.view, filter }, { replace: true }),
});
const reader = new Reader({ at, selection, notices, filters, onShown: showWords, onRefine: refine, onAdd: (files) => uploads.add(files) });
const live = new LiveCount(at("count"), {
  onChange: (now) => reader.counted(now),
  onLost: (error) => notices.keep("lost", error.lost ? `${error.message} This page goes on by itself when it is back.` : "The worker is starting."),
  onBack: () => {
    notices.take("lost");
    notices.say("The worker is back.", { kind: "good" });
    reader.worksAgain();
  },
});
reader.live = live;
const uploads = new Uploads(at("tray"), {
  onOpen: (view) => reader.open(view),
  onFindable: () => live.soon(),
  bytesMax: () => live.stats.upload_bytes_max,
});
const basket = new Basket(at("basket"), { selection, notices, onOpen: (view, how) => reader.open(view, how), viewNow: () => reader.view });

// ---- the search

function typed() {
  clearTimeout(typing);
  typing = setTimeout(() => {
    const q = words.value.trim();
    if (q === (reader.view.q ?? "") && searching()) return;
    const filter = reader.view.filter;
    if (q) reader.open({ kind: "words", q, filter }, { replace: searching() });
    else if (searching()) reader.open({ kind: "album", filter }, { replace: true });
  }, TYPING_MS);
}

const searching = () => reader.view.kind === "words";

function submitted(event) {
  event.preventDefault();
  clearTimeout(typing);
  const q = words.value.trim();
  if (q && searching() && q === reader.view.q) reader.load();
  else if (q) reader.open({ kind: "words", q, filter: reader.view.filter }, { replace: searching() });
}

// Whoever is typing is not interrupted; whoever goes back has typed.
function showWords(view, { returning }) {
  if (returning || document.activeElement !== words) words.value = view.kind === "words" ? view.q : "";
  for (const each of document.querySelectorAll("a[data-room]")) {
    if (each.dataset.room.split(" ").includes(view.kind)) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  at("menu").hidePopover();
  basket.renew();
}

function refine(text) {
  words.value = text;
  words.focus();
  words.setSelectionRange(text.length, text.length);
}

function escaped(event) {
  clearTimeout(typing);
  event.preventDefault();
  if (filters.isOpen) return filters.toggle(false);
  words.blur();
  words.value = "";
  if (reader.view.kind !== "album" || Object.keys(reader.view.filter ?? {}).length) reader.open({ kind: "album" });
}

words.addEventListener("input", typed);
at("search").addEventListener("submit", submitted);
at("home").addEventListener("click", (event) => stays(event) && reader.open({ kind: "album" }));
document.querySelector(".bar").addEventListener("click", (event) => {
  const room = ROOMS[event.target.closest("a[data-room]")?.dataset.room.split(" ")[0]];
  if (room && stays(event)) reader.open(room);
});
at("fresh").addEventListener("click", () => {
  scrollTo(0, 0);
  reader.load();
});
new Keys({ help: at("help"), opener: at("help-opener"), words, onEscape: escaped, onDown: (event) => {
  event.preventDefault();
  reader.grid.focusFirst();
} });
listenForPhotos({
  veil: at("drop"),
  chooser: at("files"),
  onDropped: (files) => reader.dropped(files, live.stats.upload_bytes_max),
  onChosen: (files) => uploads.add(files),
});
at("home").href = addressOf({ kind: "album" });
reader.start();
