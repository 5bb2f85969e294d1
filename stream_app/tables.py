"""Faust tables whose writes can be awaited, their rows kept as bytes; one is keyed by photo."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import faust
from faust.streams import _current_event, current_event
from faust.types import EventT

from stream_app.records import photo_key

Row = TypeVar("Row")


class PartitionMoved(Exception):
    """The event was read before a rebalance; whoever has its partition now reads it again."""


def is_left_behind(event: EventT) -> bool:
    """Whether an event was read before a rebalance: it was not acknowledged by then, so it is read again."""
    return event.message.generation_id not in (None, event.app.consumer_generation_id)


def require_own(event: EventT) -> None:
    """Raises PartitionMoved for an event that is left behind."""
    if is_left_behind(event):
        raise PartitionMoved


class ConfirmedTable(faust.Table):
    """Faust's table, remembering which changelog messages the broker has not confirmed yet.

    Faust sends the changelog "soon" and forgets about it, so an event could be acknowledged, and its offset
    committed, while the row that it caused is still in a buffer of a process that is about to be killed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unconfirmed: set[asyncio.Future] = set()
        self.confirmed_offsets: dict[int, int] = {}

    def send_changelog(self, *args: Any, **kwargs: Any) -> Any:
        future = super().send_changelog(*args, **kwargs)
        self.unconfirmed.add(future)
        future.add_done_callback(self._confirmed)
        return future

    def on_key_set(self, key: bytes, value: bytes) -> None:
        super().on_key_set(key, value)
        # Faust's store in memory drops the rows of lost partitions, but only those that came from the changelog.
        if (places := getattr(self.data, "_key_partition", None)) is not None:
            places[key] = current_event().message.partition

    def _confirmed(self, future: asyncio.Future) -> None:
        self.unconfirmed.discard(future)
        if not future.cancelled() and not future.exception():
            sent = future.result()
            self.confirmed_offsets[sent.partition] = max(sent.offset, self.confirmed_offsets.get(sent.partition, -1))


class KeyedRows(Generic[Row]):
    """Rows of one kind, kept in a changelog-backed Faust table as bytes.

    A row is written by the worker that has its partition, and by no other: what one wrote that has lost it could
    lie behind a newer row in the changelog, and would be what the next recovery finds.
    """

    def __init__(
        self,
        app: faust.App,
        name: str,
        *,
        partition_count: int,
        to_bytes: Callable[[Row], bytes],
        from_bytes: Callable[[bytes], Row],
        kind: type[ConfirmedTable] = ConfirmedTable,
    ) -> None:
        self._table = kind(app, name=name, partitions=partition_count, key_type=bytes, value_type=bytes, default=None)
        app.tables.add(self._table)
        self._to_bytes = to_bytes
        self._from_bytes = from_bytes
        #: How many rows this worker has written; tells whoever made something of the rows that they have changed.
        self.changes = 0

    async def confirmed(self) -> None:
        """Return when the broker has confirmed every row written so far."""
        await asyncio.gather(*self._table.unconfirmed)

    def rows(self) -> Iterator[Row]:
        """Every row of the partitions that this worker owns, in no order."""
        return (self._from_bytes(data) for data in list(self._table.values()) if data is not None)

    def _get(self, key: bytes) -> Row | None:
        # Asked with an event at hand, RocksDB would look only into the partition of that event.
        token = _current_event.set(None)
        try:
            data = self._table.get(key)
        finally:
            _current_event.reset(token)
        return None if data is None else self._from_bytes(data)

    def _set(self, event: EventT, key: bytes, row: Row | None) -> None:
        """Write a row because of `event`, or take it away; raises PartitionMoved.

        Faust takes the partition of a row from the event at hand, which in a batch is the batch's last one:
        hence the event is put back in place here.
        """
        require_own(event)
        token = _current_event.set(weakref.ref(event))
        try:
            if row is None:
                del self._table[key]
            else:
                self._table[key] = self._to_bytes(row)
        finally:
            _current_event.reset(token)
        self.changes += 1


class RowTable(KeyedRows[Row]):
    """Rows of one kind by `photo_id`.

    `watch` is told of each row that is written; rows that are recovered from the changelog it must look up itself.
    """

    def __init__(
        self, app: faust.App, name: str, *, watch: Callable[[Row], None] | None = None, **options: Any
    ) -> None:
        super().__init__(app, name, **options)
        self._watch = watch

    def get(self, photo_id: int) -> Row | None:
        """The row of a photo, or None."""
        return self._get(photo_key(photo_id))

    def set(self, event: EventT, photo_id: int, row: Row) -> None:
        """Write a row because of `event`; call `confirmed` before the event is acknowledged. Raises PartitionMoved."""
        self._set(event, photo_key(photo_id), row)
        if self._watch:
            self._watch(row)


class PartitionRows(KeyedRows[Row]):
    """Rows of one kind that every partition keeps for itself, by an id that has no partition of its own."""

    def get(self, partition: int, number: int) -> Row | None:
        """The row that a partition has of an id, or None."""
        return self._get(b"%d/%d" % (partition, number))

    def set(self, event: EventT, number: int, row: Row) -> None:
        """Write a row into the partition of `event`; call `confirmed` before it is acknowledged."""
        self._set(event, b"%d/%d" % (event.message.partition, number), row)
