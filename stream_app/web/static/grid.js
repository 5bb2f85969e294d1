// The grid of photos: each tile has its photo's shape before the photo arrives, so that nothing jumps.
//
// One tile at a time is in the order of the Tab key; arrows go from tile to tile, so that 600 photos are one stop.

import { element, plural, stays } from "./elements.js";
import { picture, ratioOf } from "./picture.js";

const ROW_PX = 250;
const HOLLOW = [1.5, 0.75, 1.33, 1.78, 1, 1.5, 0.66, 1.5, 1.33, 1.9, 0.8, 1.5, 1.4, 0.75, 1.6, 1.33, 1, 1.5];

export class Grid {
  constructor(list, { linkTo, onOpen, overlay, selection, extras = () => [] }) {
    Object.assign(this, { list, linkTo, onOpen, overlay, selection, extras });
    this.items = new Map();
    list.addEventListener("click", (event) => this.#clicked(event));
    list.addEventListener("keydown", (event) => this.#pressed(event));
    list.addEventListener("focusin", (event) => this.#focused(event));
    list.addEventListener("pointerover", (event) => this.#pointed(event));
    list.addEventListener("pointerleave", () => overlay?.leave());
    selection?.addEventListener("change", () => [...list.children].forEach((tile) => this.#mark(tile)));
    addEventListener("resize", () => this.settle(this.ended ?? true));
  }

  get count() {
    return this.items.size;
  }

  // Photos that were there before keep their images, and the one that is focused its focus.
  show(items) {
    this.overlay?.drop();
    const focused = document.activeElement.closest?.(".tile")?.dataset.id;
    // Another view is another page: what stays is laid out anew, and does not count as moved when it comes late.
    this.list.replaceWith(this.list);
    this.images = new Map([...this.list.querySelectorAll(".tile > a > img")].map((image) => [image.closest(".tile").dataset.id, image]));
    this.items.clear();
    this.list.replaceChildren();
    this.append(items);
    this.images = null;
    this.#current(this.list.firstElementChild);
    if (focused) (this.tileOf(focused) ?? this.list.firstElementChild)?.querySelector("a").focus({ preventScroll: true });
  }

  append(items) {
    const unseen = items.filter((item) => !this.items.has(item.photo_id));
    for (const item of unseen) this.items.set(item.photo_id, item);
    this.list.append(...unseen.map((item) => this.#tile(item)));
    if (!this.list.querySelector("a[tabindex='0']")) this.#current(this.list.firstElementChild);
  }

  // A last row that will still grow is not shown yet: it would move what is looked at. Its place is kept.
  settle(ended) {
    this.ended = ended;
    for (const tile of this.list.querySelectorAll(".pending")) tile.classList.remove("pending");
    const last = this.list.lastElementChild;
    if (ended || !last) return;
    const top = last.offsetTop;
    if (top === this.list.firstElementChild.offsetTop) return;
    for (let tile = last; tile?.offsetTop === top; tile = tile.previousElementSibling) tile.classList.add("pending");
  }

  remove(id) {
    if (!this.items.delete(id)) return;
    const tile = this.tileOf(id);
    const next = tile?.nextElementSibling ?? tile?.previousElementSibling;
    const focused = tile?.contains(document.activeElement);
    if (tile?.contains(this.overlay?.place)) this.overlay.drop();
    tile?.remove();
    this.#current(next);
    if (focused) next?.querySelector("a").focus();
  }

  tileOf(id) {
    return [...this.list.children].find((tile) => tile.dataset.id === id);
  }

  // Shapes in the place of photos, only where there is nothing else to look at.
  busy(busy) {
    this.list.setAttribute("aria-busy", String(busy));
    if (!busy) return this.list.querySelectorAll(".hollow").forEach((each) => each.remove());
    if (this.count) return;
    this.list.replaceChildren(...HOLLOW.map((ratio) => element("li", { class: "tile hollow", ratio, "aria-hidden": "true" })));
  }

  // Images that failed while the worker was away are asked for again.
  retry() {
    for (const place of this.list.querySelectorAll("[data-absent]:not([data-gone])")) {
      const item = this.items.get(place.dataset.absent);
      if (item) place.replaceWith(picture(item, ratioOf(item) * ROW_PX));
    }
  }

  focusFirst() {
    this.list.querySelector("a")?.focus();
  }

  #tile(item) {
    const ratio = ratioOf(item);
    const copies = item.duplicates ? element("span", { class: "badge copies", title: "Near-duplicates of it are not shown" }, `+${plural(item.duplicates, "alike", "alike")}`) : null;
    const state = item.state === "queued" ? element("span", { class: "badge" }, "queued") : null;
    const image = this.images?.get(item.photo_id) ?? picture(item, ratio * ROW_PX);
    const anchor = element("a", { href: this.linkTo(item), tabindex: -1 }, image, copies, state);
    const tile = element("li", { class: "tile", ratio, "data-id": item.photo_id }, anchor, this.extras(item));
    this.#mark(tile);
    return tile;
  }

  #mark(tile) {
    const selected = Boolean(this.selection?.has(tile.dataset.id));
    tile.classList.toggle("selected", selected);
    tile.querySelector(".pick.resting")?.setAttribute("aria-pressed", String(selected));
  }

  #current(tile) {
    const target = tile?.querySelector("a");
    if (!target) return;
    for (const each of this.list.querySelectorAll("a[tabindex='0']")) each.tabIndex = -1;
    target.tabIndex = 0;
  }

  #clicked(event) {
    const anchor = event.target.closest(".tile > a");
    if (!anchor || !stays(event)) return;
    const id = anchor.parentElement.dataset.id;
    this.onOpen(id, this.items.get(id));
  }

  #focused(event) {
    const tile = event.target.closest(".tile");
    if (!tile || !this.items.has(tile.dataset.id)) return;
    if (event.target.parentElement === tile) this.#current(tile);
    this.overlay?.over(tile, this.items.get(tile.dataset.id));
  }

  #pointed(event) {
    const tile = event.target.closest(".tile");
    if (event.pointerType === "mouse" && tile && this.items.has(tile.dataset.id)) {
      this.overlay?.over(tile, this.items.get(tile.dataset.id), { pointed: true });
    }
  }

  #pressed(event) {
    const tile = event.target.closest(".tile");
    if (!tile || event.metaKey || event.ctrlKey || event.altKey) return;
    const next = this.#neighbour(tile, event.key);
    if (next) {
      event.preventDefault();
      next.querySelector("a").focus();
    } else if (this.overlay?.key(event.key, this.items.get(tile.dataset.id), tile)) {
      event.preventDefault();
    }
  }

  #neighbour(tile, key) {
    if (key === "ArrowRight") return tile.nextElementSibling;
    if (key === "ArrowLeft") return tile.previousElementSibling;
    if (key === "Home") return this.list.firstElementChild;
    if (key === "End") return this.list.lastElementChild;
    return key === "ArrowDown" || key === "ArrowUp" ? verticalNeighbour(tile, key === "ArrowDown" ? "nextElementSibling" : "previousElementSibling") : null;
  }
}

// The tile of the next row whose middle is nearest.
function verticalNeighbour(tile, direction) {
  const middle = (each) => each.offsetLeft + each.offsetWidth / 2;
  let row = null;
  let best = null;
  for (let each = tile[direction]; each; each = each[direction]) {
    if (each.offsetTop === tile.offsetTop) continue;
    row ??= each.offsetTop;
    if (each.offsetTop !== row) break;
    if (!best || Math.abs(middle(each) - middle(tile)) < Math.abs(middle(best) - middle(tile))) best = each;
  }
  return best;
}
