// Asks the worker. Every failure becomes a Problem with words for a person: what happened, and what to do.

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || "The worker could not answer.");
    this.status = status;
    this.expected = body.expected;
    this.remedy = body.remedy;
  }

  get lost() {
    return this.status === 0;
  }

  // A worker without galleries and quests has no such address; with them, it says which one it does not know.
  get isMissingFeature() {
    return this.status === 404 && this.message === "there is nothing at this address";
  }
}

export async function ask(path, options = {}) {
  let reply;
  try {
    reply = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, {
      detail: navigator.onLine ? "The worker does not answer." : "This device is offline.",
      remedy: navigator.onLine
        ? "Start it again with: sightline up. This page goes on by itself when it is back."
        : "This page goes on by itself when the network is back.",
    });
  }
  if (reply.status === 204) return null;
  const body = await reply.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    return {};
  });
  if (reply.ok) return body;
  throw new Problem(reply.status, body);
}

const part = encodeURIComponent;

function send(method, path, body, signal) {
  return ask(path, { method, signal, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
}

// `asked` is a list of [name, value]: some names are repeated.
const query = (asked) => new URLSearchParams(asked.filter(([, value]) => value !== undefined && value !== ""));

export const photos = (offset, k, signal) => ask(`/api/photos?offset=${offset}&k=${k}`, { signal });
export const photo = (id, signal) => ask(`/api/photos/${part(id)}`, { signal });
export const related = (id, asked, signal) => ask(`/api/photos/${part(id)}/related?${query(asked)}`, { signal });
export const searchWords = (q, asked, signal) => ask(`/api/search?${query([["q", q], ...asked])}`, { signal });
export const searchImage = (file, asked, signal) => ask(`/api/search/image?${query(asked)}`, { method: "POST", body: file, signal });
export const classify = (file, k, signal) => ask(`/api/classify?k=${k}`, { method: "POST", body: file, signal });
export const remove = (id) => ask(`/api/photos/${part(id)}`, { method: "DELETE" });
export const stats = (signal) => ask("/api/stats", { signal });
// Under the same key a second try makes no second photo.
export const upload = (file, key) =>
  ask(`/api/photos?name=${part(file.name || "pasted.png")}`, { method: "POST", body: file, headers: { "Idempotency-Key": key } });

export const suggestions = (photoIds, k, signal) => send("POST", "/api/suggestions", { photo_ids: photoIds, k, fold: true }, signal);
// Those of a selection's photos that the album does not have; each is a question of its own.
export async function missing(photoIds, signal) {
  const isThere = (id) => photo(id, signal).then(() => true, (error) => error.status !== 404);
  const there = await Promise.all(photoIds.map(isThere));
  return photoIds.filter((_, place) => !there[place]);
}

export const gallery = (id, signal) => ask(`/api/galleries/${part(id)}`, { signal });
export const gallerySuggestions = (id, asked, signal) => ask(`/api/galleries/${part(id)}/suggestions?${query(asked)}`, { signal });
export const addToGallery = (id, photoIds) => send("POST", `/api/galleries/${part(id)}/photos`, { photo_ids: photoIds });
export const takeFromGallery = (id, photoIds) => send("POST", `/api/galleries/${part(id)}/photos/remove`, { photo_ids: photoIds });
export const deleteGallery = (id) => ask(`/api/galleries/${part(id)}`, { method: "DELETE" });

export const quest = (id, signal) => ask(`/api/quests/${part(id)}`, { signal });
export const setBrief = (id, q, photoIds) => send("PUT", `/api/quests/${part(id)}`, { q, photo_ids: photoIds });
export const submit = (id, photoIds) => send("POST", `/api/quests/${part(id)}/submissions`, { photo_ids: photoIds });
export const withdraw = (id, photoIds) => send("POST", `/api/quests/${part(id)}/submissions/withdraw`, { photo_ids: photoIds });
export const ranking = (id, signal) => ask(`/api/quests/${part(id)}/ranking?k=500&explain=true`, { signal });
export const deleteQuest = (id) => ask(`/api/quests/${part(id)}`, { method: "DELETE" });

export const photographers = (q, photoIds, signal) =>
  send("POST", "/api/assignments/photographers", { q, photo_ids: photoIds, k: 30, evidence: 6 }, signal);
