"""Filters over the album itself, which the page chooses from what the worker lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from album_process import AlbumProcess
from browser import Visit
from page_album import shown

SOURCES = Path(__file__).parents[1] / "stream_app" / "web" / "static" / "sources.js"
STRETCH = 8


def in_short_stretches(seen: Visit) -> list[Any]:
    """Let the page look at eight photos at a time, as it does at 2,000 of a large album; later stretches wait here."""
    source = SOURCES.read_text()
    short = source.replace("LISTED = 200", "LISTED = 4").replace("LISTED_MAX = 2000", f"LISTED_MAX = {STRETCH}")
    assert short.count(f"LISTED_MAX = {STRETCH}") == 1
    seen.page.route("**/static/sources.js", lambda route: route.fulfill(body=short, content_type="text/javascript"))
    held: list[Any] = []
    seen.page.route(f"**/api/photos?offset={STRETCH}&*", lambda route: held.append(route))
    return held


class TestTheAlbum:
    def test_a_photo_far_down_is_found_and_until_then_it_is_said_how_far_the_page_looked(
        self, visit: Any, shapes: AlbumProcess
    ) -> None:
        """The photographer of the oldest photo has none among the newest; nobody is told that none fits."""
        listed = [each["user_id"] for each in shapes.get("/api/photos?k=100")["photos"]]
        seen = visit(f"{shapes.url}/")
        held = in_short_stretches(seen)
        seen.page.goto(f"{shapes.url}/?user_id={listed[-1]}")
        seen.page.wait_for_selector(f"#status:has-text('None of the newest {STRETCH} photos fits the filter')")
        seen.shoot("looking-further")
        meanwhile = seen.page.inner_text("#status")
        held[0].continue_()
        shown(seen, listed.count(listed[-1]))

        assert listed[-1] not in listed[:STRETCH]
        assert "looking further" in meanwhile
        assert seen.page.inner_text("#status") == "Newest first"

    def test_when_none_fits_that_is_said_at_the_end_of_the_album(self, visit: Any, shapes: AlbumProcess) -> None:
        """And which part of the filter can be taken away."""
        seen = visit(f"{shapes.url}/")
        held = in_short_stretches(seen)
        seen.page.goto(f"{shapes.url}/?tag=nobody-has-it")
        seen.page.wait_for_selector("#status:has-text('looking further')")
        held[0].continue_()
        seen.page.wait_for_selector("#status:has-text('No photo fits the filter')")

        assert seen.page.locator("#chips button").count() == 1
        assert seen.complaints == []
