"""What a worker says in its log, and what it leaves out."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from aiohttp.http_exceptions import LineTooLong

from stream_app.errors import ServiceUnavailable
from stream_app.worker import say_expected_problems_in_one_line


@pytest.fixture(autouse=True)
def short_records() -> Iterator[None]:
    """The worker's way to make records, for one test only."""
    before = logging.getLogRecordFactory()
    say_expected_problems_in_one_line()
    yield
    logging.setLogRecordFactory(before)


def logged(error: Exception, caplog: pytest.LogCaptureFixture) -> str:
    try:
        raise error
    except Exception:
        logging.getLogger("some.package").exception("Error handling request from %s", "127.0.0.1")
    return caplog.text.strip()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ServiceUnavailable("Redis does not answer", remedy="Start it."), "Redis does not answer. Start it."),
        (LineTooLong(b"100 % of it", 8190), "more than 8190 bytes"),
    ],
)
def test_what_says_all_by_itself_is_one_line(error: Exception, said: str, caplog: pytest.LogCaptureFixture) -> None:
    """Also what a client sends that is no HTTP: no traceback of ours helps against it."""
    text = logged(error, caplog)

    assert "Error handling request from 127.0.0.1: " in text and said in text
    assert len(text.splitlines()) == 1


def test_what_was_not_foreseen_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """It is the only word of where it went wrong."""
    assert "Traceback" in logged(KeyError("oops"), caplog)
