// The table of partitions: how far each is behind, and what its shard is made of.

import { element } from "./elements.js";
import { count } from "./ops-format.js";
import { sparkline, svg } from "./ops-svg.js";

const HEADS = ["Partition", "Photos", "Not sealed", "Segments", "Dead rows", "Merge", "Activity behind", "Embeddings behind"];
const KINDS = { forest: "by forest and cells", cells: "by cells", signatures: "by signatures", exact: "exact" };
const PLOTTED_MAX = 16;

export function partitionTable(partitions, series, lastSeconds) {
  if (!partitions.length) return element("p", { class: "quiet" }, "This worker has no partition yet: it is still starting, or other workers have them all.");
  const largest = Math.max(1, ...partitions.map((each) => each.memtable_rows + rowsOf(each)));
  const heads = HEADS.map((name) => element("th", { scope: "col" }, name));
  const rows = partitions.map((each) => row(each, series, lastSeconds, largest));
  return element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
}

function row(each, series, lastSeconds, largest) {
  const dead = each.segments.reduce((sum, segment) => sum + segment.dead, 0);
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, String(each.partition)),
    element("td", {}, count(each.photos)),
    element("td", {}, count(each.memtable_rows)),
    element("td", {}, bar(each, largest), element("span", { class: "small-text" }, inWords(each.segments))),
    element("td", {}, count(dead)),
    element("td", {}, each.merging ? "running" : "none"),
    lag("activity", each, series, lastSeconds),
    lag("embeddings", each, series, lastSeconds),
  );
}

function lag(stream, each, series, lastSeconds) {
  const name = `lag.${stream}.${each.partition}`;
  if (each.partition >= PLOTTED_MAX && !series.columns.has(name)) return element("td", {}, count(each.lag[stream]));
  const { timesMs, values } = series.window([name], lastSeconds);
  const most = Math.max(0, ...values[0]);
  const label = `${stream} of partition ${each.partition} was behind by at most ${count(most)} messages`;
  return element("td", { class: "nobreak" }, sparkline(timesMs, values[0], { lastMs: lastSeconds * 1000, label }), count(each.lag[stream]));
}

// Rows by where they are: memory first, then segments, largest first; all partitions share one scale.
function bar(each, largest) {
  const parts = [{ kind: "memtable", rows: each.memtable_rows }, ...each.segments];
  let x = 0;
  const rects = parts.filter((part) => part.rows).map((part) => {
    const width = (100 * part.rows) / largest;
    const rect = svg("rect", { class: part.kind, x, y: 0, width: Math.max(0.2, width - 0.4), height: 12 });
    x += width;
    return rect;
  });
  return svg("svg", { class: "segments", viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" }, ...rects);
}

function inWords(segments) {
  if (!segments.length) return "none yet: all rows are in memory";
  return segments.map((each) => `${KINDS[each.kind] ?? each.kind} ${count(each.rows)} (tier ${each.tier})`).join(" · ");
}

function rowsOf(each) {
  return each.segments.reduce((sum, segment) => sum + segment.rows, 0);
}
