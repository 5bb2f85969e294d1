"""What this worker has accepted and the table does not know yet: so that a photo is there as soon as it is said so."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from stream_app.activity import PhotoEvent
from stream_app.catalogue import PhotoRow, joined, with_event
from stream_app.versions import Version

#: The agents catch up within seconds; what they have not taken in after this time is not waited for.
ACCEPTED_SECONDS_MAX = 600.0
ACCEPTED_PHOTOS_MAX = 4_096


class AcceptedChanges:
    """For each photo the row that its latest events make; searches look at it from their own threads."""

    def __init__(
        self, *, photos_max: int = ACCEPTED_PHOTOS_MAX, clock_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._photos_max = photos_max
        self._clock_seconds = clock_seconds
        self._rows: OrderedDict[int, tuple[float, PhotoRow]] = OrderedDict()  # oldest first
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def note(self, event: PhotoEvent, version: Version) -> None:
        """Remember an event that the broker has confirmed."""
        now = self._clock_seconds()
        with self._lock:
            _, row = self._rows.pop(event.photo_id, (now, PhotoRow(event.photo_id)))
            self._rows[event.photo_id] = (now, with_event(row, event, version))
            while len(self._rows) > self._photos_max or self._is_old(next(iter(self._rows.values()))):
                self._rows.popitem(last=False)

    def seen_in(self, photo_id: int, row: PhotoRow | None) -> PhotoRow | None:
        """The row as the table will have it; what the table's `row` has by now is forgotten here."""
        if photo_id not in self._rows:
            return row
        with self._lock:
            entry = self._rows.get(photo_id)
            if entry is None:
                return row
            ahead = joined(row or PhotoRow(photo_id), entry[1])
            if ahead != row and not self._is_old(entry):
                return ahead
            del self._rows[photo_id]
            return row

    def _is_old(self, entry: tuple[float, PhotoRow]) -> bool:
        return self._clock_seconds() - entry[0] > ACCEPTED_SECONDS_MAX
