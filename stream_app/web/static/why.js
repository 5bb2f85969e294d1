// Why a photo is among the hits: the numbers behind its score, and what it shares with what was asked.

import { button, element, explained } from "./elements.js";
import { thumbnail, titleOf } from "./picture.js";

const SOURCES = {
  memtable: "among the newest photos",
  segment: "in a segment of the index",
  buckets: "in Redis' buckets",
  tags: "by its tags",
};

export class Why {
  constructor(panel) {
    this.panel = panel;
  }

  // `explain` answers {explanation, search} for the item; `tile` is what the panel is about.
  async open(item, tile, explain) {
    const fill = (...content) => {
      const close = button("Close", () => this.panel.hidePopover(), { class: "plain small" });
      const head = element("div", { class: "head" }, element("h2", {}, "Why this photo?"), close);
      this.panel.replaceChildren(head, element("p", { class: "quiet" }, titleOf(item)), element("div", { class: "why-body", "aria-live": "polite" }, content));
      this.#stand(tile);
    };
    this.panel.showPopover();
    fill(element("p", {}, "Asking…"));
    this.panel.focus();
    this.panel.addEventListener("toggle", () => this.panel.contains(document.activeElement) && tile.querySelector("a")?.focus(), { once: true });
    try {
      const { explanation, search } = await explain(item);
      fill(explanation ? [numbers(explanation, item), shared(explanation), terms(search)] : element("p", {}, "It is no longer among the hits."));
    } catch (error) {
      fill(element("p", {}, explained(error)));
    }
  }

  // Beside the tile where there is room; the style sheet makes it a sheet at the bottom of a narrow window.
  #stand(tile) {
    const box = tile.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.panel;
    const left = box.right + 8 + width < innerWidth ? box.right + 8 : Math.max(8, box.left - width - 8);
    this.panel.style.left = `${left}px`;
    this.panel.style.top = `${Math.max(8, Math.min(box.top, innerHeight - height - 8))}px`;
  }
}

function numbers(explanation, item) {
  const rows = [["Score", item.score.toFixed(3)], ["Cosine", explanation.cosine.toFixed(3)]];
  if (explanation.hamming_cosine !== null) rows.push(["Estimated from its signature", explanation.hamming_cosine.toFixed(3)]);
  if (explanation.tag_bonus) rows.push(["For tags that match exactly", `+${explanation.tag_bonus.toFixed(3)}`]);
  rows.push(["Found", SOURCES[explanation.source] ?? explanation.source]);
  return element("dl", {}, rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function shared({ shared_words: words, shared_labels: labels }) {
  const lists = [["Words in common", words], ["Labels in common", labels]].filter(([, names]) => names.length);
  if (!lists.length) return [element("p", { class: "quiet" }, "It has no word or label in common with what was asked; it is near in looks or meaning.")];
  return lists.flatMap(([heading, names]) => [element("h3", {}, heading), element("ul", { class: "chips" }, names.map((name) => element("li", {}, element("span", {}, name))))]);
}

function terms(search) {
  if (!search?.terms.length) return [];
  const read = search.terms.map(({ name, score }) => {
    const weight = Math.abs(score) === 1 ? "" : ` × ${Math.abs(score)}`;
    const what = name.startsWith("photo:") ? element("span", { class: "face" }, thumbnail(name.slice(6), name)) : name;
    return element("li", {}, element("span", {}, score < 0 ? "− " : "+ ", what, weight));
  });
  return [element("h3", {}, "The question was read as"), element("ul", { class: "chips" }, read)];
}
