// The dead letters: what failed and why, and a button that sends one again.

import { ask } from "./api.js";
import { element, plural } from "./elements.js";
import { bytes, clock } from "./ops-format.js";

export class Letters {
  constructor({ place, said, heading, onCount }) {
    Object.assign(this, { place, said, heading, onCount });
    this.asked = 0;
    this.count = null;
  }

  async look() {
    const asked = (this.asked += 1);
    try {
      const found = await ask("/api/ops/dead-letters");
      if (asked === this.asked) this.show(found);
    } catch (error) {
      if (asked === this.asked) this.say(`The dead letters cannot be listed. ${error.message} ${error.remedy ?? ""}`);
    }
  }

  show({ dead_letters: letters, count }) {
    const focused = document.activeElement?.dataset?.letter;
    const open = new Set([...this.place.querySelectorAll("details[open]")].map((each) => each.dataset.letter));
    this.tell(count);
    if (!letters.length) {
      this.place.replaceChildren(element("p", { class: "nothing-here" }, "There is none: everything that came in could be worked on, or was replayed."));
      return;
    }
    const more = count > letters.length ? element("p", { class: "quiet" }, `These are the newest ${letters.length} of ${plural(count, "letter")}. sightline dead-letters list shows all.`) : "";
    this.place.replaceChildren(element("ul", { class: "letters" }, ...letters.map((each) => this.item(each, open.has(each.place)))), more);
    if (focused) this.place.querySelector(`button[data-letter="${CSS.escape(focused)}"]`)?.focus();
  }

  tell(count) {
    this.count = count;
    this.onCount();
    this.heading.textContent = count ? `Dead letters (${count.toLocaleString()})` : "Dead letters";
  }

  item(letter, open) {
    const button = element("button", { type: "button", class: "plain", "data-letter": letter.place, "aria-label": `Replay letter ${letter.place} of photo ${letter.key || "unknown"}` }, "Replay");
    const item = element(
      "li",
      {},
      element("p", { class: "reason" }, letter.reason),
      element("p", { class: "about" }, element("span", { class: "stage" }, letter.stage), ` ${day(letter.time_ms)} ${clock(letter.time_ms)} · key ${letter.key || "none"} · ${letter.topic}, partition ${letter.partition}, offset ${letter.offset}`),
      element("div", { class: "deed" }, letter.replayable ? button : element("span", { class: "small-text" }, "Not kept whole: send it anew")),
      letter.value && element("details", { "data-letter": letter.place, open }, element("summary", {}, `The event, ${bytes(letter.value_bytes)}`), element("pre", {}, letter.value)),
    );
    button.addEventListener("click", () => this.replay(letter, button, item));
    return item;
  }

  async replay(letter, button, item) {
    if (button.getAttribute("aria-disabled")) return;
    button.setAttribute("aria-disabled", "true");
    button.textContent = "Sending…";
    item.querySelector(".failed")?.remove();
    try {
      await ask(`/api/ops/dead-letters/${encodeURIComponent(letter.place)}/replay`, { method: "POST" });
      this.say(`Letter ${letter.place} was sent again to ${letter.topic}.`);
      const next = item.nextElementSibling ?? item.previousElementSibling;
      (next?.querySelector("button") ?? this.heading).focus();
      item.remove();
      this.tell(this.count - 1);
      await this.look();
    } catch (error) {
      button.removeAttribute("aria-disabled");
      button.textContent = "Replay";
      item.append(element("p", { class: "failed", role: "alert" }, `It was not replayed. ${error.message} ${error.remedy ?? ""}`));
    }
  }

  say(text) {
    this.said.replaceChildren(element("p", { class: "condition" }, text));
  }
}

function day(timeMs) {
  const then = new Date(timeMs);
  return then.toDateString() === new Date().toDateString() ? "today" : then.toLocaleDateString();
}
