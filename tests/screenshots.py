"""Takes README's screenshots, of the starter album: `make screenshots` writes deploy/screenshot*.png."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from album_process import AlbumProcess, until  # noqa: E402  (the project must be on the path first)
from browser import CHROMIUM  # noqa: E402
from PIL import Image  # noqa: E402

from stream_app.settings import Settings  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

COLOURS_MAX = 256
SIZE_PX = (1120, 700)
TILES = "#grid .tile:not(.hollow)"


def main() -> None:
    """Start the starter album, and take one picture after another."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as data_dir, sync_playwright() as running:
        album = AlbumProcess(Settings(data_dir=Path(data_dir)), "up", "--starter")
        try:
            until(lambda: album.ready().photo_count() >= 10, what="the starter album")
            browser = running.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
            _take(browser, f"{album.url}/?q=flower", "screenshot", _point_at_the_first)
            _take(browser, f"{album.url}/?q=person", "screenshot-gallery", _select_some, scheme="dark")
            _take(browser, f"{album.url}/?q=animal", "screenshot-phone", _open_the_first, size_px=(390, 700))
            browser.close()
        finally:
            album.stop()


def _take(
    browser: Browser,
    address: str,
    name: str,
    deed: Callable[[Page], None],
    *,
    scheme: str = "light",
    size_px: tuple[int, int] = SIZE_PX,
) -> None:
    width_px, height_px = size_px
    context = browser.new_context(viewport={"width": width_px, "height": height_px}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector(f"{TILES} img")
    deed(page)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    # A palette makes them a third as large; what a person sees stays the same.
    path = ROOT / "deploy" / f"{name}.png"
    picture.quantize(COLOURS_MAX, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} KB")
    context.close()


def _point_at_the_first(page: Page) -> None:
    page.locator(TILES).first.hover()


def _select_some(page: Page) -> None:
    page.locator(TILES).first.locator("a").focus()
    for key in ("x", "ArrowRight", "x", "ArrowRight"):
        page.keyboard.press(key)
    page.wait_for_selector("#basket .offered button")


def _open_the_first(page: Page) -> None:
    page.locator(TILES).first.locator("a").click()
    page.wait_for_selector(".subject h1")


def _chromium() -> str:
    program = shutil.which(CHROMIUM)
    if program is None:
        sys.exit(f"There is no {CHROMIUM} here: apt-get install chromium, or set SIGHTLINE_CHROMIUM.")
    return program


if __name__ == "__main__":
    main()
