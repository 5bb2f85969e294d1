// A plot of a few lines over time: drawn for the width that it has, read out under the pointer, and also a table.

import { element } from "./elements.js";
import { clock, UNKNOWN } from "./ops-format.js";
import { pathOf, svg } from "./ops-svg.js";

const HEIGHT_PX = 150;
const BELOW_PX = 20;
const ABOVE_PX = 8;
const LEFT_PX = 46;
const TABLE_ROWS_MAX = 16;

export class Plot {
  // `lines` are [{ name, label }]; `low` and `high` hold the axis, which otherwise follows the values.
  constructor({ title, unit = "", nothing, lines, format, low = 0, highMin = 1, high = null }) {
    Object.assign(this, { title, nothing, lines, format, low, highMin, high });
    this.target = null;
    this.drawing = svg("svg", { role: "img" });
    this.when = element("span", { class: "when" });
    this.numbers = lines.map(() => element("b", {}, UNKNOWN));
    this.body = element("tbody");
    const heads = [element("th", { scope: "col" }, "Time"), ...lines.map((line) => element("th", { scope: "col", class: "number" }, line.label))];
    this.details = element(
      "details",
      {},
      element("summary", {}, "As a table", element("span", { class: "unseen" }, ` of ${title}`)),
      element("table", {}, element("thead", {}, element("tr", {}, ...heads)), this.body),
    );
    this.element = element(
      "figure",
      { class: "plot" },
      element("figcaption", {}, element("h3", {}, title), element("span", { class: "unit" }, unit), this.when),
      this.drawing,
      element("ul", { class: "legend" }, ...lines.map((line, place) => this.entry(line, place))),
      this.details,
    );
    this.drawing.addEventListener("pointermove", (event) => this.pointed(event));
    this.drawing.addEventListener("pointerleave", () => this.pointed(null));
    this.details.addEventListener("toggle", () => this.fillTable());
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  entry(line, place) {
    const sample = svg("svg", { viewBox: "0 0 24 8", "aria-hidden": "true" }, svg("path", { class: `line line-${place + 1}`, d: "M1 4H23" }));
    return element("li", {}, sample, element("span", {}, line.label), this.numbers[place]);
  }

  show({ timesMs, values }, lastSeconds) {
    Object.assign(this, { timesMs, values, lastSeconds });
    this.draw();
    if (this.details.open) this.fillTable();
  }

  draw() {
    const widthPx = this.element.clientWidth - 32;
    if (!this.timesMs || widthPx <= 0) return;
    this.scale(widthPx);
    this.drawing.setAttribute("viewBox", `0 0 ${widthPx} ${HEIGHT_PX}`);
    const known = this.values.some((line) => line.some((value) => value !== null));
    this.cursor = svg("path", { class: "cursor", d: "" });
    this.drawing.replaceChildren(
      ...this.axes(widthPx),
      ...(known ? this.curves() : [svg("text", { class: "nothing", x: LEFT_PX + (widthPx - LEFT_PX) / 2, y: this.yOf(this.bottom + 0.7 * (this.top - this.bottom)) }, this.nothing)]),
      this.cursor,
    );
    this.drawing.setAttribute("aria-label", this.inWords(known));
    this.read(this.at ?? null);
  }

  scale(widthPx) {
    const all = this.values.flat().filter((value) => value !== null);
    const least = Math.min(...all, this.target ?? Infinity);
    this.bottom = typeof this.low === "function" ? this.low(least) : this.low;
    this.top = this.high ?? Math.max(this.highMin, rounded(Math.max(...all, 0)));
    const end = this.timesMs.at(-1) ?? 0;
    this.xOf = (time) => widthPx - 1 - ((end - time) / (1000 * this.lastSeconds)) * (widthPx - LEFT_PX - 1);
    this.yOf = (value) => HEIGHT_PX - BELOW_PX - ((value - this.bottom) / (this.top - this.bottom)) * (HEIGHT_PX - BELOW_PX - ABOVE_PX);
    this.xs = this.timesMs.map(this.xOf);
  }

  axes(widthPx) {
    const middle = (this.bottom + this.top) / 2;
    const across = [this.bottom, middle, this.top].flatMap((value) => [
      svg("path", { class: "grid", d: `M${LEFT_PX} ${this.yOf(value)}H${widthPx}` }),
      svg("text", { class: "end", x: LEFT_PX - 8, y: this.yOf(value) + 4 }, this.format(value)),
    ]);
    const target = this.target === null ? [] : [svg("path", { class: "target", d: `M${LEFT_PX} ${this.yOf(this.target)}H${widthPx}` })];
    const minutes = this.lastSeconds / 60;
    const times = [
      svg("text", { x: LEFT_PX, y: HEIGHT_PX - 4 }, `${minutes} min ago`),
      svg("text", { class: "middle", x: LEFT_PX + (widthPx - LEFT_PX) / 2, y: HEIGHT_PX - 4 }, `${minutes / 2} min`),
      svg("text", { class: "end", x: widthPx, y: HEIGHT_PX - 4 }, "now"),
    ];
    return [...across, ...target, ...times];
  }

  curves() {
    const paths = this.values.map((line) => pathOf(this.xs, line, this.yOf));
    const lines = paths.map((d, place) => svg("path", { class: `line line-${place + 1}`, d })).reverse();
    const first = this.values[0];
    if (this.bottom !== 0 || first.includes(null) || first.length < 2) return lines;
    const area = svg("path", { class: "area", d: `${paths[0]}V${this.yOf(0)}H${this.xs[0].toFixed(1)}Z` });
    return [area, ...lines];
  }

  pointed(event) {
    if (!this.xs?.length) return;
    const x = event && event.clientX - this.drawing.getBoundingClientRect().left;
    this.at = event === null ? null : this.xs.reduce((best, each, place) => (Math.abs(each - x) < Math.abs(this.xs[best] - x) ? place : best), 0);
    this.read(this.at);
  }

  // What stands in the legend: the newest numbers, or those under the pointer.
  read(at) {
    const place = at === null || at >= this.timesMs.length ? this.timesMs.length - 1 : at;
    this.numbers.forEach((number, line) => (number.textContent = this.format(this.values[line][place])));
    this.when.textContent = at === null ? "" : clock(this.timesMs[place]);
    this.cursor.setAttribute("d", at === null ? "" : `M${this.xs[place]} ${ABOVE_PX}V${HEIGHT_PX - BELOW_PX}`);
  }

  inWords(known) {
    if (!known) return `${this.title}, last ${this.lastSeconds / 60} minutes: ${this.nothing}`;
    const each = this.lines.map((line, place) => {
      const values = this.values[place].filter((value) => value !== null);
      if (!values.length) return `${line.label}: nothing`;
      return `${line.label}: now ${this.format(this.values[place].at(-1))}, between ${this.format(Math.min(...values))} and ${this.format(Math.max(...values))}`;
    });
    return `${this.title}, last ${this.lastSeconds / 60} minutes. ${each.join(". ")}.`;
  }

  fillTable() {
    if (!this.details.open || !this.timesMs) return;
    const step = Math.max(1, Math.ceil(this.timesMs.length / TABLE_ROWS_MAX));
    const rows = [];
    for (let place = this.timesMs.length - 1; place >= 0; place -= step) {
      const cells = this.values.map((line) => element("td", { class: "number" }, this.format(line[place])));
      rows.push(element("tr", {}, element("td", {}, clock(this.timesMs[place])), ...cells));
    }
    this.body.replaceChildren(...rows);
  }
}

// The next number of the kind 1, 2, 4, 6, 8 or 10, so that half of it is a short number too.
function rounded(value) {
  if (value <= 0) return 0;
  const ten = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((step) => step * ten).find((step) => step >= value * 1.0001) ?? 20 * ten;
}
