"""The files that TensorBoard's projector opens: vectors, metadata, a sprite of thumbnails, and what ties them together.

    tensorboard --logdir FOLDER      # a folder with projector_config.pbtxt and the files that it names

Everything here is a function of arrays and texts; the sprite is written from its top, so that one row of tiles is all
that is ever in memory.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.decoding import crop_square, decode_image

CONFIG_FILE = "projector_config.pbtxt"
POINTS_MAX = 100_000  # TensorBoard asks for no more rows of a tensor
SPRITE_SIDE_PX_MAX = 8192  # a larger one it refuses, and so do many graphics cards
TILE_SIDE_PX_MAX = 64
CELL_CHARACTERS_MAX = 200
BLANK = (200, 200, 200, 255)  # a photo that is missing: grey, since the projector hides what is transparent
_FONT_SIZES = (20, 17, 14, 12, 10, 8, 6)
_COMPRESSION = 4  # of zlib: photographs shrink little, so more effort is lost on them


@dataclass(frozen=True)
class Tensor:
    """One choice in the projector's list: its files, and float32 vectors of `shape` (points, dimensions)."""

    name: str
    shape: tuple[int, int]
    vectors_file: str
    metadata_file: str


@dataclass(frozen=True)
class SpriteLayout:
    """A square of `columns` x `columns` tiles: the projector takes the number of rows for that of columns."""

    columns: int
    tile_side_px: int

    @classmethod
    def of(cls, tile_count: int) -> SpriteLayout:
        """The smallest square that holds so many tiles, as large as the projector takes."""
        columns = max(1, math.isqrt(max(tile_count, 1) - 1) + 1)
        return cls(columns, min(TILE_SIDE_PX_MAX, SPRITE_SIDE_PX_MAX // columns))

    @property
    def side_px(self) -> int:
        """Width and height of the sprite."""
        return self.columns * self.tile_side_px


class SpriteWriter:
    """A sprite as PNG, piece by piece: `begin`, then `row` for each row of tiles, then `end`."""

    def __init__(self, layout: SpriteLayout) -> None:
        self._layout = layout
        self._packer = zlib.compressobj(_COMPRESSION)
        self._above = np.zeros((1, layout.side_px, 4), np.uint8)
        self._rows_left = layout.columns

    def begin(self) -> bytes:
        """The file's first bytes."""
        side_px = self._layout.side_px
        return b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", struct.pack(">IIBBBBB", side_px, side_px, 8, 6, 0, 0, 0))

    def row(self, tiles: Sequence[np.ndarray | None]) -> bytes:
        """The next row of tiles, uint8 [tile_side, tile_side, 4], from the left; None is a photo that is missing."""
        tile_px = self._layout.tile_side_px
        strip = np.zeros((tile_px, self._layout.side_px, 4), np.uint8)
        for column, tile in enumerate(tiles):
            strip[:, column * tile_px : (column + 1) * tile_px] = BLANK if tile is None else tile
        # Each line less the line above it, modulo 256, which PNG calls filter 2.
        lines = strip - np.concatenate([self._above, strip[:-1]])
        self._above = strip[-1:]
        self._rows_left -= 1
        filtered = np.concatenate([np.full((tile_px, 1), 2, np.uint8), lines.reshape(tile_px, -1)], axis=1)
        return _png_data(self._packer.compress(filtered.tobytes()))

    def end(self) -> bytes:
        """Empty rows for those that were not written, and the file's last bytes."""
        empty = b"".join(self.row(()) for _ in range(self._rows_left))
        return empty + _png_data(self._packer.flush()) + _png_chunk(b"IEND", b"")


def _png_data(packed: bytes) -> bytes:
    return _png_chunk(b"IDAT", packed) if packed else b""


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def photo_tile(image: bytes, tile_side_px: int, *, pixels_max: int) -> np.ndarray:
    """The middle square of a photo, uint8 [tile_side, tile_side, 4]; raises PhotoRejected."""
    pixels = decode_image(image, side_px=tile_side_px, pixels_max=pixels_max)
    square = crop_square(pixels, resize_px=tile_side_px, side_px=tile_side_px)
    # The two lowest bits of a colour nobody sees, and they are a third of the file.
    return np.dstack([square & 0xFC, np.full(square.shape[:2], 255, np.uint8)])


def word_tile(word: str, tile_side_px: int) -> np.ndarray:
    """A word as large as fits, on nothing, so that it hides no photo: uint8 [tile_side, tile_side, 4]."""
    tile = Image.new("RGBA", (tile_side_px, tile_side_px), (0, 0, 0, 0))
    fonts = (_font(size) for size in _FONT_SIZES)
    font = next((font for font in fonts if font.getlength(word) <= tile_side_px - 2), _font(_FONT_SIZES[-1]))
    ImageDraw.Draw(tile).text((tile_side_px / 2, tile_side_px / 2), word, fill="black", font=font, anchor="mm")
    return np.asarray(tile)


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow's wheels carry FreeType"
    return font


def vectors_file(vectors: np.ndarray) -> bytes:
    """Vectors [points, dimensions] as a tensor file: raw float32, row after row."""
    data = bytearray(np.ascontiguousarray(vectors, "<f4").tobytes())
    # TensorBoard first reads every tensor file as a table in UTF-8, and as binary only when it is none. A few files in
    # a thousand would begin with a line that happens to be text. No text has this byte, and there, in the lowest byte
    # of the first number's fraction, it moves that number by less than 1 part in 30,000.
    data[:1] = b"\xff" if data else b""
    return bytes(data)


def metadata_file(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """A table with a heading, one line a point, in UTF-8; whatever could break a line or a cell becomes a blank."""
    lines = ["\t".join(columns), *("\t".join(map(_cell, row)) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def _cell(text: str) -> str:
    visible = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * CELL_CHARACTERS_MAX])
    return " ".join(visible.split())[:CELL_CHARACTERS_MAX]


def projector_config(tensors: Sequence[Tensor], sprite_file: str, layout: SpriteLayout) -> bytes:
    """The text of `projector_config.pbtxt`; a tensor with fewer points than tiles uses the first ones."""
    return "".join(_embedding(tensor, sprite_file, layout.tile_side_px) for tensor in tensors).encode()


def _embedding(tensor: Tensor, sprite_file: str, tile_side_px: int) -> str:
    return (
        "embeddings {\n"
        f'  tensor_name: "{tensor.name}"\n'
        f"  tensor_shape: {tensor.shape[0]}\n"
        f"  tensor_shape: {tensor.shape[1]}\n"
        f'  tensor_path: "{tensor.vectors_file}"\n'
        f'  metadata_path: "{tensor.metadata_file}"\n'
        "  sprite {\n"
        f'    image_path: "{sprite_file}"\n'
        f"    single_image_dim: {tile_side_px}\n"
        f"    single_image_dim: {tile_side_px}\n"
        "  }\n"
        "}\n"
    )
