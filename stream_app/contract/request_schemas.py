"""Requests as OpenAPI says them: parameters of a path and a query, and what is left for a JSON body."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from stream_app.contract.values import ID_MAX, ID_PATTERN, Request

Json = dict[str, Any]

REFERENCES = "#/components/schemas/{name}"
#: Texts of a list are separated by commas in an address, so none may have one.
_LISTED_TEXT = {"pattern": "^[^,]*$"}
_NULL = {"type": "null"}


def parameters(kind: type[Request], path_names: list[str], *, also_query: bool) -> list[Json]:
    """The parameters of a request: fields of the path, and the others in the query where they do not stand in a body.

    Bytes are never a parameter.
    """
    schema = schema_of(kind)
    found = []
    for name, field in schema["properties"].items():
        if name in path_names or (also_query and field.get("contentEncoding") != "base64"):
            place = "path" if name in path_names else "query"
            needed = place == "path" or name in schema["required"]
            found.append(_parameter(name, place, field, needed))
    return sorted(found, key=lambda each: (each["in"] != "path", not each["required"]))


def body_schema(kind: type[Request], path_names: list[str]) -> Json:
    """What a JSON body has to be: the request without what stands in the path."""
    schema = schema_of(kind)
    fields = {name: _told(field) for name, field in schema["properties"].items() if name not in path_names}
    required = [name for name in schema["required"] if name not in path_names]
    return schema | {"properties": fields, "required": required}


def component_schemas(kinds: list[type[Any]]) -> dict[str, Json]:
    """The schemas of types and of all that they are made of, by name."""
    _, components = msgspec.json.schema_components(kinds, ref_template=REFERENCES)
    for schema in components.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    return dict(components)


def schema_of(kind: type[Any]) -> Json:
    """The schema of one type."""
    return component_schemas([kind])[kind.__name__]


def id_schemas() -> dict[str, Json]:
    """What an id can be in an address and in a JSON body."""
    text = {"type": "string", "pattern": ID_PATTERN, "description": f"0 to {ID_MAX} in decimals", "examples": ["42"]}
    number = {"type": "integer", "minimum": 0, "maximum": ID_MAX}
    return {"IdText": text, "AnyId": {"anyOf": [number, reference("IdText")], "description": "a number, or a text"}}


def reference(name: str) -> Json:
    """Where a schema stands in the document."""
    return {"$ref": REFERENCES.format(name=name)}


def _is_id(field: Json) -> bool:
    return any(each.get("pattern") == ID_PATTERN for each in field.get("anyOf", []))


def _parameter(name: str, place: str, field: Json, needed: bool) -> Json:
    field = _told(field)
    description = field.pop("description", "")
    examples = field.pop("examples", [])
    parameter: Json = {"name": name, "in": place, "required": needed, "schema": _as_text(field)}
    if description:
        parameter["description"] = description
    if examples:
        parameter["example"] = examples[0]
    if field.get("type") == "array":
        parameter |= {"style": "form", "explode": True}
    return parameter


def _told(field: Json) -> Json:
    """A field whose title, which says what it can be, has become its description, and without empty defaults."""
    field = dict(field)
    words = [text for text in (field.pop("title", ""), field.pop("description", "")) if text]
    if words:
        field["description"] = "; ".join(words)
    if field.get("default") in ("", None, []):
        field.pop("default", None)
    if "anyOf" in field:
        field["anyOf"] = [_told(each) if each != _NULL else each for each in field["anyOf"]]
        told = dict.fromkeys(each.pop("description") for each in field["anyOf"] if "description" in each)
        field["description"] = "; ".join([*told, *filter(None, [field.get("description")])])
    if isinstance(field.get("items"), dict):
        field["items"] = reference("AnyId") if _is_id(field["items"]) else _told(field["items"])
    return {name: value for name, value in field.items() if value != ""}


def _as_text(field: Json) -> Json:
    """The schema of a field as it stands in an address, where nothing is null and ids are texts."""
    kinds = [each for each in field.get("anyOf", []) if each != _NULL]
    if _is_id(field):
        return reference("IdText")
    if len(kinds) == 1:
        return {name: value for name, value in {**field, **kinds[0]}.items() if name not in ("anyOf", "default")}
    if field.get("type") == "array":
        items = reference("IdText") if field["items"] == reference("AnyId") else _as_text(field["items"])
        return field | {"items": items if "$ref" in items else items | _LISTED_TEXT}
    return field
