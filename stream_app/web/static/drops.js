// Photos that come in by dropping, pasting or choosing files.

export function listenForPhotos({ veil, chooser, onDropped, onChosen }) {
  let depth = 0;
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  const cover = (shown) => {
    depth = shown ? depth : 0;
    veil.hidden = !shown;
  };
  addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth += 1;
    cover(true);
  });
  addEventListener("dragleave", (event) => {
    if (carriesFiles(event) && --depth <= 0) cover(false);
  });
  addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    cover(false);
    hand(event.dataTransfer.files, onDropped);
  });
  addEventListener("paste", (event) => hand(event.clipboardData?.files, onDropped));
  chooser.addEventListener("change", () => {
    hand(chooser.files, onChosen);
    chooser.value = "";
  });
}

function hand(files, receive) {
  if (files?.length) receive([...files]);
}
