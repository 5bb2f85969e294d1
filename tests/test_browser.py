"""The page in a real browser: that it loads, keeps to its own host, and says nothing on the console."""

from __future__ import annotations

import pytest
from browser import WIDTHS_PX


@pytest.mark.parametrize("width_px", WIDTHS_PX)
def test_the_album_is_shown_and_nobody_else_is_asked(visit, album, width_px):
    """A real album in a real browser."""
    seen = visit(album.url + "/", width_px=width_px)
    seen.until("document.querySelectorAll('#grid .tile').length === 24")
    seen.shoot("album")

    assert (seen.complaints, seen.strangers, seen.overflow_px()) == ([], [], 0)
