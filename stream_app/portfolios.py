"""Whose photos are whose: what the events of a photo say of it, told to its photographer, and kept in rows of theirs.

Photos lie by photo_id, portfolios by user_id, and the two need not be on the same worker: hence a topic in between. A
piece of news carries the versions that decide on it rather than yes or no, each of which only grows, so any order of
the same news, with repetitions and from two workers at once, ends in the same row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import orjson

from stream_app.activity import Event, PhotoDeleted, PhotoEdited, PhotoUploaded
from stream_app.catalogue import PhotoRow
from stream_app.versions import BEFORE_ALL, Version


@dataclass(frozen=True)
class PhotoOwner:
    """Whose a photo is, by photo_id; remembered after a deletion, too, since somebody must be told of that."""

    photo_id: int
    user_id: int | None = None
    owned_version: Version = BEFORE_ALL
    upload_version: Version = BEFORE_ALL
    deletion_version: Version = BEFORE_ALL

    @classmethod
    def of(cls, photo: PhotoRow) -> PhotoOwner:
        """What the photo's own row knows of it, which forgets a deleted photo's owner."""
        user_id, owned_version = photo.metadata.get("user_id", (None, BEFORE_ALL))
        return cls(
            photo.photo_id,
            None if user_id is None else int(str(user_id)),
            owned_version,
            photo.upload_version,
            photo.deletion_version,
        )

    def news(self) -> PortfolioRow:
        """What its owner should know of the photo."""
        return PortfolioRow(
            self.photo_id,
            owned_version=self.owned_version,
            upload_version=self.upload_version,
            deletion_version=self.deletion_version,
        )

    def with_event(self, event: Event, version: Version) -> PhotoOwner:
        """The row after an event of `photo-activity`."""
        row = self
        if isinstance(event, PhotoDeleted):
            return replace(row, deletion_version=max(row.deletion_version, version))
        if isinstance(event, PhotoUploaded):
            row = replace(row, upload_version=max(row.upload_version, version))
        if isinstance(event, PhotoUploaded | PhotoEdited):
            user_id = event.metadata.user_id
            if user_id is not None and version > row.owned_version:
                row = replace(row, user_id=user_id, owned_version=version)
        return row

    def to_bytes(self) -> bytes:
        """As JSON, for the table."""
        versions = self.owned_version, self.upload_version, self.deletion_version
        return orjson.dumps([self.photo_id, self.user_id, *versions], default=list)

    @classmethod
    def from_bytes(cls, data: bytes) -> PhotoOwner:
        """The inverse of `to_bytes`."""
        photo_id, user_id, *versions = orjson.loads(data)
        return cls(photo_id, user_id, *(Version(*each) for each in versions))


@dataclass(frozen=True)
class PortfolioRow:
    """One photo and one photographer: when it was theirs and when it was not, when it came and when it went."""

    photo_id: int
    owned_version: Version = BEFORE_ALL
    lost_version: Version = BEFORE_ALL
    upload_version: Version = BEFORE_ALL
    deletion_version: Version = BEFORE_ALL

    @property
    def present(self) -> bool:
        """Whether the photo belongs to the portfolio."""
        gone = max(self.lost_version, self.deletion_version)
        return self.owned_version > gone and self.upload_version > self.deletion_version

    def with_news(self, news: PortfolioRow) -> PortfolioRow:
        """The row after a piece of news, which is a row itself."""
        return PortfolioRow(
            self.photo_id,
            max(self.owned_version, news.owned_version),
            max(self.lost_version, news.lost_version),
            max(self.upload_version, news.upload_version),
            max(self.deletion_version, news.deletion_version),
        )

    def to_bytes(self) -> bytes:
        """As JSON, for the table and for the topic."""
        versions = self.owned_version, self.lost_version, self.upload_version, self.deletion_version
        return orjson.dumps([self.photo_id, *versions], default=list)

    @classmethod
    def from_bytes(cls, data: bytes) -> PortfolioRow:
        """The inverse of `to_bytes`."""
        photo_id, *versions = orjson.loads(data)
        return cls(photo_id, *(Version(*each) for each in versions))


def owner_news(before: PhotoOwner, after: PhotoOwner, version: Version) -> Iterator[tuple[int, PortfolioRow]]:
    """(user_id, news) that an event of this version, which made `after` of `before`, has for photographers.

    An event that is worked on again has its news again, also where the row knows it already; only the former owner
    is known from `before` alone, so the news must be durable before the row is.
    """
    is_known = version in (after.owned_version, after.upload_version, after.deletion_version)
    if is_known and after.user_id is not None:
        yield after.user_id, after.news()
    if before.user_id not in (None, after.user_id):
        assert before.user_id is not None
        yield before.user_id, PortfolioRow(after.photo_id, lost_version=after.owned_version)
