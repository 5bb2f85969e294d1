"""The doors of the web server: which names it answers to, whose pages it serves, what browsers may do."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from stream_app.settings import Settings
from stream_app.web.problems import Handler, RequestRefused

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
WILDCARD_ADDRESSES = frozenset({"", "0.0.0.0", "::"})

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


@web.middleware
async def set_security_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Sets the headers that every reply carries; a handler that sets a stricter one keeps its own."""
    reply = await handler(request)
    if not reply.prepared:
        for name, value in HEADERS.items():
            reply.headers.setdefault(name, value)
    return reply


def guard(settings: Settings) -> Middleware:
    """A middleware that refuses foreign hosts and cross-site requests before any handler runs."""
    is_ours = host_check(settings.web_host, settings.allowed_hosts)

    @web.middleware
    async def refuse_strangers(request: web.Request, handler: Handler) -> web.StreamResponse:
        check_host(request.headers, is_ours)
        check_site(request.method, request.headers)
        return await handler(request)

    return refuse_strangers


def host_check(web_host: str, allowed_hosts: str) -> Callable[[str], bool]:
    """A test of host names: loopback, the bound address and the allowed ones are ours.

    A page that rebinds its DNS name to this machine still sends its own name, which is in none of them. A
    worker bound to every address also answers to any literal IP address: such a name cannot be rebound.
    """
    allowed = {split_host(each.strip())[0] for each in allowed_hosts.split(",") if each.strip()}
    names = LOOPBACK_NAMES | allowed | {split_host(web_host)[0]}
    everywhere = web_host in WILDCARD_ADDRESSES

    def is_ours(name: str) -> bool:
        return bool(name) and (name in names or (everywhere and _is_address(name)))

    return is_ours


def check_host(headers: Mapping[str, str], is_ours: Callable[[str], bool]) -> None:
    """Raises RequestRefused (421) when the Host header names another server."""
    host = headers.get("Host", "")
    if not is_ours(split_host(host)[0]):
        raise RequestRefused(
            HTTPStatus.MISDIRECTED_REQUEST,
            "this worker does not answer to that host name",
            expected="localhost, the address it is bound to, or a name in SIGHTLINE_ALLOWED_HOSTS",
            received=repr(host[:100]),
            remedy="Open it as http://localhost, or add the name to SIGHTLINE_ALLOWED_HOSTS.",
        )


def check_site(method: str, headers: Mapping[str, str]) -> None:
    """Raises RequestRefused (403) when another site's page sends the request.

    Following a link to us is allowed. Programs that are no browser send none of these headers.
    """
    site = headers.get("Sec-Fetch-Site", "none")
    if site in ("cross-site", "same-site") and not _is_followed_link(method, headers):
        raise _foreign_page(f"a request from a {site} page")
    origin = headers.get("Origin")
    if origin is not None and method not in SAFE_METHODS and not same_origin(origin, headers.get("Host", "")):
        raise _foreign_page(f"Origin {origin[:100]!r}")


def same_origin(origin: str, host: str) -> bool:
    """Whether an Origin is this very host and port; the scheme may be that of a proxy before us."""
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https"):
        return False
    default = 443 if parts.scheme == "https" else 80
    named, ours = split_host(parts.netloc), split_host(host)
    return (named[0], named[1] or default) == (ours[0], ours[1] or default)


def split_host(host: str) -> tuple[str, int | None]:
    """Host name in lower case and port of `name`, `name:port`, `[v6]:port`; ("", None) for nonsense."""
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"
    try:
        parts = urlsplit(f"//{host}")
        plain = not (parts.path or parts.query or parts.fragment or parts.username is not None)
        return ((parts.hostname or "").rstrip("."), parts.port) if plain else ("", None)
    except ValueError:
        return ("", None)


def _foreign_page(received: str) -> RequestRefused:
    return RequestRefused(
        HTTPStatus.FORBIDDEN,
        "another site's page may not use this worker",
        expected="a request from this worker's own page, or from a program",
        received=received,
        remedy="Open the page of this worker and do it there.",
    )


def _is_followed_link(method: str, headers: Mapping[str, str]) -> bool:
    return (
        method in SAFE_METHODS
        and headers.get("Sec-Fetch-Mode") == "navigate"
        and headers.get("Sec-Fetch-Dest") == "document"
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
