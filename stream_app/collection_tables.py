"""Tables with a row for each (collection, photo), from which one collection's rows can be had without the others'."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import faust
from faust.types import TP, EventT

from stream_app.collection_events import Kind
from stream_app.collection_rows import CollectionRow, row_from_bytes
from stream_app.portfolios import PortfolioRow
from stream_app.tables import ConfirmedTable, KeyedRows, Row

View = TypeVar("View")

_clock = itertools.count(1)


@dataclass
class _Shelf:
    """What is known of one collection beside its rows: their keys, when they last changed, what was made of them."""

    keys: set[bytes] = field(default_factory=set)
    version: int = 0
    view: Any = None
    view_version: int = -1


class _ShelvedTable(ConfirmedTable):
    """A table whose keys stand on shelves by their first part.

    Rows change in three ways: by an event, by a recovery, and by a rebalance that takes their partition away. The
    first is seen as it happens; after the others, which both end in `on_recovery_completed`, all shelves are filled
    again from the store: so it makes no difference which rows came over the changelog, as a standby's do before they
    count, and which were on disk.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shelves: dict[bytes, _Shelf] = {}
        self.owned_partitions: set[int] | None = None
        self.recovered = asyncio.Event()

    def on_key_set(self, key: bytes, value: bytes) -> None:
        super().on_key_set(key, value)
        self.shelf(key).keys.add(key)

    def on_key_del(self, key: bytes) -> None:
        super().on_key_del(key)
        self.shelf(key).keys.discard(key)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        await super().on_recovery_completed(active_tps, standby_tps)
        self.shelves = {}
        for key in list(self.data.keys()):
            self.shelf(key).keys.add(key)
        self.owned_partitions = {each.partition for each in active_tps}
        self.recovered.set()

    def shelf(self, key: bytes) -> _Shelf:
        """The shelf of a key whose row changes now."""
        shelf = self.shelves.setdefault(key.partition(b"/")[0], _Shelf())
        shelf.version = next(_clock)
        return shelf


class CollectionTable(KeyedRows[Row], Generic[Row]):
    """Rows by collection and photo; a row without a photo is that of the collection itself."""

    _table: _ShelvedTable

    def __init__(self, app: faust.App, name: str, **options: Any) -> None:
        super().__init__(app, name, kind=_ShelvedTable, **options)

    @property
    def owned_partitions(self) -> set[int] | None:
        """The partitions whose rows are all here; None before the first recovery."""
        return self._table.owned_partitions

    async def recovered(self) -> None:
        """Return when the rows have been recovered for the first time, as those of all other tables have then."""
        await self._table.recovered.wait()

    def get(self, collection_id: int, photo_id: int | None = None) -> Row | None:
        """The row of a photo in a collection, or of the collection, or None."""
        return self._get(_key(collection_id, photo_id))

    def set(self, event: EventT, collection_id: int, photo_id: int | None, row: Row) -> None:
        """Write a row because of `event`, whose key is the collection; call `confirmed` before it is acknowledged."""
        self._set(event, _key(collection_id, photo_id), row)

    def remove(self, event: EventT, collection_id: int, photo_id: int | None) -> None:
        """Take a row away, as `set` writes one."""
        self._set(event, _key(collection_id, photo_id), None)

    def rows_of(self, collection_id: int) -> list[Row]:
        """The rows of one collection, in no order; empty for one that was never heard of."""
        shelf = self._table.shelves.get(b"%d" % collection_id)
        rows = [self._get(key) for key in sorted(shelf.keys)] if shelf else []
        return [row for row in rows if row is not None]

    def version_of(self, collection_id: int) -> int:
        """Grows with every change of the collection's rows; 0 where there are none. Means nothing to another worker."""
        shelf = self._table.shelves.get(b"%d" % collection_id)
        return shelf.version if shelf else 0

    def touch(self, collection_id: int) -> None:
        """Say that something about the collection changed that is not in its rows yet."""
        self._table.shelf(b"%d" % collection_id)

    def view_of(self, collection_id: int, made: Callable[[list[Row]], View]) -> View:
        """What `made` makes of the collection's rows, made again only when these have changed."""
        shelf = self._table.shelves.get(b"%d" % collection_id)
        if shelf is None:
            return made([])
        if shelf.view_version != shelf.version:
            shelf.view, shelf.view_version = made(self.rows_of(collection_id)), shelf.version
        view: View = shelf.view
        return view

    def knows(self, collection_id: int) -> bool:
        """Whether the collection has a row here."""
        shelf = self._table.shelves.get(b"%d" % collection_id)
        return shelf is not None and bool(shelf.keys)

    def collection_ids(self) -> list[int]:
        """Every collection that has a row here."""
        return [int(key) for key, shelf in list(self._table.shelves.items()) if shelf.keys]

    @property
    def changelog(self) -> str:
        """The topic that the rows survive on."""
        return str(self._table.changelog_topic_name)

    def confirmed_offset(self, partition: int) -> int:
        """The offset of the partition's newest row that the broker has confirmed; -1 where this worker wrote none."""
        return self._table.confirmed_offsets.get(partition, -1)


def collection_tables(
    app: faust.App, partition_count: int
) -> tuple[dict[Kind, CollectionTable[CollectionRow]], CollectionTable[PortfolioRow]]:
    """Those of galleries and quests, and the portfolios."""

    def table(name: str, from_bytes: Callable[[bytes], Any]) -> CollectionTable[Any]:
        return CollectionTable(
            app, name, partition_count=partition_count, to_bytes=lambda row: row.to_bytes(), from_bytes=from_bytes
        )

    by_kind: dict[Kind, CollectionTable[CollectionRow]] = {
        "gallery": table("galleries", row_from_bytes),
        "quest": table("quests", row_from_bytes),
    }
    return by_kind, table("portfolios", PortfolioRow.from_bytes)


def _key(collection_id: int, photo_id: int | None) -> bytes:
    return b"%d" % collection_id if photo_id is None else b"%d/%d" % (collection_id, photo_id)
