"""A real worker under Schemathesis: what the document says is so, for right requests and for wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from album_process import AlbumProcess
from api_cases import fill, run_cases

from stream_app.settings import Settings

EXAMPLES = 5
#: The phase `coverage` alone makes more: a run that tried less has tried nothing.
CASES_MIN = 1_000


@pytest.mark.slow
def test_every_answer_of_a_worker_is_as_its_document_says(settings: Settings, tmp_path: Path) -> None:
    """All checks in all phases; `make test-api` does the same ten times as thoroughly."""
    album = AlbumProcess(settings, "worker")
    try:
        outcome = run_cases(fill(album.ready(), tmp_path / "photos"), tmp_path, EXAMPLES)
    finally:
        album.stop()

    assert outcome.failures == [], outcome.told()
    assert outcome.cases >= CASES_MIN
