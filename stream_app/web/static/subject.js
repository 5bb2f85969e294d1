// What a view is about: the photo whose relatives are shown, or the photo that was dropped; and the trail to it.

import * as api from "./api.js";
import { addressOf, stepView } from "./address.js";
import { element, plural } from "./elements.js";
import { fileName, picture, ratioOf } from "./grid.js";

const CONFIRM_MS = 4000;

export function photoSubject(photo, { onDelete, onOpen }) {
  const ratio = ratioOf(photo);
  const size = photo.width ? `${photo.width} × ${photo.height}` : "";
  const state = { queued: "waiting to be embedded", failed: photo.reason }[photo.state];
  return [
    element("div", { class: "picture", ratio }, picture(photo, Math.min(innerWidth * 0.56, ratio * innerHeight * 0.52))),
    element(
      "div",
      {},
      element("h1", {}, photo.title || fileName(photo)),
      element("p", {}, [photo.title ? fileName(photo) : "", size, state].filter(Boolean).join(" · ")),
      ...wordChips("Tags", photo.tags, onOpen),
      ...wordChips("Words for it", photo.words.map((word) => word.name), onOpen),
      ...wordChips("It shows", photo.labels.slice(0, 5).map((label) => label.name), onOpen),
      element(
        "div",
        { class: "actions" },
        element("a", { class: "button plain", href: photo.image_url, target: "_blank", rel: "noopener" }, "Open the original"),
        deleteButton(onDelete),
      ),
    ),
  ];
}

export function droppedSubject(files, { onAdd, onOpen, signal }) {
  const address = URL.createObjectURL(files[0]);
  const image = element("img", { src: address, alt: files[0].name || "The photo you dropped" });
  const frame = element("div", { class: "picture", ratio: 1.5 }, image);
  image.addEventListener("load", () => frame.style.setProperty("--ratio", String(ratioOf({ width: image.naturalWidth, height: image.naturalHeight }))));
  image.addEventListener("error", () => image.replaceWith(element("span", { class: "absent" }, "This browser cannot show this kind of photo.")));
  signal.addEventListener("abort", () => URL.revokeObjectURL(address), { once: true });
  const words = element("div");
  describeDropped(words, files[0], onOpen, signal);
  const others = files.length > 1 ? ` and ${plural(files.length - 1, "other file")}` : "";
  const add = element("button", { type: "button" }, files.length > 1 ? `Add all ${files.length} to the album` : "Add to the album");
  add.addEventListener("click", () => {
    add.disabled = true;
    onAdd(files);
  });
  return [
    frame,
    element(
      "div",
      {},
      element("h1", {}, "Search by this photo"),
      element("p", {}, `${files[0].name || "A pasted photo"}${others}. It is not in the album.`),
      words,
      element("div", { class: "actions" }, add),
    ),
  ];
}

export function trailSteps(via, onOpen) {
  const steps = via.flatMap((step, position) => {
    const view = stepView(via, position);
    const open = (event) => {
      event.preventDefault();
      onOpen(view);
    };
    return [element("a", { href: addressOf(view), class: view.kind, onclick: open }, stepFace(view)), element("i", {}, "›")];
  });
  return [...steps, element("i", {}, "related")];
}

function stepFace(view) {
  if (view.kind === "words") return view.q;
  const path = `/api/photos/${encodeURIComponent(view.id)}/image?side=160`;
  return element("img", { src: path, width: 44, height: 44, alt: "An earlier photo" });
}

async function describeDropped(place, file, onOpen, signal) {
  try {
    const { words, labels } = await api.classify(file, 6, signal);
    place.replaceChildren(
      ...wordChips("Words for it", words.map((word) => word.name), onOpen),
      ...wordChips("It shows", labels.map((label) => label.name), onOpen),
    );
  } catch {
    // The search of the same photo says what is wrong; saying it twice helps nobody.
  }
}

function wordChips(heading, words, onOpen) {
  if (!words?.length) return [];
  const chips = words.map((word) => {
    const view = { kind: "words", q: word };
    const open = (event) => {
      event.preventDefault();
      onOpen(view);
    };
    return element("li", {}, element("a", { href: addressOf(view), onclick: open }, word));
  });
  return [element("h2", {}, heading), element("ul", { class: "chips" }, ...chips)];
}

function deleteButton(onDelete) {
  const button = element("button", { type: "button", class: "danger" }, "Delete");
  let asked = 0;
  button.addEventListener("click", async () => {
    if (Date.now() - asked > CONFIRM_MS) {
      asked = Date.now();
      button.textContent = "Delete from the album? A file in a folder of yours stays there";
      setTimeout(() => { button.textContent = "Delete"; }, CONFIRM_MS);
      return;
    }
    button.disabled = true;
    await onDelete();
    button.disabled = false;
  });
  return button;
}
