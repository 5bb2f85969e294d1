"""A real browser for the tests of the pages: Debian's Chromium, driven by Playwright, and a real album to look at.

SIGHTLINE_CHROMIUM names another Chromium; where there is none, what takes a browser is skipped. What `shoot` takes is
kept in the folder SIGHTLINE_SCREENSHOTS, if that is set.

A test asks for `visit`, and for `album` where it wants photographs:

    def test_the_page_is_quiet(visit, album):
        seen = visit(album.url + "/", width_px=390)
        seen.shoot("first")
        assert seen.complaints == [] and seen.violations() == []
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from album_process import STARVED_SECONDS_MAX, WAIT_SECONDS_MAX, AlbumProcess, colour_folder, until

from stream_app.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("SIGHTLINE_CHROMIUM", "chromium")
SCREENSHOTS = os.environ.get("SIGHTLINE_SCREENSHOTS", "")
WIDTHS_PX = (390, 1024, 1920)
HEIGHTS_PX = {390: 844, 1024: 768, 1920: 1080}
#: What WCAG 2.2 AA asks for, as axe names it.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PHOTOS_PER_COLOUR = 6
#: Notices go after five seconds, which may be before a test looks: what they said is kept.
LISTEN = """addEventListener("DOMContentLoaded", () => {
    window.heard = [];
    const texts = ({ addedNodes }) => [...addedNodes].map((each) => each.textContent);
    const hear = (records) => heard.push(...records.flatMap(texts));
    const place = document.querySelector("#notices");
    if (place) new MutationObserver(hear).observe(place, { childList: true });
});"""


class Visit:
    """One page in a browser window of its own, and what went wrong on it.

    `complaints` are errors on the console and in scripts; `strangers` are requests to another host.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        self._host = urlsplit(url).netloc
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._note_request)

    def until(self, expression: str) -> Any:
        """The first true value of a JavaScript expression.

        The page's policy forbids `eval`, which Playwright's own `wait_for_function` needs for asking twice.
        """

        def answer() -> Any:
            self.page.wait_for_timeout(50)
            return self.page.evaluate(expression)

        return until(answer, what=expression)

    def heard(self, text: str) -> str:
        """What the first notice with the text said, once there was one, also if it has gone since."""
        said: str = self.until(f"heard.find((each) => each.includes({json.dumps(text)}))")
        return said

    def shoot(self, name: str, **options: Any) -> None:
        """Keep a screenshot, named also by the window's width and the colour scheme."""
        if SCREENSHOTS:
            dark = self.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
            width_px = self.page.viewport_size["width"] if self.page.viewport_size else 0
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            path = Path(SCREENSHOTS) / f"{name}-{width_px}{'-dark' if dark else ''}.png"
            self.page.screenshot(path=path, animations="disabled", **options)

    def violations(self) -> list[str]:
        """What axe finds against WCAG 2.2 AA and its best practices, a line for each element."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page, options={"runOnly": {"type": "tag", "values": RULES}}).response["violations"]
        return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]

    def overflow_px(self) -> int:
        """How far the page is wider than its window."""
        return max(0, self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def _note_request(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != self._host:
            self.strangers.append(request.url)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A running Chromium. Tests with it must not be coroutines: Playwright keeps an event loop in their thread."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is missing: pip install playwright")
    program = shutil.which(CHROMIUM)
    if program is None:
        pytest.skip(f"there is no {CHROMIUM} here: apt-get install chromium, or set SIGHTLINE_CHROMIUM")
    # Chromium refuses root its sandbox, and containers seldom have what the sandbox needs.
    with playwright.sync_playwright() as running:
        timeout_ms = STARVED_SECONDS_MAX * 1000
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox"], timeout=timeout_ms)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens an address in a new window: `visit(url, width_px=1024, **options)`, with Playwright's options of a context.

    It returns at once when the document is there; what comes later is for the test to wait for.
    """
    contexts = []

    def open_page(url: str, *, width_px: int = 1024, **options: Any) -> Visit:
        viewport = {"width": width_px, "height": HEIGHTS_PX.get(width_px, 800)}
        context = chromium.new_context(viewport=viewport, **options)
        contexts.append(context)
        context.set_default_timeout(2 * WAIT_SECONDS_MAX * 1000)
        context.add_init_script(LISTEN)
        seen = Visit(context.new_page(), url)
        seen.page.goto(url, wait_until="domcontentloaded")
        return seen

    yield open_page
    for each in contexts:
        each.close()


@pytest.fixture(scope="module")
def album(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlbumProcess]:
    """A real album on private services, with a few photos of each colour: `sightline up` in a process of its own."""
    folder = tmp_path_factory.mktemp("album")
    photos = colour_folder(folder / "photos", PHOTOS_PER_COLOUR)
    settings = Settings(data_dir=folder / "data", bundle=str(tiny_bundle))
    settings.data_dir.mkdir()
    process = AlbumProcess(settings, "up", "--photos", str(photos))
    try:
        yield process.ready().until_findable(len(list(photos.iterdir())))
    finally:
        process.stop()
