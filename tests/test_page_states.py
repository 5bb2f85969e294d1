"""What the page shows when things are not as they should be, over a worker of its own: it says so, and what to do."""

from __future__ import annotations

import io
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from album_process import AlbumProcess, colour_photo
from browser import WIDTHS_PX, Visit
from page_album import HOSTILE_NAME, QUIET, SHIFTS, quiet, shown
from PIL import Image

from stream_app.settings import Settings

BYTES_MAX = 1_000_000
#: Makes files in the page and drops them on it: [[name, type, size or list of bytes], ...].
DROP = """(files) => {
    const carried = new DataTransfer();
    for (const [name, type, content] of files) {
        const bytes = typeof content === "number" ? new Uint8Array(content).fill(37) : new Uint8Array(content);
        carried.items.add(new File([bytes], name, { type }));
    }
    dispatchEvent(new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def own(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlbumProcess]:
    """`sightline up` with an album that is empty at first, and takes uploads of up to a megabyte."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("states"), bundle=str(tiny_bundle), upload_bytes_max=BYTES_MAX)
    process = AlbumProcess(settings, "up")
    try:
        yield process.ready()
    finally:
        process.stop()


def choose(seen: Visit, *files: tuple[str, bytes]) -> None:
    """Choose files with the button "Add photos"."""
    given = [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files]
    seen.page.set_input_files("#files", given)


def said(seen: Visit, selector: str, text: str) -> str:
    """What stands there, once the text is in it."""
    place = seen.page.locator(selector, has_text=text).first
    place.wait_for()
    return place.inner_text()


class TestAnEmptyAlbum:
    @pytest.mark.parametrize("width_px", WIDTHS_PX)
    def test_it_says_how_to_begin(self, visit: Any, own: AlbumProcess, width_px: int) -> None:
        """By dropping photos, or by a command."""
        seen = visit(f"{own.url}/", width_px=width_px)
        text = said(seen, "#status", "The album is empty")
        seen.shoot("empty")

        assert "sightline publish" in text
        assert quiet(seen) == QUIET


class TestUploading:
    def test_a_photo_is_followed_until_it_can_be_found(self, visit: Any, own: AlbumProcess) -> None:
        """Queued, embedded, findable, each with its time; it then joins the grid by itself."""
        seen = visit(f"{own.url}/")
        said(seen, "#status", "The album is empty")
        choose(seen, ("first red.png", colour_photo("red", 1)))
        row = said(seen, "#tray li", "findable after")
        seen.shoot("uploaded")
        shown(seen, 1)

        assert "queued after" in row and row.startswith("first red.png")
        assert "1 of 1 photo findable" in seen.page.inner_text("#tray h2")
        assert quiet(seen) == QUIET

    def test_many_files_are_sent_a_few_at_a_time_and_summed_up(self, visit: Any, own: AlbumProcess) -> None:
        """Sixty files: never more than four on their way, one line for all of them, and no row without end."""
        seen = visit(f"{own.url}/")
        under_way: set[Any] = set()
        most = [0]

        def began(request: Any) -> None:
            if request.method == "POST":
                under_way.add(request)
                most[0] = max(most[0], len(under_way))

        seen.page.on("request", began)
        seen.page.on("requestfinished", lambda request: under_way.discard(request))
        before = own.photo_count()
        choose(seen, *((f"blue {seed}.png", colour_photo("blue", 100 + seed)) for seed in range(60)))
        said(seen, "#tray h2", "60 of 60 photos findable")
        seen.shoot("many")

        assert 1 <= most[0] <= 4
        assert seen.page.locator("#tray li").count() <= 30
        assert own.photo_count() == before + 60

    def test_what_cannot_be_a_photo_is_refused_before_it_is_sent(self, visit: Any, own: AlbumProcess) -> None:
        """A hundred megabytes, a PDF, an empty file; the good one among them is taken."""
        seen = visit(f"{own.url}/")
        seen.until("document.querySelector('#count').textContent.includes('photo')")
        sent: list[str] = []
        seen.page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
        seen.page.evaluate(
            DROP,
            [
                ["huge.jpg", "image/jpeg", 100_000_000],
                ["text.pdf", "application/pdf", list(b"%PDF-1.7 and so on")],
                ["nothing.png", "image/png", []],
                ["green.png", "image/png", list(colour_photo("green", 7))],
            ],
        )
        seen.page.click("button:has-text('Add all 4')")
        done = said(seen, "#tray", "3 refused")
        said(seen, "#tray h2", "1 of 4 photos findable")
        seen.shoot("refused")

        assert "It has 100 MB" in done and "It is a PDF" in done and "It is empty" in done
        assert [url for url in sent if "/api/photos?" in url] == [f"{own.url}/api/photos?name=green.png"]
        assert seen.violations() == []

    def test_a_pdf_alone_is_no_search(self, visit: Any, own: AlbumProcess) -> None:
        """It is said at once, and the view stays."""
        seen = visit(f"{own.url}/")
        shown(seen)
        seen.page.evaluate(DROP, [["text.pdf", "application/pdf", list(b"%PDF-1.7 and so on")]])

        assert "it is a PDF" in seen.heard("text.pdf")
        assert seen.page.url == f"{own.url}/"

    def test_what_the_worker_refuses_is_said_in_its_words(self, visit: Any, own: AlbumProcess) -> None:
        """A HEIC file that is none inside begins like one, so only the worker can tell."""
        seen = visit(f"{own.url}/")
        shown(seen)
        choose(seen, ("live.heic", b"\0\0\0\x18ftypheic" + b"\0" * 40))
        text = said(seen, "#tray li.failed", "Refused")

        assert len(text) > len("live.heic Refused:") + 10

    def test_a_hostile_file_name_is_text(self, visit: Any, own: AlbumProcess) -> None:
        """In the tray, and above the photo that is searched by."""
        seen = visit(f"{own.url}/")
        shown(seen)
        choose(seen, (HOSTILE_NAME, colour_photo("green", 55)))
        row = said(seen, "#tray li", "findable after")
        seen.page.evaluate(DROP, [[HOSTILE_NAME, "image/png", list(colour_photo("green", 56))]])
        said(seen, ".subject", "Search by this photo")

        assert row.startswith(HOSTILE_NAME)
        assert HOSTILE_NAME in seen.page.inner_text(".subject")
        assert seen.complaints == []


class TestSearchingByAPhoto:
    @pytest.mark.parametrize("width_px", WIDTHS_PX)
    def test_the_very_photo_is_recognised(self, visit: Any, own: AlbumProcess, width_px: int) -> None:
        """Dropped again, it is said to be in the album, with a link to it."""
        seen = visit(f"{own.url}/", width_px=width_px)
        shown(seen)
        seen.page.evaluate(DROP, [["again.png", "image/png", list(colour_photo("red", 1))]])
        said(seen, ".known", "This very photo is in the album")
        shown(seen)
        seen.shoot("dropped")
        found = quiet(seen)
        seen.page.click(".known a")

        seen.page.wait_for_url("**/?related=*")
        assert found == QUIET

    def test_a_new_photo_can_be_added(self, visit: Any, own: AlbumProcess) -> None:
        """It is not in the album, and then it is."""
        seen = visit(f"{own.url}/")
        shown(seen)
        file = io.BytesIO()
        Image.effect_noise((64, 64), 90).convert("RGB").save(file, "PNG")
        seen.page.evaluate(DROP, [["noise.png", "image/png", list(file.getvalue())]])
        said(seen, ".known", "It is not in the album")
        seen.page.click("button:text-is('Add to the album')")

        said(seen, "#tray li", "findable after")


class TestTrouble:
    def test_the_first_load_shows_shapes_where_photos_will_be(self, visit: Any, own: AlbumProcess) -> None:
        """While the worker takes its time; when the photos come, nothing jumps."""
        seen = visit(f"{own.url}/")
        shown(seen)
        held: list[Any] = []
        seen.page.route("**/api/photos?*", lambda route: held.append(route))
        seen.page.reload(wait_until="domcontentloaded")
        seen.page.wait_for_selector(".hollow")
        seen.shoot("loading")
        violations = seen.violations()
        [each.continue_() for each in held]
        seen.page.unroute("**/api/photos?*")
        shown(seen)

        assert seen.page.locator(".hollow").count() == 0
        assert seen.page.evaluate(SHIFTS) == 0
        assert violations == []

    def test_a_slow_answer_is_spoken_of(self, visit: Any, own: AlbumProcess) -> None:
        """After two seconds; the answer then takes its place."""
        seen = visit(f"{own.url}/")
        shown(seen)
        held: list[Any] = []
        seen.page.route("**/api/search?*", lambda route: held.append(route))
        seen.page.fill("#words", "red")
        said(seen, "#status", "takes longer than usual")
        seen.shoot("slow")
        [each.continue_() for each in held]

        said(seen, "#status", "Nearest to “red” first")

    def test_an_error_says_what_to_do_and_can_be_tried_again(self, visit: Any, own: AlbumProcess) -> None:
        """The worker's own words and remedy, and a button."""
        seen = visit(f"{own.url}/")
        shown(seen)
        problem = {"status": 503, "detail": "The album is away", "remedy": "Wait a moment."}
        seen.page.route("**/api/search?*", lambda route: route.fulfill(status=503, json=problem))
        seen.page.fill("#words", "red")
        text = said(seen, "#status.error", "The album is away")
        seen.shoot("error")
        violations = seen.violations()
        seen.page.unroute("**/api/search?*")
        seen.page.click("#status button")

        said(seen, "#status", "Nearest to “red” first")
        assert "Wait a moment." in text
        assert violations == []

    def test_being_offline_is_noticed_and_so_is_coming_back(self, visit: Any, own: AlbumProcess) -> None:
        """The notice stays as long as that lasts."""
        seen = visit(f"{own.url}/")
        shown(seen)
        seen.page.context.set_offline(True)
        said(seen, ".notice", "offline")
        seen.shoot("offline")
        violations = seen.violations()
        seen.page.context.set_offline(False)
        seen.heard("The worker is back")

        assert seen.page.locator(".notice", has_text="offline").count() == 0
        assert violations == []

    def test_a_photo_that_was_deleted_meanwhile_is_spoken_of(self, visit: Any, own: AlbumProcess) -> None:
        """Where it is shown, when it is asked for."""
        seen = visit(f"{own.url}/")
        tile = shown(seen).first
        photo = tile.get_attribute("data-id")
        own.send("DELETE", f"/api/photos/{photo}")
        tile.locator("a").click(position={"x": 20, "y": 60})
        text = said(seen, "#status.error", "There is no photo")
        seen.shoot("deleted")

        assert str(photo) in text
        assert all("404" in each for each in seen.complaints)

    def test_a_photo_is_deleted_from_the_page_itself(self, visit: Any, own: AlbumProcess) -> None:
        """Asked twice, then gone from the view before."""
        seen = visit(f"{own.url}/")
        tile = shown(seen).first
        photo = tile.get_attribute("data-id")
        tile.locator("a").click(position={"x": 20, "y": 60})
        seen.page.dblclick(".subject button.danger")
        seen.heard("The photo is deleted")
        shown(seen)

        assert own.status(f"/api/photos/{photo}") == 404
        assert seen.page.locator(f"#grid [data-id='{photo}']").count() == 0

    def test_a_worker_that_starts_again_is_said_to_be_away_and_then_back(self, visit: Any, own: AlbumProcess) -> None:
        """The page goes on where it was."""
        seen = visit(f"{own.url}/?q=red")
        shown(seen)
        own.end_worker(signal.SIGKILL)
        seen.heard("The worker is back")
        seen.page.fill("#words", "blue")

        said(seen, "#status", "Nearest to “blue” first")
        shown(seen)
