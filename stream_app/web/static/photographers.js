// Photographers for an assignment: a brief, and the names whose portfolios suit it, with the photos that speak for them.

import * as api from "./api.js";
import { addressOf } from "./address.js";
import { briefForm } from "./briefs.js";
import { element, explained, link, plural } from "./elements.js";
import { picture, ratioOf, titleOf } from "./picture.js";
import { bar } from "./quests.js";
import { note } from "./status.js";

const HINT = "Words, example photos, or both. The portfolios in the album are compared with them, and the photos that speak for each name are shown.";

export async function showPhotographers(place, view, room) {
  const again = (q, photos) => room.onOpen({ kind: "photographers", q, photos });
  const found = element("div", { "aria-live": "polite" });
  place.replaceChildren(element("h1", {}, "Photographers"), briefForm({ q: view.q, photos: view.photos, selection: room.selection, deed: "Find photographers", hint: HINT, onDone: again }), found);
  if (!view.q && !view.photos.length) return;
  found.setAttribute("aria-busy", "true");
  found.replaceChildren(element("p", { class: "quiet" }, "Comparing portfolios…"));
  try {
    const answer = await api.photographers(view.q, view.photos, room.signal);
    found.replaceChildren(...results(answer, room.onOpen));
  } catch (error) {
    if (room.signal.aborted) return;
    found.replaceChildren(element("p", { class: "trouble" }, error.isMissingFeature ? "This worker cannot look for photographers." : explained(error)));
  } finally {
    found.removeAttribute("aria-busy");
  }
}

function results({ photographers, unknown_words: unknown, took_ms: tookMs }, onOpen) {
  if (!photographers.length) return [note("No photographer found", "Photographers are known by the user_id that their photos were uploaded with. Photos of a folder have none.")];
  const lines = [`${plural(photographers.length, "photographer")} · ${Math.max(1, Math.round(tookMs))} ms`];
  if (unknown.length) lines.push(`Not known, so left out: ${unknown.join(", ")}.`);
  return [...lines.map((line) => element("p", { class: "quiet" }, line)), element("ol", { class: "photographers" }, photographers.map((each) => row(each, photographers[0].score, onOpen)))];
}

function row({ user_id: id, score, photos, evidence }, best, onOpen) {
  const theirs = { kind: "album", filter: { user_id: [id] } };
  return element(
    "li",
    {},
    element("div", { class: "who" }, element("h2", {}, link(addressOf(theirs), () => onOpen(theirs), {}, `Photographer ${id}`)), bar(score, best), element("p", { class: "quiet" }, plural(photos, "photo"))),
    element("ul", { class: "evidence", "aria-label": `Photos that speak for photographer ${id}` }, evidence.map((hit) => proof(hit, onOpen))),
  );
}

function proof(hit, onOpen) {
  const ratio = ratioOf(hit);
  const to = { kind: "related", id: hit.photo_id, via: [] };
  const anchor = link(addressOf(to), () => onOpen(to), { class: "framed", ratio, title: `${titleOf(hit)} · ${hit.score.toFixed(3)}` }, picture(hit, ratio * 120));
  return element("li", {}, anchor);
}
