"""Photographs from untrusted bytes: what is read, and what is refused."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models import decoding
from models.decoding import crop_square, decode_image
from stream_app.errors import PhotoRejected

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


def picture(width_px: int = 60, height_px: int = 40) -> Image.Image:
    """A picture whose left half is red and whose right half is blue."""
    pixels = np.zeros((height_px, width_px, 3), np.uint8)
    pixels[:, : width_px // 2, 0] = 255
    pixels[:, width_px // 2 :, 2] = 255
    return Image.fromarray(pixels)


def encoded(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    """The file of a picture, as bytes."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def decoded(data: bytes, side_px: int = 8, pixels_max: int = 1_000_000) -> Any:
    """The decoder with the limits that these tests need."""
    return decode_image(data, side_px=side_px, pixels_max=pixels_max)


@pytest.mark.parametrize("image_format", FORMATS)
def test_every_allowed_format_is_read_as_rgb(image_format: str) -> None:
    """Each of the six formats comes out as red on the left and blue on the right."""
    photo = decoded(encoded(picture(), image_format), side_px=40)

    assert photo.shape == (40, 60, 3) and photo.dtype == np.uint8
    assert photo[20, 5].argmax() == 0 and photo[20, 55].argmax() == 2


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16", "I", "F"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    """Grey, palette, transparent, deep and print modes all give three channels of eight bits."""
    image_format = {"CMYK": "JPEG", "F": "TIFF", "I": "TIFF"}.get(mode, "PNG")
    source = picture().convert("L") if mode in ("I;16", "F", "I") else picture()

    photo = decoded(encoded(source.convert(mode), image_format))

    assert photo.shape[2] == 3 and photo.dtype == np.uint8


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    """A deep grey of half brightness is half bright, not cut off at white."""
    half = Image.fromarray(np.full((20, 20), 32768, np.uint16))

    assert abs(int(decoded(encoded(half))[5, 5, 0]) - 127) <= 1


def test_transparency_lies_on_white() -> None:
    """What is fully transparent is white, whatever colour it hides."""
    assert decoded(encoded(Image.new("RGBA", (20, 20), (255, 0, 0, 0))))[5, 5].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("image_format", "options"), [("JPEG", {"quality": 95}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})]
)
def test_a_sideways_photo_is_turned_upright(image_format: str, options: dict[str, Any]) -> None:
    """EXIF orientation 6 turns the pixels, and the photo's own size is that of the upright photo."""
    exif = Image.Exif()
    exif[0x0112] = 6

    photo = decoded(encoded(picture(), image_format, exif=exif, **options), side_px=40)

    assert photo.shape == (60, 40, 3)
    assert (photo.width_px, photo.height_px) == (40, 60)
    assert photo[5, 20].argmax() == 0 and photo[55, 20].argmax() == 2


def test_a_sideways_grey_photo_is_turned_too() -> None:
    """The orientation survives the way through another mode."""
    exif = Image.Exif()
    exif[0x0112] = 6

    assert decoded(encoded(picture().convert("L"), "JPEG", exif=exif), side_px=40).shape == (60, 40, 3)


def test_a_large_jpeg_is_decoded_small_and_its_size_is_remembered() -> None:
    """The codec scales while it decodes, keeps the short side long enough, and the photo's own size is kept."""
    photo = decoded(encoded(picture(1200, 800), "JPEG"), side_px=100)

    assert photo.shape[:2] == (100, 150)
    assert (photo.width_px, photo.height_px) == (1200, 800)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "1", "I;16", "F"])
def test_a_large_photo_of_any_kind_is_made_small_in_strips(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """It looks as if it had been made small as a whole, stands upright, and its own size is remembered."""
    monkeypatch.setattr(decoding, "LARGE_PIXELS", 20_000)
    monkeypatch.setattr(decoding, "STRIP_PIXELS", 3_000)
    exif = Image.Exif()
    exif[0x0112] = 6
    source = picture(300, 200)
    if mode in ("1", "I;16", "F"):
        source = Image.fromarray(np.asarray(source)[..., 2])
    if mode == "I;16":
        source = Image.fromarray(np.asarray(source).astype(np.uint16) * 257)

    photo = decoded(encoded(source.convert(mode), "TIFF" if mode == "F" else "PNG", exif=exif), side_px=20)

    assert photo.shape == (60, 40, 3)
    assert (photo.width_px, photo.height_px) == (200, 300)
    assert photo[:29, :, 2].max() < 5 and photo[31:, :, 2].min() > 250


def test_a_large_panorama_keeps_its_short_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is long and thin is not made smaller than it is of use."""
    monkeypatch.setattr(decoding, "LARGE_PIXELS", 20_000)

    assert decoded(encoded(picture(2_000, 30)), side_px=20).shape == (30, 2_000, 3)


def test_a_photo_beyond_pillows_own_limit_is_read_where_it_is_allowed() -> None:
    """The limit of the settings is the only one."""
    assert decoded(encoded(Image.new("1", (20_000, 10_000))), pixels_max=200_000_000).width_px == 20_000


def test_an_animation_gives_its_first_frame() -> None:
    """Of a moving GIF the first picture counts."""
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]

    photo = decoded(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))

    assert photo[5, 5].argmax() == 0


def test_the_middle_is_cut_out() -> None:
    """A panorama loses its ends and not its middle."""
    pixels = np.zeros((50, 500, 3), np.uint8)
    pixels[:, 240:260] = 255

    square = crop_square(pixels, resize_px=50, side_px=40)

    assert square.shape == (40, 40, 3)
    assert square[20, 20, 0] > 250 and square[20, 0, 0] < 5


def test_a_photo_of_one_pixel_can_be_cut() -> None:
    """The smallest photo is enlarged like any other."""
    assert (crop_square(np.full((1, 1, 3), 200, np.uint8), resize_px=40, side_px=32) == 200).all()


def bomb(width_px: int, height_px: int) -> bytes:
    """A PNG of a few bytes that says it is huge."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width_px", "height_px"), [(1001, 1000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_an_enormous_photo_is_refused_before_it_is_decoded(width_px: int, height_px: int) -> None:
    """The limit of pixels is checked from the header."""
    with pytest.raises(PhotoRejected, match="too many pixels"):
        decoded(bomb(width_px, height_px))


@pytest.mark.parametrize(
    "data", [b"", b"hello, I am a text called .jpg", b"\xff\xd8\xff", b"%PDF-1.7 ...", b"\0" * 999]
)
def test_what_is_no_photo_is_refused(data: bytes) -> None:
    """A text, a stub and another kind of file each get one clear line."""
    with pytest.raises(PhotoRejected):
        decoded(data)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_a_truncated_photo_is_refused(image_format: str) -> None:
    """Half a file is no photo."""
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 90, 3), np.uint8))
    data = encoded(noise, image_format)

    with pytest.raises(PhotoRejected):
        decoded(data[: len(data) // 2])


@pytest.mark.parametrize("image_format", ["ICO", "PPM", "PCX", "TGA", "EPS", "PDF"])
def test_a_format_off_the_list_is_refused(image_format: str) -> None:
    """Pillow could read more formats; each of them is a door that stays shut."""
    with pytest.raises(PhotoRejected, match="no image"):
        decoded(encoded(picture(), image_format))


def test_heic_names_the_package_that_reads_it() -> None:
    """An iPhone's photo says which package it needs, or that it is damaged where the package is there."""
    with pytest.raises(PhotoRejected, match=r"pip install pillow-heif|damaged"):
        decoded(b"\0\0\0\x18ftypheic" + b"\0" * 40)


class TestHeic:
    """Where the optional package is installed."""

    @pytest.fixture(autouse=True)
    def opener(self) -> None:
        pytest.importorskip("pillow_heif").register_heif_opener()

    def test_a_sideways_heic_photo_is_read_and_turned(self) -> None:
        """Red on top and blue below, with the size of the upright photo."""
        exif = Image.Exif()
        exif[0x0112] = 6

        photo = decoded(encoded(picture(), "HEIF", exif=exif.tobytes()), side_px=40)

        assert photo.shape == (60, 40, 3) and (photo.width_px, photo.height_px) == (40, 60)
        assert photo[5, 20].argmax() == 0 and photo[55, 20].argmax() == 2

    def test_an_enormous_heic_photo_is_refused_by_its_header(self) -> None:
        """Like any other."""
        with pytest.raises(PhotoRejected, match="too many pixels"):
            decoded(encoded(picture(), "HEIF"), pixels_max=1_000)

    @pytest.mark.parametrize("share", [0.2, 0.9])
    def test_a_truncated_heic_photo_is_one_clear_line(self, share: float) -> None:
        """The decoder's own words may be several."""
        data = encoded(picture(600, 400), "HEIF")

        with pytest.raises(PhotoRejected, match="The photo is damaged") as error:
            decoded(data[: int(len(data) * share)])
        assert "\n" not in str(error.value)


SEEDS = [encoded(picture(), each) for each in FORMATS]


@settings(max_examples=300, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 255)), max_size=30),
    keep=st.integers(0, 5_000),
)
def test_hostile_bytes_are_read_or_refused_and_nothing_else(
    seed: bytes, changes: list[tuple[int, int]], keep: int
) -> None:
    """Whatever is done to a real file, the answer is pixels or PhotoRejected."""
    data = bytearray(seed)
    for position, value in changes:
        data[position % len(data)] = value
    try:
        photo = decoded(bytes(data[: max(keep, 1)]))
    except PhotoRejected:
        return
    assert photo.ndim == 3 and photo.shape[2] == 3 and photo.dtype == np.uint8
