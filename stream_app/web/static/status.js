// The line above the grid: what is going on, what was found, what went wrong, and what to do about it.

import { addressOf, spoken } from "./address.js";
import { button, element, link, plural, sentence } from "./elements.js";

const SOON_MS = 400;
const SLOW_MS = 2000;
// Where to go on from an address of something that is not there.
const ELSEWHERE = {
  related: ["Back to the album", { kind: "album" }],
  gallery: ["Galleries that you know", { kind: "galleries" }],
  quest: ["Quests that you know", { kind: "quests", q: "", photos: [] }],
};
const DEEDS = { album: "Loading the album", words: "Searching", related: "Looking for related photos", image: "Searching by your photo" };

export class Status {
  constructor(place, { onOpen }) {
    this.place = place;
    this.onOpen = onOpen;
    this.failed = false;
    this.timers = [];
  }

  waiting(view, signal) {
    this.clear();
    const deed = DEEDS[view.kind] ?? "Loading";
    this.#later(SOON_MS, `${deed}…`, signal);
    this.#later(SLOW_MS, `${deed} takes longer than usual: the worker is busy or still starting. It goes on by itself.`, signal);
  }

  found(view, result) {
    this.clear();
    if (!result.items.length && !result.ended) return this.place.append(element("p", {}, lookingFurther(result)));
    if (!result.items.length) return this.place.append(nothing(view));
    const line = {
      album: () => "Newest first",
      words: () => `Nearest to ${spoken(view.q)} first${took(result)}`,
      related: () => `Most alike first${took(result)}`,
      image: () => `Most like your photo first${took(result)}`,
      gallery: () => `These would complete ${result.themes > 1 ? `its ${result.themes} themes` : "it"}${took(result)}`,
    }[view.kind]();
    this.place.append(element("p", {}, line));
    if (result.unknown?.length) this.place.append(this.#unknown(view, result));
    if (!result.complete) this.place.append(element("p", {}, "A part of the index did not answer; these photos come from the rest. Search again in a moment."));
  }

  problem(error, again, view = {}) {
    this.clear();
    this.failed = true;
    this.place.classList.add("error");
    this.place.append(element("p", {}, element("b", {}, sentence(error.message))));
    const near = /^Did you mean (.+)\?$/.exec(error.remedy ?? "")?.[1].split(", ");
    const gone = error.status === 404 && ELSEWHERE[view.kind];
    const remedy = gone && view.kind === "related" ? "It was deleted, or has not come yet." : (error.remedy ?? (error.expected ? `Expected: ${error.expected}.` : ""));
    if (near && view.kind === "words") this.place.append(element("p", {}, "Did you mean ", this.#links(near, (word) => ({ ...view, q: word })), "?"));
    else if (remedy) this.place.append(element("p", {}, sentence(remedy)));
    if (gone) this.place.append(element("p", {}, link(addressOf(gone[1]), () => this.onOpen(gone[1]), {}, gone[0])));
    if (error.lost || error.status >= 500) this.place.append(button("Try again", again));
  }

  // Laid out anew, in another view; see Grid.show.
  renew() {
    const line = this.place.parentElement;
    line.replaceWith(line);
  }

  clear() {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers = [];
    this.failed = false;
    this.place.classList.remove("error");
    this.place.replaceChildren();
  }

  #unknown(view, { unknown, suggestions = {} }) {
    const parts = unknown.flatMap((word, position) => {
      const near = suggestions[word] ?? [];
      const links = this.#links(near, (each) => ({ ...view, q: corrected(view.q ?? "", word, each) }));
      return [position ? "; " : "", element("b", {}, word), ...(near.length && view.kind === "words" ? [" (did you mean ", ...links, "?)"] : [])];
    });
    return element("p", { class: "unknown" }, "Not known, so left out: ", parts, ".");
  }

  #links(words, viewFor) {
    return words.flatMap((word, position) => {
      const view = viewFor(word);
      return [position ? ", " : "", link(addressOf(view), () => this.onOpen(view), {}, word)];
    });
  }

  #later(afterMs, text, signal) {
    this.timers.push(setTimeout(() => signal.aborted || this.place.replaceChildren(element("p", {}, text)), afterMs));
  }
}

// The query with one word spelt otherwise.
function corrected(q, word, near) {
  const at = q.toLowerCase().search(new RegExp(`(?<![\\p{L}\\p{N}])${word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").toLowerCase()}(?![\\p{L}\\p{N}])`, "u"));
  return at < 0 ? near : q.slice(0, at) + near + q.slice(at + word.length);
}

function lookingFurther({ looked }) {
  return looked ? `None of the newest ${plural(looked, "photo")} fits the filter; looking further…` : "Nothing yet; looking further…";
}

function nothing(view) {
  const filtered = Object.keys(view.filter ?? {}).length > 0;
  if (filtered) return note("No photo fits the filter", "Take a part of it away: each one has a cross, above.");
  if (view.kind === "gallery") return note("Nothing to suggest yet", "Suggestions come as soon as the gallery has photos that can be found.");
  if (view.kind !== "album") return note("No photo found", "The album may still be filling. Try another word, or add photos.");
  return note("The album is empty", "Drop photos here and add them, or publish a folder: ", element("code", {}, "sightline publish ~/Pictures"));
}

export function note(heading, ...text) {
  return element("div", { class: "note" }, element("h2", {}, heading), element("p", {}, ...text));
}

function took(result) {
  return result.tookMs === undefined ? "" : ` · ${Math.max(1, Math.round(result.tookMs))} ms`;
}
