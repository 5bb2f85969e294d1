"""Bad input, parameter by parameter: whatever is wrong with a request is one clear line that names what it is."""

from __future__ import annotations

import re
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from msgspec import Meta

from stream_app.contract.operations import BY_NAME, OPERATIONS, Operation
from stream_app.contract.plain_routes import PLAIN_ROUTES, PlainRoute
from stream_app.contract.reading import request_from_json, request_from_texts
from stream_app.contract.searching import SearchRequest
from stream_app.contract.values import ID_MAX, ID_PATTERN, id_of
from stream_app.contract.words import DisambiguateRequest
from stream_app.errors import QueryRejected, RequestMalformed

ROUTES: tuple[Operation | PlainRoute, ...] = (*OPERATIONS, *PLAIN_ROUTES)
GOOD: dict[str, Any] = {
    "q": "dog",
    "photo_id": "7",
    "gallery_id": "7",
    "quest_id": "7",
    "photo_ids": ["7"],
    "word": "dog",
    "candidates": ["bank", "bench"],
    "context": ["garden"],
    "name": "photo-activity",
    "place": "0-7",
}


def metas(hint: Any) -> list[Meta]:
    """All that is said about a type and its parts, lists aside."""
    if get_origin(hint) is Annotated:
        return [*(each for each in get_args(hint)[1:] if isinstance(each, Meta)), *metas(get_args(hint)[0])]
    return [meta for part in get_args(hint) for meta in metas(part)] if get_origin(hint) in (Union, UnionType) else []


def kinds(hint: Any) -> set[Any]:
    """The bare types that a value can have."""
    if get_origin(hint) is Annotated:
        return kinds(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return {kind for part in get_args(hint) for kind in kinds(part)}
    return {get_origin(hint) or hint}


def wrong_values(hint: Any) -> list[Any]:
    """Values in JSON that a field of this type must not have: below, above, too long, too many, of another type."""
    found: list[Any] = [{"an": "object"}]
    for meta in metas(hint):
        found += [meta.ge - 1] if meta.ge is not None else []
        found += [meta.le + 1] if meta.le is not None else []
        if meta.max_length is not None:
            found.append(["7"] * (meta.max_length + 1) if list in kinds(hint) else "7" * (meta.max_length + 1))
        if meta.min_length:
            found.append([] if list in kinds(hint) else "")
    if not kinds(hint) & {str, bytes, Literal, list}:
        found.append("word")
    if Literal in kinds(hint):
        found += ["neither", ""]
    if list in kinds(hint):
        found += ["7", [None], [[]]]
    if not kinds(hint) & {int, float}:
        found.append(1.5)
    return [*found, *([] if type(None) in kinds(hint) else [None])]


def fields() -> list[Any]:
    """Every field of every request, once."""
    found = {}
    for route in ROUTES:
        for name, hint in get_type_hints(route.request, include_extras=True).items():
            found[route.request, name] = pytest.param(route, name, hint, id=f"{route.request.__name__}.{name}")
    return list(found.values())


def good(kind: type[Any]) -> dict[str, Any]:
    """The fields that a request needs, with values that it can have."""
    return {each.name: GOOD[each.name] for each in msgspec.structs.fields(kind) if each.required}


def said(error: QueryRejected) -> str:
    """The line, which is one, and short whatever came."""
    line = str(error)
    assert "\n" not in line and len(line) < 700
    return line


@pytest.mark.parametrize(("route", "name", "hint"), fields())
class TestEveryParameter:
    def test_is_refused_where_its_value_cannot_be(self, route: Operation, name: str, hint: Any) -> None:
        """The line names it, and says what was expected and what came."""
        for value in wrong_values(hint):
            with pytest.raises(RequestMalformed) as caught:
                request_from_json(route.request, good(route.request) | {name: value})
            assert name in said(caught.value), value
            assert caught.value.expected and caught.value.received

    def test_is_refused_as_a_text_where_its_value_cannot_be(self, route: Operation, name: str, hint: Any) -> None:
        """As in an address, where everything is a text."""
        texts = {each: value if isinstance(value, list) else [value] for each, value in good(route.request).items()}
        numbers = [
            each for each in wrong_values(hint) if type(each) in (int, float) and kinds(hint) & {int, float, bool}
        ]
        words = ["word", "", "1e400", "null", "٣"] if not kinds(hint) & {str, bytes, list} else []
        for value in [*map(str, numbers), *words]:
            with pytest.raises(RequestMalformed) as caught:
                request_from_texts(route.request, texts | {name: [value]})
            assert name in said(caught.value), value

    def test_is_missed_where_it_is_needed(self, route: Operation, name: str, hint: Any) -> None:
        """And only there."""
        rest = {each: value for each, value in good(route.request).items() if each != name}
        if name in good(route.request):
            with pytest.raises(RequestMalformed, match=f"{name} is missing"):
                request_from_json(route.request, rest)
        else:
            assert request_from_json(route.request, rest)


class TestTheRequest:
    @pytest.mark.parametrize("value", [None, [], "text", 7, True])
    def test_is_a_json_object(self, value: object) -> None:
        """And says which fields one needs."""
        with pytest.raises(RequestMalformed, match="a JSON object with candidates, context"):
            request_from_json(DisambiguateRequest, value)

    def test_has_no_fields_that_nobody_knows(self) -> None:
        """The line says which there are."""
        with pytest.raises(RequestMalformed, match=r"there is no parameter 'K'; expected some of .*min_score"):
            request_from_json(SearchRequest, {"q": "dog", "K": 1})
        with pytest.raises(RequestMalformed, match=r"there is no parameter 'K'; expected some of .*min_score"):
            request_from_texts(SearchRequest, {"q": ["dog"], "K": ["1"]})

    @pytest.mark.parametrize(
        ("name", "operation", "meant"),
        [
            ("K", "search", "k"),
            ("words", "search", "q"),
            ("words", "set_quest_brief", "q"),
            ("example_photo_ids", "set_quest_brief", "photo_ids"),
            ("limit", "related", "k"),
            ("tags", "search", "tag"),
            ("minScore", "search", "min_score"),
            ("exlude_user", "photographers", "exclude_user"),
            ("photo_id", "add_to_gallery", "photo_ids"),
            ("since", "search", "after"),
            ("offset", "search", "cursor"),
        ],
    )
    def test_with_a_field_that_nobody_knows_is_told_which_was_meant(
        self, name: str, operation: str, meant: str
    ) -> None:
        """The same in other letters, what it is called elsewhere, and slips."""
        kind = BY_NAME[operation].request
        with pytest.raises(RequestMalformed) as caught:
            request_from_json(kind, good(kind) | {name: "7"})

        assert caught.value.remedy == f"Did you mean {meant}?"

    @pytest.mark.parametrize("name", ["xyzzy", "", "_", "x" * 100_000])
    def test_with_a_field_that_is_like_none_is_told_nothing_wrong(self, name: str) -> None:
        with pytest.raises(RequestMalformed) as caught:
            request_from_json(SearchRequest, {"q": "dog", name: 1})

        assert caught.value.remedy is None and said(caught.value)

    def test_gives_nothing_twice(self) -> None:
        """Neither within an address, nor in a path and a body."""
        with pytest.raises(RequestMalformed, match="q is given 2 times"):
            request_from_texts(SearchRequest, {"q": ["dog", "cat"]})
        with pytest.raises(RequestMalformed, match="gallery_id is given twice"):
            request_from_json(
                BY_NAME["add_to_gallery"].request, {"gallery_id": 8, "photo_ids": [1]}, {"gallery_id": "7"}
            )

    @pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
    def test_has_no_number_that_is_none(self, number: float) -> None:
        """JSON has none, but Python's callers may."""
        with pytest.raises(RequestMalformed, match="min_score"):
            request_from_json(SearchRequest, {"q": "dog", "min_score": number})

    def test_takes_numbers_without_a_fraction_as_whole(self) -> None:
        """JSON has one kind of number, and a language may write each with a point."""
        asked = request_from_json(BY_NAME["suggestions"].request, {"photo_ids": [7.0, "8"], "k": 3.0, "min_score": 1})

        assert (asked.photo_ids, asked.k, asked.min_score) == ([7, "8"], 3, 1.0)

    def test_shows_little_of_what_is_long(self) -> None:
        with pytest.raises(RequestMalformed) as caught:
            request_from_texts(SearchRequest, {"q": ["x" * 100_000]})

        assert len(said(caught.value)) < 300

    def test_takes_lists_repeated_and_with_commas(self) -> None:
        """And mixed."""
        asked = request_from_texts(SearchRequest, {"q": ["dog"], "tag": ["a, b", "c", ","], "user_id": ["1,2"]})

        assert (asked.tag, asked.user_id) == (["a", "b", "c"], ["1", "2"])

    def test_has_no_more_of_a_list_than_are_allowed_though_they_be_empty(self) -> None:
        """Some empty ones do no harm."""
        assert request_from_texts(SearchRequest, {"q": ["dog"], "tag": [","] * 10}).tag == []
        with pytest.raises(RequestMalformed, match="tag cannot be used; expected at most 20"):
            request_from_texts(SearchRequest, {"q": ["dog"], "tag": [""] * 21})

    @pytest.mark.parametrize(("text", "value"), [("1", True), ("true", True), ("0", False), ("FALSE", False)])
    def test_takes_yes_and_no_as_people_write_them(self, text: str, value: bool) -> None:
        assert request_from_texts(SearchRequest, {"q": ["dog"], "explain": [text]}).explain is value


class TestIds:
    @pytest.mark.parametrize("value", [0, 42, ID_MAX, "0", "42", "007", str(ID_MAX)])
    def test_are_numbers_or_decimals(self, value: int | str) -> None:
        """Both mean the same."""
        asked = request_from_json(BY_NAME["photo"].request, {"photo_id": value})

        assert id_of(asked.photo_id) == int(value)

    @pytest.mark.parametrize(
        "value", [-1, ID_MAX + 1, 1.5, True, "", "-1", "1.0", "٣", str(ID_MAX + 1), "0" * 20, "42\n"]
    )
    def test_are_nothing_else(self, value: Any) -> None:
        """Not one more than the largest, not a digit of another alphabet, no truth."""
        with pytest.raises(QueryRejected):
            id_of(request_from_json(BY_NAME["photo"].request, {"photo_id": value}).photo_id)

    def test_have_a_pattern_that_ends_where_the_numbers_end(self) -> None:
        """At each digit of the largest one."""
        largest = str(ID_MAX)

        assert re.search(ID_PATTERN, largest)
        for place, digit in enumerate(largest):
            if digit != "9":
                assert not re.search(ID_PATTERN, f"{largest[:place]}{int(digit) + 1}{'0' * (18 - place)}")
            if digit != "0":
                assert re.search(ID_PATTERN, f"{largest[:place]}{int(digit) - 1}{'9' * (18 - place)}")
