"""The OpenAPI 3.1 document, made from the contract: what is offered, with every parameter, answer and problem."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from stream_app import __version__
from stream_app.contract.operations import Operation
from stream_app.contract.plain_routes import PHOTO_KINDS, PLAIN_ROUTES, PlainRoute
from stream_app.contract.problems import MEANINGS, Problem
from stream_app.contract.request_schemas import Json, body_schema, component_schemas, id_schemas, parameters, reference

ABOUT = """\
A live, visual-semantic search engine for photographs.

Ids are whole numbers from 0 to 2^63 - 1: requests may write them as numbers or as decimals in a string, answers write
strings. A photo's score is a cosine: 1 is the same, 0 is unrelated; searched words that are its owner's tags add up to
0.25. A photographer's score is no cosine, a label's is a probability: each is described where it stands. A list in an
address is repeated, or separated by commas.
Errors are `application/problem+json` and say what was expected, what came, and what to do. 400 is a request that is
not as this document says, 422 one that is and still cannot be answered. Answers may have more fields in later releases.
"""
#: What every address may answer, whatever is asked: the doors before it, and failures behind it.
_ALWAYS = (403, 421, 500)
_OF_OPERATIONS = (400, 404, 422, 424, 503)
_OF_BODIES = {"none": (), "json": (408, 413, 415), "photo": (408, 413)}
_TAGS = {
    "search": "Searching",
    "photos": "Photos",
    "classify": "Photos",
    "words": "Words",
    "galleries": "Galleries",
    "suggestions": "Galleries",
    "quests": "Quests",
    "assignments": "Assignments",
}
_WORKER = "The worker"
_BINARY = {"type": "string", "contentMediaType": "application/octet-stream"}


def openapi_document(operations: Iterable[Operation]) -> Json:
    """The document of a server that offers these operations beside the routes that are none."""
    offered = list(operations)
    paths: dict[str, Json] = {}
    bodies: dict[str, Json] = {}
    routes: list[Operation | PlainRoute] = [*offered, *PLAIN_ROUTES]
    for each in routes:
        paths.setdefault(each.path, {})[each.method.lower()] = _described(each, bodies)
    tags = dict.fromkeys(item["tags"][0] for path in paths.values() for item in path.values())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sightline",
            "version": __version__,
            "summary": "A live, visual-semantic search engine for photographs",
            "description": ABOUT,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": each} for each in tags],
        "paths": paths,
        "components": {"schemas": _schemas(offered, bodies), "responses": _problem_responses()},
    }


def _described(route: Operation | PlainRoute, bodies: dict[str, Json]) -> Json:
    """One route; a JSON body's schema is put into `bodies`."""
    described: Json = {
        "operationId": route.name,
        "tags": [_tag(route.path)],
        "summary": route.summary,
        "description": _description(route),
        "parameters": parameters(route.request, route.path_names, also_query=route.body != "json") + _headers(route),
        "responses": _responses(route),
    }
    if body := _body(route, bodies):
        described["requestBody"] = body
    return {name: value for name, value in described.items() if value not in ("", [])}


def _tag(path: str) -> str:
    found = re.match(r"/api/(\w+)", path)
    return _TAGS.get(found[1], _WORKER) if found else _WORKER


def _description(route: Operation | PlainRoute) -> str:
    text = route.description if isinstance(route, PlainRoute) else ""
    return text or ("" if route.request.__name__ == "BareRequest" else inspect.cleandoc(route.request.__doc__ or ""))


def _headers(route: Operation | PlainRoute) -> list[Json]:
    headers = route.headers if isinstance(route, PlainRoute) else {}
    return [
        {"name": name, "in": "header", "required": False, "schema": schema, "description": schema["description"]}
        for name, schema in headers.items()
    ]


def _body(route: Operation | PlainRoute, bodies: dict[str, Json]) -> Json | None:
    if route.body == "json":
        name = route.request.__name__
        bodies[name] = body_schema(route.request, route.path_names)
        return {"required": True, "content": {"application/json": {"schema": reference(name)}}}
    if route.body == "photo":
        form = _form({"image": _BINARY | {"description": "the photo; without this field the first file counts"}})
        return {"description": "the photo, unless `url` says where it is", "content": _photo_content(form)}
    if route.body == "photos":
        files = {"type": "array", "items": _BINARY, "minItems": 1, "description": "photos; any field's name will do"}
        form = _form(
            {"image": files, "title": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}}
        )
        return {"required": True, "content": _photo_content(form)}
    return None


def _form(fields: Json) -> Json:
    return {"type": "object", "properties": fields, "required": ["image"], "additionalProperties": False}


def _photo_content(form: Json) -> Json:
    kinds = (*PHOTO_KINDS, "application/octet-stream")
    return {kind: {"schema": _BINARY | {"contentMediaType": kind}} for kind in kinds} | {
        "multipart/form-data": {"schema": form}
    }


def _responses(route: Operation | PlainRoute) -> Json:
    if isinstance(route, Operation):
        answers: dict[int, Any] = {200: route.answer} if route.answer else {204: None}
        problems: tuple[int, ...] = (*_OF_OPERATIONS, *_OF_BODIES[route.body])
    else:
        answers, problems = dict(route.answers), route.problems
    found: dict[int, Json] = {status: _answer(status, kind) for status, kind in answers.items()}
    if route.name == "upload":
        replayed = {"description": "true where a repetition is answered", "schema": {"const": "true"}}
        headers = {"Location": {"required": True, "schema": {"type": "string"}}, "Idempotent-Replayed": replayed}
        found[202] |= {"headers": headers, "links": _links()}
    for status in (*problems, *_ALWAYS):
        found.setdefault(status, {"$ref": f"#/components/responses/{_response_name(status)}"})
    return {str(status): found[status] for status in sorted(found)}


def _answer(status: int, kind: Any) -> Json:
    description = HTTPStatus(status).phrase
    if kind is None:
        return {"description": description}
    if isinstance(kind, tuple):
        return {"description": description, "content": {each: {} for each in kind}}
    return {"description": description, "content": {"application/json": {"schema": reference(kind.__name__)}}}


def _links() -> Json:
    """Where a photo that was just uploaded can be asked for."""
    names = ("photo", "image", "related", "classification", "delete")
    return {each: {"operationId": each, "parameters": {"photo_id": "$response.body#/photo_id"}} for each in names}


def _schemas(operations: Sequence[Operation], bodies: Json) -> Json:
    plain = [kind for route in PLAIN_ROUTES for kind in route.answers.values() if isinstance(kind, type)]
    answers = component_schemas([Problem, *(each.answer for each in operations if each.answer), *plain])
    for schema in answers.values():
        _complete(schema)
    within = component_schemas([each.request for each in operations if each.body == "json"])
    needed = {name: schema for name, schema in within.items() if not name.endswith("Request")}
    return dict(sorted((id_schemas() | answers | needed | bodies).items()))


def _complete(schema: Json) -> None:
    """An answer has every field, also one that has its default; only what was not asked for is left out."""
    for name, field in schema.get("properties", {}).items():
        if "default" in field:
            field.pop("default")
            schema["required"].append(name)


def _problem_responses() -> Json:
    content = {"application/problem+json": {"schema": reference("Problem")}}
    responses: Json = {}
    for status, meaning in MEANINGS.items():
        responses[_response_name(status)] = {"description": meaning, "content": content}
    responses[_response_name(503)] |= {
        "headers": {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
    }
    return responses


def _response_name(status: int) -> str:
    return HTTPStatus(status).name.title().replace("_", "")
