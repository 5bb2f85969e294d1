// What the worker said so far: times, and for each name one number or null at each time.

export class Series {
  constructor() {
    this.clear(900);
  }

  clear(keptSeconds) {
    this.keptMs = keptSeconds * 1000;
    this.timesMs = [];
    this.columns = new Map();
  }

  addHistory({ times_ms: times, columns }) {
    times.forEach((time, place) => {
      this.add(time, Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[place]])));
    });
  }

  add(timeMs, numbers) {
    if (timeMs <= (this.timesMs.at(-1) ?? 0)) return;
    for (const name of Object.keys(numbers)) {
      if (!this.columns.has(name)) this.columns.set(name, this.timesMs.map(() => null));
    }
    this.timesMs.push(timeMs);
    for (const [name, values] of this.columns) values.push(numbers[name] ?? null);
    while (this.timesMs[0] < timeMs - this.keptMs) {
      this.timesMs.shift();
      for (const values of this.columns.values()) values.shift();
    }
  }

  get endMs() {
    return this.timesMs.at(-1) ?? 0;
  }

  last(name) {
    return this.columns.get(name)?.at(-1) ?? null;
  }

  // The part of the last seconds: times, and one list of values for each of the names.
  window(names, lastSeconds) {
    const since = this.endMs - lastSeconds * 1000;
    const begin = this.timesMs.findIndex((time) => time >= since);
    const from = begin < 0 ? this.timesMs.length : begin;
    const nothing = () => this.timesMs.slice(from).map(() => null);
    return {
      timesMs: this.timesMs.slice(from),
      values: names.map((name) => this.columns.get(name)?.slice(from) ?? nothing()),
    };
  }
}
