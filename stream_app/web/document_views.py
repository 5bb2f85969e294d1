"""What can be asked and sent, described: the OpenAPI document, the schemas of events, and a page of each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.resources import files

import orjson
from aiohttp import web

from stream_app.contract.openapi import openapi_document
from stream_app.contract.operations import Operation
from stream_app.contract.workers import BareRequest, SchemaRequest
from stream_app.settings import Settings
from stream_app.topics import topic_specs
from stream_app.web.docs_page import docs_page
from stream_app.web.parameters import request_of
from stream_app.web.replies import fixed_reply
from stream_app.web.topics_page import topics_page

_SUFFIX = ".schema.json"


class DocumentViews:
    """Views of what never changes while the worker runs; all of it is made at the start."""

    def __init__(self, operations: Iterable[Operation], settings: Settings) -> None:
        schemas = event_schemas()
        document = openapi_document(operations)
        specs = topic_specs(settings, "VISION_ID")
        pages = {name: json.loads(text) for name, text in schemas.items()}
        self._schemas = schemas
        self._document = orjson.dumps(document, option=orjson.OPT_INDENT_2)
        self._docs = docs_page(document)
        self._topics = topics_page(specs, settings.topic_prefix, pages)

    def routes(self) -> list[web.RouteDef]:
        """Every route of these views."""
        return [
            web.get("/api/openapi.json", self.document),
            web.get("/api/docs", self.docs),
            web.get("/api/topics", self.topics),
            web.get("/api/schemas/{name}.json", self.schema),
        ]

    async def document(self, request: web.Request) -> web.Response:
        """The OpenAPI document."""
        return self._fixed(request, self._document, "application/json")

    async def docs(self, request: web.Request) -> web.Response:
        """The document as a page."""
        return self._fixed(request, self._docs, "text/html")

    async def topics(self, request: web.Request) -> web.Response:
        """The topics as a page."""
        return self._fixed(request, self._topics, "text/html")

    async def schema(self, request: web.Request) -> web.Response:
        """The JSON Schema of a topic's events."""
        asked = request_of(SchemaRequest, request)
        if asked.name not in self._schemas:
            raise web.HTTPNotFound
        return fixed_reply(request, self._schemas[asked.name], "application/schema+json")

    def _fixed(self, request: web.Request, body: bytes, content_type: str) -> web.Response:
        request_of(BareRequest, request)
        return fixed_reply(request, body, content_type)


def event_schemas() -> dict[str, bytes]:
    """The schemas of events by the name of their topic."""
    found = (each for each in files("stream_app").joinpath("schemas").iterdir() if each.name.endswith(_SUFFIX))
    return {each.name.removesuffix(_SUFFIX): each.read_bytes() for each in sorted(found, key=lambda each: each.name)}
