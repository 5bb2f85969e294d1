"""The page in a real browser, over a real worker: looking, searching, and going from photo to photo."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from album_process import AlbumProcess, until
from browser import WIDTHS_PX
from page_album import HOSTILE, PHOTOS, QUIET, SHIFTS, quiet, ratios, shown


class TestLooking:
    @pytest.mark.parametrize(("width_px", "scheme"), [*((each, "light") for each in WIDTHS_PX), (1024, "dark")])
    def test_every_photo_has_its_shape_and_nothing_jumps(
        self, visit: Any, shapes: AlbumProcess, width_px: int, scheme: str
    ) -> None:
        """At three widths, and by night, without a complaint of browser or axe."""
        seen = visit(shapes.url + "/", width_px=width_px, color_scheme=scheme)
        shown(seen, PHOTOS)
        seen.page.wait_for_load_state("networkidle")
        seen.shoot("album")

        assert all(abs(own - photo) < 0.04 * photo for own, photo in ratios(seen))
        assert seen.page.evaluate(SHIFTS) == 0
        assert quiet(seen) == QUIET

    def test_hostile_names_are_shown_as_text(self, visit: Any, shapes: AlbumProcess) -> None:
        """Title, tag and file name of an attack stand there letter by letter, and do nothing."""
        [photo] = [each for each in shapes.get("/api/photos?k=100")["photos"] if each["title"] == HOSTILE]
        seen = visit(f"{shapes.url}/?related={photo['photo_id']}")
        shown(seen)

        assert seen.page.inner_text(".subject h1") == HOSTILE
        assert HOSTILE in seen.page.inner_text(".subject .chips >> nth=0")
        assert seen.page.title() == "Related · Sightline"
        assert quiet(seen) == QUIET

    def test_pointing_at_a_hit_shows_its_tags_words_and_score(self, visit: Any, shapes: AlbumProcess) -> None:
        """All of them in the caption of the tile."""
        seen = visit(f"{shapes.url}/?q=sea")
        shown(seen).first.hover()
        seen.page.wait_for_selector(".overlay .words:has-text('looks like')")

        assert seen.page.inner_text(".overlay .tags").startswith("sea")
        assert float(seen.page.inner_text(".overlay .score")) > 0

    def test_motion_is_reduced_where_that_is_wished(self, visit: Any, shapes: AlbumProcess) -> None:
        """Nothing is animated, and nothing glides."""
        seen = visit(shapes.url + "/", reduced_motion="reduce")
        shown(seen)

        moving = "getComputedStyle(document.querySelector('#grid img')).transitionDuration"
        assert seen.page.evaluate(moving) in ("0s", "1e-05s")


class TestSearching:
    @pytest.mark.parametrize("width_px", WIDTHS_PX)
    def test_it_searches_while_one_types(self, visit: Any, shapes: AlbumProcess, width_px: int) -> None:
        """The address follows, and one step back leads to the album."""
        seen = visit(shapes.url + "/", width_px=width_px)
        shown(seen, PHOTOS)
        seen.page.locator("#words").press_sequentially("red", delay=20)
        seen.page.wait_for_url("**/?q=red")
        seen.page.wait_for_selector("#status:has-text('“red”')")
        first = shown(seen).first.locator("img").get_attribute("alt") or ""
        seen.shoot("search")
        seen.page.go_back()

        shown(seen, PHOTOS)
        assert first.startswith(("red", "tall"))
        assert seen.page.input_value("#words") == ""
        assert quiet(seen) == QUIET

    def test_words_are_added_taken_away_and_weighed(self, visit: Any, shapes: AlbumProcess) -> None:
        """What a photo minus a word leads to is a search like any other, with the photo above it."""
        [wide] = [each for each in shapes.get("/api/photos?k=100")["photos"] if each["tags"] == ["sea"]]
        seen = visit(f"{shapes.url}/?{'q=' + quote('photo:' + wide['photo_id'] + ' - blue + yellow^2')}")
        first = shown(seen).first.locator("img").get_attribute("alt") or ""
        said = seen.page.inner_text("#status")

        assert first.startswith("yellow")
        assert said.startswith("Nearest to “this photo - blue + yellow^2” first")
        assert seen.page.locator(".asked img").count() == 1

    def test_an_unknown_word_is_named_and_near_ones_are_links(self, visit: Any, shapes: AlbumProcess) -> None:
        """One click corrects the query."""
        seen = visit(f"{shapes.url}/?{'q=' + quote('red yelow')}")
        shown(seen)
        seen.shoot("unknown")
        seen.page.click(".unknown a:text-is('yellow')")

        seen.page.wait_for_url("**/?q=red+yellow")

    def test_words_that_nobody_knows_lead_to_some_that_are_known(self, visit: Any, shapes: AlbumProcess) -> None:
        """The refusal offers links too, and says nothing is wrong with the worker."""
        seen = visit(f"{shapes.url}/?q=yelow")
        seen.page.click("#status.error a:text-is('yellow')")

        seen.page.wait_for_url("**/?q=yellow")
        assert all("422" in each for each in seen.complaints)

    def test_near_duplicates_are_folded_with_their_count(self, visit: Any, shapes: AlbumProcess) -> None:
        """Unfolded by the filter, there are more photos."""
        seen = visit(f"{shapes.url}/?q=red")
        folded = shown(seen).count()
        copies = seen.page.locator(".copies").count()
        seen.page.goto(f"{shapes.url}/?q=red&fold=false")

        assert copies > 0
        assert shown(seen, PHOTOS).count() > folded

    def test_filters_stand_in_the_address_and_come_away_one_by_one(self, visit: Any, shapes: AlbumProcess) -> None:
        """Shape and tag, over a search and over the album."""
        seen = visit(f"{shapes.url}/?q=red")
        shown(seen)
        seen.page.click("#filter-opener")
        seen.page.check("[name=orientation][value=portrait]")
        shown(seen, 1)
        seen.shoot("filters")
        violations = seen.violations()
        address = seen.page.url
        seen.page.click("#chips button")
        seen.page.wait_for_url("**/?q=red")
        seen.page.goto(f"{shapes.url}/?tag=sea")

        assert parse_qs(urlsplit(address).query) == {"q": ["red"], "orientation": ["portrait"]}
        assert (shown(seen, 1).first.locator("img").get_attribute("alt") or "").startswith("wide.png (sea")
        assert violations == []

    def test_a_hit_says_why_it_is_there(self, visit: Any, shapes: AlbumProcess) -> None:
        """By the key w; Escape leads back to the photo."""
        seen = visit(f"{shapes.url}/?q=red&fold=false")
        shown(seen).nth(1).locator("a").focus()
        seen.page.keyboard.press("w")
        seen.page.wait_for_selector(".why dd")
        text = seen.page.inner_text(".why")
        seen.shoot("why")
        violations = seen.violations()
        seen.page.keyboard.press("Escape")

        assert "Cosine" in text and "The question was read as" in text and "red" in text
        assert seen.page.evaluate("document.activeElement.closest('.tile') !== null")
        assert violations == []


class TestGoingOn:
    @pytest.mark.parametrize("width_px", WIDTHS_PX)
    def test_a_photo_leads_to_related_ones_and_the_trail_leads_back(
        self, visit: Any, shapes: AlbumProcess, width_px: int
    ) -> None:
        """Words, a photo, another photo; each step is a link, and the address alone is enough."""
        seen = visit(f"{shapes.url}/?q=blue", width_px=width_px)
        for _ in range(2):
            shown(seen).first.locator("a").click(position={"x": 20, "y": 60})
            seen.page.wait_for_selector(".subject h1")
            seen.page.wait_for_load_state("networkidle")
        seen.page.reload()
        seen.page.wait_for_selector("#trail img")
        seen.shoot("related")
        found = quiet(seen)
        seen.page.click("#trail a.words")

        seen.page.wait_for_url("**/?q=blue")
        assert found == QUIET

    def test_back_and_forward_keep_the_place(self, visit: Any, shapes: AlbumProcess) -> None:
        """Further down in the album, to a photo, and back; also after a reload."""
        seen = visit(f"{shapes.url}/", width_px=390)
        tile = shown(seen, PHOTOS).nth(PHOTOS - 2).locator("a")
        tile.scroll_into_view_if_needed()
        place = seen.page.evaluate("scrollY")
        tile.click()
        seen.page.wait_for_selector(".subject h1")
        seen.page.go_back()
        shown(seen, PHOTOS)
        places = [seen.page.evaluate("scrollY")]
        seen.page.reload()
        shown(seen, PHOTOS)
        until(lambda: seen.page.evaluate("scrollY") > 0, what="a place after the reload")
        places.append(seen.page.evaluate("scrollY"))

        assert place > 100 and places == [place, place]

    def test_the_keyboard_goes_everywhere(self, visit: Any, shapes: AlbumProcess) -> None:
        """/ to the words, arrows through the photos, Enter into one, Escape to the album, ? for help."""
        seen = visit(f"{shapes.url}/?q=green&fold=false")
        shown(seen)
        press = seen.page.keyboard.press
        at = "[...document.querySelectorAll('#grid .tile')].indexOf(document.activeElement.closest('.tile'))"
        press("/")
        places = [seen.page.evaluate("document.activeElement.id")]
        for key in ("ArrowDown", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp", "End", "Home"):
            press(key)
            places.append(seen.page.evaluate(at))
        press("Enter")
        seen.page.wait_for_selector(".subject h1")
        press("Escape")
        seen.page.wait_for_url(f"{shapes.url}/")
        press("?")
        seen.page.wait_for_selector("dialog[open]")
        seen.shoot("help")
        violations = seen.violations()

        assert places[:4] == ["words", 0, 1, 0]
        assert places[4] > 1 and places[5:] == [0, PHOTOS - 1, 0]
        assert violations == []

    def test_the_help_begins_at_its_heading_where_it_is_longer_than_the_window(
        self, visit: Any, shapes: AlbumProcess
    ) -> None:
        """Opened by a finger on a telephone, it is not scrolled down to its button."""
        seen = visit(f"{shapes.url}/", width_px=390)
        seen.page.set_viewport_size({"width": 390, "height": 560})
        seen.page.click("#help-opener")
        seen.page.wait_for_selector("dialog[open]")
        scrolled, longer = seen.page.eval_on_selector(
            "#help", "(help) => [help.scrollTop, help.scrollHeight > help.clientHeight]"
        )

        assert (scrolled, longer) == (0, True)
        assert seen.violations() == []

    def test_single_keys_can_be_turned_off(self, visit: Any, shapes: AlbumProcess) -> None:
        """WCAG 2.1.4: speech input types letters; the choice outlives a reload."""
        seen = visit(f"{shapes.url}/")
        shown(seen)
        seen.page.click("#help-opener")
        seen.page.uncheck("#help input")
        seen.page.click("#help button")
        seen.page.reload()
        shown(seen)
        seen.page.keyboard.press("/")

        assert seen.page.evaluate("document.activeElement.id") != "words"
