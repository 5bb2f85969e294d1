"""The routes that are no operations: files that come and go, and what a worker says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stream_app.contract.operations import path_names
from stream_app.contract.photos import PhotoRequest
from stream_app.contract.uploads import ImageRequest, UploadAnswer, UploadRequest
from stream_app.contract.values import Answer, Request
from stream_app.contract.workers import (
    AliveAnswer,
    BareRequest,
    DeadLettersAnswer,
    OpsAnswer,
    ProjectorRequest,
    ReadyAnswer,
    ReplayAnswer,
    ReplayRequest,
    SchemaRequest,
    StatsAnswer,
)

#: Of what kind an answer is that is not JSON.
Kinds = tuple[str, ...]
PHOTO_KINDS: Kinds = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff", "image/heic")


@dataclass(frozen=True)
class PlainRoute:
    """One route over HTTP; `answers` says by status whether a Struct is answered, or bytes of some kind, or nothing."""

    name: str
    method: Literal["GET", "POST", "DELETE"]
    path: str
    request: type[Request]
    answers: Mapping[int, type[Answer] | Kinds | None]
    summary: str
    body: Literal["none", "photos"] = "none"
    problems: tuple[int, ...] = ()
    description: str = ""
    #: Headers that may be sent: their schemas by their names.
    headers: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def path_names(self) -> list[str]:
        """The fields that stand in the path."""
        return path_names(self.path)


#: In the order of the document.
PLAIN_ROUTES: tuple[PlainRoute, ...] = (
    PlainRoute(
        "upload",
        "POST",
        "/api/photos",
        UploadRequest,
        {202: UploadAnswer},
        "Take photos into the album",
        body="photos",
        problems=(400, 408, 413, 422, 503),
        headers={
            "Idempotency-Key": {
                "type": "string",
                "pattern": "^[!-~]{1,255}$",
                "description": "a repetition under the same key gets the same answer, and makes no second photo",
            }
        },
    ),
    PlainRoute(
        "delete",
        "DELETE",
        "/api/photos/{photo_id}",
        PhotoRequest,
        {204: None},
        "Delete a photo",
        problems=(400, 404, 503),
        description="When it is answered, the photo can no longer be found.",
    ),
    PlainRoute(
        "image",
        "GET",
        "/api/photos/{photo_id}/image",
        ImageRequest,
        {200: PHOTO_KINDS, 304: None},
        "A photo's file, or a thumbnail",
        problems=(400, 404, 422, 424, 503),
    ),
    PlainRoute(
        "projector",
        "GET",
        "/api/projector.zip",
        ProjectorRequest,
        {200: ("application/zip",)},
        "The album for TensorBoard's projector",
        problems=(400, 503),
    ),
    PlainRoute(
        "stats", "GET", "/api/stats", BareRequest, {200: StatsAnswer}, "How the worker is doing", problems=(400, 503)
    ),
    PlainRoute(
        "openapi", "GET", "/api/openapi.json", BareRequest, {200: ("application/json",), 304: None}, "This document"
    ),
    PlainRoute(
        "docs", "GET", "/api/docs", BareRequest, {200: ("text/html",), 304: None}, "This document as a readable page"
    ),
    PlainRoute(
        "topics", "GET", "/api/topics", BareRequest, {200: ("text/html",), 304: None}, "The topics as a readable page"
    ),
    PlainRoute(
        "schema",
        "GET",
        "/api/schemas/{name}.json",
        SchemaRequest,
        {200: ("application/schema+json",), 304: None},
        "The JSON Schema of a topic's events",
        problems=(404,),
    ),
    PlainRoute("ops", "GET", "/api/ops", BareRequest, {200: OpsAnswer}, "What the worker sees of itself"),
    PlainRoute(
        "ops_events",
        "GET",
        "/api/ops/events",
        BareRequest,
        {200: ("text/event-stream",)},
        "The same, live",
        problems=(503,),
        description="Server-sent events: `worker`, `history`, then `observation` for ever.",
    ),
    PlainRoute(
        "dead_letters",
        "GET",
        "/api/ops/dead-letters",
        BareRequest,
        {200: DeadLettersAnswer},
        "The newest dead letters",
        problems=(503,),
    ),
    PlainRoute(
        "replay",
        "POST",
        "/api/ops/dead-letters/{place}/replay",
        ReplayRequest,
        {202: ReplayAnswer},
        "Send a dead letter to where it came from",
        problems=(404, 503),
    ),
    PlainRoute("healthz", "GET", "/healthz", BareRequest, {200: AliveAnswer}, "Whether the event loop turns"),
    PlainRoute("livez", "GET", "/livez", BareRequest, {200: AliveAnswer}, "The same"),
    PlainRoute(
        "readyz", "GET", "/readyz", BareRequest, {200: ReadyAnswer, 503: ReadyAnswer}, "Whether everything is recovered"
    ),
    PlainRoute("metrics", "GET", "/metrics", BareRequest, {200: ("text/plain",)}, "Numbers for Prometheus"),
)
