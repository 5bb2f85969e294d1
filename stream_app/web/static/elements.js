// Builds elements. Text only ever becomes text: whatever a photo is called, it is never read as markup.

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "ratio") made.style.setProperty("--ratio", String(value));
    else if (name === "share") made.style.setProperty("--share", String(value));
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return made;
}

export const button = (text, onclick, properties = {}) => element("button", { type: "button", onclick, ...properties }, text);

// A link that stays in the page, unless it is to be opened elsewhere.
export function link(href, onOpen, properties, ...children) {
  return element("a", { href, onclick: (event) => stays(event) && onOpen(), ...properties }, ...children);
}

export function stays(event) {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return false;
  event.preventDefault();
  return true;
}

export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString()} ${count === 1 ? one : many}`;
}

export function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

// What went wrong in one line, for places without room for more.
export function explained(error) {
  return [error.message, error.remedy].filter(Boolean).map(sentence).join(" ");
}

// Asks once more before something is lost: the button changes its words for a few seconds.
export function deliberate(text, question, deed) {
  const made = button(text, async () => {
    if (made.dataset.asked) return deed();
    made.dataset.asked = "yes";
    made.textContent = question;
    setTimeout(() => {
      delete made.dataset.asked;
      made.textContent = text;
    }, 4000);
  }, { class: "danger" });
  return made;
}

export const seconds = (milliseconds) => `${(milliseconds / 1000).toFixed(1)} s`;
