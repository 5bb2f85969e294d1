"""The starter album: real photographs that installed packages carry, copied into one folder under readable names."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from stream_app.errors import SettingsError
from stream_app.settings import Settings

#: With fewer photos a search has little to choose from.
ENOUGH_PHOTOS = 40
_SKIMAGE, _SKLEARN, _MATPLOTLIB = "skimage/data", "sklearn/datasets/images", "matplotlib/mpl-data/sample_data"


class StarterPhoto(NamedTuple):
    """A photograph in the folder of an installed package; `credit` says whose it is and under which terms."""

    name: str
    carried_as: str
    credit: str


#: Only photographs, no plots, masks or scans of text; only what ships in a wheel, on terms that allow a copy.
STARTER_PHOTOS = (
    StarterPhoto("astronaut.png", f"{_SKIMAGE}/astronaut.png", "Eileen Collins; NASA, public domain"),
    StarterPhoto("brick wall.png", f"{_SKIMAGE}/brick.png", "CC0Textures; CC0"),
    StarterPhoto("cameraman.png", f"{_SKIMAGE}/camera.png", "Lav Varshney; CC0"),
    StarterPhoto("cat.png", f"{_SKIMAGE}/chelsea.png", "Chelsea, by Stefan van der Walt; CC0"),
    StarterPhoto("wall clock.png", f"{_SKIMAGE}/clock_motion.png", "Stefan van der Walt; public domain"),
    StarterPhoto("cup of coffee.png", f"{_SKIMAGE}/coffee.png", "Rachel Michetti; CC0"),
    StarterPhoto("greek coins.png", f"{_SKIMAGE}/coins.png", "Brooklyn Museum; no known restrictions"),
    StarterPhoto("grass.png", f"{_SKIMAGE}/grass.png", "linolafett; CC0"),
    StarterPhoto("gravel.png", f"{_SKIMAGE}/gravel.png", "CC0Textures; CC0"),
    StarterPhoto("deep field.jpg", f"{_SKIMAGE}/hubble_deep_field.jpg", "Hubble; NASA, public domain"),
    StarterPhoto("tissue.png", f"{_SKIMAGE}/ihc.png", "CMMI; no known restrictions"),
    StarterPhoto("retina.jpg", f"{_SKIMAGE}/retina.jpg", "Mikael Häggström; CC0"),
    StarterPhoto("rocket launch.jpg", f"{_SKIMAGE}/rocket.jpg", "SpaceX; public domain"),
    StarterPhoto("chinese temple.jpg", f"{_SKLEARN}/china.jpg", "danielbuechele; CC BY 2.0"),
    StarterPhoto("flower.jpg", f"{_SKLEARN}/flower.jpg", "vultilion; CC BY 2.0"),
    StarterPhoto("grace hopper.jpg", f"{_MATPLOTLIB}/grace_hopper.jpg", "US Navy, public domain"),
)


def starter_album(settings: Settings, *, say: Callable[[str], object] = print) -> Path:
    """The folder with copies of the photographs that are installed; says how many there are.

    Raises SettingsError when none is installed.
    """
    album = settings.data_dir / "starter"
    found = [(photo, path) for photo in STARTER_PHOTOS if (path := _installed(photo.carried_as))]
    if not found:
        raise SettingsError(
            "No starter album is installed",
            expected="the photographs of scikit-image, scikit-learn and matplotlib",
            received="none of these packages",
            remedy="`make install` installs them; or use your own: make demo PHOTOS=DIR.",
        )
    album.mkdir(parents=True, exist_ok=True)
    for photo, path in found:
        _place(path, album / photo.name)
    credits = [f"{photo.name}: {photo.credit} ({photo.carried_as.split('/')[0]})" for photo, _ in found]
    (album / "CREDITS.txt").write_text("\n".join(credits) + "\n", encoding="utf-8")
    say(_how_many(len(found)))
    return album


def _installed(carried_as: str) -> Path | None:
    """Where a package carries the file; the package is found, not imported."""
    package, _, inside = carried_as.partition("/")
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        if (path := Path(folder, inside)).is_file():
            return path
    return None


def _place(source: Path, target: Path) -> None:
    """A copy, not a link: a link to a package's file would have its version change with every other album."""
    if not target.exists() or target.stat().st_size != source.stat().st_size:
        shutil.copyfile(source, target)


def _how_many(count: int) -> str:
    said = f"The starter album has {count} photographs, from packages that are installed; CREDITS.txt names each."
    if count < ENOUGH_PHOTOS:
        said += f" That is fewer than {ENOUGH_PHOTOS}: your own show far more, with make demo PHOTOS=~/Pictures."
    return said
