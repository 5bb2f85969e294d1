// The photos that are selected, wherever they were met; they stay selected until the tab is closed.

const STORED = "sightline-selection";
export const SELECTED_MAX = 200;

export class Selection extends EventTarget {
  constructor() {
    super();
    this.items = new Map(read().map((item) => [item.photo_id, item]));
    this.lastAdded = null;
  }

  get ids() {
    return [...this.items.keys()];
  }

  get size() {
    return this.items.size;
  }

  has(id) {
    return this.items.has(id);
  }

  toggle(item) {
    if (this.items.has(item.photo_id)) this.items.delete(item.photo_id);
    else this.#add(item);
    this.#changed();
  }

  // Everything between the last one that was selected and this one, as lists of files do it.
  extend(items, item) {
    const ids = items.map((each) => each.photo_id);
    const [from, to] = [ids.indexOf(this.lastAdded), ids.indexOf(item.photo_id)].sort((a, b) => a - b);
    for (const each of from < 0 ? [item] : items.slice(from, to + 1)) this.#add(each);
    this.#changed();
  }

  remove(id) {
    if (this.items.delete(id)) this.#changed();
  }

  clear() {
    this.items.clear();
    this.#changed();
  }

  #add({ photo_id, title, url, width, height, image_url }) {
    if (this.items.size >= SELECTED_MAX) return;
    this.items.set(photo_id, { photo_id, title, url, width, height, image_url });
    this.lastAdded = photo_id;
  }

  #changed() {
    try {
      sessionStorage.setItem(STORED, JSON.stringify([...this.items.values()]));
    } catch {
      // Then it lasts until the page is left.
    }
    this.dispatchEvent(new Event("change"));
  }
}

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(STORED)) ?? [];
  } catch {
    return [];
  }
}
