"""What of a folder counts as a photo, and which id and time it has."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.errors import SettingsError
from stream_app.folders import event_time_ms, folder_photo_id, require_photos, scan_folder, watch_folder
from stream_app.roots import PublishedRoots, publish_root
from stream_app.settings import Settings


def put(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode(errors="replace"))
    return root


def names_in(root: Path) -> list[str]:
    return [each.path.relative_to(root).as_posix() for each in scan_folder(root).photos]


class TestIds:
    def test_an_id_never_changes_from_release_to_release(self) -> None:
        """It is in everybody's tables."""
        assert folder_photo_id("2026/harbour at dusk.jpg") == 8397031926269536969

    def test_the_two_ways_to_write_an_accent_are_one_id(self) -> None:
        """macOS decomposes what Linux leaves as it is."""
        assert folder_photo_id("Caf\u00e9.jpg") == folder_photo_id("Cafe\u0301.jpg")

    def test_a_name_that_is_no_utf8_has_an_id(self) -> None:
        """File names are bytes."""
        assert folder_photo_id(os.fsdecode(b"caf\xe9.jpg")) >= 0

    @given(st.text(min_size=1))
    def test_every_id_fits_into_63_bits(self, name: str) -> None:
        """And none is negative."""
        assert 0 <= folder_photo_id(name) < 2**63

    def test_a_folder_that_was_moved_keeps_its_ids(self, tmp_path: Path) -> None:
        """Only the path below the published folder counts."""
        before = scan_folder(put(tmp_path / "a", "x/1.jpg")).photos[0].photo_id
        (tmp_path / "a").rename(tmp_path / "b")

        assert scan_folder(tmp_path / "b").photos[0].photo_id == before


class TestScan:
    def test_photos_are_found_at_every_depth_in_order(self, tmp_path: Path) -> None:
        """The order is that of the names, on every disk."""
        put(tmp_path, "b.jpg", "a/z.PNG", "a/b/c.jpeg", "a.webp")

        assert names_in(tmp_path) == ["a.webp", "b.jpg", "a/z.PNG", "a/b/c.jpeg"]

    def test_only_photos_are_found(self, tmp_path: Path) -> None:
        """By suffix; what is in the file is looked at later."""
        put(tmp_path, "a.jpg", "notes.txt", "jpg", "a.jpg.part", "b.raw")

        assert names_in(tmp_path) == ["a.jpg"]

    def test_what_is_hidden_is_passed_over_silently(self, tmp_path: Path) -> None:
        """Thumbnails of desktops, resource forks, trash."""
        put(tmp_path, "a.jpg", "._a.jpg", ".trash/b.jpg", "c/.thumbs/d.jpg")

        assert names_in(tmp_path) == ["a.jpg"]
        assert scan_folder(tmp_path).left_out == []

    def test_a_link_that_leaves_the_folder_is_left_out_with_a_word(self, tmp_path: Path) -> None:
        """The worker would refuse to read it."""
        outside = put(tmp_path / "outside", "secret.jpg") / "secret.jpg"
        root = put(tmp_path / "root", "a.jpg")
        (root / "link.jpg").symlink_to(outside)

        assert names_in(root) == ["a.jpg"]
        assert scan_folder(root).left_out == [f"{root / 'link.jpg'}: a link that leaves the folder"]

    def test_a_link_within_the_folder_is_a_photo(self, tmp_path: Path) -> None:
        """A favourites folder may be full of them."""
        put(tmp_path, "a.jpg")
        (tmp_path / "best.jpg").symlink_to(tmp_path / "a.jpg")

        assert names_in(tmp_path) == ["a.jpg", "best.jpg"]

    def test_a_link_to_a_folder_is_not_followed(self, tmp_path: Path) -> None:
        """It may lead round in a circle."""
        put(tmp_path, "a/1.jpg")
        (tmp_path / "a" / "again").symlink_to(tmp_path)

        assert names_in(tmp_path) == ["a/1.jpg"]
        assert "not followed" in scan_folder(tmp_path).left_out[0]

    def test_a_broken_link_is_left_out_but_has_not_vanished(self, tmp_path: Path) -> None:
        """The name is there, so the photo is not announced as deleted."""
        (tmp_path / "a.jpg").symlink_to(tmp_path / "gone.jpg")

        scan = scan_folder(tmp_path)

        assert len(scan.left_out) == 1
        assert scan.present_ids == {folder_photo_id("a.jpg")}

    def test_a_pipe_called_jpg_is_left_out(self, tmp_path: Path) -> None:
        """Opening it would wait for ever."""
        os.mkfifo(tmp_path / "pipe.jpg")

        assert scan_folder(tmp_path).left_out == [f"{tmp_path / 'pipe.jpg'}: no regular file"]

    def test_a_folder_called_jpg_is_looked_into(self, tmp_path: Path) -> None:
        """It is a folder like any other."""
        put(tmp_path, "album.jpg/a.png")

        assert names_in(tmp_path) == ["album.jpg/a.png"]


class TestTimes:
    def test_the_time_of_an_unchanged_file_stays(self, tmp_path: Path) -> None:
        """So that sending it again is old news."""
        put(tmp_path, "a.jpg")

        assert scan_folder(tmp_path).photos == scan_folder(tmp_path).photos

    def test_a_file_put_back_with_an_old_date_is_new(self, tmp_path: Path) -> None:
        """Restored from a backup, its bytes may be others: the time of its arrival counts."""
        put(tmp_path, "a.jpg")
        os.utime(tmp_path / "a.jpg", (1, 1))

        assert scan_folder(tmp_path).photos[0].time_ms > 1_000_000_000_000

    def test_a_date_in_the_future_is_not_believed(self, tmp_path: Path) -> None:
        """It would make the photo newer each time it is sent."""
        put(tmp_path, "a.jpg")
        now_ms = time.time_ns() // 1_000_000
        os.utime(tmp_path / "a.jpg", (now_ms / 1000 + 10_000, now_ms / 1000 + 10_000))

        assert event_time_ms((tmp_path / "a.jpg").stat(), now_ms) <= now_ms + 1000


class TestRequire:
    def test_a_folder_with_a_photo_will_do(self, tmp_path: Path) -> None:
        """Given back without links."""
        put(tmp_path / "real", "x/a.jpg")
        (tmp_path / "link").symlink_to(tmp_path / "real")

        assert require_photos(tmp_path / "link") == tmp_path / "real"

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("missing", "There is no such folder"),
            ("empty", "holds no photos; expected .*; received an empty folder"),
            ("texts", "holds no photos; expected .*; received other files only"),
            ("texts/a.txt", "That is no folder"),
        ],
    )
    def test_what_will_not_do_is_one_clear_line(self, tmp_path: Path, name: str, said: str) -> None:
        """Missing, empty, without photos, or no folder at all."""
        put(tmp_path, "texts/a.txt")
        (tmp_path / "empty").mkdir()

        with pytest.raises(SettingsError, match=said) as error:
            require_photos(tmp_path / name)
        assert "a folder with photos (.bmp .gif" in str(error.value)


class TestWatch:
    async def test_a_change_wakes_the_watcher(self, tmp_path: Path) -> None:
        """Its first word is that it watches; the second, that something happened."""
        async with aclosing(watch_folder(tmp_path)) as changes, asyncio.timeout(10):
            await anext(changes)
            put(tmp_path, "deep/down/a.jpg")
            await anext(changes)

    @pytest.mark.skipif(sys.platform == "darwin", reason="macOS stores no such names")
    async def test_a_name_that_is_no_utf_8_ends_nothing(self, tmp_path: Path) -> None:
        """Folders from before UTF-8 have such names; all other changes are noticed after it, too."""
        odd = put(tmp_path, os.fsdecode(b"caf\xe9.jpg")) / os.fsdecode(b"caf\xe9.jpg")
        async with aclosing(watch_folder(tmp_path)) as changes, asyncio.timeout(10):
            await anext(changes)
            odd.read_bytes()  # already this is word of it
            await anext(changes)
            put(tmp_path, "a.jpg")
            await anext(changes)

    async def test_a_folder_that_cannot_be_watched_is_looked_through(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Systems watch a limited number of folders; here it is one that is not there."""
        monkeypatch.setattr("stream_app.folders.LOOK_AGAIN_SECONDS", 0.01)
        async with aclosing(watch_folder(tmp_path / "gone")) as changes, asyncio.timeout(10):
            await anext(changes)
            await anext(changes)

    async def test_what_is_hidden_wakes_nobody(self, tmp_path: Path) -> None:
        """A data folder may lie below the photos."""
        (tmp_path / ".sightline").mkdir()
        async with aclosing(watch_folder(tmp_path)) as changes:
            await anext(changes)
            put(tmp_path, ".sightline/state.json")
            woken = asyncio.ensure_future(anext(changes))
            done, _ = await asyncio.wait([woken], timeout=0.5)
            woken.cancel()
            await asyncio.wait([woken])

        assert not done


class TestRoots:
    def test_a_published_folder_is_a_root_at_once(self, tmp_path: Path) -> None:
        """Also for a worker that runs already."""
        settings = Settings(data_dir=tmp_path / "data")
        roots = PublishedRoots(settings, always=[tmp_path / "uploads"])
        assert roots() == [tmp_path / "uploads"]

        publish_root(settings, tmp_path)
        publish_root(settings, tmp_path)

        assert roots() == [tmp_path / "uploads", tmp_path]

    def test_the_roots_of_the_settings_count_too(self, tmp_path: Path) -> None:
        """Separated like PATH."""
        settings = Settings(data_dir=tmp_path, photo_roots=f"/photos{os.pathsep}/more")

        assert PublishedRoots(settings)() == [Path("/photos"), Path("/more")]

    def test_a_registry_that_is_damaged_counts_as_empty(self, tmp_path: Path) -> None:
        """Nothing may be read then, and publishing a folder mends it."""
        settings = Settings(data_dir=tmp_path)
        (tmp_path / "roots.json").write_bytes(b"\xff")
        assert PublishedRoots(settings)() == []

        publish_root(settings, tmp_path)

        assert PublishedRoots(settings)() == [tmp_path]

    def test_a_data_folder_that_cannot_be_written_is_one_clear_line(self, tmp_path: Path) -> None:
        """It may be a file."""
        (tmp_path / "data").write_text("no folder")

        with pytest.raises(SettingsError, match=r"roots\.json cannot be written.*SIGHTLINE_DATA_DIR"):
            publish_root(Settings(data_dir=tmp_path / "data"), tmp_path)
