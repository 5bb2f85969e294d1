// Joins the operators' page: what the worker says about itself becomes numbers, plots and sentences.

import { element } from "./elements.js";
import { conditions } from "./ops-conditions.js";
import { Feed } from "./ops-feed.js";
import { aboutWorker, modelFacts, PLOTS, tiles } from "./ops-figures.js";
import { clock, duration } from "./ops-format.js";
import { Letters } from "./ops-letters.js";
import { partitionTable } from "./ops-partitions.js";
import { Plot } from "./ops-plot.js";
import { Series } from "./ops-series.js";

const SLOW_MS = 5000;
const LETTERS_MS = 60000;
const SOON_MS = 1500;

const at = (id) => document.getElementById(id);
const series = new Series();
const plots = PLOTS.map((each) => new Plot(each));
const letters = new Letters({ place: at("letters"), said: at("letters-said"), heading: at("letters-title"), onCount: () => paused || show() });

let worker = null;
let last = null;
let paused = false;
let rejected = null;
let restarted = "";
let feedState = { state: "connecting" };

at("plots").append(...plots.map((each) => each.element));

// ---- what the worker says

function met(card) {
  if (worker && worker.start_id !== card.start_id) {
    restarted = `The worker was restarted at ${clock(card.started_ms)}; the numbers begin anew.`;
    series.clear(card.kept_seconds);
    letters.look();
  }
  series.keptMs = card.kept_seconds * 1000;
  worker = card;
  at("worker").textContent = `Worker ${card.name}`;
  PLOTS.forEach(({ targetOf }, place) => targetOf && (plots[place].target = targetOf(card)));
  at("model").replaceChildren(...modelFacts(card));
}

function remembered(history) {
  if (!history.continues) series.clear(worker.kept_seconds);
  series.addHistory(history);
}

function observed(observation) {
  series.add(observation.time_ms, observation.numbers);
  last = observation;
  if (rejected !== null && observation.state.since_start.rejected !== rejected) setTimeout(() => letters.look(), SOON_MS);
  rejected = observation.state.since_start.rejected;
  if (!paused) show();
}

// ---- what is shown

function show() {
  if (!last) return;
  const { numbers, state } = last;
  const lastSeconds = Number(document.querySelector("#window input:checked").value);
  at("worker-about").textContent = aboutWorker(worker, state, last.time_ms);
  at("now").replaceChildren(...tiles(numbers, state, letters.count));
  plots.forEach((plot, place) => plot.show(series.window(PLOTS[place].lines.map((line) => line.name), lastSeconds), lastSeconds));
  at("partitions").replaceChildren(partitionTable(state.partitions, series, lastSeconds));
  say();
}

function say() {
  const sentences = [...feedSentences(feedState), ...(restarted ? [{ kind: "", what: restarted, then: "" }] : []), ...(last && feedState.state === "live" ? conditions(last.numbers, last.state) : [])];
  const key = JSON.stringify(sentences);
  if (at("said").dataset.key === key) return; // said once: a screen reader reads every change
  at("said").dataset.key = key;
  at("said").replaceChildren(...sentences.map(({ kind, what, then }) => element("p", { class: "condition", "data-kind": kind || null }, element("b", {}, what), then)));
}

function feedSentences({ state, waitedMs, heardMs, refusal }) {
  const since = heardMs ? `The numbers below are of ${clock(heardMs)}.` : "";
  if (state === "offline") return [{ kind: "danger", what: "The worker does not answer.", then: `${since} Start it again with: sightline up. This page goes on by itself when it is back.` }];
  if (state === "refused") return [{ kind: "warning", what: "The worker answers, but does not tell this page live.", then: `${refusal} ${since}` }];
  if (state === "reconnecting") return [{ kind: "warning", what: "The connection was lost.", then: `Reconnecting. ${since}` }];
  if (state === "slow") return [{ kind: "warning", what: "The worker is slow to answer.", then: `${since} It is busy, or the network is.` }];
  if (state === "connecting" && waitedMs > SLOW_MS) return [{ kind: "warning", what: "Connecting takes longer than usual.", then: "The worker is busy or still starting. This page goes on by itself." }];
  return [];
}

function feedChanged(now) {
  feedState = now;
  const shown = paused && now.state === "live" ? "paused" : now.state;
  const texts = {
    connecting: "Connecting…",
    live: "Live",
    paused: "Paused",
    slow: `Slow: ${duration((now.silentMs ?? 0) / 1000)} old`,
    reconnecting: "Reconnecting…",
    refused: "Refused",
    offline: "Offline",
  };
  at("feed").dataset.state = shown;
  if (at("feed-text").textContent !== texts[shown]) at("feed-text").textContent = texts[shown];
  document.title = `${now.state === "live" ? "" : `${texts[now.state]} · `}Operators · Sightline`;
  if (now.changed && now.state === "live") letters.look();
  say();
}

// ---- what a person does

at("pause").addEventListener("click", () => {
  paused = !paused;
  at("pause").textContent = paused ? "Go on" : "Pause";
  feedChanged({ ...feedState, changed: false });
  if (!paused) show();
});
at("window").addEventListener("change", show);
at("letters-again").addEventListener("click", () => letters.look());
setInterval(() => document.hidden || paused || letters.look(), LETTERS_MS);

new Feed({ onWorker: met, onHistory: remembered, onObservation: observed, onState: feedChanged });
