"""Answers of the contract as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from stream_app.contract.collections import PhotographersAnswer, QuestRankingAnswer, SuggestionsAnswer
    from stream_app.contract.photos import ClassificationAnswer, Classified
    from stream_app.contract.searching import HitExplanation, PhotoHit, SearchAnswer

LABELS_SHOWN = 3


def hits(answer: SearchAnswer, console: Console) -> None:
    """Hits, and beside them what the answer says about itself."""
    for known in answer.known:
        console.print(_told(f"{known.relation.replace('_', ' ')}: photo {known.photo_id} of the album"))
    _print_hits(answer.hits, console)
    for word in answer.unknown_words:
        near = ", ".join(answer.suggestions.get(word, []))
        console.print(_told(f"unknown word: {word}{f'; did you mean {near}?' if near else ''}"))
    if answer.explanation:
        terms = ", ".join(f"{each.name} x {each.score:g}" for each in answer.explanation.terms)
        left_out = ", ".join(f"{count:,} by {reason}" for reason, count in answer.explanation.filtered.items())
        console.print(_told(f"asked as: {terms}{f'; left out: {left_out}' if left_out else ''}"))
    if not answer.complete:
        console.print(_told("not every partition answered"))
    if answer.next_cursor:
        console.print(_told(f"more with --cursor {answer.next_cursor}"))


def suggestions(answer: SuggestionsAnswer, console: Console) -> None:
    """Suggested photos, and the members that speak for each."""
    _print_hits(answer.hits, console, {each.photo_id: ", ".join(each.members) for each in answer.hits})
    console.print(_told(f"by {answer.members} members with {answer.themes} themes"))


def classification(answer: ClassificationAnswer, console: Console) -> None:
    """Words and labels side by side."""
    rows = max(len(answer.words), len(answer.labels))
    table = _table("word", "score", "label", "score")
    for words, labels in zip(_padded(answer.words, rows), _padded(answer.labels, rows), strict=True):
        table.add_row(*words, *labels)
    console.print(table)


def ranking(answer: QuestRankingAnswer, console: Console) -> None:
    """Submissions with what was noticed about each."""
    table = _table("score", "photo", "topic", "duplicate of", "again", "reason", "where")
    for each in answer.submissions:
        again = str(each.resubmitted or "")
        table.add_row(
            f"{each.score:.3f}",
            each.photo_id,
            each.topic,
            each.duplicate_of or "",
            again,
            *map(Text, (each.reason, each.url)),
        )
    console.print(table)
    if answer.threshold is not None:
        console.print(_told(f"off topic below {answer.threshold:.3f}"))
    if answer.waiting:
        console.print(_told(f"{len(answer.waiting)} submissions are not findable, or not any more"))


def photographers(answer: PhotographersAnswer, console: Console) -> None:
    """Photographers with the photos that speak for them."""
    table = _table("score", "photographer", "photos", "evidence")
    for each in answer.photographers:
        evidence = "\n".join(f"{photo.score:.3f} {photo.photo_id} {_name(photo)}" for photo in each.evidence)
        table.add_row(f"{each.score:.3f}", each.user_id, f"{each.photos:,}", Text(evidence))
    console.print(table)
    for word in answer.unknown_words:
        console.print(_told(f"unknown word: {word}"))


def _print_hits(found: Sequence[PhotoHit], console: Console, members: dict[str, str] | None = None) -> None:
    explained = any(each.explanation for each in found)
    heads = ["score", "photo", "labels", "where"]
    table = _table(*heads, *(["members"] if members is not None else []), *(["why"] if explained else []))
    for each in found:
        copies = f" (+{each.duplicates} alike)" if each.duplicates else ""
        row = [f"{each.score:.3f}", each.photo_id, ", ".join(each.labels[:LABELS_SHOWN]), f"{_name(each)}{copies}"]
        row += [members[each.photo_id]] if members is not None else []
        row += [_why(each.explanation)] if explained and each.explanation else []
        table.add_row(*map(Text, row))
    console.print(table)


def _why(explanation: HitExplanation) -> str:
    shared = ", ".join(dict.fromkeys([*explanation.shared_words, *explanation.shared_labels]))
    bonus = f" + {explanation.tag_bonus:.2f} for tags" if explanation.tag_bonus else ""
    return f"cosine {explanation.cosine:.3f}{bonus}, {explanation.source}{f'; {shared}' if shared else ''}"


def _name(photo: PhotoHit) -> str:
    return f"{photo.title} · {photo.url}" if photo.title else photo.url


def _padded(found: Sequence[Classified], count: int) -> Iterable[tuple[Text | str, str]]:
    shown: list[tuple[Text | str, str]] = [(Text(each.name), f"{each.score:.3f}") for each in found]
    return shown + [("", "")] * (count - len(shown))


def _table(*heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        is_number = head in ("score", "photos", "again")
        table.add_column(
            head,
            justify="right" if is_number else "left",
            no_wrap=head in ("score", "photo", "photographer"),
            overflow="fold",
        )
    return table


def _told(line: str) -> Text:
    return Text(line, style="dim")
