"""A bar on the terminal for commands that take a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """For a function that says what is being done, and which share of all it has done."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %")
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task("Beginning", total=1.0)

        def say(doing: str, share: float) -> None:
            progress.update(task, description=doing, completed=share)

        yield say
        progress.update(task, description="Done", completed=1.0)
