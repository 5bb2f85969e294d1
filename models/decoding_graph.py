"""Decoding inside a TensorFlow graph, for a server that is sent image files.

It makes of a photo what `models.decoding` makes of it, as far as TensorFlow can: JPEG, PNG, GIF and BMP, the codec's
own scaling, transparency on white, EXIF orientation of JPEG, the middle square by an antialiased bicubic filter. What
nobody vouches for is decoded by `models.decoding` all the same: it tells a person what is wrong with a photo.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf

EXIF_WITHIN_BYTES = 65_536  # EXIF comes first in a file, and a block of it is no longer
EXIF = b"Exif\0\0"
# The orientation's entry: tag 0x0112, type SHORT, one value, and then the value; in either order of bytes.
BIG_ENDIAN_ORIENTATION = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00"
LITTLE_ENDIAN_ORIENTATION = b"\x12\x01\x03\x00\x01\x00\x00\x00"
PNG_BEGINS = b"\x89PNG"
JPEG_RATIOS = (1, 2, 4, 8)


def cut_square(photo: tf.Tensor, *, resize_px: int, side_px: int) -> tf.Tensor:
    """The middle of an image file (string []), uint8 [side_px, side_px, 3], once its short side is `resize_px`.

    A photo that has side_px x side_px already is a square that somebody has cut: it is used as it is.
    """
    is_jpeg = tf.io.is_jpeg(photo)
    pixels = tf.cond(is_jpeg, lambda: _decode_jpeg(photo, resize_px), lambda: _decode_other(photo))
    is_cut = tf.reduce_all(tf.shape(pixels)[:2] == side_px)
    square = tf.cond(is_cut, lambda: pixels, lambda: _middle(pixels, resize_px, side_px))
    square = tf.ensure_shape(square, [side_px, side_px, 3])
    # The middle of a photo lies where it lay before it was turned, and turning the middle is cheaper.
    return tf.cond(is_jpeg, lambda: _upright(square, _orientation(photo)), lambda: square)


def _decode_jpeg(photo: tf.Tensor, short_side_px: int) -> tf.Tensor:
    """uint8 [h, w, 3], decoded straight to 1/2, 1/4 or 1/8 where that keeps the short side long enough."""
    ratio = tf.reduce_min(tf.io.extract_jpeg_shape(photo)[:2]) // short_side_px
    which = tf.reduce_sum(tf.cast(ratio >= tf.constant(JPEG_RATIOS[1:]), tf.int32))

    def decode(ratio: int) -> tf.Tensor:
        # Pillow's transform; TensorFlow's own choice is a quicker one that is off by a grey level on average.
        return tf.io.decode_jpeg(photo, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")

    return tf.switch_case(which, [partial(decode, ratio) for ratio in JPEG_RATIOS])


def _decode_other(photo: tf.Tensor) -> tf.Tensor:
    """uint8 [h, w, 3] of a PNG, a BMP, or a GIF's first picture."""
    pixels = tf.io.decode_image(photo, expand_animations=False)  # [h, w, 1 to 4]
    pixels.set_shape([None, None, None])
    channels = tf.shape(pixels)[2]
    colours = tf.cond(channels < 3, lambda: tf.repeat(pixels[..., :1], 3, axis=2), lambda: pixels[..., :3])
    # A BMP's fourth channel is mostly unused and 0.
    is_png = tf.strings.substr(photo, 0, len(PNG_BEGINS)) == PNG_BEGINS
    is_transparent = is_png & (channels % 2 == 0)
    return tf.cond(is_transparent, lambda: _on_white(colours, pixels[..., -1:]), lambda: colours)


def _on_white(colours: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    opacity = tf.cast(alpha, tf.float32) / 255.0
    return _to_bytes(tf.cast(colours, tf.float32) * opacity + 255.0 * (1.0 - opacity))


def _middle(pixels: tf.Tensor, resize_px: int, side_px: int) -> tf.Tensor:
    """uint8 [side_px, side_px, 3]; across and then down with whole grey levels between, as Pillow does it."""
    height_px, width_px = tf.unstack(tf.shape(pixels)[:2])
    scale = resize_px / tf.minimum(height_px, width_px)
    across = _scaled(pixels, [height_px, side_px], [1.0, scale], [0.0, _offset(width_px, scale, side_px)])
    return _scaled(across, [side_px, side_px], [scale, 1.0], [_offset(height_px, scale, side_px), 0.0])


def _offset(length_px: tf.Tensor, scale: tf.Tensor, side_px: int) -> tf.Tensor:
    """Where the scaled photo begins, seen from its middle square."""
    return tf.cast((side_px - tf.cast(length_px, tf.float64) * scale) / 2, tf.float32)


def _scaled(pixels: tf.Tensor, size: list[Any], scale: list[Any], translation: list[Any]) -> tf.Tensor:
    scaled = tf.raw_ops.ScaleAndTranslate(
        images=pixels[tf.newaxis],
        size=size,
        scale=[tf.cast(each, tf.float32) for each in scale],
        translation=translation,
        kernel_type="keyscubic",
        antialias=True,
    )
    return _to_bytes(scaled[0])


def _to_bytes(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(tf.round(values), 0.0, 255.0), tf.uint8)


def _orientation(photo: tf.Tensor) -> tf.Tensor:
    """How a camera held a photo, int32 [], 1 to 8, as EXIF numbers it; 1 is upright."""
    exif = _after(tf.io.decode_raw(tf.strings.substr(photo, 0, EXIF_WITHIN_BYTES), tf.uint8), EXIF)
    big, little = (_after(exif, entry)[:1] for entry in (BIG_ENDIAN_ORIENTATION, LITTLE_ENDIAN_ORIENTATION))
    found = tf.cast(tf.concat([big, little, [tf.constant(1, tf.uint8)]], axis=0)[0], tf.int32)
    return tf.where((found >= 1) & (found <= 8), found, 1)


def _after(data: tf.Tensor, pattern: bytes) -> tf.Tensor:
    """What follows the first place, in bytes uint8 [n], where `pattern` stands; nothing where it stands nowhere."""
    count = tf.maximum(tf.size(data) - len(pattern) + 1, 0)
    stands = tf.fill([count], True)
    for offset, byte in enumerate(pattern):
        stands &= data[offset : offset + count] == byte
    first = tf.concat([tf.where(stands)[:1, 0], [tf.size(data, tf.int64)]], axis=0)[0]
    return data[first + len(pattern) :]


def _upright(square: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """A square turned and mirrored as its orientation says."""
    square = tf.cond(orientation >= 5, lambda: tf.transpose(square, [1, 0, 2]), lambda: square)
    mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
    square = tf.cond(mirrored, lambda: tf.reverse(square, [1]), lambda: square)
    upside_down = tf.reduce_any(orientation == [3, 4, 7, 8])
    return tf.cond(upside_down, lambda: tf.reverse(square, [0]), lambda: square)
