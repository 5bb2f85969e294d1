"""How surely a changed copy of a photo is known by its signature, and how often a stranger is taken for it.

    python tests/benchmarks/bench_signatures.py

Needs ../shared/data beside the project: 611 photographs, and 24,000 at 64 pixels, of which 600 are asked.
"""

from __future__ import annotations

import io
import random
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
DATA = ROOT.parent / "shared" / "data"
ARCHIVE = DATA / "tiny_imagenet_120_per_class.tar"
ASKED = 600
LIMITS = (40, 44, 48, 52, 56, 60)

from models.bundle import build_bundle  # noqa: E402  (the project's root must be on the path first)
from models.encoder import Encoding, LocalEncoder  # noqa: E402
from stream_app.photo_signatures import differing_bits, signatures  # noqa: E402


def saved(image: Image.Image, quality: int = 90) -> bytes:
    """The file of an image."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def scaled(image: Image.Image, times: float) -> Image.Image:
    """The image in another size."""
    return image.resize([max(1, round(each * times)) for each in image.size], Image.Resampling.LANCZOS)


def cropped(image: Image.Image, share: float) -> Image.Image:
    """The image without a share of its left and its top."""
    return image.crop((round(share * image.width), round(share * image.height), *image.size))


def marked(image: Image.Image) -> Image.Image:
    """The image with a name across it and a dark bar below."""
    copy = image.copy()
    pen = ImageDraw.Draw(copy, "RGBA")
    place = image.width * 0.1, image.height * 0.75
    pen.text(place, "(c) Example Photos 2026", fill=(255, 255, 255, 170), font_size=max(8, image.width // 14))
    pen.rectangle((0, round(image.height * 0.93), *image.size), fill=(0, 0, 0, 150))
    return copy


CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG of quality 50": lambda image: saved(image, 50),
    "half the size": lambda image: saved(scaled(image, 0.5)),
    "twice the size": lambda image: saved(scaled(image, 2)),
    "cropped by 5 %": lambda image: saved(cropped(image, 0.05)),
    "cropped by 10 %": lambda image: saved(cropped(image, 0.1)),
    "brighter by 20 %": lambda image: saved(ImageEnhance.Brightness(image).enhance(1.2)),
    "brighter by 40 %": lambda image: saved(ImageEnhance.Brightness(image).enhance(1.4)),
    "mirrored": lambda image: saved(ImageOps.mirror(image)),
    "watermark": lambda image: saved(marked(image)),
    "grey": lambda image: saved(ImageOps.grayscale(image).convert("RGB")),
    "cropped, half the size, quality 50": lambda image: saved(scaled(cropped(image, 0.05), 0.5), 50),
}


def signed(encoder: LocalEncoder, images: Iterable[bytes]) -> np.ndarray:
    """The signatures of images, uint8 [n, 32]."""
    found, left = [], iter(images)
    while batch := list(islice(left, 512)):
        encodings = [each for each in encoder.encode_images(batch) if isinstance(each, Encoding)]
        found.append(signatures(np.stack([each.image_embedding for each in encodings]), encoder.vision_id))
    return np.concatenate(found)


def nearest_stranger(asked: np.ndarray, rows: np.ndarray, album: np.ndarray) -> np.ndarray:
    """For each asked signature the bits to the nearest of the album that is not its own row, int [n]."""
    found = []
    for signature, row in zip(asked, rows, strict=True):
        bits = differing_bits(album, signature)
        bits[row] = album.shape[1] * 8
        found.append(int(bits.min()))
    return np.array(found)


def report(encoder: LocalEncoder, name: str, images: list[bytes], rows: list[int]) -> None:
    """Print the shares of copies and of strangers within each limit; the rows are asked, the others are strangers."""
    album = signed(encoder, images)
    strangers = nearest_stranger(album[rows], np.array(rows), album)
    asked = [Image.open(io.BytesIO(images[row])).convert("RGB") for row in rows]
    print(f"\n{name}: {len(rows)} asked among {len(images):,}\n\n| bits, at most | {' | '.join(map(str, LIMITS))} |")
    print(f"| --- |{' ---: |' * len(LIMITS)}")
    for change, make in CHANGES.items():
        bits = differing_bits(signed(encoder, map(make, asked)), album[rows])
        print(f"| {change} | {' | '.join(f'{(bits <= limit).mean():.3f}' for limit in LIMITS)} |")
    print(f"| photos with a stranger | {' | '.join(f'{(strangers <= limit).mean():.4f}' for limit in LIMITS)} |")


def main() -> None:
    """Measure on both."""
    with tarfile.open(ARCHIVE) as archive:
        members = [each for each in archive if each.isfile()]
        small = [file.read() for each in members if (file := archive.extractfile(each))]
    large = [path.read_bytes() for path in sorted((DATA / "photos").glob("*.jpg"))]
    with tempfile.TemporaryDirectory() as folder:
        encoder = LocalEncoder(build_bundle(Path(folder) / "bundle"))
        report(encoder, "photographs", large, list(range(len(large))))
        report(encoder, "64 pixels", small, sorted(random.Random(3).sample(range(len(small)), ASKED)))
        encoder.close()


if __name__ == "__main__":
    main()
