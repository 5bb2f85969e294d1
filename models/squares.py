"""The part of a photo that the network looks at, cut out of untrusted bytes and kept as a file of its own."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from models.decoding import crop_square, decode_image
from models.manifest import BundleManifest
from stream_app.errors import BundleError, PhotoRejected


@dataclass(frozen=True)
class Square:
    """The middle of a photo as an uncompressed BMP file, and the photo's own size, upright."""

    file: bytes
    width_px: int
    height_px: int


class SquareCutter:
    """Cuts squares of the size that a bundle's network looks at."""

    def __init__(self, manifest: BundleManifest, *, pixels_max: int) -> None:
        try:
            self.side_px, self._resize_px = (int(manifest.preprocessing[name]) for name in ("side_px", "resize_px"))
        except (KeyError, ValueError) as error:
            raise BundleError("The bundle does not say how photos are prepared", received=str(error)) from error
        self._pixels_max = pixels_max

    def cut(self, data: bytes) -> Square | PhotoRejected:
        """The square of a photo; what cannot be read is answered by its error."""
        try:
            photo = decode_image(data, side_px=self._resize_px, pixels_max=self._pixels_max)
            pixels = crop_square(photo, resize_px=self._resize_px, side_px=self.side_px)
            return Square(_bmp(pixels), photo.width_px, photo.height_px)
        except PhotoRejected as rejected:
            return rejected

    def grey(self) -> Square:
        """A square that no server has a reason to refuse."""
        return Square(_bmp(np.full((self.side_px, self.side_px, 3), 128, np.uint8)), self.side_px, self.side_px)


def _bmp(pixels: np.ndarray) -> bytes:
    """Pixels uint8 [side, side, 3] as a file that holds them bit for bit, and costs nothing to read or write."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "BMP")
    return file.getvalue()
