// The galleries and quests that were begun or visited in this browser: the worker has no list of all of them.

const STORED = "sightline-collections";
const REMEMBERED_MAX = 50;

export function remembered(kind) {
  return read().filter((each) => each.kind === kind);
}

export function remember(kind, id, { q = "", face = null, count = 0 } = {}) {
  const others = read().filter((each) => each.kind !== kind || each.id !== id);
  write([{ kind, id, q, face, count }, ...others].slice(0, REMEMBERED_MAX));
}

export function forget(kind, id) {
  write(read().filter((each) => each.kind !== kind || each.id !== id));
}

// An id that nobody else will draw: 62 random bits, as decimals.
export function freshId() {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return String(((BigInt(high) & 0x3fffffffn) << 32n) | BigInt(low));
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(STORED)) ?? [];
  } catch {
    return [];
  }
}

function write(entries) {
  try {
    localStorage.setItem(STORED, JSON.stringify(entries));
  } catch {
    // The links go on working; only this list does not.
  }
}
