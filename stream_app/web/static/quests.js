// Quests: a brief, what was submitted to it, and the ranking with what is off topic or a duplicate.

import * as api from "./api.js";
import { addressOf } from "./address.js";
import { briefForm } from "./briefs.js";
import { button, deliberate, element, explained, link, plural } from "./elements.js";
import { cards, copyLink } from "./galleries.js";
import { countOf, inState, members, takeOutGone } from "./members.js";
import { picture, ratioOf, thumbnail, titleOf } from "./picture.js";
import { forget, freshId, remember } from "./remembered.js";
import { note } from "./status.js";

const TOPICS = { on: "on topic", off: "off topic", unsure: "unsure" };

export function showQuests(place, view, { onOpen, selection }) {
  const begin = async (q, photoIds, tell) => {
    const id = freshId();
    try {
      await api.setBrief(id, q, photoIds);
    } catch (error) {
      return tell(error.isMissingFeature ? "This worker has no quests." : explained(error));
    }
    remember("quest", id, { q, face: photoIds[0] ?? null });
    onOpen({ kind: "quest", id });
  };
  const hint = "Words, photos that show what is meant, or both. Whoever has the link can submit photos, and sees them ranked.";
  place.replaceChildren(
    element("h1", {}, "Quests"),
    briefForm({ q: view.q, photos: view.photos, selection, deed: "Begin the quest", hint, onDone: begin }),
    element("h2", {}, "Quests you know"),
    cards("quest", onOpen, ({ q, count }) => `${q || "By example"}${count ? ` · ${plural(count, "submission")}` : ""}`),
  );
}

export async function showQuest(place, view, room) {
  const quest = await askQuest(view.id, room.signal);
  if (room.signal.aborted) return;
  const { ranking, examples } = quest;
  const gone = inState(quest.submissions, quest.states, "gone");
  remember("quest", view.id, { q: quest.q, face: examples[0] ?? ranking?.submissions[0]?.photo_id, count: quest.submissions.length - gone.length });
  const changing = (deed) => async (...given) => {
    try {
      await deed(...given);
      await showQuest(place, view, room);
    } catch (error) {
      if (!room.signal.aborted) room.notices.say(explained(error), { kind: "trouble" });
    }
  };
  const deeds = {
    again: changing(() => {}),
    submit: changing(() => api.submit(view.id, room.selection.ids).then(() => room.selection.clear())),
    withdraw: changing((ids) => api.withdraw(view.id, ids)),
    rebrief: changing((q, photoIds) => api.setBrief(view.id, q, photoIds)),
  };
  place.replaceChildren(
    element("header", {}, element("h1", {}, quest.q || "A quest by example"), faces(examples), lostExamples(quest, deeds), actions(quest, room, deeds)),
    ...(ranking ? ranked(quest, view, room, deeds) : briefless(room, deeds)),
  );
}

// A quest with its ranking, and those of its examples that can be shown.
async function askQuest(id, signal) {
  const quest = await api.quest(id, signal);
  const ranking = await api.ranking(id, signal).catch((error) => without(error, quest));
  return { ...quest, ranking, examples: quest.photo_ids.filter((each) => !["gone", "unknown", "failed"].includes(quest.states[each])) };
}

// A brief without words whose examples are all gone ranks nothing, and can still be mended.
function without(error, quest) {
  if (error.status === 422 && !quest.q) return null;
  throw error;
}

function faces(ids) {
  return ids.length ? element("ul", { class: "faces", "aria-label": "Example photos of the brief" }, ids.slice(0, 12).map((id) => element("li", {}, thumbnail(id, "An example of the brief")))) : null;
}

function lostExamples({ q, photo_ids: photoIds, states }, { rebrief }) {
  const gone = inState(photoIds, states, "gone");
  const others = photoIds.filter((each) => !gone.includes(each));
  const away = button("Take out of the brief", () => rebrief(q, others), { class: "plain small" });
  const said = `${plural(gone.length, "example")} of the brief ${gone.length === 1 ? "is" : "are"} no longer there. `;
  return gone.length > 0 && element("p", { class: "quiet" }, said, Boolean(q || others.length) && away);
}

function briefless({ selection }, { rebrief }) {
  const hint = "The photos that it was begun with cannot be found, so nothing can be ranked until it asks for something again. Its submissions stay.";
  return [briefForm({ selection, deed: "Change the brief", hint, onDone: rebrief })];
}

function ranked(quest, view, room, deeds) {
  const { ranking, states } = quest;
  const { waiting } = ranking;
  const out = { label: "Withdraw it", deed: deeds.withdraw };
  const list = ranking.submissions.length > 0 && element("ol", { class: "ranking" }, ranking.submissions.map((each) => entry(each, room, deeds)));
  const others = waiting.length > 0 && [
    element("h2", {}, "Not ranked"),
    members(waiting, { states, view, out, label: "Submissions that are not ranked", alt: "A submission", onOpen: room.onOpen }),
    takeOutGone(waiting, states, out),
  ];
  const empty = !list && !others && note("Nothing is submitted yet", "Search for photos, select them, and submit them from the bar at the foot of the window.");
  return [element("p", { class: "quiet" }, summary(quest)), list, others, empty].flat().filter(Boolean);
}

function actions(quest, { selection, notices, onOpen }, deeds) {
  const submit = button(`Submit the ${selection.size} selected`, deeds.submit);
  submit.hidden = !selection.size;
  const look = quest.q && { kind: "words", q: quest.q };
  const away = async () => {
    await api.deleteQuest(quest.quest_id);
    forget("quest", quest.quest_id);
    onOpen({ kind: "quests", q: "", photos: [] });
  };
  return element(
    "div",
    { class: "actions" },
    submit,
    look && link(addressOf(look), () => onOpen(look), { class: "button plain" }, "Look for photos"),
    quest.ranking && button("Rank again", deeds.again, { class: "plain" }),
    copyLink(notices),
    deliberate("Delete", "Delete the quest? Its photos stay", away),
  );
}

function summary(quest) {
  const { submissions, threshold, took_ms: tookMs } = quest.ranking;
  const off = submissions.filter((each) => each.topic === "off").length;
  const copies = submissions.filter((each) => each.duplicate_of !== null).length;
  const parts = [
    ...countOf(quest.submissions, quest.states, "submission"),
    off && `${off} off topic`,
    copies && plural(copies, "duplicate"),
    threshold === null ? "too few to tell what is off topic" : `off topic below ${threshold.toFixed(3)}`,
    `${Math.max(1, Math.round(tookMs))} ms`,
  ];
  return parts.filter(Boolean).join(" · ");
}

function entry(each, { onOpen }, deeds) {
  const ratio = ratioOf(each);
  const to = { kind: "related", id: each.photo_id, via: [] };
  const withdraw = button("Withdraw", () => deeds.withdraw([each.photo_id]), { class: "plain small" });
  const flags = [
    element("span", { class: `flag ${each.topic}` }, TOPICS[each.topic] ?? each.topic),
    each.duplicate_of !== null && element("span", { class: "flag off" }, "duplicate of ", element("span", { class: "face" }, thumbnail(each.duplicate_of, "the submission it repeats"))),
    each.resubmitted > 0 && element("span", { class: "flag" }, `submitted ${plural(each.resubmitted + 1, "time")}`),
  ];
  return element(
    "li",
    { class: `entry ${each.topic}` },
    link(addressOf(to), () => onOpen(to), { class: "framed", ratio }, picture(each, ratio * 120)),
    element(
      "div",
      {},
      element("b", {}, titleOf(each)),
      bar(each.score),
      element("p", { class: "flags" }, flags),
      element("p", { class: "quiet" }, each.reason),
      reasons(each.explanation),
    ),
    withdraw,
  );
}

// `best` is the score that fills the bar.
export function bar(score, best = 1) {
  const share = Math.max(0, Math.min(1, score / best));
  return element("span", { class: "bar-line" }, element("span", { class: "meter", "aria-hidden": "true", share }), element("span", { class: "number" }, score.toFixed(3)));
}

function reasons(explanation) {
  if (!explanation) return null;
  const rows = [
    ["Chance that it is on topic", explanation.on_topic === null ? "" : `${Math.round(100 * explanation.on_topic)} %`],
    ["Cosine with the nearest example", explanation.nearest_example_cosine?.toFixed(3)],
    ["Words in common", explanation.shared_words.join(", ")],
    ["Labels in common", explanation.shared_labels.join(", ")],
  ].filter(([, value]) => value);
  if (!rows.length) return null;
  return element("details", {}, element("summary", {}, "Why?"), element("dl", {}, rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])));
}
