// Where the photos of a view come from: the first page, and more when the reader has seen those.

import * as api from "./api.js";

export const PAGE = 60;
const K_MAX = 1000;

export function sourceOf(view) {
  if (view.kind === "words") return ranked((k, signal) => api.searchWords(view.q, k, signal));
  if (view.kind === "related") return ranked((k, signal) => api.related(view.id, k, signal));
  if (view.kind === "image") return ranked((k, signal) => api.searchImage(view.files[0], k, signal));
  return {
    first: async (signal) => page(await api.photos(0, PAGE, signal)),
    more: async (shown, signal) => page(await api.photos(shown, PAGE, signal)),
  };
}

function page(reply) {
  return { items: reply.photos, ended: reply.photos.length < PAGE, unknown: [], complete: true };
}

function ranked(search) {
  const take = async (k, signal) => {
    const reply = await search(Math.min(k, K_MAX), signal);
    return {
      items: reply.hits,
      ended: reply.hits.length < k || k >= K_MAX,
      unknown: reply.unknown_words,
      complete: reply.complete,
      tookMs: reply.took_ms,
    };
  };
  return { first: (signal) => take(PAGE, signal), more: (shown, signal) => take(shown + PAGE, signal) };
}
