"""Galleries, quests and portfolios as they are asked for, made from their rows: plain functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stream_app.collection_rows import CollectionRow, Entry, HeadRow, MemberRow
from stream_app.errors import CollectionNotFound
from stream_app.portfolios import PortfolioRow
from stream_app.versions import BEFORE_ALL, Version


@dataclass(frozen=True)
class Gallery:
    """A gallery's members in the order in which they were added; not all of them need be in the album.

    `version` grows with every change, so that what was computed for it can be kept by (gallery_id, version). It
    means nothing to another worker, or to this one when it starts again.
    """

    gallery_id: int
    photo_ids: tuple[int, ...]
    version: int


@dataclass(frozen=True)
class Submission:
    """A photo that was submitted to a quest, by whom (None where that was not said), and each time it was again."""

    photo_id: int
    version: Version
    user_id: int | None = None
    again: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Quest:
    """What a quest asks for, and its submissions in the order in which they came; `version` as of a gallery."""

    quest_id: int
    words: str
    example_photo_ids: tuple[int, ...]
    submissions: tuple[Submission, ...]
    version: int


@dataclass(frozen=True)
class Portfolio:
    """All photos of one photographer, those uploaded first before the others; `version` as of a gallery."""

    user_id: int
    photo_ids: tuple[int, ...]
    version: int


def gallery_of(gallery_id: int, rows: Iterable[CollectionRow], version: int) -> Gallery:
    """The gallery that the rows make; raises CollectionNotFound."""
    _, submissions = _read(f"gallery {gallery_id}", rows)
    return Gallery(gallery_id, tuple(each.photo_id for each in submissions), version)


def quest_of(quest_id: int, rows: Iterable[CollectionRow], version: int) -> Quest:
    """The quest that the rows make; raises CollectionNotFound."""
    head, submissions = _read(f"quest {quest_id}", rows)
    return Quest(quest_id, head.words, head.example_photo_ids, submissions, version)


def portfolio_of(user_id: int, rows: Iterable[PortfolioRow], version: int) -> Portfolio:
    """The portfolio that the rows make; raises CollectionNotFound where no photo ever was this photographer's."""
    owned = list(rows)
    if not owned:
        raise _not_found(f"portfolio of user {user_id}", "a user whose photos were never heard of")
    present = sorted((each.upload_version, each.photo_id) for each in owned if each.present)
    return Portfolio(user_id, tuple(photo_id for _, photo_id in present), version)


def _read(name: str, rows: Iterable[CollectionRow]) -> tuple[HeadRow, tuple[Submission, ...]]:
    """A collection's own row, and who is in; any event since its deletion makes it one that is known."""
    given = list(rows)
    head = next((each for each in given if isinstance(each, HeadRow)), HeadRow())
    if all(each.newest_version <= head.deletion_version for each in given):
        deleted = head.deletion_version > BEFORE_ALL
        raise _not_found(name, "one that was deleted" if deleted else "one that was never heard of")
    submissions = []
    for row in given:
        if isinstance(row, MemberRow) and (entries := row.entries_since(head.deletion_version)):
            (version, user_id), *again = entries
            submissions.append(Submission(row.photo_id, version, user_id, tuple(again)))
    return head, tuple(sorted(submissions, key=lambda each: each.version))


def _not_found(name: str, received: str) -> CollectionNotFound:
    return CollectionNotFound(
        f"There is no {name}",
        expected="one that an event of collection-activity, or of its photos, has spoken of",
        received=received,
        remedy="It begins with its brief." if name.startswith("quest") else "It begins with its first photo.",
    )
