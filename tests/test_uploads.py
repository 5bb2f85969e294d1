"""The store of uploads: where each lies, what a failure leaves, and what may be erased."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream_app.errors import ServiceUnavailable
from stream_app.folders import folder_photo_id, holds_photos, scan_folder
from stream_app.uploads import NAME_BYTES_MAX, Upload, UploadStore


@pytest.fixture
def store(tmp_path: Path) -> UploadStore:
    """An empty store, whose folder is made by the first upload."""
    return UploadStore(tmp_path / "uploads")


def stored(store: UploadStore, image: bytes, name: str) -> Upload:
    """An upload that lies in the store."""
    upload = store.place(image, name)
    store.put(upload, image)
    return upload


def lying_in(store: UploadStore) -> list[Path]:
    """Every file of the store, finished or not."""
    return [each for each in store.root.rglob("*") if each.is_file()]


class TestPutting:
    @pytest.mark.parametrize("letter", ["x", "é", "海", "🌊"])
    def test_a_name_that_is_too_long_is_cut_at_a_character(self, store: UploadStore, letter: str) -> None:
        """File systems count bytes of UTF-8; the ending stays, as it says what the file is."""
        upload = stored(store, b"photo", letter * 300 + ".png")

        name = upload.path.name
        assert NAME_BYTES_MAX - len(letter.encode()) < len(name.encode()) <= NAME_BYTES_MAX
        assert name == letter * (len(name) - 4) + ".png"
        assert upload.path.read_bytes() == b"photo"

    def test_the_id_is_the_one_that_publishing_the_store_gives(self, store: UploadStore) -> None:
        """Otherwise an upload would be two photos after a restart."""
        upload = stored(store, b"photo", "海" * 300 + ".png")

        assert [each.photo_id for each in scan_folder(store.root).photos] == [upload.photo_id]

    def test_the_time_is_the_one_that_publishing_the_store_gives(self, store: UploadStore) -> None:
        """Publishing it again is then no news, also of an upload that could not be read the first time."""
        upload = store.place(b"photo", "a.png")
        time_ms = store.put(upload, b"photo")

        assert [each.time_ms for each in scan_folder(store.root).photos] == [time_ms]

    def test_a_name_cannot_hide_an_upload(self, store: UploadStore) -> None:
        """What is hidden would not be published again."""
        upload = stored(store, b"photo", "..hidden.png")

        assert [each.photo_id for each in scan_folder(store.root).photos] == [upload.photo_id]

    def test_an_upload_that_cannot_be_published_leaves_nothing(self, store: UploadStore) -> None:
        """Here a folder has the name already."""
        upload = store.place(b"photo", "taken.png")
        upload.path.mkdir(parents=True)

        with pytest.raises(ServiceUnavailable, match="cannot be stored"):
            store.put(upload, b"photo")
        assert lying_in(store) == []

    def test_a_store_that_cannot_be_made_says_so(self, store: UploadStore) -> None:
        """The disk refuses: no fault of the photo."""
        store.root.write_text("a file where the folder should be")

        with pytest.raises(ServiceUnavailable, match="cannot be stored"):
            stored(store, b"photo", "any.png")


class TestForgetting:
    def test_a_forgotten_upload_is_erased(self, store: UploadStore) -> None:
        """Once more does no harm."""
        upload = stored(store, b"photo", "a b ü.png")
        for _ in range(2):
            store.forget(upload.photo_id, upload.url)

        assert lying_in(store) == []

    def test_a_store_behind_a_link_is_the_same_store(self, store: UploadStore, tmp_path: Path) -> None:
        """Publishing it names its files by where they really lie."""
        upload = stored(store, b"photo", "a.png")
        (tmp_path / "link").symlink_to(store.root)
        UploadStore(tmp_path / "link").forget(upload.photo_id, upload.url)

        assert lying_in(store) == []

    @pytest.mark.parametrize("name", ["{root}/../own.png", "{root}/%2e%2e/own.png", "{root}/a%00b", "{root}"])
    def test_an_address_that_leads_out_of_the_store_erases_nothing(
        self, store: UploadStore, tmp_path: Path, name: str
    ) -> None:
        """Anybody who may send events chooses addresses, and ids to fit."""
        stored(store, b"photo", "a.png")
        (tmp_path / "own.png").write_bytes(b"not an upload")
        store.forget(folder_photo_id("../own.png"), "file://" + name.format(root=store.root))

        assert (tmp_path / "own.png").exists()
        assert len(lying_in(store)) == 1

    def test_the_upload_of_another_photo_is_not_erased(self, store: UploadStore) -> None:
        """An event may give a photo the address of somebody's upload."""
        upload = stored(store, b"photo", "a.png")
        store.forget(42, upload.url)

        assert lying_in(store) == [upload.path]


class TestHoldingPhotos:
    def test_an_unfinished_upload_is_no_photo(self, store: UploadStore) -> None:
        """As a process leaves it that was killed while it wrote."""
        upload = stored(store, b"photo", "a.png")
        upload.path.rename(upload.path.with_name(".0123456789abcdef"))

        assert not holds_photos(store.root)

    def test_a_finished_one_is(self, store: UploadStore) -> None:
        """It is published at the next start."""
        stored(store, b"photo", "a.png")

        assert holds_photos(store.root)

    def test_a_store_that_was_never_used_holds_none(self, store: UploadStore) -> None:
        """The folder is not there yet."""
        assert not holds_photos(store.root)
