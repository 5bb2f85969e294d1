// Quests: a brief, what was submitted to it, and the ranking with what is off topic or a duplicate.

import * as api from "./api.js";
import { addressOf } from "./address.js";
import { briefForm } from "./briefs.js";
import { button, deliberate, element, explained, link, plural } from "./elements.js";
import { cards, copyLink } from "./galleries.js";
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
  const [quest, ranking] = await Promise.all([api.quest(view.id, room.signal), api.ranking(view.id, room.signal)]);
  if (room.signal.aborted) return;
  remember("quest", view.id, { q: quest.q, face: quest.photo_ids[0] ?? quest.submissions[0] ?? null, count: quest.submissions.length });
  const again = () => showQuest(place, view, room);
  place.replaceChildren(
    element("header", {}, element("h1", {}, quest.q || "A quest by example"), faces(quest.photo_ids), actions(quest, room, again)),
    element("p", { class: "quiet" }, summary(ranking)),
    ranking.submissions.length
      ? element("ol", { class: "ranking" }, ranking.submissions.map((each) => entry(each, view, room, again)))
      : note("Nothing is submitted yet", "Search for photos, select them, and submit them from the bar at the foot of the window."),
  );
}

function faces(ids) {
  return ids.length ? element("ul", { class: "faces", "aria-label": "Example photos of the brief" }, ids.slice(0, 12).map((id) => element("li", {}, thumbnail(id, "An example of the brief")))) : null;
}

function actions(quest, { selection, notices, onOpen }, again) {
  const submit = button("", async () => {
    try {
      await api.submit(quest.quest_id, selection.ids);
      selection.clear();
      again();
    } catch (error) {
      notices.say(explained(error), { kind: "trouble" });
    }
  });
  submit.hidden = !selection.size;
  submit.textContent = `Submit the ${selection.size} selected`;
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
    button("Rank again", again, { class: "plain" }),
    copyLink(notices),
    deliberate("Delete", "Delete the quest? Its photos stay", away),
  );
}

function summary({ submissions, threshold, waiting, took_ms: tookMs }) {
  const off = submissions.filter((each) => each.topic === "off").length;
  const copies = submissions.filter((each) => each.duplicate_of !== null).length;
  const parts = [
    plural(submissions.length, "submission"),
    off && `${off} off topic`,
    copies && plural(copies, "duplicate"),
    waiting.length && `${waiting.length} not findable yet`,
    threshold === null ? "too few to tell what is off topic" : `off topic below ${threshold.toFixed(3)}`,
    `${Math.max(1, Math.round(tookMs))} ms`,
  ];
  return parts.filter(Boolean).join(" · ");
}

function entry(each, view, { onOpen, notices }, again) {
  const ratio = ratioOf(each);
  const to = { kind: "related", id: each.photo_id, via: [] };
  const withdraw = button("Withdraw", async () => {
    try {
      await api.withdraw(view.id, [each.photo_id]);
      again();
    } catch (error) {
      notices.say(explained(error), { kind: "trouble" });
    }
  }, { class: "plain small" });
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
