// Photos on their way into the album: sent, queued, findable or failed; a few at a time, each with its own outcome.

import * as api from "./api.js";
import { addressOf } from "./address.js";
import { element, plural } from "./elements.js";
import { sentence } from "./status.js";

const AT_ONCE = 3;
const ROWS_MAX = 40;
const POLL_MS = 250;
const POLL_MS_MAX = 3000;
const WAIT_MS = 120000;

export class Uploads {
  constructor(tray, { onOpen, onFindable, bytesMax }) {
    this.tray = tray;
    this.onOpen = onOpen;
    this.onFindable = onFindable;
    this.bytesMax = bytesMax;
    this.waiting = [];
    this.running = 0;
    this.counts = { all: 0, findable: 0, failed: 0 };
    this.heading = element("h2");
    this.rows = element("ul");
    const close = element("button", { type: "button", class: "plain", onclick: () => { tray.hidden = true; } }, "Close");
    tray.append(element("header", {}, this.heading, close), this.rows);
  }

  add(files) {
    this.tray.hidden = false;
    this.counts.all += files.length;
    this.waiting.push(...files);
    this.tell();
    while (this.running < AT_ONCE && this.waiting.length) this.work();
  }

  async work() {
    this.running += 1;
    while (this.waiting.length) await this.carry(this.waiting.shift());
    this.running -= 1;
  }

  async carry(file) {
    const state = element("span", {}, "sending");
    const row = element("li", {}, element("b", {}, file.name || "pasted photo"), state);
    this.rows.prepend(row);
    this.trim();
    try {
      await this.send(file, state);
      this.counts.findable += 1;
    } catch (error) {
      row.className = "failed";
      state.textContent = [error.message, error.remedy].filter(Boolean).map(sentence).join(" ");
      this.counts.failed += 1;
    }
    this.tell();
  }

  async send(file, state) {
    const bytesMax = this.bytesMax();
    if (bytesMax && file.size > bytesMax) {
      throw new Error(`It has ${megabytes(file.size)}; at most ${megabytes(bytesMax)} can be added at once.`);
    }
    const began = performance.now();
    const { photo_id: id } = await api.upload(file);
    state.textContent = "queued";
    const photo = await findable(id);
    const view = { kind: "related", id, via: [] };
    const open = (event) => {
      event.preventDefault();
      this.onOpen(view);
    };
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    state.replaceChildren(`findable after ${seconds} s · `, element("a", { href: addressOf(view), onclick: open }, "show related"));
    this.onFindable(photo);
  }

  trim() {
    const settled = [...this.rows.children].filter((row) => row.className !== "failed");
    for (const row of settled.slice(ROWS_MAX)) row.remove();
  }

  tell() {
    const { all, findable: done, failed } = this.counts;
    const trouble = failed ? `, ${failed} could not be added` : "";
    this.heading.textContent = `${done} of ${plural(all, "photo")} findable${trouble}`;
  }
}

async function findable(id) {
  const until = performance.now() + WAIT_MS;
  for (let pause = POLL_MS; performance.now() < until; pause = Math.min(POLL_MS_MAX, pause * 1.2)) {
    // A worker that restarts meanwhile has not lost the photo: keep asking.
    const photo = await api.photo(id).catch((error) => {
      if (error.lost || error.status === 404 || error.status >= 500) return null;
      throw error;
    });
    if (photo?.state === "findable") return photo;
    if (photo?.state === "failed") throw new Error(photo.reason);
    await new Promise((done) => setTimeout(done, pause));
  }
  throw new Error("It is stored, but still not findable. The dead letters say why: sightline dead-letters list");
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
