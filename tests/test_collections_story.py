"""Galleries, quests and assignments on a live album, from the stream to the answer."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from album_process import AlbumProcess, colour_folder, colour_photo, until, write_events
from PIL import Image

from stream_app.folders import folder_photo_id
from stream_app.settings import Settings

COLOURS = ("red", "green", "blue", "yellow")


@pytest.fixture
def album(settings: Settings, tmp_path: Path) -> Iterator[AlbumProcess]:
    """Forty photos in four colours; Ruth has most of the red ones, Bert some and many blue ones."""
    process = AlbumProcess(settings, "worker")
    try:
        process.ready()
        photos = colour_folder(tmp_path / "photos", 10)
        again = Image.open(io.BytesIO(colour_photo("red", 3))).convert("RGB")
        again.save(photos / "red-3 again.jpg", quality=85)
        process.run("publish", str(photos))
        process.until_findable(41)
        owned = [owned_by("12", f"red-{each}.png") for each in range(8)]
        owned += [owned_by("13", name) for name in ("red-8.png", *(f"blue-{each}.png" for each in range(8)))]
        process.run("publish", str(write_events(tmp_path / "owners.jsonl", owned)))
        yield process
    finally:
        process.stop()


def owned_by(user: str, name: str) -> dict[str, Any]:
    """An edit that says whose a photo is."""
    return {"type": "photo.edited", "photo_id": str(folder_photo_id(name)), "user_id": user}


def ids(*names: str) -> list[str]:
    """The ids of photos of the folder."""
    return [str(folder_photo_id(name)) for name in names]


def names(hits: list[dict[str, Any]]) -> list[str]:
    """The file names of hits."""
    return [hit["url"].rsplit("/", 1)[-1].replace("%20", " ") for hit in hits]


class TestCollections:
    def test_they_live_with_the_stream(self, album: AlbumProcess, tmp_path: Path) -> None:
        """One worker for all of it: starting one is what takes time."""
        self._a_gallery_is_completed_live(album)
        self._a_gallery_follows_the_events_of_others(album, tmp_path)
        self._a_list_that_is_saved_nowhere_is_completed(album)
        self._a_quest_is_ranked_and_explained(album)
        self._photographers_come_with_evidence(album)
        self._what_is_not_there_any_more_says_so(album, tmp_path)

    def _a_gallery_is_completed_live(self, album: AlbumProcess) -> None:
        assert album.status("/api/galleries/5") == 404
        gallery = album.ask("POST", "/api/galleries/5/photos", {"photo_ids": [*ids("red-0.png", "red-1.png"), "77"]})
        assert (gallery["photo_ids"], gallery["waiting"]) == ([*ids("red-0.png", "red-1.png"), "77"], ["77"])

        found = album.get("/api/galleries/5/suggestions?k=5&fold=0&explain=1")
        assert found["members"] == 2 and all(name.startswith("red") for name in names(found["hits"]))
        assert not set(ids("red-0.png", "red-1.png")) & {hit["photo_id"] for hit in found["hits"]}
        assert "red" in found["hits"][0]["explanation"]["shared_words"]

        album.ask("POST", "/api/galleries/5/photos", {"photo_ids": ids("blue-0.png", "blue-1.png")})
        both = {name[:3] for name in names(album.get("/api/galleries/5/suggestions?k=6&fold=0")["hits"])}
        assert both == {"red", "blu"}

        album.ask("POST", "/api/galleries/5/photos/remove", {"photo_ids": ids("red-0.png", "red-1.png")})
        assert {name[:4] for name in names(album.get("/api/galleries/5/suggestions?k=4&fold=0")["hits"])} == {"blue"}

    def _a_gallery_follows_the_events_of_others(self, album: AlbumProcess, tmp_path: Path) -> None:
        added = {"type": "gallery.photo_added", "gallery_id": "6"}
        events = [added | {"photo_id": each} for each in ids("green-0.png", "green-1.png")]
        album.run("publish", str(write_events(tmp_path / "gallery.jsonl", events)))
        until(lambda: album.status("/api/galleries/6") == 200, what="gallery 6")
        until(lambda: len(album.get("/api/galleries/6")["photo_ids"]) == 2, what="both members")

        assert {name[:5] for name in names(album.get("/api/galleries/6/suggestions?k=4&fold=0")["hits"])} == {"green"}
        assert album.send("DELETE", "/api/galleries/6")[0] == 204
        assert album.status("/api/galleries/6") == 404

    def _a_list_that_is_saved_nowhere_is_completed(self, album: AlbumProcess) -> None:
        asked = {"photo_ids": ids("yellow-0.png"), "k": 3, "fold": False}
        for method in ("themes", "mean"):
            found = album.ask("POST", "/api/suggestions", asked | {"method": method})
            assert {name[:6] for name in names(found["hits"])} == {"yellow"}
            assert all(hit["members"] == ids("yellow-0.png") for hit in found["hits"])

    def _a_quest_is_ranked_and_explained(self, album: AlbumProcess) -> None:
        assert album.status("/api/quests/9/ranking") == 404
        album.ask("PUT", "/api/quests/9", {"q": "red", "photo_ids": ids("red-9.png")})
        album.ask("POST", "/api/quests/9/submissions", {"photo_ids": ids("blue-3.png", "red-3.png", "green-4.png")})
        album.ask("POST", "/api/quests/9/submissions", {"photo_ids": ids("red-3 again.jpg", "red-5.png", "blue-3.png")})

        ranking = album.get("/api/quests/9/ranking?explain=1")
        by_name = dict(zip(names(ranking["submissions"]), ranking["submissions"], strict=True))
        assert by_name["red-3.png"]["topic"] == by_name["red-5.png"]["topic"] == "on"
        assert by_name["blue-3.png"]["topic"] == by_name["green-4.png"]["topic"] == "off"
        assert by_name["blue-3.png"]["resubmitted"] == 1
        assert by_name["red-3 again.jpg"]["duplicate_of"] == ids("red-3.png")[0]
        assert names(ranking["submissions"])[-1] == "red-3 again.jpg"
        assert by_name["red-3.png"]["explanation"]["nearest_example"] == ids("red-9.png")[0]

    def _photographers_come_with_evidence(self, album: AlbumProcess) -> None:
        for model in ("best", "mean", "share"):
            found = album.ask("POST", "/api/assignments/photographers", {"q": "red", "model": model, "evidence": 2})
            first, second = found["photographers"]
            assert (first["user_id"], first["photos"], second["user_id"], second["photos"]) == ("12", 8, "13", 9)
            assert all(name.startswith("red") for name in names(first["evidence"])) and len(first["evidence"]) == 2
        only = album.ask("POST", "/api/assignments/photographers", {"q": "red", "exclude_user": ["12"]})
        assert [each["user_id"] for each in only["photographers"]] == ["13"]

    def _what_is_not_there_any_more_says_so(self, album: AlbumProcess, tmp_path: Path) -> None:
        here, deleted, hidden = ids("green-0.png", "green-1.png", "green-2.png")
        album.ask("POST", "/api/galleries/8/photos", {"photo_ids": [here, deleted, hidden, "77"]})
        album.ask("PUT", "/api/quests/8", {"q": "green", "photo_ids": [hidden]})
        album.ask("POST", "/api/quests/8/submissions", {"photo_ids": [here, deleted, "77"]})
        assert album.get("/api/galleries/8")["states"] == {"77": "unknown"}

        album.send("DELETE", f"/api/photos/{deleted}")
        hiding = {"type": "photo.visibility_changed", "photo_id": hidden, "visibility": "hidden"}
        album.run("publish", str(write_events(tmp_path / "hiding.jsonl", [hiding])))
        until(lambda: album.get(f"/api/photos/{hidden}")["state"] == "hidden", what="the hiding")

        gallery, quest, ranking = (
            album.get(f"/api/{each}") for each in ("galleries/8", "quests/8", "quests/8/ranking")
        )
        assert gallery["photo_ids"] == [here, deleted, hidden, "77"]
        assert gallery["waiting"] == [deleted, hidden, "77"]
        assert gallery["states"] == {deleted: "gone", hidden: "hidden", "77": "unknown"}
        assert quest["states"] == {deleted: "gone", "77": "unknown", hidden: "hidden"}
        assert quest["submissions"] == [here, deleted, "77"]
        assert ranking["states"] == {deleted: "gone", "77": "unknown"}
        assert album.get("/api/galleries/8/suggestions?k=40&fold=0")["members"] == 1
        assert hidden not in {hit["photo_id"] for hit in album.get("/api/galleries/8/suggestions?k=40&fold=0")["hits"]}
        assert {hit["url"] != "" for hit in album.get(f"/api/photos/{hidden}/related?k=3")["hits"]} == {True}
