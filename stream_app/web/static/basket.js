// The selected photos at the foot of the window, what would complete them, and what can be made of them.

import * as api from "./api.js";
import { addressOf } from "./address.js";
import { button, element, explained, link, plural } from "./elements.js";
import { thumbnail, titleOf } from "./picture.js";
import { freshId, remember } from "./remembered.js";

const SUGGESTED = 12;
const ASK_MS = 150;

export class Basket {
  constructor(place, { selection, notices, onOpen, viewNow }) {
    Object.assign(this, { place, selection, notices, onOpen, viewNow });
    this.missing = false;
    this.heading = element("h2");
    this.faces = element("ul", { class: "faces", "aria-label": "Selected photos" });
    this.offered = element("ul", { class: "faces offered", "aria-label": "Photos that would complete them" });
    this.line = element("p", { class: "quiet", role: "status" });
    this.actions = element("div", { class: "actions" });
    this.suggested = element("div", { class: "suggested" }, this.line, this.offered);
    const clear = button("Clear", () => selection.clear(), { class: "plain" });
    place.append(element("div", { class: "chosen" }, this.heading, clear, this.faces, this.actions), this.suggested);
    selection.addEventListener("change", () => this.renew());
    // What stands above it, and the end of the page, keep clear of it however many rows its buttons take.
    new ResizeObserver(() => document.body.style.setProperty("--basket", `${place.offsetHeight}px`)).observe(place);
    this.renew();
  }

  renew() {
    const { size, items } = this.selection;
    this.place.hidden = !size;
    document.body.classList.toggle("with-basket", size > 0);
    clearTimeout(this.timer);
    if (!size) return this.asking?.abort();
    this.heading.textContent = `${size} selected`;
    this.faces.replaceChildren(...[...items.values()].reverse().map((item) => this.#face(item)));
    this.actions.replaceChildren(...this.#deeds());
    this.timer = setTimeout(() => this.#complete(), ASK_MS);
  }

  #face(item) {
    const away = () => this.selection.remove(item.photo_id);
    return element("li", {}, button(thumbnail(item.photo_id, ""), away, { "aria-label": `Take ${titleOf(item)} out of the selection`, title: titleOf(item) }));
  }

  #deeds() {
    const { ids } = this.selection;
    const view = this.viewNow();
    const names = this.missing ? [] : [
      view.kind === "gallery" && button("Add to this gallery", () => this.#addTo(view.id)),
      view.kind === "quest" && button("Submit to this quest", () => this.#submitTo(view.id)),
      button("Save as a gallery", () => this.#addTo(freshId()), { class: view.kind === "gallery" || view.kind === "quest" ? "plain" : "" }),
      opener("Begin a quest", { kind: "quests", q: "", photos: ids }, this.onOpen),
      opener("Find photographers", { kind: "photographers", q: "", photos: ids }, this.onOpen),
    ];
    const more = { kind: "words", q: ids.slice(0, 7).map((id) => `photo:${id}`).join(" + ") };
    return [...names, opener("More like these", more, this.onOpen)].filter(Boolean);
  }

  // The answer to the newest selection only; the one before stays until then, so that nothing flickers.
  async #complete() {
    if (this.missing) return;
    this.asking?.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    this.suggested.setAttribute("aria-busy", "true");
    try {
      const reply = await api.suggestions(this.selection.ids, SUGGESTED, signal);
      const hits = reply.hits.filter((hit) => !this.selection.has(hit.photo_id));
      this.line.textContent = hits.length ? `Would complete ${reply.themes > 1 ? `their ${reply.themes} themes` : "them"}; one click adds it` : "Nothing in the album would complete them yet.";
      this.offered.replaceChildren(...hits.map((hit) => this.#offer(hit)));
    } catch (error) {
      if (signal.aborted || (await this.#letGo(error, signal))) return;
      this.missing ||= error.isMissingFeature;
      this.line.textContent = this.missing ? "" : explained(error);
      this.offered.replaceChildren();
      this.suggested.hidden = this.missing;
      if (this.missing) this.actions.replaceChildren(...this.#deeds());
    } finally {
      if (!signal.aborted) this.suggested.removeAttribute("aria-busy");
    }
  }

  // Whether the trouble was photos that somebody deleted after they were selected.
  async #letGo(error, signal) {
    if (error.status !== 404 || error.isMissingFeature) return false;
    const gone = await api.missing(this.selection.ids, signal);
    if (signal.aborted) return true;
    if (gone.length) this.notices.say(`${plural(gone.length, "selected photo")} ${gone.length === 1 ? "is" : "are"} no longer there, and not selected any more.`);
    for (const id of gone) this.selection.remove(id);
    return gone.length > 0;
  }

  #offer(hit) {
    const face = thumbnail(hit.photo_id, "");
    return element("li", {}, button(face, () => this.selection.toggle(hit), { "aria-label": `Add ${titleOf(hit)}`, title: titleOf(hit) }));
  }

  async #addTo(id) {
    await this.#try(async () => {
      const gallery = await api.addToGallery(id, this.selection.ids);
      remember("gallery", id, { face: gallery.photo_ids[0], count: gallery.photo_ids.length });
      this.notices.say(`The gallery has ${plural(gallery.photo_ids.length, "photo")}. Its address is a permanent link.`);
      this.selection.clear();
      this.onOpen({ kind: "gallery", id });
    });
  }

  async #submitTo(id) {
    await this.#try(async () => {
      const { submissions } = await api.submit(id, this.selection.ids);
      this.notices.say(`The quest has ${plural(submissions.length, "submission")}.`);
      this.selection.clear();
      this.onOpen({ kind: "quest", id }, { replace: true });
    });
  }

  async #try(deed) {
    try {
      await deed();
    } catch (error) {
      this.notices.say(error.isMissingFeature ? "This worker has no galleries and quests." : explained(error), { kind: "trouble" });
    }
  }
}

function opener(text, view, onOpen) {
  return link(addressOf(view), () => onOpen(view), { class: "button plain" }, text);
}
