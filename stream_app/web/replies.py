"""The album's answers as JSON; ids are decimal strings, as JavaScript loses a large number's last digits."""

from __future__ import annotations

import time
from typing import Any

from stream_app.album import Classification, Photo, PhotoHit, Scored, SearchReply

SCORE_DIGITS = 6


def photo_json(photo: Photo) -> dict[str, Any]:
    """Everything about one photo."""
    return {
        "photo_id": str(photo.photo_id),
        "url": photo.url,
        "image_url": image_url(photo.photo_id),
        "title": photo.title,
        "tags": list(photo.tags),
        "user_id": photo.user_id,
        "width": photo.width_px,
        "height": photo.height_px,
        "labels": scored(photo.labels),
        "words": scored(photo.words),
        "state": photo.state,
        "reason": photo.reason,
        "time_ms": photo.time_ms,
    }


def search_json(reply: SearchReply, began_seconds: float) -> dict[str, Any]:
    """The hits and how they came about; `began_seconds` is time.perf_counter() before the search."""
    return {
        "hits": [hit_json(hit) for hit in reply.hits],
        "complete": reply.complete,
        "shards": {str(partition): state for partition, state in reply.shards.items()},
        "took_ms": round((time.perf_counter() - began_seconds) * 1000, 2),
        "unknown_words": list(reply.unknown_words),
    }


def hit_json(hit: PhotoHit) -> dict[str, Any]:
    """One hit; `score` is a cosine, rounded so that the same answer reads the same everywhere."""
    return {
        "photo_id": str(hit.photo_id),
        "score": round(float(hit.score), SCORE_DIGITS),
        "url": hit.url,
        "image_url": image_url(hit.photo_id),
        "title": hit.title,
        "tags": list(hit.tags),
        "labels": list(hit.labels),
        "width": hit.width_px,
        "height": hit.height_px,
    }


def classification_json(classification: Classification) -> dict[str, Any]:
    """Labels and words of a photo, best first."""
    return {"labels": scored(classification.labels), "words": scored(classification.words)}


def image_url(photo_id: int) -> str:
    """Where this worker serves the photo itself."""
    return f"/api/photos/{photo_id}/image"


def scored(pairs: list[Scored]) -> list[dict[str, Any]]:
    """Names with their scores, in their order."""
    return [{"name": name, "score": round(float(score), SCORE_DIGITS)} for name, score in pairs]
