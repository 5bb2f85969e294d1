"""Fetching photos from addresses that nobody vouches for: files below published roots, and the web."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import re
import socket
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import aiohttp
from yarl import URL

from stream_app.errors import PhotoRejected, PhotoUnreachable

REDIRECTS_MAX = 5
CONNECTIONS_MAX = 64
_CHUNK_BYTES = 1 << 16
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Answers after which trying again may help.
_PASSING = frozenset({408, 425, 429})


class PhotoReader:
    """Reads photos by their address; raises PhotoRejected, or PhotoUnreachable for a trouble that may pass.

    `roots` is asked at each read, so that a folder published later counts at once. Web addresses that lead
    into a private network are refused, by the address really connected to, unless that is allowed.
    """

    def __init__(
        self,
        *,
        roots: Callable[[], Sequence[Path]],
        bytes_max: int,
        private_addresses_allowed: bool,
        timeout_seconds: float = 20,
    ) -> None:
        self._roots = roots
        self._bytes_max = bytes_max
        self._private_addresses_allowed = private_addresses_allowed
        self._timeout_seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def read(self, url: str) -> bytes:
        """The bytes at `url`, at most `bytes_max` of them."""
        try:
            scheme = urlsplit(url).scheme
        except ValueError as error:
            raise _refused("The address of the photo is malformed", url) from error
        try:
            async with asyncio.timeout(self._timeout_seconds):
                if scheme == "file":
                    return await asyncio.to_thread(self._read_file, url)
                if scheme in ("http", "https"):
                    return await self._read_web(url)
        except TimeoutError as error:
            raise PhotoUnreachable(
                f"{shown_address(url)} took too long", expected=f"a photo within {self._timeout_seconds:g} s"
            ) from error
        raise _refused("The photo cannot be fetched", url, expected="a file:, http: or https: address")

    async def close(self) -> None:
        """Ends the connections."""
        if self._session:
            await self._session.close()

    def _read_file(self, url: str) -> bytes:
        path = _file_path(url)
        roots = [_resolved(root) for root in self._roots()]
        # Symlinks are resolved first: what counts is where the bytes lie, not how they are named.
        resolved = _resolved(path)
        if not any(resolved.is_relative_to(root) for root in roots):
            raise _refused(
                "The file is not below a published folder",
                url,
                expected=", ".join(map(str, roots)) or "a published folder; there is none",
                remedy="Publish its folder: sightline publish DIR.",
            )
        try:
            return self._read_regular(resolved, url)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            if error.errno in (errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE):
                raise PhotoUnreachable(f"{shown_address(url)} cannot be read now", received=reason) from error
            raise PhotoRejected(
                f"{shown_address(url)} cannot be read",
                expected="a file that this user may read",
                received=reason,
                remedy="Correct its address or its permissions, and replay its dead letter.",
            ) from error

    def _read_regular(self, path: Path, url: str) -> bytes:
        # Non-blocking, so that a pipe cannot hold us; no-follow, as the path was resolved a moment ago.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise _refused("It is no file", url, expected="a regular file, no folder, pipe or device")
            if status.st_size > self._bytes_max:
                raise self._too_large(url, status.st_size)
            data = file.read(self._bytes_max + 1)
        if len(data) > self._bytes_max:
            raise self._too_large(url, len(data))
        return data

    async def _read_web(self, url: str) -> bytes:
        """Redirects are followed by hand: each hop must be as harmless as the first."""
        try:
            address = _web_address(URL(url))
            for _ in range(REDIRECTS_MAX + 1):
                async with self._web().get(address, allow_redirects=False) as response:
                    if response.status not in _REDIRECTS:
                        return await self._body(response, url)
                    address = _web_address(address.join(URL(response.headers.get("Location", ""))))
        except ValueError as error:  # also aiohttp.InvalidURL
            raise _refused("The address of the photo is malformed", url, received=str(error)[:300]) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _web_error(error, url) from error
        raise _refused("The photo is redirected too often", url, expected=f"at most {REDIRECTS_MAX} times")

    async def _body(self, response: aiohttp.ClientResponse, url: str) -> bytes:
        if response.status >= 500 or response.status in _PASSING:
            raise PhotoUnreachable(f"{shown_address(url)} is not served now", received=f"status {response.status}")
        if response.status != 200:
            raise _refused("The photo is not served", url, expected="status 200", received=str(response.status))
        if (response.content_length or 0) > self._bytes_max:
            raise self._too_large(url, response.content_length or 0)
        data = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            data += chunk
            if len(data) > self._bytes_max:
                raise self._too_large(url, len(data))
        return bytes(data)

    def _web(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=CONNECTIONS_MAX,
                # Called with each address that is about to be connected to, whatever the name said before.
                socket_factory=None if self._private_addresses_allowed else _public_socket,
                # One address after the other, so that a refusal is not taken for one of several failures.
                happy_eyeballs_delay=None,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                # A few bytes may not unpack to many: photos are compressed already.
                auto_decompress=False,
                headers={"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "sightline"},
                cookie_jar=aiohttp.DummyCookieJar(),
                # `read` holds the one deadline of the whole.
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            )
        return self._session

    def _too_large(self, url: str, received: int) -> PhotoRejected:
        return _refused(
            "The photo is too large",
            url,
            expected=f"at most {self._bytes_max} bytes",
            received=f"{received} or more",
            remedy="Raise SIGHTLINE_PHOTO_BYTES_MAX if you trust it.",
        )


def _web_address(address: URL) -> URL:
    """`address`, when it is one of the web; raises PhotoRejected otherwise."""
    if address.scheme not in ("http", "https") or not address.host:
        raise _refused("It leads out of the web", str(address), expected="an http: or https: address")
    if address.user is not None or address.password is not None:
        raise PhotoRejected("The address of the photo carries a password", expected="one without")
    return address


def _public_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket for an address on the public internet; raises PhotoRejected for any other."""
    family, kind, protocol, _, (host, *_) = address
    if _is_private(str(host)):
        raise PhotoRejected(
            "The photo lies in a private network",
            expected="a public address",
            received=str(host),
            remedy="Set SIGHTLINE_PRIVATE_ADDRESSES_ALLOWED=true if that network is yours.",
        )
    return socket.socket(family, kind, protocol)


def _file_path(url: str) -> Path:
    """The path in a file: address, percent-decoded; raises PhotoRejected when it names another machine."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise _refused("The file is on another machine", url, expected="file:///path")
    if parts.query or parts.fragment:
        raise _refused("The address of the file is malformed", url, expected="? and # percent-encoded")
    path = unquote_to_bytes(parts.path)
    if not path.startswith(b"/") or b"\0" in path:
        raise _refused("The address of the file is malformed", url, expected="file:///path")
    return Path(os.fsdecode(path))


def _resolved(path: Path) -> Path:
    """Without symlinks and `..`; a loop of symlinks stays as it is, and is refused when it is opened."""
    return Path(os.path.realpath(path))


def _is_private(host: str) -> bool:
    """Whether an IP address is not, or may lead to one that is not, on the public internet."""
    address = ipaddress.ip_address(host)
    return not all(_is_public(each) for each in (address, *_inner(address)))


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST and address not in _NAT64:
        return False
    return address.is_global and not address.is_multicast


def _inner(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 one stands for: mapped, 6to4, Teredo, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def _web_error(error: Exception, url: str) -> PhotoRejected | PhotoUnreachable:
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.NonHttpUrlClientError)):
        return PhotoRejected(f"{shown_address(url)} cannot be trusted", received=reason[:300])
    return PhotoUnreachable(f"{shown_address(url)} cannot be reached", received=reason[:300])


def _refused(
    problem: str,
    url: str,
    *,
    expected: str | None = None,
    received: str | None = None,
    remedy: str | None = None,
) -> PhotoRejected:
    return PhotoRejected(problem, expected=expected, received=received or shown_address(url), remedy=remedy)


def shown_address(url: str) -> str:
    """An address as it may stand in a log: no longer than 200 characters, without what may be a secret."""
    address = re.sub(r"^([\w+.-]+://)[^/]*@", r"\1", url.split("?", 1)[0])
    return address if len(address) <= 200 else f"{address[:100]}...{address[-97:]}"
