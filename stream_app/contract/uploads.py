"""Photos that come into the album, and their files that come out of it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from stream_app.contract.values import Answer, AnyId, Id, Request

#: A thumbnail's longer side; another one is rounded up to one of these.
SIDES_PX = (160, 320, 640, 1280)
_SIDES = ", ".join(map(str, SIDES_PX))


class UploadRequest(Request, frozen=True, kw_only=True):
    """Photos for the album: one as the body, or several in a form, whose fields `title` and `tags` hold for all.

    A file that is no photo does not stop the others. What is answered is safe: it outlives the worker.
    """

    name: Annotated[str, Meta(description="the photo's file name")] = ""
    title: Annotated[str, Meta(description="of which 300 characters are kept")] = ""
    tags: Annotated[list[str], Meta(description="the owner's own, of which 100 are kept")] = []


class UploadedPhoto(Answer, frozen=True, kw_only=True):
    """A photo that was taken into the album; it is there at once, and findable when its `state` says so."""

    photo_id: Id
    location: str
    name: str


class RejectedFile(Answer, frozen=True, kw_only=True):
    """A file that is not taken into the album."""

    name: str
    detail: str


class UploadAnswer(Answer, frozen=True, kw_only=True):
    """What became of each file; `photo_id` is the first one's."""

    photo_id: Id
    photos: list[UploadedPhoto]
    rejected: list[RejectedFile]


class ImageRequest(Request, frozen=True, kw_only=True):
    """The photo's own file, or a WebP thumbnail of it."""

    photo_id: AnyId
    side: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=SIDES_PX[-1],
                title=f"a whole number from 1 to {SIDES_PX[-1]}",
                description=f"pixels of the longer side, rounded up to {_SIDES}; without: the original",
            ),
        ]
        | None
    ) = None
