// The live number of findable photos: asked each second while it changes, now and then when it rests.

import * as api from "./api.js";
import { plural } from "./elements.js";

const QUICK_MS = 1000;
const CALM_MS = 4000;
const GROWING_MS = 6000;

export class LiveCount {
  constructor(place, { onChange, onLost, onBack }) {
    this.place = place;
    this.onChange = onChange;
    this.onLost = onLost;
    this.onBack = onBack;
    this.stats = {};
    this.photos = null;
    this.changedAt = -Infinity;
    this.lost = false;
    document.addEventListener("visibilitychange", () => document.hidden || this.tick());
    for (const event of ["online", "offline"]) addEventListener(event, () => this.tick());
    this.tick();
  }

  soon() {
    this.changedAt = performance.now();
    this.tick();
  }

  async tick() {
    clearTimeout(this.timer);
    try {
      this.#take(await api.stats());
    } catch (error) {
      this.#miss(error);
    }
    const growing = performance.now() - this.changedAt < GROWING_MS;
    this.place.classList.toggle("growing", growing && !this.lost && this.photos !== null && this.moved);
    clearTimeout(this.timer);
    if (!document.hidden) this.timer = setTimeout(() => this.tick(), growing || this.lost ? QUICK_MS : CALM_MS);
  }

  #miss(error) {
    // A worker that starts again answers 503 before it is ready: it is as little there as one that is away.
    const away = error.lost || error.status >= 500;
    if (away && !this.lost) this.onLost(error);
    this.lost ||= away;
    this.place.classList.add("lost");
    this.place.textContent = this.photos === null ? "– photos" : plural(this.photos, "photo");
  }

  #take(stats) {
    const before = this.photos;
    this.stats = stats;
    this.photos = stats.photos;
    this.moved = before !== null && (before !== this.photos || (this.moved && performance.now() - this.changedAt < GROWING_MS));
    if (before !== this.photos) this.changedAt = performance.now();
    this.place.classList.remove("lost");
    this.place.textContent = plural(this.photos, "photo");
    if (this.lost && stats.ready) {
      this.lost = false;
      this.onBack();
    }
    if (before !== this.photos) this.onChange(this.photos, before);
  }
}
