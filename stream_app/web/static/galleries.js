// A gallery's members, and the galleries that this browser remembers. What would complete one is shown by the grid.

import * as api from "./api.js";
import { addressOf } from "./address.js";
import { button, deliberate, element, explained, link, plural } from "./elements.js";
import { countOf, members, takeOutGone } from "./members.js";
import { thumbnail } from "./picture.js";
import { forget, remember, remembered } from "./remembered.js";
import { note } from "./status.js";

export function gallerySubject(gallery, { onOpen, onChanged, notices }) {
  const { gallery_id: id, photo_ids: photoIds, states } = gallery;
  const here = photoIds.filter((each) => !states[each]);
  remember("gallery", id, { face: here[0], count: here.length });
  const takeOut = async (someIds) => {
    try {
      onChanged(await api.takeFromGallery(id, someIds));
    } catch (error) {
      notices.say(explained(error), { kind: "trouble" });
    }
  };
  const out = { label: "Take it out of the gallery", deed: takeOut };
  const away = async () => {
    await api.deleteGallery(id);
    forget("gallery", id);
    onOpen({ kind: "galleries" });
  };
  const count = countOf(photoIds, states, "photo").join(" · ");
  const deeds = [takeOutGone(photoIds, states, out), copyLink(notices), deliberate("Delete", "Delete the gallery? Its photos stay", away)];
  return [
    element(
      "div",
      { class: "collection" },
      element("header", {}, element("h1", {}, "Gallery"), element("p", {}, count), element("div", { class: "actions" }, deeds)),
      members(photoIds, { states, view: { kind: "gallery", id }, out, label: "Photos of this gallery", alt: "A photo of this gallery", onOpen }),
    ),
  ];
}

export function showGalleries(place, view, { onOpen }) {
  place.replaceChildren(
    element("h1", {}, "Galleries"),
    element("p", { class: "quiet" }, "Select photos with the circle in their corner, or with the key x: the album says at once what would complete them. Save them as a gallery, and the suggestions go on with every photo that you add."),
    cards("gallery", onOpen, ({ count }) => plural(count, "photo")),
  );
}

// The collections that were begun or visited here, as cards.
export function cards(kind, onOpen, describe) {
  const known = remembered(kind);
  if (!known.length) return note(kind === "gallery" ? "No gallery yet" : "No quest yet", "What you begin or visit in this browser is listed here.");
  const made = known.map((each) => {
    const view = { kind, id: each.id };
    return element("li", {}, link(addressOf(view), () => onOpen(view), { class: "card" }, each.face ? thumbnail(each.face, "") : element("span", { class: "absent" }, "?"), element("span", {}, describe(each))));
  });
  return element("ul", { class: "cards" }, made);
}

export function copyLink(notices) {
  return button("Copy link", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      notices.say("The link is copied.");
    } catch {
      // Browsers allow it on secure origins only.
      notices.say("Copy it from the address bar: it is this view's permanent link.");
    }
  }, { class: "plain" });
}
