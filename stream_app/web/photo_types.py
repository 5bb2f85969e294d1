"""Which photo a file is, told from its first bytes; names and declared types are never believed."""

from __future__ import annotations

from importlib.util import find_spec

from stream_app.errors import PhotoRejected

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevm", b"hevs", b"mif1", b"msf1"})
NAMES = "JPEG, PNG, WebP, GIF, BMP, TIFF or HEIC"

SUFFIXES = {
    "image/jpeg": (".jpg", ".jpeg"),
    "image/png": (".png",),
    "image/gif": (".gif",),
    "image/bmp": (".bmp",),
    "image/tiff": (".tif", ".tiff"),
    "image/webp": (".webp",),
    "image/heic": (".heic", ".heif"),
}


def name_as(kind: str, name: str) -> str:
    """A file name that ends as its content type wants it, so that the store of uploads can be published too."""
    return name if name.lower().endswith(SUFFIXES[kind]) else name + SUFFIXES[kind][0]


def photo_type(data: bytes) -> str | None:
    """The content type of one of the seven kinds of photo, or None for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
        return "image/heic"
    return next((kind for signature, kind in SIGNATURES if data.startswith(signature)), None)


def require_photo(data: bytes, name: str = "the body") -> str:
    """The content type of a photo; raises PhotoRejected when the bytes are none."""
    kind = photo_type(data)
    if kind is None:
        raise PhotoRejected(
            f"{name} is no photo",
            expected=f"a {NAMES} file",
            received=_described(data),
            remedy="Send the photo file itself, unchanged.",
        )
    return kind


def require_readable_photo(data: bytes, name: str = "the body") -> str:
    """Like `require_photo`; raises PhotoRejected, too, for a photo that needs a package that is missing here."""
    kind = require_photo(data, name)
    if kind == "image/heic" and find_spec("pillow_heif") is None:
        raise PhotoRejected(
            f"{name} is HEIC, which this worker cannot read",
            expected="a JPEG, PNG, WebP, GIF, BMP or TIFF file",
            received="HEIC",
            remedy="Install it (.venv/bin/pip install pillow-heif), or send the photo as JPEG.",
        )
    return kind


def _described(data: bytes) -> str:
    return f"{len(data)} bytes that begin with {data[:12]!r}" if data else "nothing"
