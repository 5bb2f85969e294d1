"""What comes in on photo activity, seen from beside the agents: a sensor, which takes no part."""

from __future__ import annotations

from typing import Any

from faust.sensors.base import Sensor

from stream_app.freshness import Freshness
from stream_app.metrics import ACTIVITY_ACCEPTED


class Arrivals(Sensor):
    """Counts the events that the agents are given, and tells when each came to the broker."""

    def __init__(self, activity: str, freshness: Freshness) -> None:
        super().__init__()
        self._activity = activity
        self._freshness = freshness

    def on_message_in(self, tp: Any, offset: int, message: Any) -> None:
        """Faust calls this once for each message, before any agent sees it."""
        if tp.topic == self._activity:
            ACTIVITY_ACCEPTED.inc()
            self._freshness.came(tp.partition, offset, message.timestamp * 1000)
