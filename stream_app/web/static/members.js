// Photos of a gallery or a quest as small tiles, each with a way to take it out; a place without a photo says why.

import { addressOf, relatedTo } from "./address.js";
import { button, element, link, plural } from "./elements.js";
import { thumbnail } from "./picture.js";

// What stands in the place of a photo that cannot be shown, by what the worker says of it.
const ABSENT = { gone: "no longer there", unknown: "not there yet", failed: "cannot be read" };

// `states` says what is the matter with those that are not findable; `out` is {label, deed(ids)}.
export function members(photoIds, { view, states, out, label, alt, onOpen }) {
  const place = (id) => {
    if (ABSENT[states[id]]) return element("span", { class: "absent" }, ABSENT[states[id]]);
    const to = relatedTo(id, view);
    return link(addressOf(to), () => onOpen(to), { title: states[id] ? `not findable: ${states[id]}` : null }, thumbnail(id, alt));
  };
  const away = (id) => button("×", () => out.deed([id]), { class: "out", "aria-label": out.label });
  return element("ul", { class: "members", "aria-label": label }, photoIds.map((id) => element("li", { class: states[id] }, place(id), away(id))));
}

// Those of the photos of which the worker says one of these.
export const inState = (photoIds, states, ...names) => photoIds.filter((id) => names.includes(states[id]));

// How many there really are, and what is the matter with the others, in parts of a line.
export function countOf(photoIds, states, one) {
  const count = (...names) => inState(photoIds, states, ...names).length;
  const [gone, unknown, pending] = [count("gone"), count("unknown"), count("queued", "hidden", "failed")];
  const parts = [plural(photoIds.length - gone - unknown, one), gone && `${gone} ${ABSENT.gone}`, unknown && `${unknown} ${ABSENT.unknown}`, pending && `${pending} not findable just now`];
  return parts.filter(Boolean);
}

// All that are gone at once, where there are several.
export function takeOutGone(photoIds, states, out) {
  const gone = inState(photoIds, states, "gone");
  return gone.length > 1 ? button(`Take out the ${gone.length} that are gone`, () => out.deed(gone), { class: "plain" }) : null;
}
