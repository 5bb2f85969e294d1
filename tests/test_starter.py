"""The starter album, from whatever packages are installed here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from stream_app import starter
from stream_app.errors import SettingsError
from stream_app.folders import scan_folder
from stream_app.settings import Settings
from stream_app.starter import STARTER_PHOTOS, StarterPhoto, starter_album


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that carries two photos, which are all that the album is made of."""
    folder = tmp_path / "site" / "photo_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('it need not be imported')")
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(folder / name)
    photos = [StarterPhoto(f"photo {each}.png", f"photo_package/{each}.png", "Ada; CC0") for each in "ab"]
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setattr(starter, "STARTER_PHOTOS", photos)
    return folder


def album_of(data_dir: Path) -> tuple[Path, str]:
    said: list[str] = []
    album = starter_album(Settings(data_dir=data_dir), say=said.append)
    return album, said[0]


def test_the_album_holds_what_the_packages_carry(package: Path, tmp_path: Path) -> None:
    """Under readable names, each as it was."""
    album, _ = album_of(tmp_path)

    assert [each.path.name for each in scan_folder(album).photos] == ["photo a.png", "photo b.png"]
    assert (album / "photo a.png").read_bytes() == (package / "a.png").read_bytes()
    assert "photo_package" not in sys.modules


def test_a_package_without_a_photo_is_done_without(package: Path, tmp_path: Path) -> None:
    """Another release of a package may have dropped it."""
    (package / "b.png").unlink()

    assert "1 photographs" in album_of(tmp_path)[1]


def test_too_few_photos_are_said_to_be_too_few(package: Path, tmp_path: Path) -> None:
    """With what to do about it."""
    assert "2 photographs" in album_of(tmp_path)[1]
    assert "make demo PHOTOS=" in album_of(tmp_path)[1]


def test_making_the_album_again_changes_no_photo(package: Path, tmp_path: Path) -> None:
    """Their times are their versions."""
    before = scan_folder(album_of(tmp_path)[0]).photos

    assert scan_folder(album_of(tmp_path)[0]).photos == before


def test_every_photo_is_credited(package: Path, tmp_path: Path) -> None:
    """Beside the photos lies whose they are."""
    assert "photo a.png: Ada; CC0 (photo_package)" in (album_of(tmp_path)[0] / "CREDITS.txt").read_text()


def test_no_package_at_all_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the extra that installs them."""
    monkeypatch.setattr(starter, "STARTER_PHOTOS", [StarterPhoto("a.png", "no_such_package/a.png", "-")])

    with pytest.raises(SettingsError, match="`make install` installs them"):
        album_of(tmp_path)


def test_the_names_in_the_album_are_all_different() -> None:
    """One photo does not hide another."""
    assert len({each.name for each in STARTER_PHOTOS}) == len(STARTER_PHOTOS)
