"""Answers of the contract as tables on a terminal; what may be copied from one, an id or a path, is never broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from stream_app.contract.collections import PhotographersAnswer, QuestRankingAnswer, SuggestionsAnswer
    from stream_app.contract.photos import ClassificationAnswer, Classified
    from stream_app.contract.searching import HitExplanation, PhotoHit, SearchAnswer

LABELS_SHOWN = 3
NUMBERS = frozenset({"score", "photos", "again"})
#: What stands below its row where not all has room beside it, and so does all that follows it.
BELOW = frozenset({"where", "evidence"})
GAP, INDENT = 2, " " * 7
#: For what is no terminal, and breaks no lines.
ENDLESS = 100_000


def console() -> Console:
    """Where tables go: as wide as the terminal, or as it takes where a program or a file reads them."""
    found = Console(highlight=False)
    if not found.is_terminal:
        found.width = ENDLESS
    return found


def hits(answer: SearchAnswer, console: Console) -> None:
    """Hits, and beside them what the answer says about itself."""
    for known in answer.known:
        _tell(console, f"{known.relation.replace('_', ' ')}: photo {known.photo_id} of the album")
    _print_hits(answer.hits, console)
    for word in answer.unknown_words:
        near = ", ".join(answer.suggestions.get(word, []))
        _tell(console, f"unknown word: {word}{f'; did you mean {near}?' if near else ''}")
    if answer.explanation:
        terms = ", ".join(f"{each.name} x {each.score:g}" for each in answer.explanation.terms)
        left_out = ", ".join(f"{count:,} by {reason}" for reason, count in answer.explanation.filtered.items())
        _tell(console, f"asked as: {terms}{f'; left out: {left_out}' if left_out else ''}")
    if not answer.complete:
        _tell(console, "not every partition answered")
    if answer.next_cursor:
        _tell(console, f"more with --cursor {answer.next_cursor}")


def suggestions(answer: SuggestionsAnswer, console: Console) -> None:
    """Suggested photos, and the members that speak for each."""
    _print_hits(answer.hits, console, {each.photo_id: ", ".join(each.members) for each in answer.hits})
    _tell(console, f"by {_counted(answer.members, 'member')} with {_counted(answer.themes, 'theme')}")


def classification(answer: ClassificationAnswer, console: Console) -> None:
    """Words and labels side by side."""
    rows = max(len(answer.words), len(answer.labels))
    both = zip(_padded(answer.words, rows), _padded(answer.labels, rows), strict=True)
    _print_rows(console, ["word", "score", "label", "score"], [[*words, *labels] for words, labels in both])


def ranking(answer: QuestRankingAnswer, console: Console) -> None:
    """Submissions with what was noticed about each."""
    heads = ["score", "photo", "topic", "duplicate of", "again", "reason", "where"]
    rows = [
        [
            f"{each.score:.3f}",
            each.photo_id,
            each.topic,
            each.duplicate_of or "",
            str(each.resubmitted or ""),
            each.reason,
            each.url,
        ]
        for each in answer.submissions
    ]
    _print_rows(console, heads, rows)
    if answer.threshold is not None:
        _tell(console, f"off topic below {answer.threshold:.3f}")
    if answer.states:
        states = ", ".join(f"{count:,} {state}" for state, count in Counter(answer.states.values()).items())
        _tell(console, f"submissions that are not findable: {states}")


def photographers(answer: PhotographersAnswer, console: Console) -> None:
    """Photographers with the photos that speak for them."""
    rows = []
    for each in answer.photographers:
        evidence = "\n".join(f"{photo.score:.3f} {photo.photo_id} {_name(photo)}" for photo in each.evidence)
        rows.append([f"{each.score:.3f}", each.user_id, f"{each.photos:,}", evidence])
    _print_rows(console, ["score", "photographer", "photos", "evidence"], rows)
    for word in answer.unknown_words:
        _tell(console, f"unknown word: {word}")


def _print_hits(found: Sequence[PhotoHit], console: Console, members: dict[str, str] | None = None) -> None:
    explained = any(each.explanation for each in found)
    heads = ["score", "photo", "labels", "where"]
    heads += (["members"] if members is not None else []) + (["why"] if explained else [])
    rows = []
    for each in found:
        copies = f" (+{each.duplicates} alike)" if each.duplicates else ""
        row = [f"{each.score:.3f}", each.photo_id, ", ".join(each.labels[:LABELS_SHOWN]), f"{_name(each)}{copies}"]
        row += [members[each.photo_id]] if members is not None else []
        row += [_why(each.explanation)] if explained and each.explanation else []
        rows.append(row)
    _print_rows(console, heads, rows)


def _print_rows(console: Console, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table, of which on a narrow terminal the long texts stand below each row, for the terminal to wrap.

    So what is copied from it is still in one piece, which it is not where a table's column breaks it.
    """
    columns = zip(heads, *rows, strict=True)
    widths = [max(cell_len(line) for cell in column for line in cell.split("\n")) for column in columns]
    inline = _columns_inline(heads, widths, console.width)
    console.print(Text(_line(heads, heads[:inline], widths), style="bold"), soft_wrap=True)
    for row in rows:
        console.print(Text(_line(row, heads[:inline], widths)), soft_wrap=True)
        for head, cell in zip(heads[inline:], row[inline:], strict=True):
            for line in cell.splitlines():
                told = line if head in BELOW else f"{head}: {line}"
                console.print(Text(f"{INDENT}{told}"), soft_wrap=True)


def _columns_inline(heads: Sequence[str], widths: Sequence[int], room: int) -> int:
    """How many columns stand beside each other: all of them, or those before the first that is too wide."""
    ends = [end + GAP * number for number, end in enumerate(accumulate(widths))]
    if ends[-1] <= room:
        return len(heads)
    first = next(number for number, head in enumerate(heads) if ends[number] > room or head in BELOW)
    return max(1, first)


def _line(row: Sequence[str], heads: Sequence[str], widths: Sequence[int]) -> str:
    """The cells of a row beside each other; further lines of the last one go below its first."""
    line = ""
    for number, head in enumerate(heads):
        further = f"\n{' ' * len(line)}"
        space = " " * (widths[number] - cell_len(row[number].split("\n")[0]))
        line += (space + row[number] if head in NUMBERS else row[number].replace("\n", further) + space) + " " * GAP
    return line.rstrip()


def _why(explanation: HitExplanation) -> str:
    shared = ", ".join(dict.fromkeys([*explanation.shared_words, *explanation.shared_labels]))
    bonus = f" + {explanation.tag_bonus:.2f} for tags" if explanation.tag_bonus else ""
    return f"cosine {explanation.cosine:.3f}{bonus}, {explanation.source}{f'; {shared}' if shared else ''}"


def _name(photo: PhotoHit) -> str:
    return f"{photo.title} · {photo.url}" if photo.title else photo.url


def _padded(found: Sequence[Classified], count: int) -> Iterable[tuple[str, str]]:
    shown = [(each.name, f"{each.score:.3f}") for each in found]
    return shown + [("", "")] * (count - len(shown))


def _tell(console: Console, line: str) -> None:
    console.print(Text(line, style="dim"), soft_wrap=True)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
