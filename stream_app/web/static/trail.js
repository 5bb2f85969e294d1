// The way that led to a photo: the words and photos that were visited before it, each of them a step back.

import { addressOf, stepView } from "./address.js";
import { element, link } from "./elements.js";
import { thumbnail } from "./picture.js";

export function trailSteps(via, onOpen) {
  const steps = via.flatMap((step, position) => {
    const view = stepView(via, position);
    return [link(addressOf(view), () => onOpen(view), { class: view.kind }, face(view)), element("i", { "aria-hidden": "true" }, "›")];
  });
  return [...steps, element("span", { class: "quiet" }, "this photo")];
}

function face(view) {
  if (view.kind === "words") return view.q;
  if (view.kind === "gallery") return "a gallery";
  return thumbnail(view.id, "An earlier photo");
}
