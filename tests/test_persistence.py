"""Doing a batch until it is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from agents import persistence
from agents.persistence import do_batch
from stream_app.tables import PartitionMoved


@dataclass
class Event:
    """What the batch needs of a Faust event, of a worker in its third generation."""

    name: str
    generation: int = 3
    worker_ends: bool = False
    acks: int = 0

    @property
    def app(self) -> SimpleNamespace:
        """The worker."""
        return SimpleNamespace(consumer_generation_id=3, should_stop=self.worker_ends)

    @property
    def message(self) -> SimpleNamespace:
        """The message, which knows when it was read."""
        return SimpleNamespace(generation_id=self.generation)

    def ack(self) -> None:
        """Count an acknowledgement."""
        self.acks += 1


@dataclass
class Pile:
    """Dead letters in memory."""

    letters: list[tuple[str, str, str]] = field(default_factory=list)

    async def put(self, event: Event, stage: str, reason: str) -> None:
        """Take one."""
        self.letters.append((event.name, stage, reason))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """The pauses between tries are for a service to recover; here nothing does."""
    monkeypatch.setattr(persistence, "PAUSE_SECONDS_MAX", 0.0)


class TestDoBatch:
    """Nothing is dropped, nothing is acknowledged too early."""

    async def test_a_batch_that_fails_in_its_middle_is_done_again_as_a_whole(self):
        """The second try finds the service back."""
        events, pile, tries = [Event("a"), Event("b")], Pile(), []

        async def work(batch):
            tries.append([each.name for each in batch])
            assert not any(each.acks for each in events)
            if len(tries) == 1:
                raise ConnectionError("away")

        await do_batch(work, events, "embed", pile)

        assert tries == [["a", "b"], ["a", "b"]]
        assert [each.acks for each in events] == [1, 1]
        assert pile.letters == []

    async def test_one_bad_event_becomes_a_dead_letter_and_the_others_are_done(self):
        """However often the batch is tried, one of it fails."""
        events, pile, done = [Event("good"), Event("bad"), Event("fine")], Pile(), set()

        async def work(batch):
            for each in batch:
                if each.name == "bad":
                    raise ValueError("a bug")
                done.add(each.name)

        await do_batch(work, events, "index", pile)

        assert done == {"good", "fine"}
        assert pile.letters == [("bad", "index", "unexpected ValueError: a bug")]
        assert [each.acks for each in events] == [1, 1, 1]

    async def test_a_cancelled_batch_acknowledges_nothing(self):
        """A rebalance takes the agent away in the middle: the next owner gets the events again."""
        import asyncio

        events, pile = [Event("a")], Pile()

        async def work(batch):
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await do_batch(work, events, "embed", pile)

        assert events[0].acks == 0

    async def test_a_batch_whose_partitions_have_moved_is_left_to_their_new_owner(self):
        """Neither acknowledged, nor a dead letter, nor tried again."""
        events, pile, tries = [Event("a"), Event("b")], Pile(), []

        async def work(batch):
            tries.append(batch)
            raise PartitionMoved

        await do_batch(work, events, "catalogue", pile)

        assert len(tries) == 1
        assert [each.acks for each in events] == [0, 0]
        assert pile.letters == []

    async def test_what_was_read_before_a_rebalance_takes_nothing_along_that_was_read_since(self):
        """An agent's buffer may hold both; the former is read again, and the latter by nobody else."""
        events, pile, done = [Event("left behind", generation=2), Event("fresh")], Pile(), []

        async def work(batch):
            done.extend(each.name for each in batch)

        await do_batch(work, events, "embed", pile)

        assert done == ["fresh"]
        assert [each.acks for each in events] == [0, 1]

    async def test_what_is_done_only_after_its_partition_has_moved_is_not_acknowledged(self):
        """Faust would commit up to there, and pass over what came before and was not done."""
        events, pile = [Event("a")], Pile()

        async def work(batch):
            events[0].generation = 2

        await do_batch(work, events, "embed", pile)

        assert events[0].acks == 0

    async def test_what_fails_because_the_worker_ends_is_no_dead_letter(self):
        """Its producers are closed one after the other; the next worker does the batch."""
        events, pile = [Event("a", worker_ends=True)], Pile()

        async def work(batch):
            raise ConnectionError("closed")

        await do_batch(work, events, "index", pile)

        assert events[0].acks == 0
        assert pile.letters == []
