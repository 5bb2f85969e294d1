"""What comes over `photo-queries` and what goes back: headers of every library, and replies that fit."""

from __future__ import annotations

import struct
import uuid
from importlib.resources import files

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stream_app.contract.operations import BY_NAME
from stream_app.errors import QueryRejected
from stream_app.query_messages import (
    Asked,
    Question,
    ReplyAddress,
    address_of,
    answer_bytes,
    headers_of,
    message_of,
    problem_value,
    question_of,
    reply_values,
)
from stream_app.query_replies import problem_said_of

ADDRESS = ReplyAddress("photo-replies", b"7")
SEARCH = {"operation": "search", "request": {"q": "dog"}}


def schema(name: str) -> Draft202012Validator:
    """One of the schemas that we publish."""
    return Draft202012Validator(orjson.loads(files("stream_app").joinpath("schemas", name).read_bytes()))


def bulk(count: int) -> Question:
    """A question of so many requests."""
    return Question([Asked("search", {})] * count, True, 1_000)


class TestWhereToReply:
    """`address_of`."""

    def test_the_message_may_say_it(self) -> None:
        """Then no header is needed, and the reply's JSON has the id again."""
        message = SEARCH | {"reply_to": "photo-replies.mine", "correlation_id": "7", "reply_partition": 2}

        assert address_of(message, {}) == ReplyAddress("photo-replies.mine", b"7", 2)

    def test_headers_count_more_than_the_message(self) -> None:
        """A library that sets them need not know what it carries."""
        headers = headers_of([("reply_to", b"photo-replies.b"), ("correlation_id", b"8"), ("reply_partition", b"1")])
        address = address_of({"reply_to": "photo-replies.a", "correlation_id": "7"}, headers)

        assert address == ReplyAddress("photo-replies.b", b"8", 1, ("correlation_id",))

    def test_springs_template_is_answered_in_its_own_words(self) -> None:
        """Its id is 16 bytes that are no text, its partition a big-endian number; the id comes back as it was."""
        correlation_id = uuid.UUID("ffb7b6e8-95a3-4cc1-8ecf-f1d1a3a2b3c4").bytes
        headers = headers_of(
            [
                ("kafka_replyTopic", b"photo-replies"),
                ("kafka_replyPartition", struct.pack(">i", 3)),
                ("kafka_correlationId", correlation_id),
            ]
        )
        address = address_of(SEARCH, headers)

        assert address is not None and (address.topic, address.partition) == ("photo-replies", 3)
        assert ("kafka_correlationId", correlation_id) in address.headers()
        assert question_of(SEARCH, address).requests == [Asked("search", {"q": "dog"})]

    @pytest.mark.parametrize("topic", ["", "a b", "ä", "x" * 250, 7, None, "a/b"])
    def test_what_is_no_topic_is_no_address(self, topic: object) -> None:
        """The broker is not bothered with it."""
        assert address_of({"reply_to": topic, "correlation_id": "7"}, {}) is None

    @given(st.binary(max_size=60), st.dictionaries(st.text(max_size=12), st.binary(max_size=9), max_size=4))
    def test_no_bytes_are_too_odd(self, value: bytes, headers: dict[str, bytes]) -> None:
        """They are read, or rejected in one line."""
        try:
            message = message_of(value)
            question_of(message, address_of(message, headers_of(headers)))
        except QueryRejected as rejected:
            assert rejected.expected


class TestWhatIsAsked:
    """`question_of`."""

    @pytest.mark.parametrize(
        ("message", "problem"),
        [
            ([SEARCH], "the message cannot be used"),
            ({"request": {}}, "operation is missing"),
            (SEARCH | {"timeout_ms": 0}, "timeout_ms cannot be used"),
            (SEARCH | {"timeout_ms": True}, "timeout_ms cannot be used"),
            (SEARCH | {"k": 7}, "there is no field 'k'"),
            (SEARCH | {"requests": [SEARCH]}, "there is no field 'operation'"),
            ({"requests": []}, "requests cannot be used"),
            ({"requests": [SEARCH] * 1_001}, "requests cannot be used"),
            ({"requests": [SEARCH | {"reply_to": "photo-replies"}]}, "there is no field 'reply_to'"),
        ],
    )
    def test_what_is_wrong_with_a_message_is_one_line(self, message: object, problem: str) -> None:
        """It names the field."""
        with pytest.raises(QueryRejected) as caught:
            question_of(message, ADDRESS)
        assert caught.value.problem == problem

    @pytest.mark.parametrize(
        ("message", "remedy"),
        [
            (SEARCH | {"k": 7}, "What the operation takes stands in request."),
            (SEARCH | {"replyTo": "photo-replies"}, "Did you mean reply_to?"),
            ({"requests": [SEARCH], "timeout": 7}, "Did you mean timeout_ms?"),
        ],
    )
    def test_a_field_that_nobody_knows_is_told_where_it_belongs(self, message: object, remedy: str) -> None:
        """Or what it was meant to be."""
        with pytest.raises(QueryRejected) as caught:
            question_of(message, ADDRESS)
        assert caught.value.remedy == remedy

    def test_nobody_is_answered_who_could_not_tell_what_the_answer_is_to(self) -> None:
        """A correlation id is not optional."""
        with pytest.raises(QueryRejected, match="correlation_id is missing"):
            question_of(SEARCH, ReplyAddress("photo-replies"))

    def test_a_thousand_requests_are_one_question(self) -> None:
        """In their order."""
        message = {"requests": [{"operation": "photo", "request": {"photo_id": each}} for each in range(1_000)]}
        question = question_of(message, ADDRESS)

        assert [each.request for each in question.requests] == [{"photo_id": each} for each in range(1_000)]


class TestWhatIsReplied:
    """`reply_values`."""

    def test_many_answers_are_cut_into_messages_that_fit(self) -> None:
        """Each says which answers it has, so that nothing hangs on their order."""
        answers = [answer_bytes("search", {"number": each, "padding": "x" * (each % 90)}) for each in range(500)]
        values = reply_values(ADDRESS, bulk(500), answers, 2_000)
        parts = [orjson.loads(each) for each in values]

        assert all(len(each) <= 2_000 for each in values) and len(values) > 10
        assert {(each["correlation_id"], each["total"]) for each in parts} == {("7", 500)}
        joined = {first: answer for each in parts for first, answer in enumerate(each["answers"], each["first"])}
        assert [joined[each]["answer"]["number"] for each in range(500)] == list(range(500))

    @pytest.mark.parametrize("is_bulk", [True, False])
    def test_an_answer_that_no_message_can_hold_says_so_in_its_place(self, is_bulk: bool) -> None:
        """The caller is told to ask for fewer."""
        answers = [answer_bytes("search", "x" * 5_000)]
        [value] = reply_values(ADDRESS, Question([Asked("search", {})], is_bulk, 1_000), answers, 2_000)
        reply = orjson.loads(value)
        [reply] = reply["answers"] if is_bulk else [reply]

        assert (reply["operation"], reply["problem"]["status"]) == ("search", 413)

    def test_a_faust_program_gets_its_envelope_and_never_two_messages(self) -> None:
        """A second reply would end it."""
        envelope = {"__faust": {"ns": "@ReqRepRequest"}, "value": SEARCH, "reply_to": "photo-replies"}
        address = address_of(envelope | {"correlation_id": "7"}, {})
        assert address is not None
        [one] = reply_values(address, question_of(envelope, address), [answer_bytes("search", {})], 2_000)
        [cut] = reply_values(address, bulk(50), [answer_bytes("search", "x" * 99)] * 50, 2_000)

        assert orjson.loads(one)["value"]["answer"] == {} and orjson.loads(one)["correlation_id"] == "7"
        assert orjson.loads(cut)["value"]["problem"]["status"] == 413


class TestTheSchemas:
    """`schemas/photo-queries.schema.json` and `photo-replies.schema.json`."""

    @pytest.mark.parametrize("name", ["photo-queries.schema.json", "photo-replies.schema.json"])
    def test_they_are_schemas_whose_examples_fit(self, name: str) -> None:
        """What a person copies works."""
        validator = schema(name)
        Draft202012Validator.check_schema(validator.schema)

        assert [each for example in validator.schema["examples"] for each in validator.iter_errors(example)] == []
        assert validator.schema["examples"]

    def test_the_examples_of_requests_are_read(self) -> None:
        """By the program that reads them."""
        for example in schema("photo-queries.schema.json").schema["examples"]:
            assert all(each.operation in BY_NAME for each in question_of(example, ADDRESS).requests)

    def test_they_name_every_operation(self) -> None:
        """And none that there is not."""
        assert set(schema("photo-queries.schema.json").schema["$defs"]["operation"]["enum"]) == set(BY_NAME)

    def test_what_we_reply_fits(self) -> None:
        """An answer, a problem, and several."""
        said = problem_said_of(QueryRejected("no", expected="yes"), "a test")
        answers = [answer_bytes("search", {"hits": []})]
        values = [
            problem_value(ADDRESS, said),
            *reply_values(ADDRESS, Question([Asked("search", {})], False, 1_000), answers, 2_000),
            *reply_values(ADDRESS, bulk(1), answers, 2_000),
        ]

        for each in values:
            schema("photo-replies.schema.json").validate(orjson.loads(each))
