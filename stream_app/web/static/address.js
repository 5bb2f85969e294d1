// The view and its address are the same thing: every view but a dropped photo can be linked to.
//
// {kind: "album"} | {kind: "words", q} | {kind: "related", id, via} | {kind: "image", files}
// {kind: "galleries"} | {kind: "gallery", id} | {kind: "quests", q, photos} | {kind: "quest", id}
// {kind: "photographers", q, photos}
// `via` is the trail: ["w:red boat", "p:123"], words and photos in the order in which they were visited. The first four
// and a gallery may carry a `filter`, whose names are those of the web API.

const TRAIL_MAX = 8;
const LISTS = ["tag", "label", "user_id"];
const SINGLES = ["orientation", "after", "before", "fold"];

export function viewOf(search) {
  const given = new URLSearchParams(search);
  const filter = filterOf(given);
  if (given.get("related")) return { kind: "related", id: given.get("related"), via: given.getAll("via"), filter };
  if (given.get("gallery")) return { kind: "gallery", id: given.get("gallery"), filter };
  if (given.get("quest")) return { kind: "quest", id: given.get("quest") };
  for (const kind of ["quests", "photographers"]) {
    if (given.has(kind)) return { kind, q: given.get(kind), photos: given.getAll("photo") };
  }
  if (given.has("galleries")) return { kind: "galleries" };
  if (given.get("q")) return { kind: "words", q: given.get("q"), filter };
  return { kind: "album", filter };
}

export function addressOf(view) {
  const given = new URLSearchParams();
  if (view.kind === "words") given.set("q", view.q);
  if (view.kind === "related" || view.kind === "gallery" || view.kind === "quest") given.set(view.kind, view.id);
  if (view.kind === "galleries") given.set("galleries", "");
  if (view.kind === "quests" || view.kind === "photographers") given.set(view.kind, view.q ?? "");
  for (const step of view.via ?? []) given.append("via", step);
  for (const id of view.photos ?? []) given.append("photo", id);
  for (const [name, value] of filterPairs(view.filter)) given.append(name, value);
  return given.size ? `/?${given}` : "/";
}

export function relatedTo(id, from) {
  return { kind: "related", id, via: [...stepsTo(from)].slice(-TRAIL_MAX), filter: from.filter };
}

export function stepView(via, position) {
  const step = via[position];
  if (step.startsWith("w:")) return { kind: "words", q: step.slice(2) };
  if (step.startsWith("g:")) return { kind: "gallery", id: step.slice(2) };
  return { kind: "related", id: step.slice(2), via: via.slice(0, position) };
}

// Filters as pairs of name and value, in the order in which they are shown.
export function filterPairs(filter) {
  return [...LISTS, ...SINGLES].flatMap((name) => [filter?.[name] ?? []].flat().map((value) => [name, value]));
}

export function withoutPair(filter, name, value) {
  const rest = { ...filter };
  if (LISTS.includes(name)) rest[name] = rest[name].filter((each) => each !== value);
  else delete rest[name];
  return rest;
}

// The ids of photos that a query names, as in `photo:42 - dog`.
export function photosIn(q) {
  return [...(q ?? "").matchAll(/(?:^|[\s+-])photo:(\d{1,19})/g)].map((match) => match[1]);
}

// A query as a person would say it: the ids of photos tell nobody anything.
export function spoken(q) {
  if (/^\s*photo:\d+(\s*\+\s*photo:\d+)*\s*$/.test(q)) return photosIn(q).length > 1 ? "these photos" : "this photo";
  return `“${q.replace(/photo:\d+/g, "this photo")}”`;
}

function filterOf(given) {
  const filter = {};
  for (const name of LISTS) if (given.getAll(name).length) filter[name] = given.getAll(name);
  for (const name of SINGLES) if (given.get(name)) filter[name] = given.get(name);
  return filter;
}

function stepsTo(view) {
  if (view.kind === "words") return [`w:${view.q}`];
  if (view.kind === "gallery") return [`g:${view.id}`];
  if (view.kind === "related") return [...(view.via ?? []), `p:${view.id}`];
  return [];
}
