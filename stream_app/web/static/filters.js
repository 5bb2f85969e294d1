// The filters: a small panel below the search, and a chip for each one that is set, which takes it away again.

import { filterPairs, withoutPair } from "./address.js";
import { button, element } from "./elements.js";

const NAMES = { tag: "tag", label: "shows", user_id: "photographer", orientation: "", after: "from", before: "until", fold: "" };
const TYPING_MS = 400;
const OFFERED_MAX = 1000;

export class Filters {
  // `onChange(filter)` opens the view with another filter.
  constructor({ panel, opener, chips, onChange }) {
    Object.assign(this, { panel, opener, chips, onChange });
    opener.addEventListener("click", () => this.toggle());
    panel.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#changed();
    });
    panel.addEventListener("change", () => this.#changed());
    panel.addEventListener("input", (event) => {
      clearTimeout(this.typing);
      if (event.target.type === "text") this.typing = setTimeout(() => this.#changed(), TYPING_MS);
    });
    panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.toggle(false);
      opener.focus();
    });
    panel.elements.clear.addEventListener("click", () => this.onChange({}));
  }

  get isOpen() {
    return !this.panel.hidden;
  }

  toggle(open = !this.isOpen) {
    this.panel.hidden = !open;
    this.opener.setAttribute("aria-expanded", String(open));
    if (open) this.panel.elements.tag.focus();
  }

  // Which views can be filtered, what is set now, and what the photos at hand have.
  show(filter, { usable }) {
    this.filter = filter ?? {};
    this.opener.disabled = !usable;
    if (!usable) this.toggle(false);
    const pairs = usable ? filterPairs(this.filter) : [];
    this.opener.textContent = pairs.length ? `Filters · ${pairs.length}` : "Filters";
    this.chips.hidden = !pairs.length;
    this.chips.replaceChildren(...pairs.map(([name, value]) => this.#chip(name, value)));
    this.#fill();
  }

  // Tags, labels and photographers of what is shown, to choose from.
  offer(items) {
    const lists = {
      tags: items.flatMap((item) => item.tags ?? []),
      labels: items.flatMap((item) => (item.labels ?? []).map((label) => label.name ?? label)),
      users: items.flatMap((item) => item.user_id ?? []),
    };
    for (const [name, values] of Object.entries(lists)) {
      const some = [...new Set(values)].sort().slice(0, OFFERED_MAX);
      document.getElementById(`known-${name}`).replaceChildren(...some.map((value) => element("option", { value })));
    }
  }

  #chip(name, value) {
    const words = name === "fold" ? "near-duplicates too" : [NAMES[name], value].filter(Boolean).join(" ");
    const away = button("×", () => this.onChange(withoutPair(this.filter, name, value)), { "aria-label": `Take away: ${words}` });
    return element("li", {}, element("span", {}, words), away);
  }

  #fill() {
    const { elements } = this.panel;
    for (const name of ["tag", "label", "user_id"]) if (document.activeElement !== elements[name]) elements[name].value = (this.filter[name] ?? []).join(", ");
    for (const name of ["after", "before"]) if (document.activeElement !== elements[name]) elements[name].value = this.filter[name] ?? "";
    for (const each of elements.orientation) each.checked = each.value === (this.filter.orientation ?? "");
    elements.fold.checked = this.filter.fold !== "false";
  }

  #changed() {
    clearTimeout(this.typing);
    const { elements } = this.panel;
    const filter = {};
    for (const name of ["tag", "label", "user_id"]) {
      const values = elements[name].value.split(",").map((each) => each.trim()).filter(Boolean);
      if (values.length) filter[name] = [...new Set(values)];
    }
    for (const name of ["orientation", "after", "before"]) if (elements[name].value) filter[name] = elements[name].value;
    if (!elements.fold.checked) filter.fold = "false";
    if (JSON.stringify(filterPairs(filter)) !== JSON.stringify(filterPairs(this.filter))) this.onChange(filter);
  }
}
