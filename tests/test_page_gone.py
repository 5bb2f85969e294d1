"""Photos that were deleted after they came into a gallery, a quest or a selection: the page says so, and lets go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from album_process import AlbumProcess, colour_photo, until
from browser import Visit
from page_album import shown

Passing = Callable[[int], str]


@pytest.fixture
def passing(shapes: AlbumProcess) -> Any:
    """`come(seed)` adds a photo that can be found; whatever is left of them goes when the test ends."""
    came: list[str] = []

    def come(seed: int) -> str:
        status, answer = shapes.send("POST", f"/api/photos?name=passing-{seed}.png", colour_photo("green", seed))
        assert status in (200, 201, 202), answer
        came.append(answer["photo_id"])
        until(lambda: shapes.get(f"/api/photos/{came[-1]}")["state"] == "findable", what="a findable photo")
        return came[-1]

    yield come
    for each in came:
        shapes.send("DELETE", f"/api/photos/{each}")


def staying(album: AlbumProcess, count: int) -> list[str]:
    """Ids of photos that stay."""
    return [hit["photo_id"] for hit in album.get(f"/api/search?q=red&k={count}")["hits"]]


def only_missing(seen: Visit) -> bool:
    """Whether nothing went wrong but that something is gone."""
    return all("404" in each for each in seen.complaints)


class TestAPhoto:
    @pytest.mark.parametrize(
        ("address", "back"), [("related=40404", ""), ("gallery=40404", "?galleries="), ("quest=40404", "?quests=")]
    )
    def test_the_address_of_something_that_is_gone_leads_on(
        self, visit: Any, shapes: AlbumProcess, address: str, back: str
    ) -> None:
        """To the album, or to the galleries or quests that this browser knows."""
        seen = visit(f"{shapes.url}/?{address}")
        seen.page.wait_for_selector("#status.error:has-text('40404')")
        violations = seen.violations()
        seen.page.click("#status.error a")

        seen.page.wait_for_url(f"{shapes.url}/{back}")
        assert violations == [] and only_missing(seen)


class TestAGallery:
    def test_the_place_of_a_deleted_member_says_so_and_can_be_cleared(
        self, visit: Any, shapes: AlbumProcess, passing: Passing
    ) -> None:
        """It leads nowhere, counts for nothing, and goes with one click."""
        here, gone = staying(shapes, 2), passing(901)
        shapes.ask("POST", "/api/galleries/901/photos", {"photo_ids": [here[0], gone, here[1]]})
        shapes.send("DELETE", f"/api/photos/{gone}")
        seen = visit(f"{shapes.url}/?gallery=901")
        seen.page.wait_for_selector(".members .gone")
        seen.shoot("gone")
        said = seen.page.inner_text(".members li >> nth=1")
        links = seen.page.locator(".members li.gone a").count()
        count = seen.page.inner_text(".collection header p")
        violations = seen.violations()
        seen.page.click(".members .gone .out")
        seen.until("document.querySelectorAll('.members li').length === 2")

        assert (said.split("\n")[0], links, count) == ("no longer there", 0, "2 photos · 1 no longer there")
        assert shapes.get("/api/galleries/901")["photo_ids"] == here
        assert violations == [] and seen.complaints == []

    def test_several_that_are_gone_are_taken_out_at_once(
        self, visit: Any, shapes: AlbumProcess, passing: Passing
    ) -> None:
        """What the album still has stays."""
        here, gone = staying(shapes, 1), [passing(902), passing(903)]
        shapes.ask("POST", "/api/galleries/902/photos", {"photo_ids": [*gone, *here]})
        for each in gone:
            shapes.send("DELETE", f"/api/photos/{each}")
        seen = visit(f"{shapes.url}/?gallery=902")
        seen.page.click("button:text-is('Take out the 2 that are gone')")
        seen.until("document.querySelectorAll('.members li').length === 1")

        assert shapes.get("/api/galleries/902")["photo_ids"] == here

    def test_a_member_that_has_not_come_yet_is_not_said_to_be_gone(self, visit: Any, shapes: AlbumProcess) -> None:
        """Its event may be behind that of the gallery."""
        here = staying(shapes, 1)
        shapes.ask("POST", "/api/galleries/908/photos", {"photo_ids": [*here, "908908"]})
        seen = visit(f"{shapes.url}/?gallery=908")
        said = seen.page.inner_text(".members .unknown .absent")

        assert said == "not there yet"
        assert seen.page.inner_text(".collection header p") == "1 photo · 1 not there yet"
        assert seen.complaints == []


class TestAQuest:
    def test_a_submission_that_was_deleted_is_listed_as_gone_and_can_be_withdrawn(
        self, visit: Any, shapes: AlbumProcess, passing: Passing
    ) -> None:
        """Below the ranking, where it has no rank."""
        here, gone = staying(shapes, 2), passing(904)
        shapes.ask("PUT", "/api/quests/904", {"q": "red", "photo_ids": []})
        shapes.ask("POST", "/api/quests/904/submissions", {"photo_ids": [*here, gone]})
        shapes.send("DELETE", f"/api/photos/{gone}")
        seen = visit(f"{shapes.url}/?quest=904")
        said = seen.page.inner_text(".members .gone")
        summary = seen.page.inner_text("#room > p.quiet")
        ranked = seen.page.locator(".ranking .entry").count()
        seen.shoot("gone-submission")
        violations = seen.violations()
        seen.page.click(".members .gone .out")
        seen.until("document.querySelectorAll('.members').length === 0")

        assert said.startswith("no longer there") and ranked == 2
        assert summary.startswith("2 submissions · 1 no longer there · ")
        assert shapes.get("/api/quests/904")["submissions"] == here
        assert violations == [] and seen.complaints == []

    def test_an_example_that_was_deleted_is_taken_out_of_the_brief(
        self, visit: Any, shapes: AlbumProcess, passing: Passing
    ) -> None:
        """The words stay, and so do the other examples."""
        [here], gone = staying(shapes, 1), passing(905)
        shapes.ask("PUT", "/api/quests/905", {"q": "red", "photo_ids": [gone, here]})
        shapes.send("DELETE", f"/api/photos/{gone}")
        seen = visit(f"{shapes.url}/?quest=905")
        seen.page.click("p:has-text('1 example of the brief is no longer there') button")
        seen.page.wait_for_selector("p:has-text('no longer there')", state="detached")

        brief = shapes.get("/api/quests/905")
        assert (brief["q"], brief["photo_ids"]) == ("red", [here])

    def test_a_quest_whose_only_example_is_gone_asks_for_another_brief(
        self, visit: Any, shapes: AlbumProcess, passing: Passing
    ) -> None:
        """Instead of an error; what was submitted is then ranked."""
        here, gone = staying(shapes, 2), passing(906)
        shapes.ask("PUT", "/api/quests/906", {"q": "", "photo_ids": [gone]})
        shapes.ask("POST", "/api/quests/906/submissions", {"photo_ids": here})
        shapes.send("DELETE", f"/api/photos/{gone}")
        seen = visit(f"{shapes.url}/?quest=906")
        seen.page.fill("#brief", "red")
        seen.page.click("button:text-is('Change the brief')")
        seen.page.wait_for_selector(".ranking .entry >> nth=1")

        assert seen.page.inner_text("#room h1") == "red"


class TestASelection:
    def test_a_selected_photo_that_was_deleted_is_let_go_of(
        self, visit: Any, shapes: AlbumProcess, passing: Passing
    ) -> None:
        """The others stay selected, and what would complete them is shown."""
        gone = passing(907)
        seen = visit(f"{shapes.url}/")
        shown(seen).first.locator("a").focus()
        for key in ("x", "ArrowRight", "x"):
            seen.page.keyboard.press(key)
        seen.page.wait_for_selector("#basket .offered button")
        shapes.send("DELETE", f"/api/photos/{gone}")
        seen.page.reload()
        seen.heard("1 selected photo is no longer there")
        seen.page.wait_for_selector("#basket .offered button")

        assert seen.page.inner_text("#basket h2") == "1 selected"
