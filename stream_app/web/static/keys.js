// What the keyboard does. Keys without Ctrl or Alt can be turned off, for those whose speech software types letters.

const STORED = "sightline-single-keys";

export class Keys {
  constructor({ help, opener, words, onEscape, onDown }) {
    Object.assign(this, { help, words, onEscape, onDown });
    const choice = help.querySelector("input");
    choice.checked = this.areOn;
    choice.addEventListener("change", () => store(choice.checked));
    opener.addEventListener("click", () => help.showModal());
    help.addEventListener("click", (event) => event.target === help && help.close());
    addEventListener("keydown", (event) => this.#pressed(event));
  }

  get areOn() {
    try {
      return localStorage.getItem(STORED) !== "off";
    } catch {
      return true;
    }
  }

  #pressed(event) {
    if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
    const writing = event.target.matches?.("input, textarea, select");
    if (event.key === "Escape" && !document.querySelector("[popover]:popover-open")) return this.onEscape(event);
    if (event.key === "ArrowDown" && event.target === this.words) return this.onDown(event);
    if (writing || !this.areOn) return;
    if (event.key === "/") {
      event.preventDefault();
      this.words.focus();
      this.words.select();
    } else if (event.key === "?") {
      event.preventDefault();
      this.help.showModal();
    }
  }
}

function store(areOn) {
  try {
    localStorage.setItem(STORED, areOn ? "on" : "off");
  } catch {
    // Then it holds until the page is left.
  }
}
