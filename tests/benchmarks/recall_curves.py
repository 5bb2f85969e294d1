"""Recall against speed: points that are measured in turns, what lies between them, and a picture."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

SECONDS_PER_TURN = 0.25  # of one way at one budget; a slow one is asked fewer of the queries
QUERIES_PER_TURN_MIN = 50
SECONDS_FOR_RECALL, QUERIES_FOR_RECALL_MIN = 3.0, 150  # the same when recall is found
SLOWEST_SECONDS = 0.03  # per query: what is slower has left every comparison
RECALL_LEAST, RECALL_MOST = 0.85, 0.992  # where a curve is of interest
TIE = 1e-6  # of scores: neighbours as near as the last true one are as good


class Asked(Protocol):
    """Whatever is searched with a budget."""

    def set_budget(self, budget: Any) -> None:
        """How hard the next searches try."""

    def search(self, query: np.ndarray, k: int) -> Sequence[int] | np.ndarray:
        """Rows."""


class Question(NamedTuple):
    """Queries and what is right."""

    queries: np.ndarray  # float32 [n, d]
    vectors: np.ndarray  # float32 [rows, d]
    worst: np.ndarray  # float32 [n]: the score of the last true neighbour
    k: int


class Point(NamedTuple):
    """What one budget gives."""

    budget: Any
    recall: float
    qps: float


def recall_of(found: Sequence[Sequence[int] | np.ndarray], question: Question) -> float:
    """The mean share of the `k` answers that are as near as the true neighbours; no row counts twice."""
    right = 0
    for query, rows, worst in zip(question.queries, found, question.worst, strict=False):
        chosen = np.unique(np.asarray(rows, np.int64)[: question.k])
        chosen = chosen[(chosen >= 0) & (chosen < len(question.vectors))]
        right += int(np.count_nonzero(question.vectors[chosen] @ query >= worst - TIE))
    return right / (len(found) * question.k)


def worthwhile(way: Asked, budgets: Sequence[Any], question: Question) -> list[Point]:
    """Each budget asked once, for its recall and as a warm-up; from the last too low one to the first too high one."""
    points: list[Point] = []
    for budget in budgets:
        way.set_budget(budget)
        begun, found = time.perf_counter(), []
        for query in question.queries:
            found.append(way.search(query, question.k))
            seconds = (time.perf_counter() - begun) / len(found)
            if len(found) >= QUERIES_FOR_RECALL_MIN and seconds * len(found) > SECONDS_FOR_RECALL:
                break
        points.append(Point(budget, recall_of(found, question), 1 / seconds))
        if budget is not None and (points[-1].recall > RECALL_MOST or seconds > SLOWEST_SECONDS):
            break
    low = [place for place, point in enumerate(points) if point.recall < RECALL_LEAST]
    first = low[-1] if low else 0
    return [point for place, point in enumerate(points) if place >= first or point.budget is None]


def measure_in_turns(
    ways: Mapping[str, tuple[Asked, Sequence[Point]]], question: Question, rounds: int
) -> dict[str, list[Point]]:
    """The points again with the median speed of so many rounds; in each, every way is asked at every budget."""
    speeds: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):
        for name, (way, points) in ways.items():
            for place, point in enumerate(points):
                count = max(QUERIES_PER_TURN_MIN, min(len(question.queries), int(SECONDS_PER_TURN * point.qps)))
                way.set_budget(point.budget)
                speeds.setdefault((name, place), []).append(_speed(way, question.queries[:count], question.k))
    return {
        name: [point._replace(qps=statistics.median(speeds[name, place])) for place, point in enumerate(points)]
        for name, (_, points) in ways.items()
    }


def _speed(way: Asked, queries: np.ndarray, k: int) -> float:
    begun = time.perf_counter()
    for query in queries:
        way.search(query, k)
    return len(queries) / (time.perf_counter() - begun)


def best_points(points: Sequence[Point]) -> list[Point]:
    """Those that no other beats in recall and speed, by rising recall."""
    best: list[Point] = []
    for point in sorted(points, key=lambda each: (each.recall, each.qps), reverse=True):
        if not best or point.qps > best[-1].qps:
            best.append(point)
    return best[::-1]


def qps_at(points: Sequence[Point], recall: float) -> float | None:
    """Queries per second at that recall, between two points on a line of log speed; None when it is out of reach.

    Where even the least recall measured is higher, its speed.
    """
    best = best_points(points)
    if not best or best[-1].recall < recall:
        return None
    above = next(place for place, point in enumerate(best) if point.recall >= recall)
    if above == 0:
        return best[0].qps
    low, high = best[above - 1], best[above]
    part = (recall - low.recall) / (high.recall - low.recall)
    return math.exp((1 - part) * math.log(low.qps) + part * math.log(high.qps))


def draw(curves: Mapping[str, Sequence[Point]], title: str, target: Path) -> None:
    """Recall to the right, queries per second upward."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for name, points in curves.items():
        best = best_points(points)
        width = 2.5 if name.startswith("shard") else 1.2
        axes.plot([each.recall for each in best], [each.qps for each in best], marker="o", linewidth=width, label=name)
    axes.set(title=title, xlabel="recall@10", ylabel="queries per second, one thread", yscale="log", xlim=(0.8, 1.0))
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(target, dpi=120)
    pyplot.close(figure)
