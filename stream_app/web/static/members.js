// Photos of a gallery or a quest as small tiles, each with a way to take it out; a place whose photo is gone says so.

import { addressOf, relatedTo } from "./address.js";
import { button, element, link, plural } from "./elements.js";
import { thumbnail } from "./picture.js";

// `gone` are those that the album does not have, `waiting` those that cannot be found; `out` is {label, deed(ids)}.
export function members(photoIds, { view, gone, waiting, out, label, alt, onOpen }) {
  const place = (id) => {
    if (gone.includes(id)) return element("span", { class: "absent", title: "It was deleted, or has not come yet: the album does not have it" }, "no longer there");
    const to = relatedTo(id, view);
    return link(addressOf(to), () => onOpen(to), {}, thumbnail(id, alt));
  };
  const away = (id) => button("×", () => out.deed([id]), { class: "out", "aria-label": out.label });
  const state = (id) => (gone.includes(id) ? "gone" : waiting.includes(id) ? "waiting" : null);
  return element("ul", { class: "members", "aria-label": label }, photoIds.map((id) => element("li", { class: state(id) }, place(id), away(id))));
}

// How many there really are, and what is the matter with the others, in parts of a line.
export function countOf(photoIds, { gone, waiting }, one) {
  const pending = waiting.filter((id) => !gone.includes(id)).length;
  const parts = [plural(photoIds.length - gone.length, one), gone.length && `${gone.length} no longer there`, pending && `${pending} not findable just now`];
  return parts.filter(Boolean);
}

// All that are gone at once, where there are several.
export function takeOutGone(gone, out) {
  return gone.length > 1 ? button(`Take out the ${gone.length} that are gone`, () => out.deed(gone), { class: "plain" }) : null;
}
