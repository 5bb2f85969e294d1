"""Answers as tables: at any width of a terminal, what may be copied from one is in one piece."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from stream_app import answer_tables
from stream_app.contract import collections
from stream_app.contract.searching import HitExplanation, PhotoHit, SearchAnswer

LONG_ID = "1234567890123456789"
PATH = "file:///home/ada/Pictures/2024/holidays%20in%20the%20mountains/IMG_20240712_183012.jpg"
PHOTO: dict[str, Any] = {
    "photo_id": LONG_ID,
    "score": 0.8125,
    "url": PATH,
    "image_url": f"/api/photos/{LONG_ID}/image",
    "title": None,
    "user_id": "5",
    "width": 4,
    "height": 3,
}
EXPLANATION = HitExplanation(
    cosine=0.5, hamming_cosine=None, tag_bonus=0.0, shared_words=["sea"], shared_labels=[], source="memtable"
)
HIT: dict[str, Any] = PHOTO | {"tags": [], "labels": ["German shepherd", "Rhodesian ridgeback", "bloodhound"]}
CURSOR = "c" * 150

ANSWERS: dict[str, Callable[[Console], None]] = {
    "hits": lambda console: answer_tables.hits(
        SearchAnswer(
            hits=[PhotoHit(**HIT, explanation=EXPLANATION)], complete=True, shards={}, took_ms=1.0, next_cursor=CURSOR
        ),
        console,
    ),
    "suggestions": lambda console: answer_tables.suggestions(
        collections.SuggestionsAnswer(
            hits=[collections.Suggestion(**HIT, members=[LONG_ID] * 3)], members=1, themes=1, complete=True, took_ms=1.0
        ),
        console,
    ),
    "ranking": lambda console: answer_tables.ranking(
        collections.QuestRankingAnswer(
            submissions=[
                collections.Submission(**PHOTO, topic="off", duplicate_of=LONG_ID, resubmitted=2, reason="no boat")
            ],
            threshold=0.2,
            waiting=["1", "2", "3"],
            states={"1": "gone", "2": "gone", "3": "hidden"},
            took_ms=1.0,
        ),
        console,
    ),
    "photographers": lambda console: answer_tables.photographers(
        collections.PhotographersAnswer(
            photographers=[
                collections.Photographer(user_id=LONG_ID, score=0.7, photos=1_200, evidence=[PhotoHit(**HIT)] * 2)
            ],
            unknown_words=[],
            took_ms=1.0,
        ),
        console,
    ),
}


def printed(answer: Callable[[Console], None], width: int) -> list[str]:
    """The lines on a terminal so wide."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width, highlight=False)
    answer(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("name", ANSWERS)
class TestWidths:
    @pytest.mark.parametrize("width", [20, 40, 80, 160, 400])
    def test_no_id_and_no_path_is_broken(self, name: str, width: int) -> None:
        """The terminal wraps a line that is too long for it, and copies it as one."""
        lines = printed(ANSWERS[name], width)

        assert any(line.endswith(PATH) or f"{PATH} " in line for line in lines)
        assert any(LONG_ID in line for line in lines)

    def test_a_terminal_that_is_wide_enough_has_one_line_for_each_row(self, name: str) -> None:
        wide, narrow = printed(ANSWERS[name], 400), printed(ANSWERS[name], 80)

        head, row = wide[:2]
        assert all(word in head for word in narrow[0].split())
        assert LONG_ID in row and PATH in row and len(wide) < len(narrow)

    def test_columns_stand_below_their_heads(self, name: str) -> None:
        for width in (80, 400):
            head, row, *_ = printed(ANSWERS[name], width)

            assert row.index(LONG_ID) == head.index("photo")


def test_what_stands_below_a_row_says_what_it_is() -> None:
    """But for paths, which say so themselves."""
    lines = [line.strip() for line in printed(ANSWERS["ranking"], 60)]

    assert {"again: 2", "reason: no boat", PATH} < set(lines)
    assert lines[-1] == "submissions that are not findable: 2 gone, 1 hidden"


def test_a_cursor_is_in_one_piece() -> None:
    assert f"more with --cursor {CURSOR}" in printed(ANSWERS["hits"], 80)


def test_a_pipe_gets_the_full_width(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the terminal beside it is like."""
    monkeypatch.setenv("COLUMNS", "40")
    ANSWERS["hits"](answer_tables.console())
    _, row, *_ = capsys.readouterr().out.splitlines()

    assert LONG_ID in row and PATH in row
