"""How quick and how calm the page is, measured in Chromium over the 611 photographs.

    python tests/benchmarks/bench_page.py [ADDRESS]

Needs ../shared/data beside the project (photographs that are not ours to ship), Playwright and Chromium; or give the
address of an album that runs. Prints, for three widths of the window, when the first photo's place is painted, when
the first photo is there, what was transferred before the first photo was asked for, how much the layout shifted while
a person loaded, scrolled, searched, opened photos and went back, and how long interactions took to the next paint.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
DATA = ROOT.parent / "shared" / "data"

from album_process import AlbumProcess, until  # noqa: E402  (the project must be on the path first)
from browser import CHROMIUM, HEIGHTS_PX, WIDTHS_PX  # noqa: E402

from stream_app.settings import Settings  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LOADS = 5
TILES = "#grid .tile:not(.hollow)"
WORDS = ("dog", "boat on a lake", "red flower")
#: Watches from the first moment on; an interaction's length is that of its longest event, as INP counts it.
WATCH = """
window.watched = { shift: 0, interactions: {}, contentMs: null };
new PerformanceObserver((list) => {
    for (const each of list.getEntries()) if (!each.hadRecentInput) watched.shift += each.value;
}).observe({ type: "layout-shift", buffered: true });
new PerformanceObserver((list) => {
    for (const { interactionId: id, duration } of list.getEntries()) {
        if (id) watched.interactions[id] = Math.max(watched.interactions[id] ?? 0, duration);
    }
}).observe({ type: "event", buffered: true, durationThreshold: 16 });
const looking = () => {
    if (document.querySelector("#grid .tile:not(.hollow)")) watched.contentMs = performance.now();
    else requestAnimationFrame(looking);
};
requestAnimationFrame(looking);
"""
#: Of the first photo that is asked for, when, and what all that was asked for before weighs on the wire.
FIRST_PHOTO = """() => {
    const entries = [performance.getEntriesByType("navigation")[0], ...performance.getEntriesByType("resource")];
    const photos = entries.filter((each) => each.name.includes("/image?"));
    const others = entries.filter((each) => !each.name.includes("/image?"));
    const bytes = others.reduce((sum, each) => sum + each.transferSize, 0);
    return [Math.min(...photos.map((each) => each.responseEnd)), bytes];
}"""


def main() -> None:
    """Measure and print the table."""
    from playwright.sync_api import sync_playwright

    with _album() as address, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=_program(), args=["--no-sandbox"])
        count = _count(browser, address)
        print(f"{count} photographs; median of {LOADS} loads without cache, thumbnails made before\n")
        print("| width | places of photos | first photo | before photos | layout shift | INP p95 (longest) |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: |")
        for width_px in WIDTHS_PX:
            print(row(browser, address, width_px), flush=True)
        browser.close()


def row(browser: Browser, address: str, width_px: int) -> str:
    """One line of the table."""
    _load(browser, address, width_px)  # makes the thumbnails
    loads = [_load(browser, address, width_px) for _ in range(LOADS)]
    content_ms, photo_ms, transferred = (statistics.median(each) for each in zip(*loads, strict=True))
    shift, lengths_ms = _use(browser, address, width_px)
    p95_ms = sorted(lengths_ms)[max(0, -(-95 * len(lengths_ms) // 100) - 1)]
    return (
        f"| {width_px} px | {content_ms:.0f} ms | {photo_ms:.0f} ms | {transferred / 1000:.0f} KB | {shift:.4f} "
        f"| {p95_ms:.0f} ms ({max(lengths_ms):.0f}, of {len(lengths_ms)}) |"
    )


def _load(browser: Browser, address: str, width_px: int) -> tuple[float, float, float]:
    """Milliseconds to the first place and the first photo, and bytes that came before the photos."""
    with _page(browser, width_px) as page:
        page.goto(address + "/", wait_until="networkidle")
        page.wait_for_selector(f"{TILES} img")
        photo_ms, transferred = page.evaluate(FIRST_PHOTO)
        return page.evaluate("watched.contentMs"), photo_ms, transferred


def _use(browser: Browser, address: str, width_px: int) -> tuple[float, list[float]]:
    """The layout shift and the lengths of all interactions of a visit such as a person makes."""
    with _page(browser, width_px) as page:
        page.goto(address + "/", wait_until="networkidle")
        for _ in range(12):
            page.mouse.wheel(0, 1500)
            page.wait_for_timeout(120)
        for words in WORDS:
            page.evaluate("scrollTo(0, 0)")
            page.click("#words")
            page.fill("#words", "")
            page.keyboard.type(words, delay=60)
            page.wait_for_load_state("networkidle")
            page.wait_for_selector(TILES)
            _look_around(page)
        page.wait_for_timeout(300)
        return page.evaluate("watched.shift"), list(page.evaluate("Object.values(watched.interactions)"))


def _look_around(page: Page) -> None:
    """By the keyboard through the hits, select some, ask why, open one, and come back."""
    page.keyboard.press("ArrowDown")
    for key in ("ArrowRight", "x", "ArrowRight", "x", "ArrowDown", "w", "Escape", "ArrowLeft"):
        page.keyboard.press(key)
        page.wait_for_timeout(150)
    page.locator(TILES).nth(2).locator("a").click(position={"x": 20, "y": 50})
    page.wait_for_selector(".subject h1")
    page.wait_for_load_state("networkidle")
    page.go_back()
    page.wait_for_selector(TILES)
    page.wait_for_timeout(200)


@contextmanager
def _page(browser: Browser, width_px: int) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": width_px, "height": HEIGHTS_PX[width_px]})
    context.add_init_script(WATCH)
    yield context.new_page()
    context.close()


@contextmanager
def _album() -> Iterator[str]:
    """The address that was given, or an album of the photographs."""
    if len(sys.argv) > 1:
        yield sys.argv[1].rstrip("/")
        return
    if not (DATA / "photos").is_dir():
        sys.exit(f"This benchmark needs the photographs of {DATA}, which are not there. Nothing was measured.")
    with tempfile.TemporaryDirectory() as data_dir:
        album = AlbumProcess(Settings(data_dir=Path(data_dir)), "up", "--photos", str(DATA / "photos"))
        try:
            wanted = len(list((DATA / "photos").glob("*.jpg")))
            until(lambda: album.ready().photo_count() >= wanted, what="all photos")
            yield album.url
        finally:
            album.stop()


def _count(browser: Browser, address: str) -> Any:
    with _page(browser, 1024) as page:
        page.goto(address + "/")
        return page.evaluate("fetch('/api/stats').then((reply) => reply.json()).then((stats) => stats.photos)")


def _program() -> str:
    program = shutil.which(CHROMIUM)
    if program is None:
        sys.exit(f"There is no {CHROMIUM} here: apt-get install chromium, or set SIGHTLINE_CHROMIUM.")
    return program


if __name__ == "__main__":
    main()
