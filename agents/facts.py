"""An activity event with its place in the log: what the agents on `photo-activity` share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from faust.types import EventT

from stream_app.activity import Event, PhotoDeleted, UserDeleted, event_key, parse_event
from stream_app.versions import KIND_CHANGED, KIND_DELETED, Version, version_of

A = TypeVar("A", bound=Event)


@dataclass(frozen=True)
class Fact(Generic[A]):
    """A valid event of `photo-activity`, its version, and the Faust event that carried it."""

    activity: A
    version: Version
    source: EventT

    @property
    def photo_id(self) -> int:
        """The photo that the fact is about, where it is about one."""
        return event_key(self.activity)

    @property
    def partition(self) -> int:
        """The partition of every topic and table in which the photo lives; of a user's event one of them."""
        return self.source.message.partition


def fact_from(source: EventT) -> Fact[Any]:
    """The fact that a Faust event carries; raises EventRejected on one that is no valid event."""
    message = source.message
    activity = parse_event(message.value, message.key)
    kind = KIND_DELETED if isinstance(activity, PhotoDeleted | UserDeleted) else KIND_CHANGED
    broker_time_ms = int(message.timestamp * 1000)
    version = version_of(activity.time_ms, broker_time_ms, kind, message.partition, message.offset)
    return Fact(activity, version, source)


def facts_of(kind: type[A], facts: Iterable[Fact[Any]]) -> list[Fact[A]]:
    """Those facts whose activity is of one kind."""
    return [fact for fact in facts if isinstance(fact.activity, kind)]


def waves(facts: Iterable[Fact[Any]]) -> list[list[Fact[Any]]]:
    """The same facts in groups that hold each photo at most once, its earlier facts in the earlier groups.

    A batch may be worked on at once only where nothing in it rests on something else in it.
    """
    groups: list[list[Fact[Any]]] = []
    seen: Counter[int] = Counter()
    for fact in facts:
        if seen[fact.photo_id] == len(groups):
            groups.append([])
        groups[seen[fact.photo_id]].append(fact)
        seen[fact.photo_id] += 1
    return groups
