// Photos on their way into the album: sent, queued, embedded, findable or refused; 500 of them as well as one.

import * as api from "./api.js";
import { addressOf } from "./address.js";
import { button, element, explained, link, plural, seconds } from "./elements.js";
import { objection } from "./files.js";
import { freshId } from "./remembered.js";

const SENT_AT_ONCE = 4;
const ASKED_AT_ONCE = 12;
const ASK_MS = 250;
const WAIT_MS = 180000;
const ROWS_MAX = 30;

export class Uploads {
  constructor(tray, { onOpen, onFindable, bytesMax }) {
    Object.assign(this, { tray, onOpen, onFindable, bytesMax });
    this.waiting = [];
    this.watched = [];
    this.sending = 0;
    this.counts = { all: 0, queued: 0, findable: 0, refused: 0 };
    this.heading = element("h2");
    this.line = element("p", { class: "quiet" });
    this.bar = element("progress", { "aria-label": "Photos that are findable or refused", value: 0, max: 1 });
    this.rows = element("ul");
    this.announced = element("p", { class: "unseen", role: "status" });
    const close = button("Close", () => { tray.hidden = true; }, { class: "plain small" });
    tray.append(element("header", {}, this.heading, close), this.bar, this.line, this.rows, this.announced);
  }

  add(files) {
    this.tray.hidden = false;
    if (!this.sending && !this.watched.length) this.began = performance.now();
    this.counts.all += files.length;
    this.waiting.push(...files);
    this.#tell();
    while (this.sending < SENT_AT_ONCE && this.waiting.length) this.#sendNext();
  }

  async #sendNext() {
    this.sending += 1;
    while (this.waiting.length) await this.#send(this.waiting.shift());
    this.sending -= 1;
    this.#tell();
  }

  async #send(file) {
    const row = new Row(file);
    try {
      const refused = await objection(file, this.bytesMax());
      if (refused) throw refused;
      this.#show(row);
      const key = freshId();
      const { photo_id: id } = await patiently(() => api.upload(file, key));
      this.counts.queued += 1;
      row.reach("queued");
      this.watched.push({ id, row, until: performance.now() + WAIT_MS });
      this.#watch();
    } catch (error) {
      this.#refuse(row, error);
    }
    this.#tell();
  }

  // One loop asks for all that are on their way, in turn: 500 photos are no 500 loops.
  async #watch() {
    if (this.watching) return;
    this.watching = true;
    while (this.watched.length) {
      const some = this.watched.splice(0, ASKED_AT_ONCE);
      await Promise.all(some.map((each) => this.#ask(each)));
      this.#tell();
      await new Promise((done) => setTimeout(done, ASK_MS));
    }
    this.watching = false;
  }

  async #ask(entry) {
    // A worker that restarts meanwhile has not lost the photo: it is asked again.
    const photo = await api.photo(entry.id).catch(() => null);
    if (photo?.state === "findable") return this.#found(entry);
    if (photo?.state === "failed") return this.#fail(entry, photo.reason);
    if (performance.now() > entry.until) return this.#fail(entry, "It is stored, but still not findable. The dead letters say why: sightline dead-letters list");
    if (photo && photo.state !== "queued") entry.row.reach(photo.state);
    this.watched.push(entry);
  }

  #found({ id, row }) {
    const view = { kind: "related", id, via: [] };
    row.reach("findable");
    row.element.lastElementChild.append(" · ", link(addressOf(view), () => this.onOpen(view), {}, "show related"));
    this.counts.queued -= 1;
    this.counts.findable += 1;
    this.onFindable();
  }

  #fail({ row }, reason) {
    this.counts.queued -= 1;
    this.#refuse(row, new Error(reason));
  }

  #refuse(row, error) {
    this.counts.refused += 1;
    row.fail(error);
    this.#show(row);
  }

  // What was refused stays; of the others, the newest.
  #show(row) {
    if (!row.element.isConnected) this.rows.prepend(row.element);
    const settled = [...this.rows.children].filter((each) => !each.classList.contains("failed"));
    for (const each of settled.slice(ROWS_MAX)) each.remove();
  }

  #tell() {
    const { all, queued, findable, refused } = this.counts;
    const done = findable + refused === all;
    const elapsed = seconds(performance.now() - this.began);
    this.heading.textContent = `${findable} of ${plural(all, "photo")} findable`;
    this.bar.max = all;
    this.bar.value = findable + refused;
    const parts = [
      this.waiting.length && `${this.waiting.length} to be sent`,
      queued && `${queued} queued`,
      refused && `${refused} refused`,
      done ? `done in ${elapsed}` : elapsed,
    ];
    this.line.textContent = parts.filter(Boolean).join(" · ");
    if (done) this.announced.textContent = `${this.heading.textContent}${refused ? `, ${refused} refused` : ""}`;
  }
}

// One photo's line: its name, and when it reached each state.
class Row {
  constructor(file) {
    this.began = performance.now();
    this.reached = [];
    this.state = element("span", {}, "sending");
    this.element = element("li", {}, element("b", {}, file.name || "pasted photo"), this.state);
  }

  reach(state) {
    if (this.reached.some(([name]) => name === state)) return;
    const embeddedUnseen = state === "findable" && !this.reached.some(([name]) => name === "embedded");
    this.reached.push([embeddedUnseen ? "embedded and findable" : state, seconds(performance.now() - this.began)]);
    this.state.textContent = this.reached.map(([name, time]) => `${name} after ${time}`).join(" → ");
  }

  fail(error) {
    this.element.className = "failed";
    this.state.textContent = `Refused: ${explained(error)}`;
  }
}

// While the worker is away, or too busy, a photo waits rather than fails.
async function patiently(deed) {
  for (let pauseMs = 1000; ; pauseMs = Math.min(8000, pauseMs * 1.5)) {
    try {
      return await deed();
    } catch (error) {
      if (!error.lost && error.status !== 503) throw error;
      await new Promise((done) => setTimeout(done, pauseMs));
    }
  }
}
