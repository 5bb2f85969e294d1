"""Whose events may write rows: those of the partitions that a worker has now."""

from __future__ import annotations

import faust
import pytest
from faust_events import faust_event

from stream_app.activity import PhotoDeleted
from stream_app.catalogue import PhotoRow
from stream_app.steady_transport import NO_GENERATION
from stream_app.tables import PartitionMoved, RowTable, require_own


class Worker:
    """A worker without a broker: only its table, and the rebalances that it is told of."""

    def __init__(self) -> None:
        self.app = faust.App("tables", broker="kafka://127.0.0.1:1")
        self.app.consumer_generation_id = 1
        kinds = {"to_bytes": PhotoRow.to_bytes, "from_bytes": PhotoRow.from_bytes}
        self.rows: RowTable[PhotoRow] = RowTable(self.app, "photos", partition_count=4, **kinds)

    def event(self):
        """An event that was read just now."""
        event = faust_event(PhotoDeleted(1, None), self.app.topic("activity"), offset=7)
        event.message.generation_id = self.app.consumer_generation_id
        return event

    def lose_partitions(self) -> None:
        """A rebalance begins."""
        self.app.consumer_generation_id = NO_GENERATION

    def get_partitions(self) -> None:
        """It ends; Kafka counts generations."""
        self.app.consumer_generation_id = 2


def test_an_event_of_before_a_rebalance_writes_no_row_any_more():
    """Another worker may have gone on by then: a late row would hide what that one has written."""
    worker = Worker()
    event = worker.event()
    require_own(event)
    worker.lose_partitions()

    with pytest.raises(PartitionMoved):
        worker.rows.set(event, 1, PhotoRow(1))
    worker.get_partitions()
    with pytest.raises(PartitionMoved):
        worker.rows.set(event, 1, PhotoRow(1))
    require_own(worker.event())
