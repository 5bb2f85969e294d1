"""A small album for the tests of the page: photos of several shapes, with tags, photographers, and hostile names."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from album_process import COLOURS, AlbumProcess, colour_folder, until, write_events
from browser import Visit
from PIL import Image

from stream_app.folders import folder_photo_id
from stream_app.local_services import LocalServices
from stream_app.settings import Settings

HOSTILE = '<img src=x onerror="document.title=1">'
HOSTILE_NAME = "<b onclick=alert(1)>.png"
PER_COLOUR = 6
PHOTOS = len(COLOURS) * PER_COLOUR + 3
TILES = "#grid .tile:not(.hollow)"
#: What a good page has: complaints, strangers, pixels of overflow, violations.
QUIET: tuple[list[str], list[str], int, list[str]] = ([], [], 0, [])
SHIFTS = """() => new Promise((done) => {
    let sum = 0;
    new PerformanceObserver((list) => {
        for (const each of list.getEntries()) sum += each.hadRecentInput ? 0 : each.value;
    }).observe({ type: "layout-shift", buffered: true });
    setTimeout(() => done(sum), 200);
})"""


def plain_photo(colour: str, width_px: int, height_px: int) -> bytes:
    """A photo of some shape, in one colour with a little noise."""
    rng = np.random.default_rng(width_px)
    pixels = np.clip(np.array(COLOURS[colour]) + rng.normal(0, 12, (height_px, width_px, 3)), 0, 255)
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def many_shapes(folder: Path) -> Path:
    """The photos: six of each colour, a tall one, a wide one, and one whose name is an attack."""
    colour_folder(folder, PER_COLOUR)
    (folder / "tall.png").write_bytes(plain_photo("red", 40, 120))
    (folder / "wide.png").write_bytes(plain_photo("blue", 300, 75))
    (folder / HOSTILE_NAME).write_bytes(plain_photo("green", 90, 90))
    return folder


def edits(folder: Path) -> list[dict[str, Any]]:
    """One photographer for each colour, a tag for the wide photo, and hostile words for another."""
    users = {colour: str(place) for place, colour in enumerate(COLOURS, 1)}
    events = [_edit(path.name, user_id=users.get(path.name.split("-")[0], "9")) for path in sorted(folder.iterdir())]
    return [*events, _edit("wide.png", tags=["sea"]), _edit(HOSTILE_NAME, title=HOSTILE, tags=[HOSTILE])]


def _edit(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "photo.edited", "photo_id": str(folder_photo_id(name)), **fields}


@pytest.fixture(scope="session")
def shapes(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlbumProcess]:
    """A worker with that album, for all tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("page")
    photos = many_shapes(folder / "photos")
    given = Settings(data_dir=folder / "data", bundle=str(tiny_bundle), photo_roots=str(photos))
    given.data_dir.mkdir()
    with LocalServices(given) as settings:
        worker = AlbumProcess(settings, "worker").ready()
        try:
            worker.run("publish", str(photos))
            worker.run("publish", str(write_events(folder / "edits.jsonl", edits(photos))))
            yield worker.until_findable(PHOTOS).until_tagged("sea", HOSTILE)
        finally:
            worker.stop()


def shown(seen: Visit, count: int | None = None) -> Any:
    """The tiles, once they are there."""
    tiles = seen.page.locator(TILES)
    until(lambda: tiles.count() == count if count else tiles.count() > 0, what=f"{count or 'some'} tiles")
    return tiles


def ratios(seen: Visit) -> list[list[float]]:
    """Of each tile its own width over its height, and that of its photo."""
    measure = """(tiles) => tiles.map((tile) => {
        const { width, height } = tile.getBoundingClientRect();
        const image = tile.querySelector("img");
        return [width / height, image.getAttribute("width") / image.getAttribute("height")];
    })"""
    found: list[list[float]] = seen.page.eval_on_selector_all(TILES, measure)
    return found


def quiet(seen: Visit) -> tuple[list[str], list[str], int, list[str]]:
    """Complaints, strangers, overflow and violations of the page as it is now."""
    return seen.complaints, seen.strangers, seen.overflow_px(), seen.violations()
