"""What this worker has accepted of galleries and quests and the tables do not know yet."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from stream_app.accepted import ACCEPTED_SECONDS_MAX
from stream_app.collection_events import CollectionEvent, Kind
from stream_app.collection_rows import CollectionRow, MemberRow, changed_row
from stream_app.versions import Version

ACCEPTED_EVENTS_MAX = 16_384


class _Accepted(NamedTuple):
    seconds: float
    event: CollectionEvent
    version: Version


class AcceptedEvents:
    """The latest events of each collection, laid over its rows until these have them."""

    def __init__(
        self, *, events_max: int = ACCEPTED_EVENTS_MAX, clock_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._events_max = events_max
        self._clock_seconds = clock_seconds
        self._events: OrderedDict[tuple[Kind, int], list[_Accepted]] = OrderedDict()  # changed longest ago first
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def note(self, event: CollectionEvent, version: Version) -> None:
        """Remember an event that the broker has confirmed."""
        here = event.kind, event.collection_id
        self._events.setdefault(here, []).append(_Accepted(self._clock_seconds(), event, version))
        self._events.move_to_end(here)
        self._count += 1
        while self._count > self._events_max or self._is_old(next(iter(self._events.values()))[-1]):
            self._keep(next(iter(self._events)), [])

    def newest_time_ms(self, kind: Kind, collection_id: int) -> int:
        """That of the newest event of the collection that is remembered; 0 where there is none."""
        return max((each.version.time_ms for each in self._events.get((kind, collection_id), ())), default=0)

    def laid_over(self, kind: Kind, collection_id: int, rows: Iterable[CollectionRow]) -> list[CollectionRow]:
        """The rows as the table will have them; what the table's `rows` have by now is forgotten here."""
        here = kind, collection_id
        table = {row.photo_id if isinstance(row, MemberRow) else None: row for row in rows}
        ahead = [
            each
            for each in self._events.get(here, ())
            if changed_row(table.get, each.event, each.version) and not self._is_old(each)
        ]
        self._keep(here, ahead)
        for each in ahead:
            if changed := changed_row(table.get, each.event, each.version):
                table[changed[0]] = changed[1]
        return list(table.values())

    def _keep(self, here: tuple[Kind, int], events: list[_Accepted]) -> None:
        before = self._events.pop(here, [])
        self._count += len(events) - len(before)
        if events:
            self._events[here] = events

    def _is_old(self, accepted: _Accepted) -> bool:
        return self._clock_seconds() - accepted.seconds > ACCEPTED_SECONDS_MAX
