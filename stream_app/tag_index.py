"""Which photos have a tag: an index in memory of what owners said, kept by the rows as they change."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from stream_app.catalogue import PhotoRow

NOTHING: AbstractSet[int] = frozenset()


class TagIndex:
    """Photos by tag, in small letters. Written by the event loop, read by searches in their own threads."""

    def __init__(self) -> None:
        self._photos: dict[str, set[int]] = {}
        self._tags: dict[int, frozenset[str]] = {}
        self._lock = threading.Lock()

    def note(self, row: PhotoRow) -> None:
        """Take in the newest state of a photo."""
        tags = folded_tags(row) if row.known else frozenset()
        with self._lock:
            before = self._tags.pop(row.photo_id, frozenset())
            for tag in before - tags:
                self._photos[tag].discard(row.photo_id)
                if not self._photos[tag]:
                    del self._photos[tag]
            for tag in tags - before:
                self._photos.setdefault(tag, set()).add(row.photo_id)
            if tags:
                self._tags[row.photo_id] = tags

    def begin_anew(self, rows: Iterable[PhotoRow]) -> None:
        """Forget everything, and take in all rows: after a rebalance others are at hand than before."""
        with self._lock:
            self._photos.clear()
            self._tags.clear()
        for row in rows:
            self.note(row)

    def photos(self, tag: str) -> frozenset[int]:
        """The photos that have the tag, which is compared in small letters."""
        with self._lock:
            return frozenset(self._photos.get(folded(tag), NOTHING))

    def has(self, photo_id: int, tag: str) -> bool:
        """Whether the photo has the tag."""
        return folded(tag) in self._tags.get(photo_id, NOTHING)


def folded_tags(row: PhotoRow) -> frozenset[str]:
    """The tags of a photo as they are compared."""
    return frozenset(folded(each) for each in row.value("tags") or ())


def folded(name: str) -> str:
    """A name in small letters, with single blanks."""
    return " ".join(name.casefold().split())
