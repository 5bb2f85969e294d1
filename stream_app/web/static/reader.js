// Shows one view after another: asks for its photos, remembers where the reader was, and brings more further down.

import * as api from "./api.js";
import { addressOf, relatedTo, viewOf } from "./address.js";
import { element } from "./elements.js";
import { objection } from "./files.js";
import { showGalleries } from "./galleries.js";
import { Grid } from "./grid.js";
import { Overlay } from "./overlay.js";
import { showPhotographers } from "./photographers.js";
import { Places } from "./places.js";
import { showQuest, showQuests } from "./quests.js";
import { PAGE, sourceOf } from "./sources.js";
import { Stage } from "./stage.js";
import { Status } from "./status.js";
import { Why } from "./why.js";

const ROOMS = { galleries: showGalleries, quests: showQuests, quest: showQuest, photographers: showPhotographers };
const AHEAD_PX = 1200;

export class Reader {
  constructor({ at, selection, notices, filters, onShown, onRefine, onAdd }) {
    Object.assign(this, { at, selection, notices, filters, onShown });
    const onOpen = (view, how) => this.open(view, how);
    this.hands = { onOpen, onRefine, onAdd, selection, notices, onDelete: (id) => this.#remove(id), onChanged: () => this.#completed() };
    this.places = new Places();
    this.status = new Status(at("status"), { onOpen });
    this.stage = new Stage(at, this.hands);
    this.why = new Why(at("why"));
    this.overlay = new Overlay((item, tile) => this.#doings(item, tile));
    this.grid = new Grid(at("grid"), {
      linkTo: (item) => addressOf(relatedTo(item.photo_id, this.view)),
      onOpen: (id) => this.open(relatedTo(id, this.view)),
      overlay: this.overlay,
      selection,
      extras: (item) => this.#extras(item),
    });
    this.view = viewOf(location.search);
    this.leaving = new AbortController();
    this.shown = {};
    this.ended = true;
    selection.addEventListener("change", () => this.overlay.renew());
    addEventListener("popstate", () => this.#returned());
    addEventListener("scroll", () => this.#scrolled(), { passive: true });
    addEventListener("pagehide", () => this.places.store());
  }

  start() {
    this.load({ before: this.places.before });
  }

  open(next, { replace = false } = {}) {
    this.#keep();
    this.view = next;
    this.places.go(addressOf(next), { replace });
    if (next.kind === "image") this.places.keep({ view: next });
    scrollTo(0, 0);
    this.load();
  }

  // `before` says how many photos there were and where the reader stood, before the page was loaded again.
  async load({ before = null, returning = false } = {}) {
    const { view } = this;
    const signal = this.#begin({ returning });
    this.status.waiting(view, signal);
    try {
      if (ROOMS[view.kind]) await this.#showRoom(view, signal);
      else await this.#showPhotos(view, signal, before);
    } catch (error) {
      if (signal.aborted) return;
      this.ended = true;
      this.stage.clear();
      this.at("heading").hidden = false;
      this.at("room").replaceChildren();
      this.grid.busy(false);
      this.grid.show([]);
      this.#settle();
      const missing = error.isMissingFeature ? { message: "This worker has no such collections.", remedy: "Update it, or go back to the album." } : error;
      this.status.problem(missing, () => this.load(), view);
    } finally {
      if (!signal.aborted) this.grid.busy(false);
    }
    if (before && !signal.aborted) scrollTo(0, before.scrollY);
  }

  async dropped(files, bytesMax) {
    const refusals = await Promise.all(files.map((file) => objection(file, bytesMax)));
    const usable = files.filter((_, place) => !refusals[place]);
    if (usable.length) this.open({ kind: "image", files: [usable[0], ...files.filter((file) => file !== usable[0])] });
    else this.notices.say(`${files[0].name || "It"} cannot be searched by: ${refusals[0].message}. ${refusals[0].remedy}`, { kind: "trouble" });
  }

  worksAgain() {
    if (this.status.failed || !this.shown.items) this.load();
    else this.grid.retry();
  }

  async counted(now) {
    this.countAtLoad ??= now;
    if (this.view.kind === "album" && this.grid.count < PAGE && this.shown.items) return this.#join();
    const more = now - this.countAtLoad;
    this.at("fresh").hidden = more <= 0 || this.view.kind === "image" || !this.shown.items;
    this.at("fresh").textContent = `${more.toLocaleString()} new since you looked · show`;
  }

  // ---- one view

  #begin({ returning = false } = {}) {
    const { view } = this;
    this.leaving.abort();
    this.leaving = new AbortController();
    this.loadingMore = false;
    this.shown = {};
    this.at("fresh").hidden = true;
    this.stage.announce(view);
    this.filters.show(view.filter, { usable: !ROOMS[view.kind] });
    this.onShown(view, { returning });
    return this.leaving.signal;
  }

  async #showRoom(view, signal) {
    this.grid.show([]);
    this.stage.clear();
    await ROOMS[view.kind](this.at("room"), view, { ...this.hands, signal });
    if (signal.aborted) return;
    this.status.clear();
    this.shown = { items: [] };
    this.ended = true;
    this.#settle();
  }

  async #showPhotos(view, signal, before) {
    this.at("room").replaceChildren();
    this.grid.busy(true);
    this.countAtLoad = this.live?.photos ?? null;
    this.source = sourceOf(view);
    const first = this.source.first(signal);
    if (view.kind === "image") {
      const dropped = await this.stage.dropped(view, first, signal);
      if (!signal.aborted) this.stage.show(view, dropped);
    } else if (view.kind !== "related" && view.kind !== "gallery") {
      this.stage.show(view, null);
    }
    const [result, subject] = await Promise.all([first, this.stage.ask(view, signal)]);
    while (before && !result.ended && result.items.length < before.count && result.items.length < 10 * PAGE) {
      const more = await this.source.more(signal);
      Object.assign(result, { items: [...result.items, ...more.items], ended: more.ended });
    }
    if (signal.aborted) return;
    this.ended = result.ended;
    if (subject) this.stage.show(view, subject);
    this.#present({ ...result, subject });
    this.#fill();
  }

  #present(result) {
    this.shown = result;
    this.grid.busy(false);
    this.status.renew();
    this.grid.show(result.items);
    this.#settle();
    this.status.found(this.view, result);
    this.filters.offer(result.items);
  }

  // What can be done with the photo that is pointed at.
  #doings(item, tile) {
    const picked = this.selection.has(item.photo_id);
    const select = { text: picked ? "✓" : "", kind: "pick", label: "Select", key: "x", pressed: picked, deed: () => this.selection.toggle(item) };
    const why = { text: "why?", label: "Why this photo?", key: "w", deed: () => this.why.open(item, tile, (each) => this.source.explain(each)) };
    const add = { text: "+ add", label: "Add to the gallery", key: "a", deed: () => this.#addToGallery(item) };
    return [select, this.source?.explain && why, this.view.kind === "gallery" && add].filter(Boolean);
  }

  // Where there is no hovering, what matters is there without it.
  #extras(item) {
    if (!matchMedia("(hover: none)").matches) return [];
    const pick = element("button", { type: "button", class: "pick resting", "aria-label": "Select", onclick: () => this.selection.toggle(item) });
    return [pick];
  }

  async #addToGallery(item) {
    try {
      await api.addToGallery(this.view.id, [item.photo_id]);
      this.grid.remove(item.photo_id);
      await this.#completed();
    } catch (error) {
      this.notices.say(error.message, { kind: "trouble" });
    }
  }

  // The gallery changed: its members and what would complete it are asked for anew, in place.
  async #completed() {
    const { signal } = this.leaving;
    const [result, gallery] = await Promise.all([this.source.first(signal), api.gallery(this.view.id, signal)]);
    if (signal.aborted) return;
    this.stage.show(this.view, { gallery });
    this.#present({ ...result, subject: { gallery } });
  }

  async #remove(id) {
    try {
      await api.remove(id);
    } catch (error) {
      if (error.status !== 404) return this.status.problem(error, () => this.#remove(id));
    }
    this.places.forget(id);
    this.selection.remove(id);
    this.grid.remove(id);
    this.live.soon();
    this.notices.say("The photo is deleted.");
    if (history.length > 1 && this.places.kept.size > 1) history.back();
    else this.open({ kind: "album" });
  }

  // ---- back and forth, and further down

  #returned() {
    const { here } = this.places;
    this.view = here?.view ?? viewOf(location.search);
    if (!here?.shown?.items || ROOMS[this.view.kind] || this.view.kind === "image") return this.load({ before: here, returning: true });
    this.#begin({ returning: true });
    this.countAtLoad = here.countAtLoad;
    this.ended = here.ended;
    this.source = here.source;
    this.at("room").replaceChildren();
    this.stage.show(this.view, here.shown.subject);
    this.#present(here.shown);
    scrollTo(0, here.scrollY);
    this.#fill();
  }

  #keep() {
    const { view, shown, source, ended, countAtLoad } = this;
    if (this.places.key && shown.items) this.places.keep({ view, shown, source, ended, countAtLoad, scrollY, count: shown.items.length });
  }

  #scrolled() {
    this.#fill();
    this.#keep();
  }

  async #fill() {
    if (this.ended || this.loadingMore || this.at("more").getBoundingClientRect().top > innerHeight + AHEAD_PX) return;
    this.loadingMore = true;
    const { signal } = this.leaving;
    try {
      const result = await this.source.more(signal);
      if (signal.aborted) return;
      const foundNone = !this.shown.items.length;
      this.grid.append(result.items);
      this.#appendShown(result.items);
      Object.assign(this.shown, { ended: result.ended, looked: result.looked });
      this.ended = result.ended;
      this.#settle();
      if (foundNone) this.status.found(this.view, this.shown);
      this.filters.offer(this.shown.items);
    } catch (error) {
      if (signal.aborted) return;
      this.status.problem(error, () => this.load());
      this.ended = true;
      this.#settle();
    }
    this.loadingMore = false;
    requestAnimationFrame(() => this.#fill());
  }

  // The footer is at the end, and there is no end before the last photo.
  #settle() {
    this.grid.settle(this.ended);
    this.at("foot").classList.toggle("later", !this.ended);
  }

  #appendShown(items) {
    const known = new Set(this.shown.items.map((item) => item.photo_id));
    this.shown.items = [...this.shown.items, ...items.filter((item) => !known.has(item.photo_id))];
  }

  // The first photos of a new album join at the end of the grid: nothing that is looked at moves away.
  async #join() {
    const { signal } = this.leaving;
    const result = await sourceOf(this.view).first(signal).catch(() => null);
    if (!result || signal.aborted) return;
    if (!this.grid.count) return this.load();
    this.grid.append(result.items);
    this.#appendShown(result.items);
    this.countAtLoad = this.live.photos;
    this.status.found(this.view, this.shown);
  }
}
