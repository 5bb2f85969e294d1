// A brief: words, example photos, or both; what quests and assignments begin with.

import { button, element } from "./elements.js";
import { thumbnail } from "./picture.js";

// `onDone(q, photoIds)` may raise; what it raises stands below the form.
export function briefForm({ q = "", photos = [], selection, deed, hint, onDone }) {
  let examples = [...photos];
  const words = element("input", { type: "text", name: "brief", id: "brief", maxlength: 200, value: q, placeholder: "a red boat on a lake - people", autocomplete: "off" });
  const faces = element("ul", { class: "faces", "aria-label": "Example photos of the brief" });
  const take = button("", () => {
    examples = [...new Set([...examples, ...selection.ids])];
    show();
  }, { class: "plain" });
  function show() {
    const away = (id) => () => {
      examples = examples.filter((each) => each !== id);
      show();
    };
    faces.replaceChildren(...examples.map((id) => element("li", {}, button(thumbnail(id, ""), away(id), { "aria-label": "Take this example away", title: "Take it away" }))));
    faces.hidden = !examples.length;
    const more = selection.ids.filter((id) => !examples.includes(id)).length;
    take.hidden = !more;
    take.textContent = `Take the ${more} selected as examples`;
  }
  show();
  const trouble = element("p", { class: "trouble", role: "alert" });
  const form = element(
    "form",
    { class: "brief" },
    element("label", { for: "brief" }, "What is wanted, in words"),
    words,
    element("p", { class: "quiet" }, hint),
    faces,
    element("div", { class: "actions" }, element("button", { type: "submit" }, deed), take),
    trouble,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    trouble.textContent = "";
    if (!words.value.trim() && !examples.length) {
      trouble.textContent = "Say something, or select photos as examples.";
      words.focus();
      return;
    }
    await onDone(words.value.trim(), examples, (text) => { trouble.textContent = text; });
  });
  return form;
}
