"""Decoding inside the graph: of every photo the square that `models.decoding` cuts out."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from models.decoding import crop_square, decode_image
from models.quiet_import import import_tensorflow

tf = import_tensorflow()

SIDE_PX, RESIZE_PX = 32, 40
ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def cut() -> Callable[[bytes], np.ndarray]:
    """The graph, from a file to its square."""
    from models.decoding_graph import cut_square

    graph = tf.function(
        lambda photo: cut_square(photo, resize_px=RESIZE_PX, side_px=SIDE_PX),
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    return lambda data: np.asarray(graph(tf.constant(data)))


def picture(width_px: int, height_px: int, mode: str = "RGB") -> Image.Image:
    """Soft coloured shapes, different in every corner."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    small = np.random.default_rng(5).integers(0, 256, (5, 7, channels), np.uint8)
    bands = [Image.fromarray(small[..., band]).resize((width_px, height_px)) for band in range(channels)]
    return Image.merge(mode, bands)


def file_of(image: Image.Image, image_format: str, **options: object) -> bytes:
    """An image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def square_of(data: bytes) -> np.ndarray:
    """What the encoder of this house looks at."""
    photo = decode_image(data, side_px=RESIZE_PX, pixels_max=10**8)
    return crop_square(photo, resize_px=RESIZE_PX, side_px=SIDE_PX)


def assert_alike(received: np.ndarray, expected: np.ndarray) -> None:
    """No value is off by more than 1, by how a filter rounds; Pillow scales high photos down before across."""
    difference = np.abs(received.astype(int) - expected.astype(int))
    assert difference.max() <= 1 and difference.mean() < 0.2


@pytest.mark.parametrize("size", [(40, 40), (33, 90), (200, 41), (301, 233), (2000, 700), (20, 15)])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "BMP"])
def test_the_graph_sees_what_the_encoder_sees(
    image_format: str, size: tuple[int, int], cut: Callable[[bytes], np.ndarray]
) -> None:
    """Wide, high, large (decoded at an eighth) and small photos alike."""
    data = file_of(picture(*size), image_format)

    assert_alike(cut(data), square_of(data))


@pytest.mark.parametrize(
    ("mode", "image_format"),
    [("L", "JPEG"), ("L", "PNG"), ("LA", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("L", "BMP"), ("RGBA", "BMP")],
)
def test_grey_and_transparent_photos_become_colours_on_white(
    mode: str, image_format: str, cut: Callable[[bytes], np.ndarray]
) -> None:
    """Whatever channels a file has."""
    image = picture(90, 70).quantize(64) if mode == "P" else picture(90, 70, mode)
    data = file_of(image, image_format)

    assert_alike(cut(data), square_of(data))


def test_the_first_picture_of_a_gif_counts(cut: Callable[[bytes], np.ndarray]) -> None:
    """A moving one is judged by how it begins."""
    first, second = picture(90, 70).quantize(64), Image.new("RGB", (90, 70), "red").quantize(64)
    data = file_of(first, "GIF", save_all=True, append_images=[second])

    assert_alike(cut(data), square_of(data))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("byte_order", [b"MM", b"II"])
def test_a_photo_is_turned_as_the_camera_was_held(
    orientation: int, byte_order: bytes, cut: Callable[[bytes], np.ndarray]
) -> None:
    """All eight orientations, with their numbers in either order of bytes."""
    exif = Image.Exif()
    exif.endian = "<" if byte_order == b"II" else ">"
    exif[ORIENTATION] = orientation
    exif[0x010F] = "A camera"
    data = file_of(picture(120, 80), "JPEG", exif=exif, quality=95)
    assert b"Exif\0\0" + byte_order in data

    assert_alike(cut(data), square_of(data))


def test_bytes_that_only_look_like_an_orientation_turn_nothing(cut: Callable[[bytes], np.ndarray]) -> None:
    """No such orientation, and no EXIF before it."""
    plain = file_of(picture(120, 80), "JPEG")
    strange = Image.Exif()
    strange[ORIENTATION] = 77
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x03"

    for options in ({"exif": strange}, {"comment": entry}):
        np.testing.assert_array_equal(cut(file_of(picture(120, 80), "JPEG", **options)), cut(plain))


@pytest.mark.parametrize("image_format", ["PNG", "BMP"])
def test_a_square_that_was_cut_already_is_used_bit_for_bit(
    image_format: str, cut: Callable[[bytes], np.ndarray]
) -> None:
    """What the remote encoder sends is what the network sees."""
    pixels = np.random.default_rng(1).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)

    np.testing.assert_array_equal(cut(file_of(Image.fromarray(pixels), image_format)), pixels)


@pytest.mark.parametrize(
    "data", [b"", b"no photo", b"\xff\xd8\xff\xe0 no photo", file_of(picture(90, 70), "JPEG")[:400]]
)
def test_what_is_no_whole_photo_is_refused(data: bytes, cut: Callable[[bytes], np.ndarray]) -> None:
    """TF Serving answers it with INVALID_ARGUMENT."""
    with pytest.raises(tf.errors.InvalidArgumentError):
        cut(data)
