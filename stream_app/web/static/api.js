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
}

export async function ask(path, options = {}) {
  let reply;
  try {
    reply = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, {
      detail: "The worker does not answer.",
      remedy: "Start it again with: sightline up. This page goes on by itself when it is back.",
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

export const photos = (offset, k, signal) => ask(`/api/photos?offset=${offset}&k=${k}`, { signal });
export const photo = (id, signal) => ask(`/api/photos/${encodeURIComponent(id)}`, { signal });
export const related = (id, k, signal) => ask(`/api/photos/${encodeURIComponent(id)}/related?k=${k}`, { signal });
export const searchWords = (q, k, signal) => ask(`/api/search?q=${encodeURIComponent(q)}&k=${k}`, { signal });
export const searchImage = (file, k, signal) => ask(`/api/search/image?k=${k}`, { method: "POST", body: file, signal });
export const classify = (file, k, signal) => ask(`/api/classify?k=${k}`, { method: "POST", body: file, signal });
export const remove = (id) => ask(`/api/photos/${encodeURIComponent(id)}`, { method: "DELETE" });
export const stats = (signal) => ask("/api/stats", { signal });
export const upload = (file) => ask(`/api/photos?name=${encodeURIComponent(file.name || "pasted.png")}`, { method: "POST", body: file });
