// The view and its address are the same thing: every view but a dropped photo can be linked to.
//
// {kind: "album"} | {kind: "words", q} | {kind: "related", id, via} | {kind: "image", files}
// `via` is the trail: ["w:red boat", "p:123"], words and photos in the order in which they were visited.

const TRAIL_MAX = 8;

export function viewOf(search) {
  const given = new URLSearchParams(search);
  if (given.get("related")) return { kind: "related", id: given.get("related"), via: given.getAll("via") };
  if (given.get("q")) return { kind: "words", q: given.get("q") };
  return { kind: "album" };
}

export function addressOf(view) {
  if (view.kind === "words") return `/?${new URLSearchParams({ q: view.q })}`;
  if (view.kind !== "related") return "/";
  const given = new URLSearchParams({ related: view.id });
  for (const step of view.via || []) given.append("via", step);
  return `/?${given}`;
}

export function relatedTo(id, from) {
  return { kind: "related", id, via: [...stepsTo(from)].slice(-TRAIL_MAX) };
}

export function stepView(via, position) {
  const step = via[position];
  if (step.startsWith("w:")) return { kind: "words", q: step.slice(2) };
  return { kind: "related", id: step.slice(2), via: via.slice(0, position) };
}

function stepsTo(view) {
  if (view.kind === "words") return [`w:${view.q}`];
  if (view.kind === "related") return [...view.via, `p:${view.id}`];
  return [];
}
