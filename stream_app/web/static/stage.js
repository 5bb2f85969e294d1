// What stands above the photos: the heading, the way that led here, and what the view is about.

import * as api from "./api.js";
import { photosIn, spoken } from "./address.js";
import { element } from "./elements.js";
import { gallerySubject } from "./galleries.js";
import { thumbnail } from "./picture.js";
import { droppedSubject, photoSubject } from "./subject.js";
import { trailSteps } from "./trail.js";

const TITLES = { album: "Sightline", related: "Related", image: "Your photo", galleries: "Galleries", gallery: "Gallery", quests: "Quests", quest: "Quest", photographers: "Photographers" };

export class Stage {
  // `hands` has onOpen, onRefine, onAdd, onDelete(id), onChanged, selection and notices.
  constructor(at, hands) {
    Object.assign(this, { at, hands });
  }

  // Views without a heading that can be seen have one for those who listen.
  announce(view) {
    document.title = view.kind === "album" ? TITLES.album : `${TITLES[view.kind] ?? spoken(view.q).replace(/[“”]/g, "")} · Sightline`;
    this.at("heading").hidden = view.kind !== "album" && view.kind !== "words";
    this.at("heading").textContent = view.kind === "words" ? `Photos for ${spoken(view.q)}` : view.kind === "album" ? "The album" : TITLES[view.kind];
  }

  // What the worker knows of the view's subject.
  async ask(view, signal) {
    if (view.kind === "related") return { photo: await api.photo(view.id, signal) };
    if (view.kind === "gallery") return { gallery: await api.gallery(view.id, signal) };
    return null;
  }

  // The photo that was dropped is at hand at once; whether the album has it comes with the `first` hits.
  async dropped(view, first, signal) {
    const known = first.then((result) => result.known);
    known.catch(() => {});
    return { parts: await droppedSubject(view.files, { ...this.hands, known, signal }) };
  }

  show(view, subject) {
    const steps = view.kind === "related" && view.via.length ? trailSteps(view.via, this.hands.onOpen) : [];
    this.at("trail").hidden = !steps.length;
    this.at("trail").replaceChildren(...steps);
    const parts = this.#parts(view, subject);
    this.at("subject").hidden = !parts.length;
    this.at("subject").replaceChildren(...parts);
  }

  clear() {
    this.at("trail").hidden = this.at("subject").hidden = true;
    this.at("subject").replaceChildren();
  }

  #parts(view, subject) {
    if (subject?.parts) return subject.parts;
    if (subject?.photo) return photoSubject(subject.photo, { ...this.hands, onDelete: () => this.hands.onDelete(subject.photo.photo_id) });
    if (subject?.gallery) return gallerySubject(subject.gallery, this.hands);
    const asked = photosIn(view.q).map((id) => element("li", {}, thumbnail(id, `The photo ${id} of the question`)));
    return asked.length ? [element("ul", { class: "faces asked", "aria-label": "Photos in the question" }, asked)] : [];
  }
}
