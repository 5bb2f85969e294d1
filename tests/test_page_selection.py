"""Selecting photos on the page by mouse, keyboard and touch, and the bar that says what can be made of them."""

from __future__ import annotations

from typing import Any

import pytest
from album_process import AlbumProcess, until
from browser import Visit
from page_album import PHOTOS, shown

#: The bar's buttons that are not wholly in sight, or not what a click near one of their corners meets.
MISPLACED = """() => {
    const { clientWidth, clientHeight } = document.documentElement;
    const deeds = [...document.querySelectorAll(".chosen > button, .chosen .actions > *")];
    const met = (x, y) => document.elementFromPoint(x, y);
    return deeds.filter((deed) => {
        const { left, top, right, bottom } = deed.getBoundingClientRect();
        const inside = left >= 0 && top >= 0 && right <= clientWidth && bottom <= clientHeight;
        const whole = [[left + 9, top + 9], [right - 9, top + 9], [left + 9, bottom - 9], [right - 9, bottom - 9]];
        return !inside || !whole.every(([x, y]) => met(x, y) === deed);
    }).map((deed) => deed.textContent);
}"""
DEEDS = {"Save as a gallery", "Begin a quest", "Find photographers", "More like these", "Clear"}


def selected(seen: Visit, count: int) -> list[str]:
    """The ids of the tiles that are marked, once the bar says how many there are."""
    until(lambda: seen.page.inner_text("#basket h2") == f"{count} selected", what=f"{count} selected")
    return [each.get_attribute("data-id") or "" for each in seen.page.locator("#grid .tile.selected").all()]


def middle(seen: Visit, selector: str) -> tuple[float, float]:
    """Where a hand points at to meet the middle of an element."""
    box = seen.page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def click_circle(seen: Visit, place: int) -> None:
    """Point at a tile, then at the circle that appears in its corner, and press the mouse's button."""
    mouse = seen.page.mouse
    mouse.move(*middle(seen, f"#grid .tile >> nth={place}"), steps=4)
    mouse.move(*middle(seen, f"#grid .tile >> nth={place} >> .overlay .pick"), steps=4)
    mouse.down()
    mouse.up()


class TestSelecting:
    def test_the_mouse_goes_from_circle_to_circle(self, visit: Any, shapes: AlbumProcess) -> None:
        """A click on one leaves the tools free to follow the mouse to the next, also after words were typed."""
        seen = visit(f"{shapes.url}/")
        shown(seen, PHOTOS)
        seen.page.keyboard.press("/")
        seen.page.keyboard.type("red")
        seen.page.wait_for_selector("#status:has-text('“red”')")
        ids = [each.get_attribute("data-id") for each in shown(seen).all()]
        for place in range(2):
            click_circle(seen, place)

        assert selected(seen, 2) == ids[:2]
        assert seen.page.url == f"{shapes.url}/?q=red"

    def test_the_keyboard_goes_from_circle_to_circle(self, visit: Any, shapes: AlbumProcess) -> None:
        """Tab leads from a photo to its circle and Enter presses it; the focus stays on it."""
        seen = visit(f"{shapes.url}/")
        tiles = shown(seen, PHOTOS)
        tiles.first.locator("a").focus()
        for key in ("Tab", "Enter", "Shift+Tab", "ArrowRight", "Tab", "Enter"):
            seen.page.keyboard.press(key)
        pressed = seen.page.evaluate("document.activeElement.getAttribute('aria-pressed')")

        assert selected(seen, 2) == [tiles.nth(place).get_attribute("data-id") for place in range(2)]
        assert pressed == "true"

    @pytest.mark.parametrize("address", ["", "?q=red&fold=false"])
    def test_a_finger_goes_from_circle_to_circle(self, visit: Any, shapes: AlbumProcess, address: str) -> None:
        """Where nothing hovers each photo has its circle at once, uncovered, which says if it is pressed."""
        seen = visit(f"{shapes.url}/{address}", width_px=390, has_touch=True)
        tiles = shown(seen, PHOTOS)
        for place in range(2):
            seen.page.touchscreen.tap(*middle(seen, f"#grid .tile >> nth={place} >> .pick"))
        pressed = [each.get_attribute("aria-pressed") for each in seen.page.locator(".pick.resting").all()]

        assert selected(seen, 2) == [tiles.nth(place).get_attribute("data-id") for place in range(2)]
        assert pressed == ["true", "true", *["false"] * (PHOTOS - 2)]
        assert seen.page.url == f"{shapes.url}/{address}"


class TestTheBar:
    @pytest.mark.parametrize("width_px", [390, 768, 1024, 1920])
    @pytest.mark.parametrize("count", [1, 20])
    def test_every_button_can_be_seen_and_pressed(
        self, visit: Any, shapes: AlbumProcess, width_px: int, count: int
    ) -> None:
        """Wholly in the window, and none over another, however many photos stand beside them."""
        seen = visit(f"{shapes.url}/", width_px=width_px)
        shown(seen, PHOTOS).first.locator("a").focus()
        for _ in range(count):
            seen.page.keyboard.press("x")
            seen.page.keyboard.press("ArrowRight")
        selected(seen, count)
        seen.page.wait_for_selector("#basket .suggested:not([aria-busy]) p:not(:empty)")
        seen.shoot(f"bar-{count}")

        assert set(seen.page.locator(".chosen > button, .chosen .actions > *").all_inner_texts()) == DEEDS
        assert seen.page.evaluate(MISPLACED) == []
        assert seen.overflow_px() == 0
