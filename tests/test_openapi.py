"""The OpenAPI document: all that is served is in it and nothing else, and answers are as it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from aiohttp import web
from memory_album import MemoryAlbum, photo_bytes
from web_client import problem_of, serving

from stream_app.contract.openapi import openapi_document
from stream_app.contract.operations import BY_NAME, OPERATIONS
from stream_app.contract.reading import request_from_json
from stream_app.contract.topic_notes import note_of
from stream_app.settings import Settings
from stream_app.topics import topic_specs
from stream_app.web import application_options, attach_web
from stream_app.web.docs_page import docs_page
from stream_app.web.document_views import event_schemas
from stream_app.web.ops_views import OpsViews

DOCUMENT = openapi_document(OPERATIONS)
#: What is said of the score of each.
RANKED = {
    "PhotoHit": ["cosine", "tags"],
    "Suggestion": ["cosine"],
    "Submission": ["cosine"],
    "Photographer": ["no cosine"],
}
PROBES = {"/healthz", "/livez", "/readyz", "/metrics"}


def served(handlers: dict[str, Any], tmp_path: Path) -> set[tuple[str, str]]:
    """Method and path of every route of an application with these operations, of the API and the probes."""
    settings = Settings.from_environment({}, data_dir=tmp_path)
    web_app = web.Application(**application_options(settings))
    attach_web(web_app, MemoryAlbum(), handlers, settings)
    web_app.add_routes(OpsViews(None).routes())  # type: ignore[arg-type]
    routes = {(each.method, each.resource.canonical) for each in web_app.router.routes() if each.resource}
    return {
        (method, path) for method, path in routes if method != "HEAD" and (path.startswith("/api/") or path in PROBES)
    }


def described(document: Any) -> set[tuple[str, str]]:
    """Method and path of everything in a document."""
    return {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object within a document."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(each)


class TestTheDocument:
    def test_has_every_route_of_the_application_and_no_other(self, tmp_path: Path) -> None:
        """With all operations."""
        assert described(DOCUMENT) == served(dict.fromkeys(BY_NAME), tmp_path)

    def test_has_only_the_operations_that_are_offered(self, tmp_path: Path) -> None:
        """Those that nobody answers are not served, either."""
        offered = {"search": None, "photos": None}

        document = openapi_document([BY_NAME[name] for name in offered])
        assert described(document) == served(offered, tmp_path)
        assert "SuggestionsAnswer" not in document["components"]["schemas"]

    def test_points_to_nothing_that_is_not_there(self) -> None:
        """Every reference leads to a component, and every link to an operation."""
        names = {each["operationId"] for path in DOCUMENT["paths"].values() for each in path.values()}
        assert len(names) == sum(map(len, DOCUMENT["paths"].values()))

        for part in parts(DOCUMENT):
            if isinstance(reference := part.get("$ref"), str):
                _, kind, name = reference.removeprefix("#/").split("/")
                assert name in DOCUMENT["components"][kind], reference
            for link in part.get("links", {}).values():
                assert link["operationId"] in names

    def test_has_schemas_that_are_schemas_and_are_needed(self) -> None:
        """OpenAPI 3.1 takes JSON Schema as it is."""
        used = {part["$ref"] for part in parts(DOCUMENT) if isinstance(part.get("$ref"), str)}

        for name, schema in DOCUMENT["components"]["schemas"].items():
            jsonschema.Draft202012Validator.check_schema(schema)
            assert f"#/components/schemas/{name}" in used

    def test_says_of_every_parameter_in_the_path_that_it_is_needed(self) -> None:
        """And of each what it can be."""
        for path, methods in DOCUMENT["paths"].items():
            for operation in methods.values():
                given = operation.get("parameters", [])
                assert {each["name"] for each in given if each["in"] == "path"} == set(re.findall(r"\{(\w+)\}", path))
                assert all(each["required"] for each in given if each["in"] == "path")
                assert all(each["schema"] for each in given)

    def test_says_of_every_ranked_thing_what_its_score_is(self) -> None:
        """A cosine where it is one, also of a photo with tags, and none for photographers."""
        schemas = DOCUMENT["components"]["schemas"]
        said = {name: schemas[name]["properties"]["score"].get("description", "") for name in RANKED}

        assert {name: re.findall(r"no cosine|cosine|tags", text) for name, text in said.items()} == RANKED

    def test_says_of_no_answer_that_a_field_may_be_missing_only_because_it_has_a_default(self) -> None:
        """Every field is there; only what was not asked for is left out."""
        schemas = DOCUMENT["components"]["schemas"]

        assert "unknown_words" in schemas["SearchAnswer"]["required"]
        assert "explanation" not in schemas["SearchAnswer"]["required"]
        assert "default" not in schemas["SearchAnswer"]["properties"]["unknown_words"]


@pytest.fixture
async def client(tmp_path: Path) -> Any:
    """A client of a server of two photos."""
    album = MemoryAlbum()
    album.add(photo_bytes("red"), "red.jpg", photo_id=7, title="A red one", tags=["warm"])
    album.add(photo_bytes("blue"), "blue.jpg", photo_id=9)
    async with serving(album, tmp_path) as client:
        yield client


class TestAnswers:
    @pytest.mark.parametrize(
        ("method", "path", "template"),
        [
            ("get", "/api/search?q=red+quux&k=1", "/api/search"),
            ("get", "/api/search?q=quux", "/api/search"),
            ("get", "/api/search", "/api/search"),
            ("get", "/api/photos", "/api/photos"),
            ("post", "/api/photos", "/api/photos"),
            ("post", "/api/search/image", "/api/search/image"),
            ("post", "/api/classify", "/api/classify"),
            ("get", "/api/photos/7", "/api/photos/{photo_id}"),
            ("get", "/api/photos/8", "/api/photos/{photo_id}"),
            ("get", "/api/words/red/similar", "/api/words/{word}/similar"),
            ("get", "/api/stats", "/api/stats"),
            ("get", "/readyz", "/readyz"),
        ],
    )
    async def test_are_as_the_document_says(self, client: Any, method: str, path: str, template: str) -> None:
        """Status, kind and schema, of good answers and of problems."""
        document = await (await client.get("/api/openapi.json")).json()
        reply = await client.request(method, path, data=photo_bytes("green") if method == "post" else None)
        response = document["paths"][template][method]["responses"][str(reply.status)]
        if "$ref" in response:
            response = document["components"]["responses"][response["$ref"].rsplit("/", 1)[-1]]
        schema = response["content"][reply.content_type]["schema"]

        jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(
            await reply.json(content_type=None)
        )


class Page(HTMLParser):
    """What a page has: its anchors, the places that it links to, and its elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.styled = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        told = dict(attrs)
        self.styled |= "style" in told or any(name.startswith("on") for name in told)
        self.ids += [told["id"] or ""] if "id" in told else []
        self.links += [value for name in ("href", "src") if (value := told.get(name))]


@pytest.mark.parametrize("path", ["/api/docs", "/api/topics"])
class TestPages:
    async def test_need_nothing_that_the_policy_forbids(self, client: Any, path: str) -> None:
        """No script, no style of their own, nothing from another host."""
        reply = await client.get(path)
        page = Page(await reply.text())

        assert reply.content_type == "text/html" and "default-src 'self'" in reply.headers["Content-Security-Policy"]
        assert not page.tags & {"script", "style", "iframe"} and not page.styled
        assert all(each.startswith(("/", "#")) and not each.startswith("//") for each in page.links)

    async def test_lead_nowhere_where_there_is_nothing(self, client: Any, path: str) -> None:
        """Every anchor is on the page, once, and every address answers."""
        page = Page(await (await client.get(path)).text())

        assert len(set(page.ids)) == len(page.ids)
        assert {each[1:] for each in page.links if each.startswith("#")} <= set(page.ids)
        for link in {each for each in page.links if each.startswith("/")}:
            assert (await client.get(link)).status == 200, link

    async def test_are_confirmed_when_they_have_not_changed(self, client: Any, path: str) -> None:
        etag = (await client.get(path)).headers["ETag"]

        assert (await client.get(path, headers={"If-None-Match": etag})).status == 304


class TestReading:
    async def test_the_page_has_every_operation_with_a_command_that_asks_it(self, client: Any) -> None:
        text = await (await client.get("/api/docs")).text()
        page = Page(text)

        assert {"search", "photo", "upload", "healthz"} <= set(page.ids)
        assert "curl &#x27;http" not in text and "curl 'http://127.0.0.1:6066/api/search?q=dog'" in text
        assert "curl --data-binary @photo.jpg 'http://127.0.0.1:6066/api/classify'" in text

    async def test_every_body_that_the_page_shows_is_one_that_is_taken(self, tmp_path: Path) -> None:
        """Copied from there, a command works."""
        text = docs_page(DOCUMENT).decode()
        asked = [each for each in OPERATIONS if each.body == "json"]
        assert asked

        for each in asked:
            section = text.split(f'id="{each.name}"')[1].split("</section>")[0]
            [body] = re.findall(r"-d '(.*?)' 'http", section)
            assert request_from_json(each.request, json.loads(body), dict.fromkeys(each.path_names, "42")), body

    async def test_what_people_wrote_is_text_on_a_page(self) -> None:
        """Nothing becomes markup by accident."""
        from stream_app.web.markup import prose, tag

        assert tag("p", "<b>", title='"') == '<p title="&quot;">&lt;b&gt;</p>'
        assert prose("a `<i>` & b") == "<p>a <code>&lt;i&gt;</code> &amp; b</p>"

    def test_every_topic_says_what_it_is_for(self) -> None:
        """Whatever a worker creates."""
        settings = Settings(topic_prefix="mine.")

        for spec in topic_specs(settings, "vision"):
            assert note_of(spec.name.removeprefix("mine.")), spec.name

    async def test_topics_of_events_come_with_their_schemas(self, client: Any) -> None:
        """Every schema in the package is served, and linked from the page of topics."""
        links = Page(await (await client.get("/api/topics")).text()).links
        assert len(event_schemas()) >= 2

        for name in event_schemas():
            reply = await client.get(f"/api/schemas/{name}.json")
            assert reply.content_type == "application/schema+json"
            jsonschema.Draft202012Validator.check_schema(await reply.json(content_type=None))
            assert f"/api/schemas/{name}.json" in links

    async def test_a_schema_that_is_none_is_404(self, client: Any) -> None:
        for name in ("dead-letters", "..%2f..%2fpyproject"):
            await problem_of(await client.get(f"/api/schemas/{name}.json"), 404)
