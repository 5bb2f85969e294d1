"""Searching a live album as its callers do: filters, tags, pages, near-duplicates, explanations."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from album_process import AlbumProcess, colour_folder, colour_photo, write_events
from PIL import Image

from stream_app.folders import folder_photo_id
from stream_app.settings import Settings


@pytest.fixture
def album(settings: Settings, tmp_path: Path) -> Iterator[AlbumProcess]:
    """Sixteen photos in four colours, of which two are tagged and one is somebody's."""
    process = AlbumProcess(settings, "worker")
    try:
        process.ready()
        process.run("publish", str(colour_folder(tmp_path / "photos", 4)))
        process.until_findable(16)
        edits = [
            {"type": "photo.edited", "photo_id": str(folder_photo_id("blue-0.png")), "tags": ["Rex"], "user_id": "12"},
            {"type": "photo.edited", "photo_id": str(folder_photo_id("blue-1.png")), "tags": ["red"]},
        ]
        process.run("publish", str(write_events(tmp_path / "edits.jsonl", edits)))
        process.until_tagged("Rex", "red")
        yield process
    finally:
        process.stop()


def search(album: AlbumProcess, **asked: Any) -> dict[str, Any]:
    """The answer to a search."""
    reply: dict[str, Any] = album.get(f"/api/search?{urlencode(asked)}")
    return reply


def names(reply: dict[str, Any]) -> list[str]:
    """The file names of the hits."""
    return [hit["url"].rsplit("/", 1)[-1] for hit in reply["hits"]]


class TestALiveAlbum:
    def test_it_answers_what_is_asked_of_it(self, album: AlbumProcess) -> None:
        """One worker for all of it: starting one is what takes time."""
        self._tags_count_beside_the_vector(album)
        self._a_tag_that_is_no_word_is_understood_by_its_photos(album)
        self._filters_hold(album)
        self._pages_hold_every_photo_once(album)
        self._photos_and_words_mix(album)
        self._a_known_photo_is_named(album)
        self._an_answer_explains_itself(album)

    def _tags_count_beside_the_vector(self, album: AlbumProcess) -> None:
        found = search(album, q="red", k=16, explain=1)
        [blue] = [hit for hit in found["hits"] if hit["url"].endswith("blue-1.png")]

        assert blue["explanation"]["tag_bonus"] > 0 and "red" in blue["explanation"]["shared_words"]
        assert blue["score"] == pytest.approx(
            blue["explanation"]["cosine"] + blue["explanation"]["tag_bonus"], abs=1e-5
        )

    def _a_tag_that_is_no_word_is_understood_by_its_photos(self, album: AlbumProcess) -> None:
        found = search(album, q="rex", k=4)

        assert names(found)[0] == "blue-0.png" and found["unknown_words"] == []
        assert all(name.startswith("blue") for name in names(found))

    def _filters_hold(self, album: AlbumProcess) -> None:
        assert names(search(album, q="blue", user_id=12)) == ["blue-0.png"]
        assert "blue-0.png" not in names(search(album, q="blue", exclude_user=12))
        assert names(search(album, q="blue", tag="red")) == ["blue-1.png"]
        assert search(album, q="blue", before="2001-01-01T00:00:00Z")["hits"] == []
        assert search(album, q="blue", orientation="portrait", explain=1)["explanation"]["filtered"] == {
            "orientation": 16
        }

    def _pages_hold_every_photo_once(self, album: AlbumProcess) -> None:
        cursor, shown = "*", []
        while cursor:
            page = search(album, q="green", k=5, cursor=cursor)
            shown += names(page)
            cursor = page["next_cursor"]

        assert len(shown) == len(set(shown)) == 16

    def _photos_and_words_mix(self, album: AlbumProcess) -> None:
        blue = folder_photo_id("blue-2.png")

        assert all(name.startswith("blue") for name in names(search(album, q=f"photo:{blue}", k=3)))
        assert names(search(album, q=f"photo:{blue}^.2 + yellow^3", k=1))[0].startswith("yellow")

    def _a_known_photo_is_named(self, album: AlbumProcess) -> None:
        same = colour_photo("blue", 2)
        assert next(each["relation"] for each in self._known(album, same)) == "same"

        again = io.BytesIO()
        Image.open(io.BytesIO(same)).convert("RGB").save(again, "JPEG", quality=80)
        known = self._known(album, again.getvalue())
        assert all(each["relation"] == "near_duplicate" for each in known)
        assert str(folder_photo_id("blue-2.png")) in [each["photo_id"] for each in known]

    def _known(self, album: AlbumProcess, photo: bytes) -> list[dict[str, Any]]:
        status, reply = album.send("POST", "/api/search/image?k=1", photo)
        assert status == 200
        known: list[dict[str, Any]] = reply["known"]
        return known

    def _an_answer_explains_itself(self, album: AlbumProcess) -> None:
        found = album.get(f"/api/photos/{folder_photo_id('red-0.png')}/related?k=2&explain=1")
        why = found["hits"][0]["explanation"]

        assert why["source"] in ("memtable", "segment") and why["shared_labels"]
        assert why["hamming_cosine"] == pytest.approx(why["cosine"], abs=0.3)
        assert found["explanation"]["terms"][0]["name"].startswith("photo:")
