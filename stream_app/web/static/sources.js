// Where the photos of a view come from: the first page, more when the reader has seen those, and why a hit is there.

import { filterPairs } from "./address.js";
import * as api from "./api.js";

export const PAGE = 60;
const SUGGESTED = 40;
const LISTED = 200;
const LISTED_MAX = 2000;

export function sourceOf(view) {
  if (view.kind === "words") return new Walk(view, (asked, signal) => api.searchWords(view.q, asked, signal));
  if (view.kind === "related") return new Walk(view, (asked, signal) => api.related(view.id, asked, signal));
  if (view.kind === "image") return new Walk(view, (asked, signal) => api.searchImage(view.files[0], asked, signal));
  if (view.kind === "gallery") return new Suggested(view);
  return new Listing(view);
}

// All hits of a question, page by page, each exactly once.
class Walk {
  constructor(view, ask) {
    this.view = view;
    this.ask = ask;
    this.explanations = new Map();
  }

  first(signal) {
    this.cursor = "*";
    return this.more(signal);
  }

  async more(signal) {
    const at = this.cursor;
    const reply = await this.ask(this.#asked(at), signal);
    this.cursor = reply.next_cursor;
    return {
      items: reply.hits.map((hit) => ({ ...hit, page: at })),
      ended: !reply.next_cursor,
      unknown: reply.unknown_words,
      suggestions: reply.suggestions,
      complete: reply.complete,
      known: reply.known,
      tookMs: reply.took_ms,
    };
  }

  async explain(item) {
    if (!this.explanations.has(item.page)) this.explanations.set(item.page, await this.ask([...this.#asked(item.page), ["explain", "true"]]));
    const reply = this.explanations.get(item.page);
    return { explanation: reply.hits.find((hit) => hit.photo_id === item.photo_id)?.explanation, search: reply.explanation };
  }

  #asked(cursor) {
    const fold = this.view.filter?.fold ?? "true";
    return [["k", PAGE], ["cursor", cursor], ["fold", fold], ...asAsked(this.view.filter)];
  }
}

// What would complete a gallery: as many as are worth a look.
class Suggested {
  constructor(view) {
    this.view = view;
  }

  async first(signal) {
    const reply = await this.#ask(signal);
    this.explained = null;
    return { items: reply.hits, ended: true, complete: reply.complete, tookMs: reply.took_ms, members: reply.members, themes: reply.themes };
  }

  more() {
    return { items: [], ended: true };
  }

  async explain(item) {
    this.explained ??= await this.#ask(undefined, [["explain", "true"]]);
    return { explanation: this.explained.hits.find((hit) => hit.photo_id === item.photo_id)?.explanation };
  }

  #ask(signal, more = []) {
    return api.gallerySuggestions(this.view.id, [["k", SUGGESTED], ["fold", "true"], ...asAsked(this.view.filter), ...more], signal);
  }
}

// The album, newest first. The worker lists all of it, so what a filter leaves is chosen here, a stretch at a time:
// `looked` says how many of the newest photos were looked at so far, which may be long before the first one that fits.
class Listing {
  constructor(view) {
    this.accepts = accepting(view.filter);
    this.page = filterPairs(view.filter).length ? LISTED : PAGE;
  }

  first(signal) {
    this.offset = 0;
    return this.more(signal);
  }

  async more(signal) {
    const items = [];
    const until = this.offset + LISTED_MAX;
    let ended = false;
    while (!ended && items.length < PAGE && this.offset < until) {
      const { photos } = await api.photos(this.offset, this.page, signal);
      this.offset += this.page;
      // A page may be short, where photos went since the worker made its list; past the end it is empty.
      ended = !photos.length;
      items.push(...photos.filter(this.accepts));
    }
    return { items, ended, complete: true, looked: this.offset };
  }
}

// A filter as the web API takes it: days become moments of this place's time zone, the last one included.
function asAsked(filter) {
  return filterPairs(filter).flatMap(([name, value]) => {
    if (name === "fold") return [];
    if (name !== "after" && name !== "before") return [[name, value]];
    const day = new Date(`${value}T00:00`);
    if (name === "before") day.setDate(day.getDate() + 1);
    return Number.isNaN(day.getTime()) ? [[name, value]] : [[name, day.toISOString()]];
  });
}

function accepting(filter) {
  const asked = asAsked(filter);
  const wanted = (name) => asked.filter(([each]) => each === name).map(([, value]) => value);
  const [tags, labels, users] = ["tag", "label", "user_id"].map((name) => wanted(name).map((value) => value.toLowerCase()));
  const [after, before] = ["after", "before"].map((name) => wanted(name).map((time) => Date.parse(time))[0]);
  const has = (names, wished) => !wished.length || names.some((name) => wished.includes(name.toLowerCase()));
  return (photo) =>
    has(photo.tags, tags) &&
    has(photo.labels.map((label) => label.name), labels) &&
    has([photo.user_id ?? ""], users) &&
    !(photo.time_ms < after || photo.time_ms >= before) &&
    (!filter?.orientation || orientation(photo) === filter.orientation);
}

function orientation({ width, height }) {
  if (Math.abs(width - height) <= 0.05 * Math.max(width, height)) return "square";
  return width > height ? "landscape" : "portrait";
}
