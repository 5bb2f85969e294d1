// Builds parts of drawings, as elements.js builds parts of the page.

const SVG = "http://www.w3.org/2000/svg";
const RING = "a2 2 0 1 0 4 0a2 2 0 1 0 -4 0";

export function svg(tag, properties = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value !== undefined && value !== null) made.setAttribute(name, String(value));
  }
  made.append(...children);
  return made;
}

// One path through the points that have a value; a gap where they have none, a ring around one that stands alone.
export function pathOf(xs, values, yOf) {
  const parts = [];
  let drawing = false;
  values.forEach((value, place) => {
    if (value === null) {
      drawing = false;
      return;
    }
    const alone = !drawing && (values[place + 1] ?? null) === null;
    const x = xs[place] - (alone ? 2 : 0);
    parts.push(`${drawing ? "L" : "M"}${x.toFixed(1)} ${yOf(value).toFixed(1)}${alone ? RING : ""}`);
    drawing = true;
  });
  return parts.join("");
}

// A drawing of one series without axes, to stand beside its number.
export function sparkline(timesMs, values, { widthPx = 90, heightPx = 22, lastMs, label }) {
  const most = Math.max(1, ...values.filter((value) => value !== null));
  const end = timesMs.at(-1) ?? 0;
  const xs = timesMs.map((time) => widthPx * (1 - (end - time) / lastMs));
  const d = pathOf(xs, values, (value) => heightPx - 2 - (heightPx - 4) * (value / most));
  return svg("svg", { class: "spark", viewBox: `0 0 ${widthPx} ${heightPx}`, role: "img", "aria-label": label }, svg("path", { class: "line line-1", d }));
}
