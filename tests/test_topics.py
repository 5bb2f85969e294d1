"""The topics of an album, the same on every broker."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from stream_app import kafka, topics
from stream_app.errors import ServiceUnavailable, SettingsError
from stream_app.settings import Settings

VISION = "tiny"


async def partitions_of(settings: Settings, name: str) -> set[int]:
    """The partitions that a client sees."""
    async with kafka.producer(settings) as producer:
        return set(await producer.partitions_for(name))


class TestCreating:
    """`create_topics`."""

    async def test_every_topic_is_there_with_its_partitions_when_it_returns(self, log_settings):
        """Also on a broker that tells its clients late."""
        specs = topics.topic_specs(log_settings, VISION)
        await topics.create_topics(log_settings, specs)

        assert {spec.name: await partitions_of(log_settings, spec.name) for spec in specs} == {
            spec.name: {0, 1, 2, 3} for spec in specs
        }

    async def test_creating_twice_does_no_harm(self, log_settings):
        """The second worker of an album finds what the first one made."""
        specs = topics.topic_specs(log_settings, VISION)
        await topics.create_topics(log_settings, specs)
        await topics.create_topics(log_settings, specs)

        assert await partitions_of(log_settings, specs[0].name) == {0, 1, 2, 3}

    async def test_another_partition_count_is_refused_with_both_numbers(self, log_settings):
        """Keys would lie in other partitions than before."""
        await topics.create_topics(log_settings, topics.topic_specs(log_settings, VISION))
        more = replace(log_settings, partition_count=5)

        with pytest.raises(SettingsError, match=r"expected 5; received 4.*SIGHTLINE_PARTITION_COUNT=4"):
            await topics.create_topics(more, topics.topic_specs(more, VISION))

    async def test_a_topic_that_should_be_compacted_and_is_not_is_refused(self, log_settings):
        """The broker would forget photos by their age."""
        embeddings = topics.topic_specs(log_settings, VISION)[1]
        await topics.create_topics(log_settings, [replace(embeddings, config={"cleanup.policy": "delete"})])

        with pytest.raises(SettingsError, match=r"received cleanup[.]policy=delete"):
            await topics.create_topics(log_settings, [embeddings])

    async def test_two_workers_may_create_at_the_same_moment(self, log_settings):
        """Whoever comes second is content."""
        specs = topics.topic_specs(log_settings, VISION)
        await asyncio.gather(*(topics.create_topics(log_settings, specs) for _ in range(3)))

        assert await partitions_of(log_settings, specs[-1].name) == {0, 1, 2, 3}


class TestLogId:
    """`log_id`."""

    async def test_it_stays_the_same_on_the_same_broker(self, log_settings):
        """Offsets noted under it stay good."""
        first = await topics.log_id(log_settings)

        assert first == await topics.log_id(log_settings) != ""


class TestRecognised:
    """`recognised`."""

    async def test_a_private_broker_is_known_by_its_cluster_alone(self, broker, log_settings):
        """Whoever has only its address still spares it what it cannot do, and asks the most of any other."""
        told = await topics.recognised(replace(log_settings, embedded_broker=False))

        assert told.embedded_broker is broker.embedded


class TestSpecs:
    """`topic_specs`."""

    def test_only_what_happened_is_thinned_out_by_age(self):
        """Everything else is the newest of each key."""
        specs = topics.topic_specs(Settings(), VISION)

        assert [spec.name for spec in specs if not spec.compacted] == [
            "photo-activity",
            "collection-activity",
            "photo-owners",
            "dead-letters",
            "photo-queries",
        ]

    def test_three_replicas_need_two_to_confirm(self):
        """Otherwise acks=all would mean one."""
        specs = topics.topic_specs(Settings(replication_factor=3), VISION)

        assert {spec.config["min.insync.replicas"] for spec in specs} == {"2"}


async def test_a_broker_that_does_not_answer_is_one_clear_error():
    """Nothing hangs."""
    with pytest.raises(ServiceUnavailable, match="Kafka does not answer"):
        await topics.log_id(Settings(broker_url="kafka://127.0.0.1:1"))
