"""The topics of one album: how each is made, and that they exist as they should before anything is sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from stream_app import kafka
from stream_app.errors import ServiceUnavailable, SettingsError
from stream_app.settings import Settings

DAY_MS = 24 * 60 * 60 * 1000
#: Deletions must be remembered for longer than either: an event that can be read again may not bring a photo back.
ACTIVITY_RETENTION_MS = 7 * DAY_MS
DEAD_LETTERS_RETENTION_MS = 14 * DAY_MS
REPLIES_RETENTION_MS = DAY_MS // 24
#: The tables of the worker; Faust names their changelogs itself.
TABLES = ("photos", "embedded", "users", "galleries", "quests", "owners", "portfolios")
VISIBLE_SECONDS_MAX = 20.0


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it is created; `config` in the broker's own words."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def compacted(self) -> bool:
        """Whether the newest record of each key is kept for ever."""
        return self.config.get("cleanup.policy") == "compact"


def activity_topic(settings: Settings) -> str:
    """Where uploads, edits and deletions come in."""
    return f"{settings.topic_prefix}photo-activity"


def collections_topic(settings: Settings) -> str:
    """Where what happens to galleries and quests comes in."""
    return f"{settings.topic_prefix}collection-activity"


def owners_topic(settings: Settings) -> str:
    """From the agent that knows photos to the one that knows photographers: whose photo it is, keyed by user_id."""
    return f"{settings.topic_prefix}photo-owners"


def embeddings_topic(settings: Settings, vision_id: str) -> str:
    """The durable truth of one vision model."""
    return f"{settings.topic_prefix}photo-embeddings.{vision_id}"


def dead_letters_topic(settings: Settings) -> str:
    """Where messages go that could not be worked on, with the reason in their headers."""
    return f"{settings.topic_prefix}dead-letters"


def queries_topic(settings: Settings) -> str:
    """Where requests come in over Kafka."""
    return f"{settings.topic_prefix}photo-queries"


def reply_topic_prefix(settings: Settings) -> str:
    """How the names of topics begin to which requests may be answered."""
    return f"{settings.topic_prefix}{settings.reply_topic_prefix}"


def labels_topic(settings: Settings) -> str:
    """Where the words and labels of every photo go out."""
    return f"{settings.topic_prefix}photo-labels"


def changelog_topic(settings: Settings, table: str) -> str:
    """Faust's own name for the changelog of a table."""
    return f"{settings.app_id}-{table}-changelog"


def topic_specs(settings: Settings, vision_id: str) -> list[TopicSpec]:
    """Every topic that a worker with this vision model reads or writes."""
    return [
        _activity(settings, activity_topic(settings)),
        _compacted(settings, embeddings_topic(settings, vision_id)),
        # Not compacted: each event of a collection counts, not the last; what must survive is in the changelogs.
        _activity(settings, collections_topic(settings)),
        _kept_for(settings, owners_topic(settings), ACTIVITY_RETENTION_MS),
        _kept_for(settings, dead_letters_topic(settings), DEAD_LETTERS_RETENTION_MS),
        # By the broker's clock again: how old a request is must not hang on its caller's.
        _kept_for(settings, queries_topic(settings), DAY_MS, {"message.timestamp.type": "LogAppendTime"}),
        *([_compacted(settings, labels_topic(settings))] if settings.labels_produced else []),
        *(_compacted(settings, changelog_topic(settings, table)) for table in TABLES),
    ]


async def create_topics(settings: Settings, specs: Sequence[TopicSpec]) -> None:
    """Create what is missing, check what is there, and return when all of it can be used.

    Raises SettingsError when a topic exists with another partition count or cleanup policy, or cannot be
    created as wished, and ServiceUnavailable when the broker does not answer.
    """
    async with _admin(settings) as admin:
        existing = await _partition_counts(admin)
        missing = [spec for spec in specs if spec.name not in existing]
        if missing:
            await _create(admin, missing)
        existing = await _until_visible(admin, {spec.name for spec in specs})
        for spec in specs:
            _check_partitions(spec, existing[spec.name])
        await _check_policies(admin, specs)


async def reply_topic(settings: Settings, name: str) -> int:
    """The partition count of a caller's topic for replies, which is made where it is missing."""
    async with _admin(settings) as admin:
        existing = await _partition_counts(admin)
        if name not in existing:
            await _create(admin, [_kept_for(settings, name, REPLIES_RETENTION_MS)])
            existing = await _until_visible(admin, {name})
        return existing[name]


async def log_id(settings: Settings) -> str:
    """The broker's cluster id: offsets mean nothing in another cluster."""
    async with _admin(settings) as admin:
        return str((await admin.describe_cluster())["cluster_id"])


async def recognised(settings: Settings) -> Settings:
    """The same settings, which say so where the broker at this address is a private one of some `sightline up`."""
    if settings.embedded_broker or not (await log_id(settings)).startswith(kafka.PRIVATE_CLUSTER):
        return settings
    return replace(settings, embedded_broker=True)


def _activity(settings: Settings, name: str) -> TopicSpec:
    # The broker's clock, where it can: a version may not be later than the moment its event came in.
    return _kept_for(settings, name, ACTIVITY_RETENTION_MS, {"message.timestamp.type": "LogAppendTime"})


def _kept_for(settings: Settings, name: str, retention_ms: int, further: Mapping[str, str] | None = None) -> TopicSpec:
    return _spec(settings, name, {"cleanup.policy": "delete", "retention.ms": str(retention_ms), **(further or {})})


def _compacted(settings: Settings, name: str) -> TopicSpec:
    return _spec(settings, name, {"cleanup.policy": "compact"})


def _spec(settings: Settings, name: str, config: dict[str, str]) -> TopicSpec:
    if settings.replication_factor >= 3:
        # With acks=all one replica may be lost without losing a record or refusing one.
        config["min.insync.replicas"] = "2"
    return TopicSpec(name, settings.partition_count, settings.replication_factor, config)


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=kafka.bootstrap(settings), request_timeout_ms=kafka.REQUEST_TIMEOUT_MS
    )
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError) as error:
        raise kafka.no_answer(settings, error) from error
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec]) -> None:
    wished = [NewTopic(spec.name, spec.partitions, spec.replication, topic_configs=dict(spec.config)) for spec in specs]
    for name, code, *message in (await admin.create_topics(wished)).topic_errors:
        # Another worker may have been quicker.
        if code not in (0, TopicAlreadyExistsError.errno):
            raise SettingsError(
                f"The topic {name} cannot be created",
                expected="a broker that accepts its settings",
                received=message[0] if message and message[0] else for_code(code).__name__,
                remedy="SIGHTLINE_REPLICATION_FACTOR may be larger than the number of brokers.",
            )


async def _partition_counts(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """By topic, of those whose every partition has a leader; asking for all makes no broker create one."""
    return {
        topic["topic"]: len(topic["partitions"])
        for topic in await admin.describe_topics()
        if topic["partitions"] and all(each["leader"] >= 0 for each in topic["partitions"])
    }


async def _until_visible(admin: AIOKafkaAdminClient, names: set[str]) -> dict[str, int]:
    deadline = time.monotonic() + VISIBLE_SECONDS_MAX
    while not names <= (existing := await _partition_counts(admin)).keys():
        if time.monotonic() > deadline:
            raise ServiceUnavailable(
                "Topics have no leader",
                expected=f"all within {VISIBLE_SECONDS_MAX:.0f} s",
                received=f"none for {', '.join(sorted(names - existing.keys()))}",
                remedy="Look at the brokers.",
            )
        await asyncio.sleep(0.05)
    return existing


def _check_partitions(spec: TopicSpec, received: int) -> None:
    if received != spec.partitions:
        raise SettingsError(
            f"The topic {spec.name} has another number of partitions",
            expected=str(spec.partitions),
            received=str(received),
            remedy=f"Set SIGHTLINE_PARTITION_COUNT={received}, or begin anew with another"
            " SIGHTLINE_APP_ID and SIGHTLINE_TOPIC_PREFIX.",
        )


async def _check_policies(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec]) -> None:
    """A topic that an early producer made by accident would be thinned out by age: that loses photos."""
    # Asked without naming the entry: Tansu hangs up otherwise.
    wished = [ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in specs if spec.compacted]
    for response in await admin.describe_configs(wished):
        for _code, _message, _kind, name, entries in response.resources:
            _check_policy(name, {entry[0]: entry[1] for entry in entries})


def _check_policy(name: str, config: Mapping[str, Any]) -> None:
    policy = config.get("cleanup.policy")
    if policy != "compact":
        raise SettingsError(
            f"The topic {name} is not compacted",
            expected="cleanup.policy=compact",
            received=f"cleanup.policy={policy}",
            remedy="Alter it with kafka-configs, or delete the topic while it is empty.",
        )
