// The grid of photos: each tile has its photo's shape before the photo arrives, so that nothing jumps.

import { element } from "./elements.js";

const SIDES = [160, 320, 640, 1280];
const RATIO_LOW = 0.45;
const RATIO_HIGH = 3;

export function ratioOf(photo) {
  const ratio = photo.width > 0 && photo.height > 0 ? photo.width / photo.height : 1.5;
  return Math.min(RATIO_HIGH, Math.max(RATIO_LOW, ratio));
}

export function fileName(photo) {
  const last = (photo.url || "").split(/[?#]/)[0].split("/").pop();
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

export function picture(photo, widthPx, lazy) {
  const image = element("img", {
    alt: describe(photo),
    width: photo.width || 3,
    height: photo.height || 2,
    loading: lazy ? "lazy" : null,
    decoding: "async",
    draggable: "false",
    sizes: `${Math.round(widthPx)}px`,
    srcset: SIDES.map((side) => `${photo.image_url}?side=${side} ${widthAt(photo, side)}w`).join(", "),
    src: `${photo.image_url}?side=320`,
  });
  image.addEventListener("error", () => image.replaceWith(absent(photo)), { once: true });
  return image;
}

export class Grid {
  constructor(list, { linkTo, onOpen }) {
    this.list = list;
    this.linkTo = linkTo;
    this.onOpen = onOpen;
    this.ids = new Set();
    list.addEventListener("click", (event) => this.opened(event));
    list.addEventListener("keydown", (event) => this.moved(event));
  }

  get count() {
    return this.ids.size;
  }

  show(items) {
    this.ids.clear();
    this.list.replaceChildren();
    this.append(items);
  }

  append(items) {
    const unseen = items.filter((item) => !this.ids.has(item.photo_id));
    for (const item of unseen) this.ids.add(item.photo_id);
    this.list.append(...unseen.map((item) => this.tile(item)));
    return unseen.length;
  }

  remove(id) {
    if (!this.ids.delete(id)) return;
    for (const tile of this.list.children) if (tile.dataset.id === id) tile.remove();
  }

  busy(busy) {
    this.list.setAttribute("aria-busy", String(busy));
  }

  tile(item) {
    const ratio = ratioOf(item);
    const link = element("a", { href: this.linkTo(item) }, picture(item, ratio * 260, true));
    const badge = item.state === "queued" ? element("span", { class: "badge" }, "queued") : null;
    return element("li", { class: "tile", ratio, "data-id": item.photo_id }, link, caption(item), badge);
  }

  opened(event) {
    const link = event.target.closest("a");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    this.onOpen(link.closest(".tile").dataset.id);
  }

  moved(event) {
    const step = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
    const next = step && event.target.closest(".tile")?.[step];
    if (!next) return;
    event.preventDefault();
    next.querySelector("a").focus();
  }
}

function widthAt(photo, side) {
  const longer = Math.max(photo.width, photo.height) || side;
  return Math.max(1, Math.round((photo.width || side) * Math.min(1, side / longer)));
}

function describe(photo) {
  const shown = names(photo);
  const title = photo.title || fileName(photo);
  return shown.length ? `${title} (${shown.slice(0, 3).join(", ")})` : title;
}

function names(photo) {
  return [...(photo.tags || []), ...(photo.labels || []).map((label) => label.name ?? label)];
}

function caption(photo) {
  const shown = names(photo).slice(0, 4).join(", ");
  const score = photo.score === undefined ? "" : photo.score.toFixed(3);
  return element(
    "div",
    { class: "caption", "aria-hidden": "true" },
    element("b", {}, photo.title || fileName(photo)),
    element("span", {}, [shown, score].filter(Boolean).join(" · ")),
  );
}

function absent(photo) {
  return element("span", { class: "absent" }, `${photo.title || fileName(photo)} cannot be shown just now.`);
}
