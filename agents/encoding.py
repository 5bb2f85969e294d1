"""Encoding that waits: an encoder that is away for now costs time, and no photo."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from models.encoder import AsyncEncoder, Encoding
from stream_app.errors import EncoderUnavailable, PhotoRejected

log = logging.getLogger(__name__)

PAUSE_SECONDS, PAUSE_SECONDS_MAX = 1.0, 5.0


async def encode_patiently(encoder: AsyncEncoder, images: Sequence[bytes]) -> list[Encoding | PhotoRejected]:
    """The encoder's answers, however long it is away; the events of these photos stay unacknowledged meanwhile.

    The photos are kept rather than fetched anew, so that nobody is asked for them over and over.
    """
    pause_seconds = PAUSE_SECONDS
    while True:
        try:
            return await encoder.encode_images(images)
        except EncoderUnavailable as away:
            log.warning("%d photos wait for the encoder: %s", len(images), away)
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(PAUSE_SECONDS_MAX, pause_seconds * 2)
