"""What the operators' page asks of a worker: what it has seen of itself, and its dead letters."""

from __future__ import annotations

import secrets
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from models.space import Space
from stream_app import __version__
from stream_app.dead_letters import DeadLetter
from stream_app.observations import Observations
from stream_app.settings import Settings

#: How often a worker looks at itself, and for how long it remembers.
EVERY_SECONDS = 2.0
KEPT_SECONDS = 900.0


@dataclass(frozen=True)
class WorkerCard:
    """Who a worker is. `start_id` is another one after each start; ids name what its model means by a vector."""

    name: str
    start_id: str
    started_ms: int
    version: str
    space_id: str
    vision_id: str
    bundle: str
    encoder: str
    partition_count: int
    search_dimensions: int
    recall_wished: float
    every_seconds: float = EVERY_SECONDS
    kept_seconds: float = KEPT_SECONDS

    def to_json(self) -> dict[str, Any]:
        """As the page reads it."""
        return asdict(self)


class Watch(Protocol):
    """One worker, as operators see it."""

    card: WorkerCard
    observations: Observations

    async def run(self) -> None:
        """Look again and again, until it is cancelled."""
        ...

    async def dead_letters(self) -> list[DeadLetter]:
        """Those that were not replayed yet, oldest first; raises ServiceUnavailable."""
        ...

    async def replay(self, place: str) -> DeadLetter | None:
        """Send one to where it came from; None where there is no such letter. Raises EventRejected for one that is
        not kept whole, and ServiceUnavailable."""
        ...


def worker_card(settings: Settings, space: Space) -> WorkerCard:
    """The card of the worker that this process is."""
    return WorkerCard(
        name=f"{socket.gethostname()}:{settings.web_port}",
        start_id=secrets.token_hex(4),
        started_ms=time.time_ns() // 1_000_000,
        version=__version__,
        space_id=space.space_id,
        vision_id=space.vision_id,
        bundle=Path(settings.bundle).name,  # where it lies is nobody's business
        encoder=settings.encoder,
        partition_count=settings.partition_count,
        search_dimensions=space.search_dimensions,
        recall_wished=settings.search_recall,
    )
