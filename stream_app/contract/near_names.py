"""What was probably meant by a name that does not exist: the same in other letters, a near one, or a synonym."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

#: What the same is called elsewhere, in our events among others, and which of our parameters it may be.
SYNONYMS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("words", "word", "query", "text", "search", "keywords", "brief"), ("q", "word")),
    **dict.fromkeys(("limit", "count", "size", "n", "top", "topk", "pagesize", "perpage", "maxresults"), ("k",)),
    **dict.fromkeys(("photo", "photos", "ids", "members", "examples"), ("photo_id", "photo_ids")),
    "examplephotoids": ("photo_ids",),
    **dict.fromkeys(("user", "users", "owner", "photographer", "author"), ("user_id", "exclude_user")),
    **dict.fromkeys(("gallery", "quest", "id"), ("gallery_id", "quest_id", "photo_id", "photo_ids")),
    **dict.fromkeys(("from", "since", "start", "newerthan"), ("after",)),
    **dict.fromkeys(("to", "until", "till", "end", "olderthan"), ("before",)),
    **dict.fromkeys(("page", "next", "nextcursor", "offset", "skip"), ("cursor", "offset")),
    **dict.fromkeys(("threshold", "minimumscore", "cutoff"), ("min_score",)),
    **dict.fromkeys(("file", "photofile", "picture", "data"), ("image",)),
    **dict.fromkeys(("uri", "imageurl", "href"), ("url",)),
    **dict.fromkeys(("dedupe", "deduplicate", "unique"), ("fold",)),
}
#: As far as names are alike that one slip of the keyboard has made of each other.
LIKENESS = 0.7


def near_name(unknown: str, known: Collection[str]) -> str | None:
    """The one of the known names that was probably meant; None where it could be any."""
    by_letters = {_letters(each): each for each in known}
    meant = _letters(unknown[:40])
    if meant in by_letters:
        return by_letters[meant]
    if found := next((each for each in SYNONYMS.get(meant, ()) if each in known), None):
        return found
    near = get_close_matches(meant, by_letters, 1, LIKENESS)
    return by_letters[near[0]] if near else None


def did_you_mean(unknown: str, known: Collection[str]) -> str | None:
    """The remedy for a name that does not exist."""
    name = near_name(unknown, known)
    return f"Did you mean {name}?" if name else None


def _letters(name: str) -> str:
    return "".join(each for each in name.lower() if each.isalnum())
