"""What outlives the embedded broker."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from stream_app import kafka, topics
from stream_app.embedded_log import KeptLog, LogKeeper, holds, kept_path, restore, until_kept
from stream_app.errors import SegmentCorrupt, SettingsError
from stream_app.local_services import LocalServices
from stream_app.settings import Settings

EMBEDDINGS = "photo-embeddings.tiny"
Sent = tuple[int, bytes, bytes | None]


class Run:
    """One life of the embedded broker: restored, kept, and at the end gone."""

    def __init__(self, folder: Path, partition_count: int = 4) -> None:
        self._services = LocalServices(
            Settings(data_dir=folder, redis_url="redis://unused:1", partition_count=partition_count)
        )

    async def __aenter__(self) -> Run:
        self.settings = self._services.__enter__()
        try:
            specs = topics.topic_specs(self.settings, "tiny")
            await topics.create_topics(self.settings, specs)
            self.restored = await restore(self.settings, specs)
        except BaseException:
            self._services.__exit__()
            raise
        self.keeper = LogKeeper(self.settings, specs)
        await self.keeper.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.keeper.stop()
        self._services.__exit__()

    async def send(self, *messages: Sent, topic: str = EMBEDDINGS) -> int:
        """Send (partition, key, value)s; returns the last one's offset."""
        async with kafka.producer(self.settings) as producer:
            for partition, key, value in messages:
                sent = await producer.send_and_wait(topic, value, key, partition)
        return sent.offset

    async def messages(self, topic: str = EMBEDDINGS) -> list[Sent]:
        """All that the broker holds, in order within each partition."""
        here = [TopicPartition(topic, each) for each in range(self.settings.partition_count)]
        found = []
        async with kafka.consumer(self.settings) as consumer:
            consumer.assign(here)
            ends = await consumer.end_offsets(here)
            while any([await consumer.position(each) < ends[each] for each in here]):
                for batch in (await consumer.getmany(timeout_ms=100)).values():
                    found += [(each.partition, each.key, each.value) for each in batch]
        return sorted(found, key=lambda each: each[0])


class TestASecondLife:
    """Stop everything, start it again."""

    async def test_the_newest_record_of_each_key_is_there_again_in_its_partition(self, tmp_path):
        """Older ones and deleted keys are not."""
        async with Run(tmp_path) as run:
            await run.send((1, b"5", b"old"), (2, b"6", b"kept"), (1, b"7", b"gone"))
            await run.send((1, b"8", b"first"), (1, b"5", b"new"), (1, b"7", None))

        async with Run(tmp_path) as run:
            assert await run.messages() == [(1, b"8", b"first"), (1, b"5", b"new"), (2, b"6", b"kept")]

    async def test_changelogs_of_tables_live_on_and_events_do_not(self, tmp_path):
        """Only compacted topics are kept."""
        async with Run(tmp_path) as run:
            await run.send((0, b"1", b"row"), topic="sightline-photos-changelog")
            await run.send((0, b"1", b"event"), topic="photo-activity")

        async with Run(tmp_path) as run:
            assert await run.messages("sightline-photos-changelog") == [(0, b"1", b"row")]
            assert await run.messages("photo-activity") == []

    async def test_three_lives_hold_as_much_as_two(self, tmp_path):
        """What is restored is not taken for something new."""
        async with Run(tmp_path) as run:
            await run.send(*((each % 4, str(each).encode(), b"v") for each in range(40)))
        async with Run(tmp_path) as run:
            await run.send((0, b"0", b"w"), (1, b"new", b"v"))

        async with Run(tmp_path) as run:
            assert run.restored == 41
            assert len(await run.messages()) == 41
            assert (0, b"0", b"w") in await run.messages()

    async def test_another_partition_count_is_refused(self, tmp_path):
        """Keys would lie in other partitions than before."""
        async with Run(tmp_path) as run:
            await run.send((3, b"1", b"v"))

        with pytest.raises(SettingsError, match=r"SIGHTLINE_PARTITION_COUNT=4.*received 2"):
            async with Run(tmp_path, partition_count=2):
                pass

    async def test_a_damaged_file_is_named(self, tmp_path):
        """With what to do about it."""
        tmp_path.joinpath("log.sqlite").write_bytes(b"not a database" * 100)

        with pytest.raises(SegmentCorrupt, match=r"log\.sqlite is damaged"):
            async with Run(tmp_path):
                pass

    async def test_a_folder_in_the_place_of_the_file_is_named(self, tmp_path):
        """As a damaged file is."""
        tmp_path.joinpath("log.sqlite").mkdir()

        with pytest.raises(SegmentCorrupt, match="received a folder"):
            async with Run(tmp_path):
                pass


class TestKnowingThatItIsKept:
    """`holds` and `until_kept`, as another process asks."""

    async def test_a_record_is_held_once_it_was_waited_for(self, tmp_path):
        """And a later one is not."""
        async with Run(tmp_path) as run:
            offset = await run.send((2, b"9", None))
            await until_kept(run.settings, EMBEDDINGS, 2, offset)

            assert holds(kept_path(run.settings), EMBEDDINGS, 2, offset)
            assert not holds(kept_path(run.settings), EMBEDDINGS, 2, offset + 1)
            assert not holds(kept_path(run.settings), EMBEDDINGS, 3, 0)

    async def test_a_new_life_does_not_hold_what_only_the_old_one_had(self, tmp_path):
        """Offsets begin anew with the broker."""
        async with Run(tmp_path) as run:
            await run.send((1, b"1", b"a"), (1, b"1", b"b"), (1, b"1", b"c"))

        async with Run(tmp_path) as run:
            assert holds(kept_path(run.settings), EMBEDDINGS, 1, 0)
            assert not holds(kept_path(run.settings), EMBEDDINGS, 1, 1)

    def test_without_a_file_nothing_is_held(self, tmp_path):
        """The worker may ask before the keeper has begun."""
        assert not holds(tmp_path / "log.sqlite", EMBEDDINGS, 0, 0)


class TestTheFile:
    """`KeptLog` by itself."""

    def test_a_batch_that_fails_in_its_middle_leaves_nothing_behind(self, tmp_path):
        """Messages and progress are one transaction."""
        here = TopicPartition("t", 0)

        def broken():
            yield message(0, b"1", b"v")
            raise RuntimeError("the power fails")

        with closing(KeptLog(tmp_path / "log.sqlite")) as file:
            file.keep("log", [message(0, b"0", b"v")], {here: 1})
            with pytest.raises(RuntimeError):
                file.keep("log", broken(), {here: 2})

            assert list(file.records("t")) == [(0, b"0", b"v")]
            assert file.next_offset("log", here) == 1
            assert file.next_offset("another log", here) == 0


def message(offset: int, key: bytes, value: bytes) -> ConsumerRecord:
    """A message of topic `t`, as a consumer gives it."""
    return ConsumerRecord("t", 0, offset, 0, 0, key, value, None, len(key), len(value), ())
