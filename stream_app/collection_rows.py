"""The rows of galleries and quests: one for each photo that was ever in, and one for the collection itself.

Every field is a register that the newest version wins, or a set that only grows until a newer removal, so any order
of the same events ends in the same rows. Nothing is counted or summed up: delivery is at least once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import orjson

from stream_app.collection_events import BriefChanged, CollectionDeleted, CollectionEvent, PhotoEntered, PhotoLeft
from stream_app.versions import BEFORE_ALL, KIND_CHANGED, KIND_DELETED, Version

#: Of a photo that is submitted over and over the first entry is kept, and the newest ones.
ENTRIES_MAX = 16


class Entry(NamedTuple):
    """One addition or submission of a photo; `user_id` is who submitted it, where that was said."""

    version: Version
    user_id: int | None = None


@dataclass(frozen=True)
class MemberRow:
    """One photo of one collection: how often it came in since it last went out, oldest first, and when that was."""

    photo_id: int
    entries: tuple[Entry, ...] = ()
    left_version: Version = BEFORE_ALL

    def entries_since(self, deletion_version: Version) -> tuple[Entry, ...]:
        """What still counts in a collection that was deleted at some time; nothing where the photo is not in."""
        return tuple(each for each in self.entries if each.version > max(self.left_version, deletion_version))

    @property
    def newest_version(self) -> Version:
        """That of the newest event that the row knows of."""
        return max(self.left_version, self.entries[-1].version if self.entries else BEFORE_ALL)

    def to_bytes(self) -> bytes:
        """As JSON, for the table."""
        return orjson.dumps([self.photo_id, self.left_version, self.entries], default=list)


@dataclass(frozen=True)
class HeadRow:
    """A collection itself: when it was deleted, and what a quest asks for."""

    deletion_version: Version = BEFORE_ALL
    words: str = ""
    words_version: Version = BEFORE_ALL
    example_photo_ids: tuple[int, ...] = ()
    examples_version: Version = BEFORE_ALL

    @property
    def newest_version(self) -> Version:
        """That of the newest event that the row knows of."""
        return max(self.words_version, self.examples_version, self.deletion_version)

    def to_bytes(self) -> bytes:
        """As JSON, for the table."""
        brief = [self.words, self.words_version, self.example_photo_ids, self.examples_version]
        return orjson.dumps([None, self.deletion_version, brief], default=list)


CollectionRow = MemberRow | HeadRow


def row_from_bytes(data: bytes) -> CollectionRow:
    """The inverse of both `to_bytes`."""
    photo_id, version, rest = orjson.loads(data)
    if photo_id is not None:
        entries = tuple(Entry(Version(*each), user_id) for each, user_id in rest)
        return MemberRow(photo_id, entries, Version(*version))
    words, words_version, examples, examples_version = rest
    return HeadRow(Version(*version), words, Version(*words_version), tuple(examples), Version(*examples_version))


def kind_of_version(event: CollectionEvent) -> int:
    """Which kind its version is of: what goes out wins a tie against what comes in, as for photos."""
    return KIND_DELETED if isinstance(event, PhotoLeft | CollectionDeleted) else KIND_CHANGED


def with_membership(row: MemberRow, event: PhotoEntered | PhotoLeft, version: Version) -> MemberRow:
    """`row` after its photo came in or went out."""
    if isinstance(event, PhotoLeft):
        left_version = max(row.left_version, version)
        return replace(row, left_version=left_version, entries=_kept(row.entries, left_version))
    return replace(row, entries=_kept((*row.entries, Entry(version, event.user_id)), row.left_version))


def with_head_event(head: HeadRow, event: BriefChanged | CollectionDeleted, version: Version) -> HeadRow:
    """`head` after its collection was deleted or its brief changed; nothing older than a deletion remains."""
    if isinstance(event, CollectionDeleted):
        if version <= head.deletion_version:
            return head
        kept = HeadRow(deletion_version=version)
        if head.words_version > version:
            kept = replace(kept, words=head.words, words_version=head.words_version)
        if head.examples_version > version:
            kept = replace(kept, example_photo_ids=head.example_photo_ids, examples_version=head.examples_version)
        return kept
    if event.words is not None and version > max(head.words_version, head.deletion_version):
        head = replace(head, words=event.words, words_version=version)
    if event.example_photo_ids is not None and version > max(head.examples_version, head.deletion_version):
        head = replace(head, example_photo_ids=event.example_photo_ids, examples_version=version)
    return head


def changed_row(
    get: Callable[[int | None], CollectionRow | None], event: CollectionEvent, version: Version
) -> tuple[int | None, CollectionRow] | None:
    """The row of a collection that an event changes: (photo_id, row), or (None, the collection's own), or None.

    `get` gives the rows as they are, the collection's own for None.
    """
    own = get(None)
    head = own if isinstance(own, HeadRow) else HeadRow()
    if isinstance(event, BriefChanged | CollectionDeleted):
        new_head = with_head_event(head, event, version)
        return None if new_head == head else (None, new_head)
    if version <= head.deletion_version:
        return None
    known = get(event.photo_id)
    row = known if isinstance(known, MemberRow) else MemberRow(event.photo_id)
    new_row = with_membership(row, event, version)
    return None if new_row == row else (event.photo_id, new_row)


def is_over(row: MemberRow, deletion_version: Version) -> bool:
    """Whether a member's row says nothing that the deletion of its collection does not say."""
    return row.newest_version <= deletion_version


def _kept(entries: Iterable[Entry], left_version: Version) -> tuple[Entry, ...]:
    """Those after the removal, oldest first; several at the same moment are one event that was sent again."""
    moments: dict[int, Entry] = {}
    for each in sorted(entries, key=lambda entry: entry.version):
        if each.version > left_version:
            moments.setdefault(each.version.time_ms, each)
    kept = tuple(moments.values())
    return kept if len(kept) <= ENTRIES_MAX else (kept[0], *kept[1 - ENTRIES_MAX :])
