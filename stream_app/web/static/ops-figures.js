// Which plots there are, and the few numbers above them.

import { element } from "./elements.js";
import { bytes, count, duration, milliseconds, rate, seconds, share } from "./ops-format.js";

const named = (pairs) => Object.entries(pairs).map(([name, label]) => ({ name, label }));

export const PLOTS = [
  {
    title: "Photos per second",
    unit: "by stage; accepted are events",
    nothing: "Nothing was seen yet",
    format: rate,
    lines: named({ "rate.accepted": "accepted", "rate.embedded": "embedded", "rate.indexed": "indexed", "rate.rejected": "rejected" }),
  },
  {
    title: "Freshness",
    unit: "from activity to findable, of 2 minutes",
    nothing: "No photo became findable just now",
    format: seconds,
    lines: named({ "freshness.p50": "p50", "freshness.p90": "p90", "freshness.p99": "p99" }),
  },
  {
    title: "Lag",
    unit: "messages not finished",
    nothing: "The broker was not asked yet",
    format: count,
    highMin: 4,
    lines: named({ "lag.activity": "activity", "lag.embeddings": "embeddings", "lag.collections": "collections" }),
  },
  {
    title: "Queues",
    unit: "in this worker's hands",
    nothing: "Nothing was seen yet",
    format: count,
    highMin: 4,
    lines: named({ "queue.activity": "activity", "queue.encoder": "encoder", "queue.embeddings": "embeddings", "queue.redis": "Redis writes" }),
  },
  {
    title: "Recall of ten",
    unit: "against an exact search; dotted: wished for",
    nothing: "Nothing was measured yet",
    targetOf: (worker) => worker.recall_wished,
    format: share,
    low: (least) => Math.min(0.8, Math.floor(least * 10) / 10),
    high: 1,
    lines: named({ "recall.photo": "by photo", "recall.words": "by words" }),
  },
  {
    title: "Answer times",
    unit: "mean of two seconds",
    nothing: "Nothing was seen yet",
    format: milliseconds,
    lines: named({ "search.mean_ms": "search", "redis.ping_ms": "Redis", "loop.late_ms": "event loop late" }),
  },
  {
    title: "Asked per second",
    unit: "",
    nothing: "Nothing was seen yet",
    format: rate,
    lines: named({ "rate.searches": "searches", "rate.thumbnails.kept": "thumbnails kept", "rate.thumbnails.made": "thumbnails made", "rate.thumbnails.failed": "failed" }),
  },
  {
    title: "Rows of the index",
    unit: "",
    nothing: "Nothing was seen yet",
    format: count,
    highMin: 10,
    lines: named({ "index.photos": "findable photos", "index.memtable_rows": "not sealed yet" }),
  },
  {
    title: "What is kept",
    unit: "in bytes",
    nothing: "Redis was not asked yet",
    format: bytes,
    highMin: 1000000,
    lines: named({ "redis.memory_bytes": "Redis, in memory", "thumbnails.bytes": "thumbnails, on disk" }),
  },
];

export function tiles(numbers, state, letterCount) {
  const merging = state.partitions.filter((each) => each.merging).length;
  const { redis } = state;
  return [
    tile("Findable photos", count(numbers["index.photos"]), `${count(numbers["index.segments"])} segments, ${count(numbers["index.memtable_rows"])} rows in memory`),
    tile("Indexed", [rate(numbers["rate.indexed"]), " /s"], `${count(state.since_start.indexed)} since the start`),
    tile("Freshness, p50", seconds(numbers["freshness.p50"]), numbers["freshness.count"] ? `p99 ${seconds(numbers["freshness.p99"])}, of ${count(numbers["freshness.count"])}` : "no photo in 2 minutes"),
    tile("Behind the log", count(behind(numbers)), behind(numbers) === null ? "the broker was not asked yet" : "messages not finished"),
    tile("Recall of ten", share(numbers["recall.photo"] ?? numbers["recall.words"]), recalled(numbers, state)),
    tile("Redis", redis.reachable ? milliseconds(redis.ping_ms) : "away", redis.reachable ? `${bytes(redis.memory_bytes)}, writes waiting: ${count(numbers["queue.redis"])}` : `writes waiting: ${count(numbers["queue.redis"])}`, redis.reachable ? "" : "danger"),
    tile("Dead letters", count(letterCount), `${count(state.since_start.rejected)} rejected since the start`, letterCount ? "warning" : ""),
    tile("Merges", merging ? `${merging} running` : "none", `${state.partitions.length} partitions here`),
  ];
}

function tile(name, figure, more, kind = "") {
  const [number, unit = ""] = [figure].flat();
  return element("div", { "data-kind": kind || null }, element("dt", {}, name), element("dd", { class: "figure" }, number, unit && element("small", {}, unit)), element("dd", { class: "more" }, more));
}

function behind(numbers) {
  const known = [numbers["lag.activity"], numbers["lag.embeddings"], numbers["lag.collections"]].filter((each) => each !== null && each !== undefined);
  return known.length ? known.reduce((sum, each) => sum + each, 0) : null;
}

function recalled(numbers, state) {
  const asked = state.recall_queries.photo + state.recall_queries.words;
  if (!asked) return "not measured yet";
  return `by words ${share(numbers["recall.words"])}, of ${count(asked)} queries`;
}

export function aboutWorker(worker, state, nowMs) {
  const ready = state.ready ? "Ready" : `Not ready: ${state.reason}`;
  return `${ready} · up ${duration((nowMs - worker.started_ms) / 1000)} · ${state.partitions.length} of ${worker.partition_count} partitions · version ${worker.version}`;
}

export function modelFacts(worker) {
  const facts = {
    "Space (space_id)": worker.space_id,
    "Vision network (vision_id)": worker.vision_id,
    Bundle: worker.bundle,
    Encoder: worker.encoder,
    "Dimensions of a search vector": worker.search_dimensions,
    "Recall that is wished for": worker.recall_wished,
  };
  return Object.entries(facts).map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, element("code", {}, String(value)))));
}
