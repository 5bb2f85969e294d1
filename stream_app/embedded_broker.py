"""Whether the private broker still answers: now and then Tansu hangs when a client dies in the middle of a request.

The process lives and takes connections, but requests about the partition that was being written to are never
answered again. What is kept of its log is enough to begin anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from stream_app import kafka
from stream_app.errors import ServiceUnavailable
from stream_app.settings import Settings
from stream_app.topics import TopicSpec

ANSWER_SECONDS_MAX = 8.0


class BrokerHangs(Exception):
    """The private broker lives but does not answer."""


async def check_broker(settings: Settings, specs: Sequence[TopicSpec]) -> None:
    """Ask for the end of every partition; raises BrokerHangs when the answer does not come."""
    everywhere = [TopicPartition(spec.name, number) for spec in specs for number in range(spec.partitions)]
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX), kafka.consumer(settings) as consumer:
            await consumer.end_offsets(everywhere)
    except (TimeoutError, KafkaError, ServiceUnavailable) as error:
        raise BrokerHangs from error
