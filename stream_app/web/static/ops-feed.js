// The live connection to the worker. It comes back by itself, and always knows in which state it is: connecting, live,
// slow (connected, but nothing comes), reconnecting, refused (the worker answers, but not this), offline.

import { ask } from "./api.js";

const SLOW_AFTER = 3.5;
const OFFLINE_MS = 12000;
const PAUSE_MS = 2000;
const PAUSE_MS_MAX = 15000;

export class Feed {
  constructor({ onWorker, onHistory, onObservation, onState }) {
    this.handlers = { worker: onWorker, history: onHistory, observation: onObservation };
    this.onState = onState;
    this.state = "connecting";
    this.everyMs = 2000;
    this.heardMs = null;
    this.lostMs = null;
    this.refusal = "";
    this.pauseMs = PAUSE_MS;
    addEventListener("online", () => this.open());
    addEventListener("offline", () => this.judge());
    addEventListener("pagehide", () => this.source?.close());
    addEventListener("pageshow", (event) => event.persisted && this.open());
    setInterval(() => this.judge(), 1000);
    this.open();
  }

  open() {
    clearTimeout(this.retry);
    this.source?.close();
    this.openedMs = Date.now();
    this.source = new EventSource("/api/ops/events");
    for (const [name, handle] of Object.entries(this.handlers)) {
      this.source.addEventListener(name, (event) => this.heard(name, handle, JSON.parse(event.data)));
    }
    this.source.addEventListener("error", () => this.lost());
  }

  heard(name, handle, data) {
    if (name === "worker") this.everyMs = data.every_seconds * 1000;
    if (name === "observation") this.heardMs = Date.now();
    this.lostMs = null;
    this.refusal = "";
    this.pauseMs = PAUSE_MS;
    handle(data);
    this.judge();
  }

  lost() {
    this.lostMs ??= Date.now();
    if (this.source.readyState === EventSource.CLOSED) {
      // The worker answered with an error, or a proxy did: the browser does not try again, so we do.
      clearTimeout(this.retry);
      this.retry = setTimeout(() => this.open(), this.pauseMs);
      this.pauseMs = Math.min(PAUSE_MS_MAX, this.pauseMs * 1.6);
      this.askWhy();
    }
    this.judge();
  }

  // A browser does not tell why a stream was refused; the worker does, if it answers at all.
  async askWhy() {
    try {
      const { listeners, listeners_max: most } = await ask("/api/ops");
      this.refusal = listeners >= most ? `${most} pages listen to it already: close one of them.` : "It did not begin to tell; this page tries again.";
    } catch (error) {
      this.refusal = error.lost ? "" : error.message;
    }
    this.judge();
  }

  judge() {
    const now = Date.now();
    const next = this.stateAt(now);
    const changed = next !== this.state;
    this.state = next;
    this.onState({ state: next, changed, silentMs: this.heardMs === null ? null : now - this.heardMs, waitedMs: now - this.openedMs, heardMs: this.heardMs, refusal: this.refusal });
  }

  stateAt(now) {
    if (!navigator.onLine && this.lostMs !== null) return "offline";
    if (this.lostMs !== null && this.refusal) return "refused";
    if (this.lostMs !== null) return now - this.lostMs > OFFLINE_MS ? "offline" : "reconnecting";
    if (this.heardMs === null) return "connecting";
    return now - this.heardMs > SLOW_AFTER * this.everyMs ? "slow" : "live";
  }
}
