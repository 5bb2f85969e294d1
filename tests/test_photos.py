"""What the reader of photos fetches, and what it refuses."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stream_app.errors import PhotoRejected, PhotoUnreachable
from stream_app.photos import PhotoReader, _is_private, _public_socket

BYTES = b"\xff\xd8 the bytes of a photo"


def reader_of(*roots: Path, private: bool = False, bytes_max: int = 1000, seconds: float = 5) -> PhotoReader:
    return PhotoReader(
        roots=lambda: roots, bytes_max=bytes_max, private_addresses_allowed=private, timeout_seconds=seconds
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A published folder with one photo, and beside it a file that is nobody's business."""
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(BYTES)
    return folder


async def _photo(request: web.Request) -> web.Response:
    return web.Response(body=BYTES, status=int(request.match_info.get("status", 200)))


async def _hop(request: web.Request) -> web.Response:
    raise web.HTTPFound(request.query["to"])


async def _loop(_: web.Request) -> web.Response:
    raise web.HTTPFound("/loop")


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(500))


async def _slow(_: web.Request) -> web.Response:
    await asyncio.sleep(5)
    return web.Response()


async def _squeezed(_: web.Request) -> web.Response:
    response = web.Response(body=bytes(100_000))
    response.enable_compression(web.ContentCoding.gzip)
    return response


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    """A web server on the loopback address."""
    app = web.Application()
    app.router.add_get("/cat.jpg", _photo)
    app.router.add_get("/status/{status}", _photo)
    for handler in (_hop, _loop, _endless, _slow, _squeezed):
        app.router.add_get(handler.__name__.replace("_", "/"), handler)
    server = TestServer(app)
    async with server:
        yield server


class _OnlyTheFirstIsPublic:
    """Stands for a public server, of which a test has none: its first connection is let through."""

    def __init__(self) -> None:
        self._connected = False

    def __call__(self, address: aiohttp.AddrInfoType) -> socket.socket:
        if self._connected:
            return _public_socket(address)
        self._connected = True
        return socket.socket(*address[:3])


async def read(reader: PhotoReader, url: str) -> bytes:
    try:
        return await reader.read(url)
    finally:
        await reader.close()


class TestFiles:
    async def test_a_file_below_a_published_folder_is_read(self, root: Path) -> None:
        """What was published can be read."""
        assert await read(reader_of(root), (root / "cat.jpg").as_uri()) == BYTES

    @pytest.mark.parametrize("name", ["a b.jpg", "100%.jpg", "x#y?.jpg", "Übersee ☃.jpg", "%41.jpg", "a+b;c=1&d.jpg"])
    async def test_any_file_name_survives_percent_encoding(self, root: Path, name: str) -> None:
        """Whatever a file is called, its own URI reads it."""
        (root / name).write_bytes(name.encode())

        assert await read(reader_of(root), (root / name).as_uri()) == name.encode()

    async def test_a_name_that_is_no_utf8_is_read(self, root: Path) -> None:
        """File names are bytes; not all of them are text."""
        path = Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.jpg"))
        path.write_bytes(BYTES)

        assert await read(reader_of(root), path.as_uri()) == BYTES

    async def test_localhost_is_this_machine(self, root: Path) -> None:
        """file://localhost/... is the long form of file:///..."""
        assert await read(reader_of(root), f"file://localhost{root}/cat.jpg") == BYTES

    @pytest.mark.parametrize(
        "way", ["../secret.jpg", "%2e%2e/secret.jpg", "..%2fsecret.jpg", "./../photos/../secret.jpg"]
    )
    async def test_no_way_leads_out_of_the_root(self, root: Path, way: str) -> None:
        """Neither dots nor encoded dots leave the published folder."""
        with pytest.raises(PhotoRejected, match="not below a published folder"):
            await read(reader_of(root), f"file://{root}/{way}")

    async def test_a_folder_that_only_begins_alike_is_not_the_root(self, root: Path) -> None:
        """/photos-private is not below /photos."""
        other = root.with_name("photos-private")
        other.mkdir()
        (other / "cat.jpg").write_bytes(BYTES)

        with pytest.raises(PhotoRejected, match="not below a published folder"):
            await read(reader_of(root), (other / "cat.jpg").as_uri())

    async def test_a_symlink_out_of_the_root_is_refused(self, root: Path) -> None:
        """What counts is where the bytes lie."""
        (root / "link.jpg").symlink_to(root.parent / "secret.jpg")

        with pytest.raises(PhotoRejected, match="not below a published folder"):
            await read(reader_of(root), (root / "link.jpg").as_uri())

    async def test_a_symlink_within_the_root_is_followed(self, root: Path) -> None:
        """Links are fine as long as they stay."""
        (root / "link.jpg").symlink_to(root / "cat.jpg")

        assert await read(reader_of(root), (root / "link.jpg").as_uri()) == BYTES

    async def test_a_root_that_is_itself_a_symlink_counts(self, root: Path) -> None:
        """People publish ~/Pictures, which may be a link."""
        link = root.with_name("pictures")
        link.symlink_to(root)

        assert await read(reader_of(link), (link / "cat.jpg").as_uri()) == BYTES

    async def test_a_loop_of_symlinks_is_refused(self, root: Path) -> None:
        """A link to itself ends in a clear refusal."""
        (root / "loop.jpg").symlink_to(root / "loop.jpg")

        with pytest.raises(PhotoRejected):
            await read(reader_of(root), (root / "loop.jpg").as_uri())

    async def test_a_pipe_is_refused_and_does_not_hold_the_reader(self, root: Path) -> None:
        """Opening a pipe that nobody writes to would wait for ever."""
        os.mkfifo(root / "pipe.jpg")

        with pytest.raises(PhotoRejected, match="no file"):
            await read(reader_of(root), (root / "pipe.jpg").as_uri())

    async def test_a_device_is_refused(self) -> None:
        """/dev/zero never ends."""
        with pytest.raises(PhotoRejected, match="no file"):
            await read(reader_of(Path("/dev")), "file:///dev/zero")

    async def test_a_folder_is_refused(self, root: Path) -> None:
        """A folder has no bytes."""
        (root / "folder.jpg").mkdir()

        with pytest.raises(PhotoRejected):
            await read(reader_of(root), (root / "folder.jpg").as_uri())

    async def test_a_file_that_is_missing_is_refused_by_name(self, root: Path) -> None:
        """The message says which file, and what was the matter."""
        with pytest.raises(PhotoRejected, match=r"gone\.jpg cannot be read; .*received No such file"):
            await read(reader_of(root), (root / "gone.jpg").as_uri())

    async def test_a_file_that_is_too_large_is_refused(self, root: Path) -> None:
        """One byte too many is too many."""
        (root / "exact.jpg").write_bytes(bytes(1000))
        (root / "large.jpg").write_bytes(bytes(1001))

        assert len(await read(reader_of(root), (root / "exact.jpg").as_uri())) == 1000
        with pytest.raises(PhotoRejected, match="at most 1000 bytes"):
            await read(reader_of(root), (root / "large.jpg").as_uri())

    async def test_a_root_published_later_counts_at_once(self, root: Path) -> None:
        """The roots are asked at each read."""
        roots: list[Path] = []
        reader = PhotoReader(roots=lambda: roots, bytes_max=1000, private_addresses_allowed=False)
        with pytest.raises(PhotoRejected, match="there is none"):
            await reader.read((root / "cat.jpg").as_uri())

        roots.append(root)

        assert await reader.read((root / "cat.jpg").as_uri()) == BYTES

    @pytest.mark.parametrize(
        "url",
        [
            "file://server/share/cat.jpg",
            "file:cat.jpg",
            "file:///a%00b.jpg",
            "file:///a.jpg?x",
            "file://[",
            "ftp://example.org/cat.jpg",
            "data:image/png;base64,AAAA",
            "cat.jpg",
            "",
            "http://",
            "http://[",
            "http://host:99999/",
            "http://user:pass@example.org/cat.jpg",
        ],
    )
    async def test_an_address_of_another_kind_is_refused(self, url: str) -> None:
        """Other machines, other schemes, passwords and malformed addresses."""
        with pytest.raises(PhotoRejected):
            await read(reader_of(Path("/")), url)


class TestWeb:
    async def test_a_photo_is_fetched(self, server: TestServer) -> None:
        """Where private addresses are allowed, the loopback one is as good as any."""
        assert await read(reader_of(private=True), str(server.make_url("/cat.jpg"))) == BYTES

    async def test_a_redirect_is_followed(self, server: TestServer) -> None:
        """One hop, relative."""
        assert await read(reader_of(private=True), str(server.make_url("/hop?to=/cat.jpg"))) == BYTES

    async def test_redirects_without_end_are_refused(self, server: TestServer) -> None:
        """A redirect to itself ends."""
        with pytest.raises(PhotoRejected, match="too often"):
            await read(reader_of(private=True), str(server.make_url("/loop")))

    async def test_a_redirect_to_a_file_is_refused(self, server: TestServer, root: Path) -> None:
        """The web may not make us read our own disk, published or not."""
        with pytest.raises(PhotoRejected, match="leads out of the web"):
            target = (root / "cat.jpg").as_uri()
            await read(reader_of(root, private=True), str(server.make_url("/hop").with_query(to=target)))

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "①27.0.0.1"])
    async def test_the_own_machine_is_refused(self, server: TestServer, host: str) -> None:
        """By number, by name, and in disguise."""
        with pytest.raises(PhotoRejected, match="private network"):
            await read(reader_of(), f"http://{host}:{server.port}/cat.jpg")

    @pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
    async def test_odd_spellings_of_an_address_are_refused(self, server: TestServer, host: str) -> None:
        """What the C library would take for 127.0.0.1 is no way in."""
        with pytest.raises(PhotoRejected):
            await read(reader_of(), f"http://{host}:{server.port}/cat.jpg")

    async def test_a_redirect_into_a_private_network_is_refused(self, server: TestServer) -> None:
        """A public server may not send us home: each hop is checked on the address it connects to."""
        reader = reader_of()
        connector = reader._web().connector
        assert isinstance(connector, aiohttp.TCPConnector)
        connector._socket_factory = _OnlyTheFirstIsPublic()

        with pytest.raises(PhotoRejected, match="private network"):
            await read(reader, str(server.make_url("/hop").with_query(to=f"http://localhost:{server.port}/cat.jpg")))

    async def test_a_body_without_end_is_cut_off(self, server: TestServer) -> None:
        """The size is capped while it streams in, whatever the headers said or did not say."""
        with pytest.raises(PhotoRejected, match="too large"):
            await read(reader_of(private=True), str(server.make_url("/endless")))

    async def test_a_compressed_body_is_not_blown_up(self, server: TestServer) -> None:
        """A hundred bytes stay a hundred bytes."""
        assert len(await read(reader_of(private=True), str(server.make_url("/squeezed")))) < 1000

    async def test_a_server_that_does_not_answer_is_given_up(self, server: TestServer) -> None:
        """That may pass, so it is unreachable rather than rejected."""
        with pytest.raises(PhotoUnreachable, match="took too long"):
            await read(reader_of(private=True, seconds=0.2), str(server.make_url("/slow")))

    @pytest.mark.parametrize(
        ("status", "error"), [(404, PhotoRejected), (429, PhotoUnreachable), (503, PhotoUnreachable)]
    )
    async def test_only_a_passing_failure_is_worth_another_try(
        self, server: TestServer, status: int, error: type[Exception]
    ) -> None:
        """What is missing stays missing; what is busy may serve later."""
        with pytest.raises(error):
            await read(reader_of(private=True), str(server.make_url(f"/status/{status}")))

    async def test_a_refused_connection_may_pass(self, unused_tcp_port: int) -> None:
        """Nobody listens there now."""
        with pytest.raises(PhotoUnreachable):
            await read(reader_of(private=True), f"http://127.0.0.1:{unused_tcp_port}/cat.jpg")


@pytest.mark.parametrize(
    "address",
    [
        *("10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
        *("255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "::ffff:10.0.0.1"),
        *("64:ff9b::a00:1", "2002:a00:1::", "2001:0:a00:1::"),
    ],
)
def test_an_address_that_is_not_public_is_private(address: str) -> None:
    """Also one that hides in an IPv6 address."""
    assert _is_private(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_a_public_address_is_public(address: str) -> None:
    """Ordinary servers can be reached."""
    assert not _is_private(address)
