"""The topics as a page that people read: who sends what, how long it is kept, and the schema of every event."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stream_app.contract.topic_notes import TopicNote, note_of
from stream_app.topics import DAY_MS, TopicSpec
from stream_app.web.markup import Html, join, page, prose, table, tag

Json = dict[str, Any]

_DIRECTIONS = {"in": "you send, Sightline reads", "out": "Sightline sends, you may read", "own": "Sightline's own"}


def topics_page(specs: Sequence[TopicSpec], prefix: str, schemas: Mapping[str, Json]) -> bytes:
    """The page; `schemas` are those of events by the topic's name without prefix."""
    bare = {each.name.removeprefix(prefix) for each in specs}
    others = [name for name in schemas if name not in bare]
    names = [each.name for each in specs] + others
    navigation = tag("ul", *(tag("li", tag("a", name, href=f"#{name}")) for name in names))
    about = (
        "Photos come in as events over Kafka, and everything that is made of them lies on Kafka, too. Keys are ASCII "
        "decimals, so that partitions agree; delivery is at least once, and repetition does no harm."
    )
    sections = [_section(each.name, each.name.removeprefix(prefix), schemas, _facts(each)) for each in specs]
    elsewhere = [_section(each, each, schemas, []) for each in others]
    return page("Topics", navigation, prose(about), *sections, *elsewhere)


def _section(name: str, bare: str, schemas: Mapping[str, Json], facts: Sequence[tuple[str, str]]) -> Html:
    """A topic; without facts one that these workers do not make."""
    note = note_of(bare) or TopicNote(bare, "own", "", "", "")
    told = [("direction", _DIRECTIONS[note.direction]), ("key", note.key), ("value", note.value), *facts]
    return tag(
        "section",
        tag("h3", tag("code", name)),
        prose(note.meaning),
        table(["what", "is"], [each for each in told if each[1]]),
        join(_schema(bare, schemas[bare])) if bare in schemas else "",
        id=name,
    )


def _facts(spec: TopicSpec) -> list[tuple[str, str]]:
    return [("partitions", str(spec.partitions)), ("kept", _kept(spec))]


def _kept(spec: TopicSpec) -> str:
    if spec.compacted:
        return "the newest of each key, for ever"
    milliseconds = spec.config.get("retention.ms")
    return f"{int(milliseconds) // DAY_MS} days" if milliseconds else "as the broker is set"


def _schema(name: str, schema: Json) -> Iterator[Html]:
    yield prose(schema.get("description", ""))
    required = schema.get("required", [])
    yield table(
        ["field", "is", "meaning"],
        (
            [tag("code", field), _is(told, field in required), told.get("description", "")]
            for field, told in schema.get("properties", {}).items()
        ),
    )
    yield tag("p", tag("a", "JSON Schema", href=f"/api/schemas/{name}.json"))
    for example in schema.get("examples", []):
        yield tag("pre", tag("code", json.dumps(example, indent=1, ensure_ascii=False)))


def _is(field: Json, needed: bool) -> Html:
    if "enum" in field:
        kinds: list[str] = [tag("code", str(each)) for each in field["enum"]]
        shown = join(piece for place, each in enumerate(kinds) for piece in ((", ", each) if place else (each,)))
    elif "$ref" in field:
        shown = join([field["$ref"].rsplit("/", 1)[-1]])
    elif field.get("type") == "array":
        shown = join(["list of ", _is(field.get("items", {}), False)])
    else:
        kind = field.get("type", "anything")
        shown = join([" or ".join(kind) if isinstance(kind, list) else str(kind)])
    return join([shown, tag("b", " needed")]) if needed else shown
