"""The operations on single photos, and a photo as every answer shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from models.space import Space
from stream_app.album import Album, Photo
from stream_app.contract.photos import (
    ClassificationAnswer,
    ClassificationRequest,
    ClassifyRequest,
    PhotoAnswer,
    PhotoRequest,
    PhotosAnswer,
    PhotosRequest,
)
from stream_app.contract.searching import PhotoHit
from stream_app.contract.values import id_of, rounded, scored
from stream_app.photo_labels import classified
from stream_app.sent_images import ImageDesk


class PhotoAnswers:
    """The operations `photo` and `photos`."""

    def __init__(self, album: Album) -> None:
        self._album = album

    async def photo(self, request: PhotoRequest) -> PhotoAnswer:
        """One photo, in whatever state; raises PhotoNotFound."""
        return photo_answer(await self._album.photo(id_of(request.photo_id)))

    async def photos(self, request: PhotosRequest) -> PhotosAnswer:
        """A page of the album, newest first."""
        photos = await self._album.photos(request.offset, request.k)
        return PhotosAnswer(photos=[photo_answer(each) for each in photos], offset=request.offset)


class Classification:
    """The operations `classify` and `classification`."""

    def __init__(self, space: Space, album: Album, images: ImageDesk) -> None:
        self._space = space
        self._album = album
        self._images = images

    async def classify(self, request: ClassifyRequest) -> ClassificationAnswer:
        """What a photo shows that is sent along; raises PhotoRejected, QueryRejected."""
        image = await self._images.take(request.image, request.url)
        labels = self._space.labels(image.encoding.label_indices, image.encoding.label_scores, request.k)
        words = await asyncio.to_thread(self._space.nearest_words, image.joint_embedding, request.k)
        return _answer(labels, words, self._space)

    async def classification(self, request: ClassificationRequest) -> ClassificationAnswer:
        """What a photo of the album shows; raises PhotoNotFound."""
        photo = await self._album.photo(id_of(request.photo_id), words_shown=request.k)
        return _answer(photo.labels[: request.k], photo.words, self._space)


def _answer(
    labels: Sequence[tuple[str, float]], words: Sequence[tuple[str, float]], space: Space
) -> ClassificationAnswer:
    shown_labels, shown_words = classified(labels, words, space)
    return ClassificationAnswer(labels=shown_labels, words=shown_words)


def photo_answer(photo: Photo) -> PhotoAnswer:
    """A photo with all that is known of it."""
    return PhotoAnswer(
        photo_id=str(photo.photo_id),
        url=photo.url,
        image_url=image_url(photo.photo_id),
        title=photo.title,
        tags=list(photo.tags),
        user_id=photo.user_id,
        width=photo.width_px,
        height=photo.height_px,
        labels=scored(photo.labels),
        words=scored(photo.words),
        state=photo.state,
        reason=photo.reason,
        time_ms=photo.time_ms,
    )


def photo_hit(photo: Photo, score: float, duplicates: int = 0) -> PhotoHit:
    """A photo as a hit."""
    return PhotoHit(
        photo_id=str(photo.photo_id),
        score=rounded(score),
        url=photo.url,
        image_url=image_url(photo.photo_id),
        title=photo.title,
        tags=list(photo.tags),
        labels=[name for name, _ in photo.labels],
        user_id=photo.user_id,
        width=photo.width_px,
        height=photo.height_px,
        duplicates=duplicates,
    )


def image_url(photo_id: int) -> str:
    """Where a worker serves the photo itself."""
    return f"/api/photos/{photo_id}/image"
