"""Small pieces of HTML: what is not HTML already is escaped, so that nothing can be forgotten."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

VOID = frozenset({"meta", "link", "img", "br"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *content: str, **attributes: str) -> Html:
    """An element; the attribute class is `class_`, and aria-label `aria_label`."""
    told = "".join(f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items())
    if name in VOID:
        return Html(f"<{name}{told}>")
    return Html(f"<{name}{told}>{join(content)}</{name}>")


def join(parts: Iterable[str]) -> Html:
    """One piece after the other."""
    return Html("".join(each if isinstance(each, Html) else html.escape(each, quote=False) for each in parts))


def prose(text: str) -> Html:
    """Paragraphs, with what stands between backticks as code."""
    return join(tag("p", _inline(" ".join(each.split()))) for each in text.split("\n\n") if each.strip())


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    """A table; nothing where there is no row."""
    body = join(tag("tr", *(tag("td", cell) for cell in row)) for row in rows)
    head = tag("thead", tag("tr", *(tag("th", each, scope="col") for each in heads)))
    return tag("div", tag("table", head, tag("tbody", body)), class_="wide") if body else Html("")


def page(title: str, navigation: str, *content: str) -> bytes:
    """A whole page of the documentation."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} – Sightline"),
        tag("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        tag("link", rel="stylesheet", href="/static/tokens.css"),
        tag("link", rel="stylesheet", href="/static/docs.css"),
    )
    doors = [("/", "Photos"), ("/api/docs", "API"), ("/api/topics", "Topics"), ("/api/openapi.json", "OpenAPI")]
    header = tag("header", *(tag("a", name, href=place) for place, name in doors))
    body = tag(
        "body", header, tag("nav", navigation, aria_label="On this page"), tag("main", tag("h1", title), *content)
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n".encode()


def _inline(text: str) -> Html:
    parts = re.split(r"`([^`]+)`", text)
    return join(tag("code", part) if place % 2 else part for place, part in enumerate(parts))
