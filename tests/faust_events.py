"""Events of photo-activity as Faust brings them, for the plain functions of the agents."""

from __future__ import annotations

import faust
from faust.events import Event as FaustEvent
from faust.types.tuples import ConsumerMessage

from stream_app.activity import Event, event_key, event_to_json

NOW_MS = 1_795_472_160_000


def faust_event(activity: Event, topic: faust.Topic, *, partition: int = 1, offset: int, time_ms: int = NOW_MS):
    """The event at that place of the topic, which the broker received at `time_ms`."""
    key, value = b"%d" % event_key(activity), event_to_json(activity)
    place = topic.get_topic_name(), partition, offset, time_ms / 1000
    message = ConsumerMessage(*place, 0, [], key, value, None, len(key), len(value))
    return FaustEvent(topic.app, key, value, [], message)
