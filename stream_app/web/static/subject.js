// What a view is about: the photo whose relatives are shown, or the photo that was dropped.

import * as api from "./api.js";
import { addressOf } from "./address.js";
import { button, deliberate, element, link, plural } from "./elements.js";
import { fileName, picture, ratioOf, thumbnail, titleOf } from "./picture.js";

export function photoSubject(photo, { onDelete, onOpen, onRefine, selection }) {
  const ratio = ratioOf(photo);
  const size = photo.width ? `${photo.width} × ${photo.height}` : "";
  const state = { queued: "waiting to be embedded", failed: photo.reason }[photo.state];
  const by = photo.user_id && { kind: "album", filter: { user_id: [photo.user_id] } };
  return [
    element("div", { class: "picture", ratio }, picture(photo, Math.min(innerWidth * 0.56, ratio * innerHeight * 0.52), { lazy: false })),
    element(
      "div",
      { class: "facts" },
      element("h1", {}, titleOf(photo)),
      element("p", {}, [photo.title ? fileName(photo) : "", size, when(photo), state].filter(Boolean).join(" · ")),
      by && element("p", {}, link(addressOf(by), () => onOpen(by), {}, `Photographer ${photo.user_id}`)),
      wordChips("Tags", photo.tags, onOpen),
      wordChips("Words for it", photo.words.map((word) => word.name), onOpen),
      wordChips("It shows", photo.labels.slice(0, 5).map((label) => label.name), onOpen),
      element(
        "div",
        { class: "actions" },
        selectButton(photo, selection),
        button("Like this, but …", () => onRefine(`photo:${photo.photo_id} `), { class: "plain", title: "Add words or take some away: photo:… - dog" }),
        element("a", { class: "button plain", href: photo.image_url, target: "_blank", rel: "noopener" }, "Original"),
        deliberate("Delete", "Delete from the album? A file in a folder of yours stays there", onDelete),
      ),
    ),
  ];
}

// `known` is a promise of the photos of the album that are the one that was dropped, or nearly.
export async function droppedSubject(files, { known, onAdd, onOpen, signal }) {
  const address = URL.createObjectURL(files[0]);
  signal.addEventListener("abort", () => URL.revokeObjectURL(address), { once: true });
  const image = element("img", { src: address, alt: files[0].name || "The photo you dropped" });
  const shown = await image.decode().then(() => true, () => false);
  const ratio = shown ? ratioOf({ width: image.naturalWidth, height: image.naturalHeight }) : 1.5;
  const words = element("div", { class: "reserved" });
  const news = element("p", { class: "known", role: "status" }, "Looking whether the album has it …");
  const others = files.length > 1 ? ` and ${plural(files.length - 1, "other file")}` : "";
  const add = button(files.length > 1 ? `Add all ${files.length} to the album` : "Add to the album", () => {
    add.disabled = true;
    onAdd(files);
  });
  describeDropped(words, files[0], onOpen, signal);
  known.then((found) => news.replaceChildren(...knownNews(found, onOpen)), () => news.replaceChildren());
  return [
    element("div", { class: "picture", ratio }, shown ? image : element("span", { class: "absent" }, "This browser cannot show this kind of photo; it is searched by all the same.")),
    element(
      "div",
      { class: "facts" },
      element("h1", {}, "Search by this photo"),
      element("p", {}, `${files[0].name || "A pasted photo"}${others}`),
      news,
      words,
      element("div", { class: "actions" }, add),
    ),
  ];
}

function knownNews(known, onOpen) {
  if (!known?.length) return ["It is not in the album."];
  const same = known.filter((each) => each.relation === "same");
  const shown = (same.length ? same : known).slice(0, 5);
  const links = shown.map(({ photo_id: id }) => {
    const view = { kind: "related", id, via: [] };
    return link(addressOf(view), () => onOpen(view), { class: "face" }, thumbnail(id, "The photo of the album"));
  });
  return [same.length ? "This very photo is in the album:" : "Nearly the same photo is in the album:", ...links];
}

function selectButton(photo, selection) {
  const made = button("", () => selection.toggle(photo), { class: "plain" });
  const tell = () => {
    made.textContent = selection.has(photo.photo_id) ? "Selected ✓" : "Select";
    made.setAttribute("aria-pressed", String(selection.has(photo.photo_id)));
  };
  selection.addEventListener("change", tell);
  tell();
  return made;
}

function when({ time_ms: timeMs }) {
  return timeMs ? new Date(timeMs).toLocaleDateString(undefined, { dateStyle: "medium" }) : "";
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
    return element("li", {}, link(addressOf(view), () => onOpen(view), {}, word));
  });
  return [element("h2", {}, heading), element("ul", { class: "chips" }, chips)];
}
