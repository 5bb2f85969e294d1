"""Turn the bytes of an untrusted photograph into pixels, or say why not.

Only six formats (and HEIC with an extra) are ever tried, the size is checked from the header before a pixel is
decoded, and every other way in which a decoder can fail comes out as one error: PhotoRejected.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps

from stream_app.errors import PhotoRejected

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
FORMATS_TEXT = "a photo in JPEG, PNG, WebP, GIF, BMP or TIFF"
AGAIN = "Copy it once more from where it came."
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1")
#: Above this a photo is decoded alone, and in strips: a file of some kilobytes may take a gigabyte as pixels.
LARGE_PIXELS = 16_000_000
STRIP_PIXELS = 4_000_000
WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")

# A truncated photo must be an error here and in every thread, whatever another package chose.
ImageFile.LOAD_TRUNCATED_IMAGES = False
# One limit for all photos, ours, which says what it is: Pillow's own would also hold where a larger one was set.
Image.MAX_IMAGE_PIXELS = None
# Pillow warns of odd files on standard error. Once for all: `catch_warnings` is not safe where threads decode.
warnings.filterwarnings("ignore", module=r"PIL\.")

_large_alone = threading.Lock()


class DecodedPhoto(np.ndarray):
    """Pixels uint8 [h, w, 3] that remember the photo's own size, which scaling while decoding has lost."""

    width_px: int
    height_px: int

    def __array_finalize__(self, source: Any) -> None:
        self.width_px = getattr(source, "width_px", 0)
        self.height_px = getattr(source, "height_px", 0)


def decode_image(data: bytes, *, side_px: int, pixels_max: int) -> DecodedPhoto:
    """RGB pixels uint8 [h, w, 3], upright, decoded no larger than keeps the short side at `side_px` or more.

    Raises PhotoRejected and nothing else: no image, damaged, over `pixels_max`, a format that is not allowed.
    """
    try:
        return _decode(data, side_px, pixels_max)
    except PhotoRejected:
        raise
    except MemoryError as error:
        raise PhotoRejected("The photo needs more memory than there is") from error
    except Exception as error:  # decoders raise nearly anything on hostile bytes
        raise PhotoRejected(
            "The photo is damaged",
            expected="a whole image file",
            received=" ".join(f"{type(error).__name__}: {error}"[:160].split()),
            remedy=AGAIN,
        ) from error


def _decode(data: bytes, side_px: int, pixels_max: int) -> DecodedPhoto:
    with _open(data) as image:
        _check_size(image, pixels_max)
        upright_px = _upright_size(image)
        # JPEG decodes straight to 1/2, 1/4 or 1/8: a large photo costs a fraction, and the filter is a fair average.
        image.draft("RGB", (side_px, side_px))
        with _large_alone if image.width * image.height > LARGE_PIXELS else nullcontext():
            pixels = np.asarray(ImageOps.exif_transpose(_to_rgb(image, side_px))).view(DecodedPhoto)
    pixels.width_px, pixels.height_px = upright_px
    return pixels


def _open(data: bytes) -> Image.Image:
    """The image with its header read, and no pixel decoded."""
    if not data:
        raise PhotoRejected("The photo is empty", expected=FORMATS_TEXT, received="0 bytes", remedy=AGAIN)
    try:
        if data[4:8] == b"ftyp" and data[8:12] in HEIC_BRANDS:
            return _open_heic(data)
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.UnidentifiedImageError as error:
        raise PhotoRejected(
            "The file is no image that can be read",
            expected=FORMATS_TEXT,
            received=f"bytes that begin {data[:12]!r}",
            remedy="Convert it to one of these.",
        ) from error


def _open_heic(data: bytes) -> Image.Image:
    """An iPhone's HEIC photo, when the extra `heic` is installed."""
    try:
        import pillow_heif  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise PhotoRejected(
            "The photo is HEIC, which needs an optional package",
            expected=FORMATS_TEXT,
            remedy="Install it beside Sightline: .venv/bin/pip install pillow-heif.",
        ) from error
    pillow_heif.register_heif_opener()
    try:
        return Image.open(io.BytesIO(data), formats=("HEIF",))
    except Image.UnidentifiedImageError as error:
        raise PhotoRejected("The photo is damaged", expected="a whole HEIC file", remedy=AGAIN) from error


def _check_size(image: Image.Image, pixels_max: int) -> None:
    pixels = image.width * image.height
    if pixels < 1 or pixels > pixels_max:
        raise PhotoRejected(
            "The photo has too many pixels" if pixels else "The photo has no pixels",
            expected=f"at most {pixels_max:,}",
            received=f"{image.width:,} x {image.height:,}",
            remedy="Make it smaller, or raise SIGHTLINE_PHOTO_PIXELS_MAX." if pixels else None,
        )


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height after the EXIF orientation, whose values 5 to 8 lay the photo on its side."""
    # Of a TIFF, Pillow tells the upright size already.
    sideways = image.format != "TIFF" and image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return (image.height, image.width) if sideways else (image.width, image.height)


def _to_rgb(image: Image.Image, side_px: int) -> Image.Image:
    """Any mode as RGB: transparency on white, deep grey scaled to 8 bits; large ones smaller; the EXIF block stays."""
    times = min(image.size) // (2 * side_px) if image.width * image.height > LARGE_PIXELS else 1
    if image.mode == "RGB" and "transparency" not in image.info and times < 2:
        image.load()
        return image
    exif = image.getexif()
    rgb = _shrunk(image, times) if times > 1 else _flatten(image, _brightest(image))
    rgb.info["exif"] = exif.tobytes() if len(exif) else b""
    return rgb


def _shrunk(image: Image.Image, times: int) -> Image.Image:
    """RGB, so many times smaller by a fair average; nothing but the image itself is ever whole in memory."""
    brightest = _brightest(image)
    small = Image.new("RGB", (-(-image.width // times), -(-image.height // times)))
    top = 0
    for strip in _strips(image, times):
        rows = _flatten(strip, brightest).reduce(times)
        small.paste(rows, (0, top))
        top += rows.height
    return small


def _strips(image: Image.Image, multiple: int) -> Iterator[Image.Image]:
    """The image from top to bottom, in strips whose heights, but for the last, are multiples of a number."""
    height = multiple * max(1, STRIP_PIXELS // (image.width * multiple))
    for top in range(0, image.height, height):
        yield image.crop((0, top, image.width, min(top + height, image.height)))


def _flatten(image: Image.Image, brightest: float) -> Image.Image:
    if image.mode in WIDE_MODES or image.mode == "F":
        return _scale_to_8_bits(image, brightest).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _brightest(image: Image.Image) -> float:
    """What is white in grey of more than 8 bits; of floats, the largest."""
    if image.mode != "F":
        return 65535.0
    return max(float(np.nanmax(np.asarray(strip), initial=0.0)) for strip in _strips(image, 1))


def _scale_to_8_bits(image: Image.Image, brightest: float) -> Image.Image:
    """Grey of 16 bits, 32 bits or floats as 8 bits; Pillow's own `convert` cuts values off at 255."""
    grey = np.asarray(image).astype(np.float32)
    scaled = np.nan_to_num(grey) * (255.0 / brightest if brightest > 1.0 else 255.0)
    return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))


def crop_square(pixels: np.ndarray, *, resize_px: int, side_px: int) -> np.ndarray:
    """The middle of a photo, uint8 [side_px, side_px, 3], once the short side is `resize_px` (bicubic, antialiased)."""
    height, width = pixels.shape[:2]
    # Bicubic over the box of the original that the cut will show: never a full resized copy of a panorama.
    box_side = min(width, height) * side_px / resize_px
    left, top = (width - box_side) / 2, (height - box_side) / 2
    box = (left, top, left + box_side, top + box_side)
    return np.asarray(Image.fromarray(pixels).resize((side_px, side_px), Image.Resampling.BICUBIC, box=box))
