"""An activity event with its place in the log: what the agents on `photo-activity` share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from faust.types import EventT

from stream_app.activity import Event, PhotoDeleted, parse_event
from stream_app.versions import KIND_CHANGED, KIND_DELETED, Version, version_of


@dataclass(frozen=True)
class Fact:
    """A valid event of `photo-activity`, its version, and the Faust event that carried it."""

    activity: Event
    version: Version
    source: EventT

    @property
    def photo_id(self) -> int:
        """The photo that the fact is about."""
        return self.activity.photo_id

    @property
    def partition(self) -> int:
        """The partition of every topic and table in which the photo lives."""
        return self.source.message.partition


def fact_from(source: EventT) -> Fact:
    """The fact that a Faust event carries; raises EventRejected on one that is no valid event."""
    message = source.message
    activity = parse_event(message.value, message.key)
    kind = KIND_DELETED if isinstance(activity, PhotoDeleted) else KIND_CHANGED
    broker_time_ms = int(message.timestamp * 1000)
    version = version_of(activity.time_ms, broker_time_ms, kind, message.partition, message.offset)
    return Fact(activity, version, source)


def newest_of_each(facts: Iterable[Fact]) -> list[Fact]:
    """For every photo only its newest fact: within one batch the older ones have no effect."""
    newest: dict[int, Fact] = {}
    for fact in facts:
        known = newest.get(fact.photo_id)
        if known is None or fact.version > known.version:
            newest[fact.photo_id] = fact
    return list(newest.values())
