// Short words at the edge of the window: the worker is away, it is back, something was saved.

import { button, element } from "./elements.js";

const SHOWN_MS = 5000;

export class Notices {
  constructor(place) {
    this.place = place;
    this.lasting = new Map();
  }

  say(text, { kind = "", deed = null } = {}) {
    const said = element("p", { class: `notice ${kind}` }, text, deed && button(deed.text, deed.run, { class: "plain small" }));
    this.place.append(said);
    setTimeout(() => said.remove(), SHOWN_MS);
  }

  // Stays until it is taken back.
  keep(name, text) {
    if (this.lasting.has(name)) return;
    const said = element("p", { class: "notice trouble" }, text);
    this.lasting.set(name, said);
    this.place.append(said);
  }

  take(name) {
    this.lasting.get(name)?.remove();
    this.lasting.delete(name);
  }
}
