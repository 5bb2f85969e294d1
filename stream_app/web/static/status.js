// The line above the grid: what is going on, what was found, what went wrong, and what to do about it.

import { element, plural } from "./elements.js";

const SOON_MS = 400;
const SLOW_MS = 5000;

export class Status {
  constructor(place) {
    this.place = place;
    this.failed = false;
  }

  waiting(view, signal) {
    this.clear();
    const deed = view.kind === "album" ? "Loading the album" : "Searching";
    this.later(SOON_MS, `${deed}…`, signal);
    this.later(SLOW_MS, `${deed} takes longer than usual: the worker is busy or still starting. It goes on by itself.`, signal);
  }

  found(view, result) {
    this.clear();
    if (!result.items.length) return this.place.append(nothing(view));
    const lines = [];
    if (view.kind === "album") lines.push("Newest first");
    if (view.kind === "words") lines.push(`Nearest to “${view.q}” first${took(result)}`);
    if (view.kind === "related") lines.push(`Most alike first${took(result)}`);
    if (view.kind === "image") lines.push(`Most like your photo first${took(result)}`);
    if (result.unknown?.length) lines.push(`Not known, so left out: ${result.unknown.join(", ")}.`);
    if (!result.complete) lines.push("A part of the index did not answer; these photos come from the rest. Search again in a moment.");
    this.place.append(...lines.map((line) => element("p", {}, line)));
  }

  problem(error, again) {
    this.clear();
    this.failed = true;
    this.place.classList.add("error");
    const remedy = error.remedy ?? (error.expected ? `Expected: ${error.expected}.` : "");
    this.place.append(element("p", {}, element("b", {}, sentence(error.message))));
    if (remedy) this.place.append(element("p", {}, sentence(remedy)));
    if (error.lost || error.status >= 500) this.place.append(element("button", { type: "button", onclick: again }, "Try again"));
  }

  clear() {
    for (const timer of this.timers ?? []) clearTimeout(timer);
    this.timers = [];
    this.failed = false;
    this.place.classList.remove("error");
    this.place.replaceChildren();
  }

  later(afterMs, text, signal) {
    this.timers.push(setTimeout(() => signal.aborted || this.place.replaceChildren(element("p", {}, text)), afterMs));
  }
}

function nothing(view) {
  if (view.kind !== "album") return note("No photo found", "The album may still be filling. Try another word, or add photos.");
  return note(
    "The album is empty",
    "Drop photos here and add them, or publish a folder: ",
    element("code", {}, "sightline publish ~/Pictures"),
  );
}

function note(heading, ...text) {
  return element("div", { class: "note" }, element("h2", {}, heading), element("p", {}, ...text));
}

function took(result) {
  return result.tookMs === undefined ? "" : ` · the ${plural(result.items.length, "photo")} that come nearest, in ${Math.max(1, Math.round(result.tookMs))} ms`;
}

export function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
