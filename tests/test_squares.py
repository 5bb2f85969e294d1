"""The part of a photo that is sent to a server: a file that holds the pixels bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from album_process import colour_photo

from models.decoding import crop_square, decode_image
from models.manifest import BundleManifest, read_manifest
from models.quiet_import import import_tensorflow
from models.squares import Square, SquareCutter
from stream_app.errors import BundleError, PhotoRejected


@pytest.fixture(scope="module")
def manifest(tiny_bundle: Path) -> BundleManifest:
    return read_manifest(tiny_bundle)


@pytest.mark.parametrize("side_px", [31, 32, 33, 34])
def test_tensorflow_reads_from_the_file_the_pixels_that_this_process_cut(
    manifest: BundleManifest, side_px: int
) -> None:
    """Also where rows are padded, as they are unless the side is a multiple of four."""
    sized = replace(manifest, preprocessing={"side_px": side_px, "resize_px": side_px})
    square = SquareCutter(sized, pixels_max=10_000).cut(colour_photo("green", 1))
    assert isinstance(square, Square)
    pixels = decode_image(colour_photo("green", 1), side_px=side_px, pixels_max=10_000)

    read = import_tensorflow().io.decode_image(square.file, channels=3).numpy()

    assert np.array_equal(read, crop_square(pixels, resize_px=side_px, side_px=side_px))
    assert (square.width_px, square.height_px) == (64, 48)


def test_what_is_no_photo_is_answered_by_its_error(manifest: BundleManifest) -> None:
    cutter = SquareCutter(manifest, pixels_max=1_000)

    assert all(isinstance(cutter.cut(data), PhotoRejected) for data in (b"", b"text", colour_photo("red", 1)))


def test_a_bundle_that_does_not_say_how_photos_are_prepared_is_refused(manifest: BundleManifest) -> None:
    with pytest.raises(BundleError, match="side_px"):
        SquareCutter(replace(manifest, preprocessing={}), pixels_max=1_000)
