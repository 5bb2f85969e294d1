"""The Python client: it has what the contract has, asks a real server, and says what went wrong."""

from __future__ import annotations

import asyncio
import http.server
import inspect
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from memory_album import MemoryAlbum, photo_bytes
from web_client import serving

from stream_app.client import Client, RequestFailed
from stream_app.client.connection import Connection
from stream_app.contract.operations import BY_NAME, OPERATIONS, Operation
from stream_app.errors import ServiceUnavailable, SettingsError, SightlineError
from stream_app.local_services import free_port


def bare(hint: Any) -> Any:
    """A type as a caller writes it: nothing said about it, sequences for lists."""
    if get_origin(hint) is Annotated:
        return bare(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return Union[tuple(bare(each) for each in get_args(hint))]  # noqa: UP007 (made of a tuple)
    if get_origin(hint) in (list, Sequence):
        return Sequence[bare(get_args(hint)[0])]  # type: ignore[misc]
    return hint


def offered(operation: Operation) -> dict[str, Any]:
    """The types of a method's parameters by name, those of its options among them."""
    hints = get_type_hints(getattr(Client, operation.name), include_extras=True)
    hints.pop("return")
    options = hints.pop("options", None)
    return {
        name: bare(each) for name, each in (hints | (get_type_hints(get_args(options)[0]) if options else {})).items()
    }


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
class TestEveryOperation:
    def test_has_a_method_with_its_fields_and_their_types(self, operation: Operation) -> None:
        """No field is missing, none is of another type; a photo may be a path, too, or lie at a url."""
        wanted = {name: bare(each) for name, each in get_type_hints(operation.request, include_extras=True).items()}
        if operation.body == "photo":
            wanted["image"] = bytes | Path | None

        assert offered(operation) == wanted

    def test_has_the_same_defaults(self, operation: Operation) -> None:
        """What is left out means the same here and there."""
        method = inspect.signature(getattr(Client, operation.name))
        fields = {each.name: each for each in msgspec.structs.fields(operation.request)}
        told = [each for each in method.parameters.values() if each.name in fields and each.name != "image"]

        assert {each.name for each in told if each.default is each.empty} == {
            name for name, each in fields.items() if each.required
        }
        for each in told:
            if each.default is not each.empty:
                field = fields[each.name]
                default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
                assert each.default == (tuple(default) if isinstance(default, list) else default), each.name

    def test_answers_with_its_type_and_says_what_it_is_for(self, operation: Operation) -> None:
        """As a type checker and help() see it."""
        method = getattr(Client, operation.name)

        assert get_type_hints(method)["return"] == (operation.answer or NoneType)
        assert method.__doc__


@pytest.fixture
def album() -> MemoryAlbum:
    """Two photos."""
    album = MemoryAlbum()
    album.add(photo_bytes("red"), "red.jpg", photo_id=2**63 - 1, title="A red one", tags=["warm"])
    album.add(photo_bytes("blue"), "blue.jpg", photo_id=9)
    return album


@pytest.fixture
async def ask(album: MemoryAlbum, tmp_path: Path) -> Any:
    """Calls a function with a client of a server of that album, in a thread of its own."""
    async with serving(album, tmp_path) as web_client:
        with Client(str(web_client.make_url("/")), retries=0) as client:

            async def call(question: Callable[[Client], Any]) -> Any:
                return await asyncio.to_thread(question, client)

            yield call


class TestAnswers:
    async def test_come_as_structs_and_ids_keep_every_digit(self, ask: Any) -> None:
        """2^63 - 1 is asked for as a number and as a text."""
        for photo_id in (2**63 - 1, str(2**63 - 1)):
            photo = await ask(lambda client, asked=photo_id: client.photo(asked))

            assert (photo.photo_id, photo.title, photo.tags) == (str(2**63 - 1), "A red one", ["warm"])

    async def test_words_with_arithmetic_reach_the_server_as_they_were_written(self, ask: Any) -> None:
        """A plus is a plus."""
        answer = await ask(lambda client: client.search("red + q&x=1#y", k=1, fold=False, exclude_user=[1, "2"]))

        assert answer.unknown_words == ["+", "q&x=1#y"] and len(answer.hits) == 1

    async def test_a_photo_is_sent_as_bytes_and_as_a_path(self, ask: Any, tmp_path: Path) -> None:
        """Both search alike."""
        path = tmp_path / "mine.jpg"
        path.write_bytes(photo_bytes("blue"))

        for photo in (path, photo_bytes("blue")):
            found = await ask(lambda client, sent=photo: client.search_image(sent, k=1))
            assert [each.photo_id for each in found.hits] == ["9"]

    async def test_a_photo_goes_into_the_album_and_out_of_it(self, ask: Any, tmp_path: Path) -> None:
        """Under its name, with title and tags, and its bytes come back."""
        path = tmp_path / "leaf.jpg"
        path.write_bytes(photo_bytes("green"))
        uploaded = await ask(lambda client: client.upload(path, title="Leaf", tags=["a", "b"]))
        photo = await ask(lambda client: client.photo(uploaded.photo_id))
        assert (uploaded.photos[0].name, photo.title, photo.tags) == ("leaf.jpg", "Leaf", ["a", "b"])
        assert await ask(lambda client: client.image(uploaded.photo_id)) == path.read_bytes()
        assert (await ask(lambda client: client.image(uploaded.photo_id, side=160)))[8:12] == b"WEBP"
        assert await ask(lambda client: client.delete(uploaded.photo_id)) is None

        with pytest.raises(RequestFailed) as caught:
            await ask(lambda client: client.photo(uploaded.photo_id))
        assert caught.value.status == 404

    async def test_an_upload_that_is_repeated_under_its_key_is_one_photo(self, ask: Any) -> None:
        """The answer is that of the first time."""
        sent = [
            await ask(lambda client: client.upload(photo_bytes("white"), name="w.jpg", idempotency_key="once"))
            for _ in range(2)
        ]

        assert sent[0] == sent[1]
        assert (await ask(lambda client: client.stats())).photos == 3

    async def test_a_json_body_carries_lists_and_structs(self, ask: Any) -> None:
        """The words of the album are colours."""
        answer = await ask(lambda client: client.disambiguate(["red", "blue"], ["red"]))

        assert [each.text for each in answer.candidates] == ["red", "blue"]

    async def test_a_word_with_a_slash_stays_one_word(self, ask: Any) -> None:
        """It is no part of the path."""
        with pytest.raises(RequestFailed, match="red/blue"):
            await ask(lambda client: client.similar_words("red/blue", k=1))

    async def test_numbers_of_the_worker_are_there(self, ask: Any) -> None:
        assert (await ask(lambda client: client.stats())).photos == 2


class TestProblems:
    async def test_a_refusal_carries_the_whole_problem(self, ask: Any) -> None:
        """As the server said it, and in one line; it survives pickling."""
        with pytest.raises(RequestFailed) as caught:
            await ask(lambda client: client.search("red", k=0))
        problem = caught.value

        assert (problem.status, problem.received) == (400, "'0'")
        assert "1 to 1000" in str(problem.expected) and problem.remedy and "\n" not in str(problem)
        assert str(pickle.loads(pickle.dumps(problem))) == str(problem)

    def test_no_worker_at_all_is_a_service_that_is_away(self) -> None:
        with pytest.raises(ServiceUnavailable, match="sightline up"):
            Client(f"http://127.0.0.1:{free_port()}", retries=0).stats()

    @pytest.mark.parametrize("url", ["", "localhost:6066", "ftp://host", "http://"])
    def test_an_address_that_is_none_is_told_at_once(self, url: str) -> None:
        with pytest.raises(SettingsError, match="http://127"):
            Client(url)


class Script(http.server.BaseHTTPRequestHandler):
    """Answers what its server has in store, one after the other."""

    def do_GET(self) -> None:
        status, headers, body = self.server.store.pop(0)  # type: ignore[attr-defined]
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def scripted() -> Iterator[Any]:
    """A real server that answers as its list `store` says; `url` is its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Script) as server:
        server.url = f"http://127.0.0.1:{server.server_address[1]}"  # type: ignore[attr-defined]
        server.store = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class TestPatience:
    BUSY = (503, {"Retry-After": "0"}, b'{"title": "t", "status": 503, "detail": "recovering"}')
    STATS = (200, {}, b'{"photos": 3, "upload_bytes_max": 1}')

    def test_a_worker_that_is_not_ready_is_asked_again(self, scripted: Any) -> None:
        """Twice it is busy, then it answers."""
        scripted.store += [self.BUSY, self.BUSY, self.STATS]

        assert Client(scripted.url, retries=2).stats().photos == 3

    def test_one_that_stays_busy_is_given_up_with_its_own_words(self, scripted: Any) -> None:
        scripted.store += [self.BUSY, self.BUSY, self.STATS]

        with pytest.raises(RequestFailed, match="recovering") as caught:
            Client(scripted.url, retries=1).stats()
        assert caught.value.status == 503 and scripted.store == [self.STATS]

    def test_other_problems_are_not_asked_about_again(self, scripted: Any) -> None:
        """A POST that failed may have been done."""
        scripted.store += [(500, {}, b"no problem of ours"), self.STATS]

        with pytest.raises(RequestFailed, match="answered 500") as caught:
            Client(scripted.url, retries=3).disambiguate(["a", "b"], ["c"])
        assert caught.value.received == "no problem of ours" and len(scripted.store) == 1

    def test_an_answer_of_somebody_else_is_told(self, scripted: Any) -> None:
        scripted.store += [(200, {}, b"<html>")]

        with pytest.raises(SightlineError, match="The answer cannot be read"):
            Client(scripted.url).stats()

    def test_a_prefix_of_the_address_is_kept(self, scripted: Any) -> None:
        """A worker may stand behind a proxy, below a path."""
        scripted.store += [self.STATS]
        connection = Connection(f"{scripted.url}/deep/", timeout_seconds=5, retries=0)

        assert connection.ask(BY_NAME["photos"], {}) == self.STATS[2]
