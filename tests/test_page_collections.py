"""Galleries, quests and photographers on the page: from the selection to what can be linked to."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from album_process import COLOURS, AlbumProcess
from browser import WIDTHS_PX, Visit
from page_album import QUIET, quiet, shown


def select(seen: Visit, album: AlbumProcess, words: str, count: int) -> None:
    """Search for words, and select the first photos by the keyboard."""
    seen.page.goto(f"{album.url}/?q={quote(words)}&fold=false")
    shown(seen).first.locator("a").focus()
    for _ in range(count):
        seen.page.keyboard.press("x")
        seen.page.keyboard.press("ArrowRight")


def names(seen: Visit, selector: str) -> list[str]:
    """The accessible names of buttons."""
    return [each.get_attribute("aria-label") or "" for each in seen.page.locator(selector).all()]


class TestSelecting:
    def test_a_selection_outlives_the_view_and_a_reload(self, visit: Any, shapes: AlbumProcess) -> None:
        """Selected here and there, and taken out with a click."""
        seen = visit(f"{shapes.url}/")
        select(seen, shapes, "red", 2)
        select(seen, shapes, "blue", 1)
        seen.page.reload()
        shown(seen)
        before = seen.page.inner_text("#basket h2")
        seen.page.click("#basket .chosen .faces button")

        assert (before, seen.page.inner_text("#basket h2")) == ("3 selected", "2 selected")

    def test_the_mouse_selects_with_the_circle_in_the_corner(self, visit: Any, shapes: AlbumProcess) -> None:
        """Once in, once out; the photo is not opened."""
        seen = visit(f"{shapes.url}/?q=red")
        shown(seen).first.hover()
        seen.page.click(".overlay .pick")
        picked = seen.page.locator("#grid .tile.selected").count()
        seen.page.click(".overlay .pick")

        assert (picked, seen.page.locator("#grid .tile.selected").count()) == (1, 0)
        assert seen.page.url.endswith("/?q=red")


class TestGalleries:
    @pytest.mark.parametrize("width_px", WIDTHS_PX)
    def test_a_selection_is_completed_at_once_and_saved_as_a_gallery(
        self, visit: Any, shapes: AlbumProcess, width_px: int
    ) -> None:
        """What is suggested can be added with a click; the gallery has an address of its own."""
        seen = visit(f"{shapes.url}/", width_px=width_px)
        select(seen, shapes, "yellow", 2)
        seen.page.wait_for_selector("#basket .offered button")
        seen.shoot("basket")
        in_basket = quiet(seen)
        seen.page.click("#basket .offered button >> nth=0")
        chosen = seen.page.inner_text("#basket h2")
        seen.page.click("#basket button:text-is('Save as a gallery')")
        seen.page.wait_for_url("**/?gallery=*")
        seen.page.reload()
        seen.page.wait_for_selector(".members li >> nth=2")
        shown(seen)
        seen.shoot("gallery")

        assert chosen == "3 selected"
        assert seen.page.locator(".members li").count() == 3
        assert (in_basket, quiet(seen)) == (QUIET, QUIET)

    def test_what_completes_a_gallery_follows_every_photo_that_is_added(self, visit: Any, shapes: AlbumProcess) -> None:
        """A suggestion that is added is a member and no suggestion; a member that is taken out may be one again."""
        [photo] = shapes.get("/api/search?q=green&k=1")["hits"]
        shapes.ask("POST", "/api/galleries/77/photos", {"photo_ids": [photo["photo_id"]]})
        seen = visit(f"{shapes.url}/?gallery=77")
        tile = shown(seen).first
        added = tile.get_attribute("data-id")
        tile.locator("a").focus()
        seen.page.keyboard.press("a")
        seen.page.wait_for_selector(".members li >> nth=1")
        suggested = [each.get_attribute("data-id") for each in shown(seen).all()]
        seen.page.click(".members .out >> nth=0")
        seen.until("document.querySelectorAll('.members li').length === 1")

        assert added not in suggested
        assert shapes.get("/api/galleries/77")["photo_ids"] == [added]
        assert seen.complaints == []

    def test_galleries_of_this_browser_are_listed(self, visit: Any, shapes: AlbumProcess) -> None:
        """The worker keeps no list of all; the browser remembers where it was."""
        [photo] = shapes.get("/api/search?q=blue&k=1")["hits"]
        shapes.ask("POST", "/api/galleries/78/photos", {"photo_ids": [photo["photo_id"]]})
        seen = visit(f"{shapes.url}/?gallery=78")
        seen.page.wait_for_selector(".members li")
        seen.page.goto(f"{shapes.url}/?galleries=")
        seen.page.wait_for_selector(".card")
        found = quiet(seen)
        seen.page.click(".card")

        seen.page.wait_for_url("**/?gallery=78")
        assert found == QUIET

    def test_a_gallery_that_is_not_there_is_said_to_be_missing(self, visit: Any, shapes: AlbumProcess) -> None:
        """In the worker's words."""
        seen = visit(f"{shapes.url}/?gallery=404404")
        seen.page.wait_for_selector("#status.error")

        assert "404404" in seen.page.inner_text("#status")


class TestQuests:
    @pytest.mark.parametrize("width_px", WIDTHS_PX)
    def test_a_quest_goes_from_its_brief_to_a_ranking(self, visit: Any, shapes: AlbumProcess, width_px: int) -> None:
        """Begun with words, submitted to from the selection, ranked with flags and reasons; all at one address."""
        seen = visit(f"{shapes.url}/?quests=", width_px=width_px)
        seen.page.fill("#brief", "red")
        seen.shoot("brief")
        violations = seen.violations()
        seen.page.click("button:text-is('Begin the quest')")
        seen.page.wait_for_url("**/?quest=*")
        address = seen.page.url
        select(seen, shapes, "red", 3)
        select(seen, shapes, "blue", 2)
        seen.page.goto(address)
        seen.page.click("#basket button:text-is('Submit to this quest')")
        seen.page.wait_for_selector(".ranking .entry >> nth=4")
        seen.shoot("ranking")
        first = seen.page.inner_text(".ranking .entry >> nth=0")

        assert seen.page.locator(".ranking .entry").count() == 5
        assert "red" in first or "tall" in first
        assert seen.page.locator(".ranking .flag").count() >= 5
        assert (violations, quiet(seen)) == ([], QUIET)

    def test_a_submission_can_be_withdrawn(self, visit: Any, shapes: AlbumProcess) -> None:
        """From the ranking itself."""
        photos = [hit["photo_id"] for hit in shapes.get("/api/search?q=green&k=2")["hits"]]
        shapes.ask("PUT", "/api/quests/90", {"q": "green", "photo_ids": []})
        shapes.ask("POST", "/api/quests/90/submissions", {"photo_ids": photos})
        seen = visit(f"{shapes.url}/?quest=90")
        seen.page.click(".entry button >> nth=0")
        seen.until("document.querySelectorAll('.entry').length === 1")

        assert len(shapes.get("/api/quests/90")["submissions"]) == 1


class TestPhotographers:
    @pytest.mark.parametrize("width_px", WIDTHS_PX)
    def test_a_brief_leads_to_names_with_the_photos_that_speak_for_them(
        self, visit: Any, shapes: AlbumProcess, width_px: int
    ) -> None:
        """The address holds the brief; a name leads to all photos of it."""
        seen = visit(f"{shapes.url}/?photographers=", width_px=width_px)
        seen.page.fill("#brief", "yellow")
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_selector(".photographers .evidence img")
        seen.page.reload()
        seen.page.wait_for_selector(".photographers .evidence img")
        seen.shoot("photographers")
        found = quiet(seen)
        seen.page.click(".photographers h2 a >> nth=0")
        tiles = shown(seen, 6)

        yellow = list(COLOURS).index("yellow") + 1
        assert seen.page.url == f"{shapes.url}/?user_id={yellow}"
        assert all((each.get_attribute("alt") or "").startswith("yellow") for each in tiles.locator("img").all())
        assert found == QUIET

    def test_an_empty_brief_is_asked_about(self, visit: Any, shapes: AlbumProcess) -> None:
        """Nothing is sent."""
        seen = visit(f"{shapes.url}/?photographers=")
        seen.page.click("button:text-is('Find photographers')")

        assert "Say something" in seen.page.inner_text(".brief .trouble")
        assert seen.complaints == []
