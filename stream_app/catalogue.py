"""The row of a photo: what is known of it, merged from facts that may come late, twice, or in any order.

Every field is a register of its own that the newest version wins, so any order of the same facts ends in the
same row.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import orjson

from stream_app.activity import PhotoDeleted, PhotoEdited, PhotoEvent, PhotoUploaded, VisibilityChanged
from stream_app.records import PhotoEmbedded
from stream_app.versions import BEFORE_ALL, Version

Metadata = dict[str, tuple[object, Version]]

#: How many of the best labels a row keeps: those that are shown.
ROW_LABELS = 5


class Failure(NamedTuple):
    """Which upload of a photo could not be embedded, and why."""

    version: Version
    reason: str


@dataclass(frozen=True)
class UserRow:
    """One user of the table `users`: until when their photos are gone, in milliseconds since 1970."""

    user_id: int
    deleted_ms: int = -1

    def to_bytes(self) -> bytes:
        """As JSON, for the table."""
        return orjson.dumps(self.__dict__)

    @classmethod
    def from_bytes(cls, data: bytes) -> UserRow:
        """The inverse of `to_bytes`."""
        return cls(**orjson.loads(data))


@dataclass(frozen=True)
class PhotoRow:
    """One photo of the table `photos`: a register each for its upload, deletion, metadata and embedding.

    A version is BEFORE_ALL where nothing of that kind is known yet.
    """

    photo_id: int
    upload_version: Version = BEFORE_ALL
    deletion_version: Version = BEFORE_ALL
    embedding_version: Version = BEFORE_ALL
    url: str = ""
    metadata: Metadata = field(default_factory=dict)
    sha256: str = ""
    width_px: int = 0
    height_px: int = 0
    label_indices: tuple[int, ...] = ()
    label_scores: tuple[float, ...] = ()
    #: Of the image embedding, in hexadecimal digits; see `photo_signatures`.
    signature: str = ""

    @property
    def known(self) -> bool:
        """Whether the photo was uploaded and not deleted since; an edit alone makes no photo."""
        return self.upload_version > self.deletion_version

    @property
    def hidden(self) -> bool:
        """Whether it is shown only to who knows its id; where nothing was said it is public."""
        return bool(self.value("visibility") == "hidden")

    @property
    def embedded(self) -> bool:
        """Whether the photo was looked at."""
        return self.known and self.embedding_version > BEFORE_ALL

    @property
    def findable(self) -> bool:
        """Whether a search may answer with this photo."""
        return self.embedded and not self.hidden

    def went_with(self, user: UserRow) -> bool:
        """Whether the photo is gone since its user is: it was there already when that one was deleted."""
        is_theirs = self.known and self.text("user_id") == str(user.user_id)
        return is_theirs and self.upload_version.time_ms <= user.deleted_ms

    def failed_by(self, failure: Failure) -> bool:
        """Whether the failure is that of the present upload; an earlier one says nothing of it."""
        return failure.version == self.upload_version

    def value(self, name: str) -> Any:
        """A field of the metadata, or None."""
        return self.metadata[name][0] if name in self.metadata else None

    def text(self, name: str) -> str | None:
        """A field of the metadata as text, or None."""
        return None if self.value(name) is None else str(self.value(name))

    def to_bytes(self) -> bytes:
        """As JSON, for the table."""
        return orjson.dumps(self.__dict__, default=list)

    @classmethod
    def from_bytes(cls, data: bytes) -> PhotoRow:
        """The inverse of `to_bytes`."""
        fields = orjson.loads(data)
        for name in ("upload_version", "deletion_version", "embedding_version"):
            fields[name] = Version(*fields[name])
        fields["metadata"] = {name: (value, Version(*at)) for name, (value, at) in fields["metadata"].items()}
        for name in ("label_indices", "label_scores"):
            fields[name] = tuple(fields[name])
        return cls(**fields)


def with_upload(row: PhotoRow, event: PhotoUploaded, version: Version) -> PhotoRow:
    """`row` after an upload; metadata that the upload does not carry stays."""
    return _with_url(_with_metadata(row, event.metadata.given(), version), event.url, version)


def with_edit(row: PhotoRow, event: PhotoEdited | VisibilityChanged, version: Version) -> PhotoRow:
    """`row` after a change of metadata, visibility among it; the change may come before its upload."""
    return _with_metadata(row, event.metadata.given(), version)


def with_deletion(row: PhotoRow, version: Version) -> PhotoRow:
    """`row` after a deletion: nothing of the photo that is older than it remains."""
    if version <= row.deletion_version:
        return row
    kept = PhotoRow(row.photo_id, deletion_version=version)
    if row.upload_version > version:
        kept = replace(kept, upload_version=row.upload_version, url=row.url)
    if row.embedding_version > version:
        kept = replace(
            kept,
            embedding_version=row.embedding_version,
            sha256=row.sha256,
            width_px=row.width_px,
            height_px=row.height_px,
            label_indices=row.label_indices,
            label_scores=row.label_scores,
            signature=row.signature,
        )
    return replace(kept, metadata={name: entry for name, entry in row.metadata.items() if entry[1] > version})


def with_embedding(row: PhotoRow, record: PhotoEmbedded, signature: str) -> PhotoRow:
    """`row` after its photo was embedded; an embedding older than what the row knows changes nothing."""
    if record.version <= max(row.embedding_version, row.deletion_version):
        return row
    row = replace(
        row,
        embedding_version=record.version,
        sha256=record.sha256,
        width_px=record.width_px,
        height_px=record.height_px,
        label_indices=tuple(int(each) for each in record.label_indices[:ROW_LABELS]),
        label_scores=tuple(round(float(each), 4) for each in record.label_scores[:ROW_LABELS]),
        signature=signature,
    )
    return _with_url(row, record.url, record.version)


def with_event(row: PhotoRow, event: PhotoEvent, version: Version) -> PhotoRow:
    """`row` after any event of its photo."""
    match event:
        case PhotoUploaded():
            return with_upload(row, event, version)
        case PhotoEdited() | VisibilityChanged():
            return with_edit(row, event, version)
        case PhotoDeleted():
            return with_deletion(row, version)


def joined(row: PhotoRow, other: PhotoRow) -> PhotoRow:
    """`row` after those events, too, that made the row `other`; what `other` knows of an embedding is left out."""
    row = with_deletion(row, other.deletion_version)
    for name, (value, version) in other.metadata.items():
        row = _with_metadata(row, {name: value}, version)
    return _with_url(row, other.url, other.upload_version)


def _with_url(row: PhotoRow, url: str, version: Version) -> PhotoRow:
    if version <= max(row.upload_version, row.deletion_version):
        return row
    return replace(row, upload_version=version, url=url)


def _with_metadata(row: PhotoRow, given: dict[str, object], version: Version) -> PhotoRow:
    known = row.metadata
    newer = {
        name: (value, version)
        for name, value in given.items()
        if version > row.deletion_version and (name not in known or version > known[name][1])
    }
    return replace(row, metadata=known | newer) if newer else row
