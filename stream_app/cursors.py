"""Where a walk over all hits of a query has come to, as a text that a caller hands back for the next page."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import NamedTuple

import msgspec

from stream_app.contract.searching import Options
from stream_app.errors import QueryRejected

BEGIN = "*"
#: A question is told from another by so many bytes of its digest.
DIGEST_BYTES = 6


class Cursor(NamedTuple):
    """The last hit that was shown, how many there were up to it, when the walk began, and what was asked.

    `score` and `photo_id` are None at the beginning. Photos that came after `began_ms` are not part of the walk: the
    pages are those of the album as it was then, less what has gone since.
    """

    began_ms: int
    asked: str
    shown: int = 0
    score: float | None = None
    photo_id: int = 0

    def is_before(self, score: float, photo_id: int) -> bool:
        """Whether a hit comes after what was shown: hits are in order of falling score, then of rising id."""
        return self.score is None or (-score, photo_id) > (-self.score, self.photo_id)

    def to_text(self) -> str:
        """Letters that stand in an address as they are."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")


def cursor_of(options: Options, now_ms: int) -> Cursor | None:
    """The cursor of a request; None where it asks for no walk. Raises QueryRejected for one of another question."""
    if not options.cursor:
        return None
    asked = _digest(options)
    if options.cursor == BEGIN:
        return Cursor(now_ms, asked)
    try:
        data = base64.urlsafe_b64decode(options.cursor + "=" * (-len(options.cursor) % 4))
        cursor = msgspec.json.decode(data, type=Cursor)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise _rejection("cannot be used", f"{options.cursor[:40]!r}") from None
    if cursor.asked != asked or not 0 <= cursor.photo_id < 2**63 or cursor.shown < 0:
        raise _rejection("belongs to another question", "other parameters beside it than before")
    return cursor


def _digest(options: Options) -> str:
    """What a request asks for, apart from where in the answer it is and how many hits it wants."""
    asked = msgspec.structs.replace(options, cursor="", k=1, explain=False)
    data = msgspec.json.encode([type(options).__name__, asked], order="sorted")
    return hashlib.blake2s(data, digest_size=DIGEST_BYTES).hexdigest()


def _rejection(problem: str, received: str) -> QueryRejected:
    return QueryRejected(
        f"the cursor {problem}",
        expected=f'"{BEGIN}", or next_cursor of the answer to the same request',
        received=received,
        remedy=f"Begin anew with cursor={BEGIN}.",
    )
