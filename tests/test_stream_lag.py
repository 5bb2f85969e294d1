"""How far a worker is behind the log."""

from __future__ import annotations

import pytest

from stream_app import kafka
from stream_app.errors import ServiceUnavailable
from stream_app.settings import Settings
from stream_app.stream_lag import Lag, LogEnds, Position, lags
from stream_app.topics import activity_topic, create_topics, topic_specs


def test_lag_is_what_is_not_done_and_in_hand_what_is_read_of_it() -> None:
    """By partition; of a partition whose end is not known nothing is said."""
    positions = {("a", 0): Position(read=8, done=5), ("a", 1): Position(0, 0), ("a", 2): Position(4, 4)}

    assert lags({("a", 0): 10, ("a", 1): 3}, positions) == {("a", 0): Lag(5, 3), ("a", 1): Lag(3, 0)}


def test_an_end_that_was_asked_before_the_last_message_came_makes_no_negative_lag() -> None:
    """The broker is asked every few seconds only."""
    assert lags({("a", 0): 10}, {("a", 0): Position(read=14, done=12)}) == {("a", 0): Lag(2, 2)}


async def test_the_broker_tells_where_each_partition_ends(log_settings: Settings) -> None:
    """Also when nothing is there yet, and again after more came."""
    await create_topics(log_settings, topic_specs(log_settings, "v"))
    topic = activity_topic(log_settings)
    ends = LogEnds(log_settings)
    assert await ends.ask([]) == {}
    assert await ends.ask([(topic, 0), (topic, 1)]) == {(topic, 0): 0, (topic, 1): 0}
    async with kafka.producer(log_settings) as producer:
        for _ in range(3):
            await producer.send_and_wait(topic, b"{}", b"1", 1)

    assert await ends.ask([(topic, 0), (topic, 1)]) == {(topic, 0): 0, (topic, 1): 3}
    await ends.close()


async def test_a_broker_that_is_away_is_named(tmp_path, unused_tcp_port: int) -> None:
    """The page says so in place of a lag."""
    ends = LogEnds(Settings(broker_url=f"kafka://127.0.0.1:{unused_tcp_port}", data_dir=tmp_path))

    with pytest.raises(ServiceUnavailable, match="Kafka does not answer"):
        await ends.ask([("photo-activity", 0)])
