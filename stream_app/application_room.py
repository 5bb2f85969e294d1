"""What galleries, quests and assignments are answered with."""

from __future__ import annotations

from dataclasses import dataclass

from models.space import Space
from stream_app.findable_photos import FindablePhotos
from stream_app.live_collections import LiveCollections
from stream_app.live_sample import LiveSample


@dataclass(frozen=True)
class ApplicationRoom:
    """Handed in by the app."""

    space: Space
    photos: FindablePhotos
    collections: LiveCollections
    sample: LiveSample
