// What lies over the photo that is pointed at or focused: its tags, words and score, and what can be done with it.
//
// One overlay serves the whole grid: 600 of them would make the page heavy and say nothing.

import * as api from "./api.js";
import { button, element } from "./elements.js";
import { tagsAndLabels, titleOf } from "./picture.js";

const DWELL_MS = 180;
const WORDS = 4;

export class Overlay {
  // `doings(item, tile)` is a list of {text, label, key, pressed, deed}.
  constructor(doings) {
    this.doings = doings;
    this.words = new Map();
    this.place = element("div", { class: "overlay" });
  }

  over(tile, item, { pointed = false } = {}) {
    if (this.tile === tile && this.place.isConnected) return;
    // Whoever works here by the keyboard is not interrupted by a mouse that lies on the table.
    if (pointed && this.place.querySelector(":focus-visible")) return;
    this.tile = tile;
    this.item = item;
    this.#render();
    tile.append(this.place);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#addWords(item), DWELL_MS);
  }

  leave() {
    if (!this.tile?.contains(document.activeElement)) this.drop();
  }

  drop() {
    clearTimeout(this.timer);
    this.tile = null;
    this.place.remove();
  }

  // True where a key is one of the doings'.
  key(key, item, tile) {
    const doing = this.doings(item, tile).find((each) => each.key === key);
    doing?.deed();
    return Boolean(doing);
  }

  renew() {
    if (!this.tile) return;
    const focused = [...this.place.querySelectorAll("button")].indexOf(document.activeElement);
    this.#render();
    if (focused >= 0) this.place.querySelectorAll("button")[focused]?.focus();
  }

  #render() {
    const { item } = this;
    this.wordLine = element("span", { class: "words" });
    this.#showWords(item);
    const score = item.score === undefined ? null : element("span", { class: "score", title: "Cosine: 1 is the same, 0 is unrelated" }, item.score.toFixed(3));
    this.place.replaceChildren(
      element("div", { class: "doings" }, this.#buttons()),
      element(
        "div",
        { class: "caption" },
        element("b", {}, titleOf(item)),
        element("span", { class: "tags" }, tagsAndLabels(item).slice(0, 5).join(", ")),
        this.wordLine,
        score,
      ),
    );
  }

  #buttons() {
    return this.doings(this.item, this.tile).map(({ text, label, key, pressed, deed, kind }) =>
      button(text, deed, { class: kind, "aria-label": label, "aria-pressed": pressed === undefined ? null : String(pressed), title: key ? `${label} (${key})` : label }),
    );
  }

  async #addWords(item) {
    if (!this.words.has(item.photo_id)) {
      const photo = await api.photo(item.photo_id).catch(() => null);
      if (!photo) return;
      this.words.set(item.photo_id, photo.words.slice(0, WORDS).map((word) => word.name));
    }
    if (this.item === item) this.#showWords(item);
  }

  #showWords(item) {
    const words = this.words.get(item.photo_id);
    this.wordLine.textContent = words?.length ? `looks like: ${words.join(", ")}` : "\u00a0";
  }
}
