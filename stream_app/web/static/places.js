// Where a reader has been: each entry of the browser's history keeps its photos and its place on the page.

const KEPT_VIEWS = 30;
const STORED = "sightline-places";

export class Places {
  constructor() {
    this.kept = new Map();
    // What outlives a reload is little: how many photos there were, and where the reader stood.
    this.stored = read();
    history.scrollRestoration = "manual";
    history.replaceState({ key: this.key ?? freshKey() }, "", location.href);
  }

  get key() {
    return history.state?.key;
  }

  get here() {
    return this.kept.get(this.key);
  }

  get before() {
    return this.stored[this.key];
  }

  go(address, { replace = false } = {}) {
    const key = replace && this.key ? this.key : freshKey();
    history[replace ? "replaceState" : "pushState"]({ key }, "", address);
  }

  keep(entry) {
    this.kept.delete(this.key);
    this.kept.set(this.key, entry);
    if (this.kept.size > KEPT_VIEWS) this.kept.delete(this.kept.keys().next().value);
    if (entry.shown?.items) this.stored[this.key] = { count: entry.shown.items.length, scrollY: entry.scrollY };
  }

  // A photo that is gone is gone from every view that was kept.
  forget(id) {
    for (const { shown } of this.kept.values()) if (shown?.items) shown.items = shown.items.filter((item) => item.photo_id !== id);
  }

  store() {
    const latest = Object.entries(this.stored).slice(-KEPT_VIEWS);
    try {
      sessionStorage.setItem(STORED, JSON.stringify(Object.fromEntries(latest)));
    } catch {
      // A full or forbidden storage costs the place after a reload, and nothing else.
    }
  }
}

// crypto.randomUUID exists on secure origins only; a worker in the house is often reached by plain HTTP.
function freshKey() {
  return `${Date.now()}-${Math.random()}`;
}

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(STORED)) ?? {};
  } catch {
    return {};
  }
}
