// One photo as an image: in its own shape before it arrives, in the size that its place needs, or a word why not.

import * as api from "./api.js";
import { element } from "./elements.js";

const SIDES = [160, 320, 640, 1280];
// Beyond these a photo is a line; it is then shown whole within the shape.
const RATIO_LOW = 0.3;
const RATIO_HIGH = 4.5;

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

export const titleOf = (photo) => photo.title || fileName(photo) || `Photo ${photo.photo_id}`;

export function picture(photo, widthPx, { lazy = true, alt = describe(photo) } = {}) {
  const image = element("img", {
    alt,
    width: photo.width || 3,
    height: photo.height || 2,
    loading: lazy ? "lazy" : null,
    decoding: "async",
    draggable: "false",
    // A lazy image may ask for the size that it really has.
    sizes: lazy ? `auto, ${Math.round(widthPx)}px` : `${Math.round(widthPx)}px`,
    srcset: SIDES.map((side) => `${photo.image_url}?side=${side} ${widthAt(photo, side)}w`).join(", "),
    src: `${photo.image_url}?side=320`,
  });
  image.addEventListener("error", () => replace(image, photo), { once: true });
  return image;
}

export function thumbnail(photoId, alt = `Photo ${photoId}`) {
  const image_url = `/api/photos/${encodeURIComponent(photoId)}/image`;
  const image = element("img", { src: `${image_url}?side=160`, width: 64, height: 64, alt, draggable: "false", decoding: "async" });
  image.addEventListener("error", () => replace(image, { photo_id: photoId }), { once: true });
  return image;
}

export function tagsAndLabels(photo) {
  return [...(photo.tags ?? []), ...(photo.labels ?? []).map((label) => label.name ?? label)];
}

function widthAt(photo, side) {
  const longer = Math.max(photo.width, photo.height) || side;
  return Math.max(1, Math.round((photo.width || side) * Math.min(1, side / longer)));
}

function describe(photo) {
  const shown = tagsAndLabels(photo);
  return shown.length ? `${titleOf(photo)} (${shown.slice(0, 3).join(", ")})` : titleOf(photo);
}

// A photo may be deleted while it is shown, its file may be gone, or the worker away: each is said in its place.
async function replace(image, photo) {
  const place = element("span", { class: "absent", "data-absent": photo.photo_id }, "…");
  image.replaceWith(place);
  try {
    await api.photo(photo.photo_id);
    place.textContent = photo.url ? `${titleOf(photo)} cannot be shown: its file cannot be read just now.` : "cannot be read just now";
  } catch (error) {
    const [gone, away] = photo.url ? [`${titleOf(photo)} was deleted.`, `${titleOf(photo)} cannot be shown just now.`] : ["no longer there", "cannot be shown just now"];
    place.textContent = error.status === 404 ? gone : away;
    if (error.status === 404) place.dataset.gone = "yes";
  }
}
