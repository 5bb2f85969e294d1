"""The OpenAPI document as a page that people read: every operation with its parameters, answers and an example."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from stream_app.web.markup import Html, join, page, prose, table, tag

Json = dict[str, Any]

_SERVER = "http://127.0.0.1:6066"
#: What stands for a value in an example that has none of its own.
_SAMPLES = {"string": "dog", "integer": 1, "number": 0.5, "boolean": True, "array": [], "object": {}}


def docs_page(document: Json) -> bytes:
    """The page."""
    by_tag: dict[str, list[tuple[str, str, Json]]] = {each["name"]: [] for each in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag[operation["tags"][0]].append((method.upper(), path, operation))
    navigation = join(
        join([tag("h2", name), tag("ul", *(_entry(*each) for each in operations))])
        for name, operations in by_tag.items()
    )
    schemas = document["components"]["schemas"]
    return page(
        "API",
        join([navigation, tag("h2", tag("a", "Schemas", href="#schemas"))]),
        prose(document["info"]["description"]),
        *(
            join([tag("h2", name), *(_operation(method, path, each, document) for method, path, each in operations)])
            for name, operations in by_tag.items()
        ),
        tag("h2", "Schemas", id="schemas"),
        *(_schema(name, schema) for name, schema in schemas.items()),
    )


def type_words(schema: Json) -> Html:
    """What a value can be, in a few words, with a link to each schema that has a name."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return tag("a", name, href=f"#schema-{name}")
    if "anyOf" in schema:
        return _joined([type_words(each) for each in schema["anyOf"]], " or ")
    if "enum" in schema:
        return _joined([tag("code", str(each)) for each in schema["enum"]], ", ")
    if schema.get("type") == "array":
        return join(["list of ", type_words(schema.get("items", {}))])
    if isinstance(schema.get("additionalProperties"), dict):
        return join(["names, each with ", type_words(schema["additionalProperties"])])
    kind = schema.get("type", "anything")
    return join([" or ".join(kind) if isinstance(kind, list) else str(kind), _range(schema)])


def _entry(method: str, path: str, operation: Json) -> Html:
    return tag("li", tag("a", operation["summary"], href=f"#{operation['operationId']}", title=f"{method} {path}"))


def _operation(method: str, path: str, operation: Json, document: Json) -> Html:
    return tag(
        "section",
        tag("h3", tag("span", method, class_=f"method {method.lower()}"), " ", tag("code", path)),
        tag("p", operation["summary"], class_="summary"),
        prose(operation.get("description", "")),
        table(["parameter", "in", "is", "meaning"], map(_parameter_row, operation.get("parameters", []))),
        _body(operation),
        tag("pre", tag("code", _example(method, path, operation, document))),
        table(
            ["status", "answer"],
            (_response_row(status, each, document) for status, each in operation["responses"].items()),
        ),
        id=operation["operationId"],
    )


def _parameter_row(parameter: Json) -> list[str]:
    schema = parameter["schema"]
    default = join([" = ", tag("code", json.dumps(schema["default"]))]) if "default" in schema else ""
    needed = tag("b", " needed") if parameter["required"] else ""
    return [
        tag("code", parameter["name"]),
        parameter["in"],
        join([type_words(schema), default, needed]),
        parameter.get("description", ""),
    ]


def _body(operation: Json) -> Html:
    if "requestBody" not in operation:
        return Html("")
    body = operation["requestBody"]
    named = [type_words(each["schema"]) for each in body["content"].values() if "$ref" in each["schema"]]
    kinds = _joined([tag("code", each) for each in body["content"]], ", ")
    needed = f" ({body['description']})" if "description" in body else ""
    return tag("p", "Body", needed, ": ", _joined(named, ", "), " as " if named else "", kinds)


def _response_row(status: str, response: Json, document: Json) -> list[str]:
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rsplit("/", 1)[-1]]
    content = response.get("content", {})
    kinds = [type_words(each["schema"]) if "schema" in each else tag("code", kind) for kind, each in content.items()]
    return [tag("code", status), join([response["description"], " " if kinds else "", _joined(kinds, ", ")])]


def _schema(name: str, schema: Json) -> Html:
    required = schema.get("required", [])
    rows = [
        [
            tag("code", field),
            join([type_words(told), "" if field in required else tag("i", " may be missing")]),
            told.get("description", ""),
        ]
        for field, told in schema.get("properties", {}).items()
    ]
    about = join([tag("p", type_words(schema))]) if not rows else Html("")
    fields = table(["field", "is", "meaning"], rows)
    return tag("section", tag("h3", name), prose(schema.get("description", "")), about, fields, id=f"schema-{name}")


def _example(method: str, path: str, operation: Json, document: Json) -> str:
    """A command that asks this."""
    needed = [each for each in operation.get("parameters", []) if each["required"]]
    samples = {
        each["name"]: (each["in"], str(each.get("example", _sample(each["schema"], document)))) for each in needed
    }
    for name, (_, value) in samples.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    query = "&".join(f"{name}={quote(value)}" for name, (place, value) in samples.items() if place == "query")
    words = ["curl", *(["-X", method] if method in ("PUT", "DELETE") else []), *_sent(operation, document)]
    return " ".join([*words, f"'{_SERVER}{path}{'?' if query else ''}{query}'"])


def _sent(operation: Json, document: Json) -> Iterator[str]:
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        schema = content["application/json"]["schema"]
        yield f"-H 'Content-Type: application/json' -d '{json.dumps(_sample(schema, document))}'"
    elif content:
        yield "--data-binary @photo.jpg"


def _sample(schema: Json, document: Json) -> Any:
    if "$ref" in schema:
        return _sample(document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]], document)
    if examples := schema.get("examples"):
        return examples[0]
    if "anyOf" in schema:
        return _sample(schema["anyOf"][-1], document)
    if schema.get("type") == "object":
        fields = schema.get("properties", {})
        shown = schema.get("required") or [name for name in fields if name in ("q", "photo_ids", "positive")]
        return {name: _sample(fields[name], document) for name in shown}
    if schema.get("type") == "array" and "items" in schema:
        return [_sample(schema["items"], document)]
    return _SAMPLES.get(schema.get("type", ""), "")


def _range(schema: Json) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    length = schema.get("maxLength")
    return f" of at most {length} characters" if length else ""


def _joined(parts: list[Html], between: str) -> Html:
    return join(piece for place, part in enumerate(parts) for piece in ((between, part) if place else (part,)))
