"""What it costs that a shard grows by segments, and how little searches and threads notice of its background work.

    python tests/benchmarks/bench_index_tiers.py [ROWS]        (300,000; `pip install .[bench]`)

A mixture of clusters arrives in batches; the shard seals and merges as it wishes. At six moments, each with the
memtable half full, its queries are compared with those of a shard that was built of the same vectors at once, as one
segment: time per query at recall@10 .95, in turns, medians. Then segments of one tier are laid up and merged: searches
are timed before and during each merge on the same segments, and a probe, a thread that sleeps a millisecond and sees
how late it wakes, runs while nothing, a seal, or a merge goes on. Bars: build CPU of the whole stream at most 1.5 times
building once; a query on the mean at most 2.0 times; p99 of a search during a merge at most 1.5 times; wake-up p99
under 5 ms. The tables go under bench-out/index as well.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import numpy as np  # noqa: E402  (the project must be on the path first)
from index_data import MIXTURE_DIMENSIONS, OUT, QUERIES, Mixture, nearest  # noqa: E402
from process_costs import cpu_seconds  # noqa: E402
from recall_curves import Question, measure_in_turns, qps_at, worthwhile  # noqa: E402
from shard_peer import COMPILED_ROWS, ShardAsker, add, compile_shard, fill, open_shard, settle  # noqa: E402

from stream_app.index.shard import Shard, ShardSettings  # noqa: E402

ROWS, K, MOMENTS, ROUNDS = 300_000, 10, 6, 3
RECALL = 0.95
LAID_UP = 6  # segments of one tier in each round: more than a tier may hold
QUIET_SECONDS = 4.0
PROBE_SLEEP_SECONDS = 0.001
BUILD_BAR, QUERY_BAR, SEARCH_BAR, WAKE_BAR_MS = 1.5, 2.0, 1.5, 5.0


@dataclass
class Moment:
    """The shard of the stream against one built at once."""

    rows: int
    segments: int
    stream_cpu: float
    once_cpu: float
    stream_ms: float  # of a query at the recall
    once_ms: float


def main() -> None:
    """Measure both, print the tables and the bars."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    usual = ShardSettings()
    settings = replace(usual, memtable_vectors_max=min(usual.memtable_vectors_max, rows // 30))
    source = Mixture(max(1, rows // 100))
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        compile_shard(Path(folder) / "few", Mixture(300).slice(0, COMPILED_ROWS))
        moments = grow(Path(folder), source, rows, settings)
        searches = merges_while_searching(Path(folder) / "searched", source, rows // 30)
        wakes = wake_ups(Path(folder) / "probed", source, rows // 30)
    text = "\n".join([*_moment_table(moments), "", *_search_table(searches), "", *_wake_table(wakes), ""])
    text += "\n".join(["", *judge(moments, searches, wakes), ""])
    print(text)
    (OUT / "tiers.md").write_text(text, encoding="utf-8")
    kept = {"moments": [vars(each) for each in moments], "searches": searches, "wake_ups": wakes}
    (OUT / "tiers.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")


def grow(folder: Path, source: Mixture, rows: int, settings: ShardSettings) -> list[Moment]:
    """Let a shard grow by batches, and compare it at the moments."""
    vectors = np.concatenate(list(source.slices(rows)))
    stream, used, start = open_shard(folder / "stream", MIXTURE_DIMENSIONS, settings), 0.0, 0
    moments = []
    for number in range(1, MOMENTS + 1):
        end = rows * number // MOMENTS // settings.memtable_vectors_max * settings.memtable_vectors_max
        end -= settings.memtable_vectors_max // 2
        begun = cpu_seconds()
        fill(stream, vectors[start:end], start)
        used, start = used + cpu_seconds() - begun, end
        moments.append(_compare(folder / f"once-{number}", stream, vectors[:end], source.slice(-1, QUERIES), settings))
        moments[-1].stream_cpu = used
        print(f"{end:,} rows compared", file=sys.stderr)
    stream.close()
    return moments


def _compare(place: Path, stream: Shard, vectors: np.ndarray, queries: np.ndarray, settings: ShardSettings) -> Moment:
    begun = cpu_seconds()
    once = open_shard(place, MIXTURE_DIMENSIONS, replace(settings, memtable_vectors_max=len(vectors) + 1))
    fill(once, vectors, 0)
    settle(once)
    used = cpu_seconds() - begun
    question = Question(queries, vectors, nearest(queries, vectors, K)[1], K)
    ways = {"stream": ShardAsker(stream), "once": ShardAsker(once)}
    asked = {name: (way, worthwhile(way, ShardAsker.BUDGETS, question)) for name, way in ways.items()}
    curves = measure_in_turns(asked, question, ROUNDS)
    for way in ways.values():
        way.set_budget(None)
    speeds = {name: qps_at(points, RECALL) or min(each.qps for each in points) for name, points in curves.items()}
    segments = len(stream.manifest.segments)
    once.close()
    return Moment(len(vectors), segments, 0.0, used, 1e3 / speeds["stream"], 1e3 / speeds["once"])


def merges_while_searching(place: Path, source: Mixture, size: int) -> list[dict[str, float]]:
    """Per round, milliseconds of searches on the same segments: without and during a merge of them."""
    shard, queries, found = open_shard(place, MIXTURE_DIMENSIONS), source.slice(-1, QUERIES), []
    for number in range(ROUNDS):
        _lay_up(shard, source, number, size)
        _search_until(shard, queries, threading.Event(), QUIET_SECONDS / 4)  # a warm-up
        quiet = _search_until(shard, queries, threading.Event(), QUIET_SECONDS)
        with _merging(shard) as ended:
            busy = _search_until(shard, queries, ended, float("inf"))
        (quiet_p50, quiet_p99), (busy_p50, busy_p99) = (np.percentile(each, [50, 99]) * 1e3 for each in (quiet, busy))
        found.append(
            {
                "quiet_p50": float(quiet_p50),
                "quiet_p99": float(quiet_p99),
                "busy_p50": float(busy_p50),
                "busy_p99": float(busy_p99),
                "searches": len(busy),
            }
        )
    shard.close()
    return found


def wake_ups(place: Path, source: Mixture, size: int) -> dict[str, list[float]]:
    """The 50th and 99th percentile and the worst, in milliseconds, of how late the probe wakes."""
    shard, late = open_shard(place, MIXTURE_DIMENSIONS), {"nothing": [], "sealing": [], "merging": []}
    with _probe(late["nothing"]):
        time.sleep(QUIET_SECONDS)
    for number in range(ROUNDS):
        _lay_up(shard, source, number, size, late["sealing"])
        with _probe(late["merging"]):
            while shard.merge_once():
                pass
    shard.close()
    return {name: [float(each) * 1e3 for each in np.percentile(found, [50, 99, 100])] for name, found in late.items()}


def _lay_up(shard: Shard, source: Mixture, number: int, size: int, late: list[float] | None = None) -> None:
    # Segments of one size, none of them merged; `late` gets the wake-ups while they are sealed.
    vectors = np.concatenate([source.slice(number * LAID_UP + each, size) for each in range(LAID_UP)])
    for start in range(0, len(vectors), size):
        add(shard, vectors[start : start + size], number * len(vectors) + start)
        with _probe(late if late is not None else []):
            shard.seal()


@contextmanager
def _merging(shard: Shard) -> Iterator[threading.Event]:
    """One merge in a thread; the event is set when it ends."""
    ended = threading.Event()

    def merge() -> None:
        shard.merge_once()
        ended.set()

    thread = threading.Thread(target=merge)
    thread.start()
    yield ended
    thread.join()


@contextmanager
def _probe(late: list[float]) -> Iterator[None]:
    """Meanwhile, how late a thread wakes, in seconds, each time it has slept a millisecond."""
    ended = threading.Event()

    def sleep_and_wake() -> None:
        while not ended.is_set():
            begun = time.perf_counter()
            time.sleep(PROBE_SLEEP_SECONDS)
            late.append(time.perf_counter() - begun - PROBE_SLEEP_SECONDS)

    thread = threading.Thread(target=sleep_and_wake)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _search_until(shard: Shard, queries: np.ndarray, ended: threading.Event, seconds: float) -> list[float]:
    """Seconds of each search, until the event or for so long."""
    found, until = [], time.perf_counter() + seconds
    while not ended.is_set() and time.perf_counter() < until:
        begun = time.perf_counter()
        shard.search(queries[len(found) % len(queries)], K)
        found.append(time.perf_counter() - begun)
    return found


def _moment_table(moments: list[Moment]) -> list[str]:
    lines = ["| rows | segments, and a memtable | build CPU s, stream | once | ms a query, stream | once | times |"]
    lines.append("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for each in moments:
        lines.append(
            f"| {each.rows:,} | {each.segments} | {each.stream_cpu:.1f} | {each.once_cpu:.1f} "
            f"| {each.stream_ms:.2f} | {each.once_ms:.2f} | {each.stream_ms / each.once_ms:.2f} |"
        )
    return lines


def _search_table(rounds: list[dict[str, float]]) -> list[str]:
    lines = ["| round | p50 ms without a merge | p99 | p50 ms during one | p99 | searches during it |"]
    lines.append("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for number, each in enumerate(rounds, 1):
        lines.append(
            f"| {number} | {each['quiet_p50']:.2f} | {each['quiet_p99']:.2f} "
            f"| {each['busy_p50']:.2f} | {each['busy_p99']:.2f} | {each['searches']} |"
        )
    return lines


def _wake_table(wakes: dict[str, list[float]]) -> list[str]:
    lines = ["| while | wakes late by, p50 ms | p99 | at worst |", "| --- | ---: | ---: | ---: |"]
    return lines + [f"| {name} | {' | '.join(f'{each:.2f}' for each in found)} |" for name, found in wakes.items()]


def judge(moments: list[Moment], searches: list[dict[str, float]], wakes: dict[str, list[float]]) -> list[str]:
    """The table of bars."""
    build = moments[-1].stream_cpu / moments[-1].once_cpu
    query = statistics.mean(each.stream_ms / each.once_ms for each in moments)
    search = statistics.median(each["busy_p99"] / each["quiet_p99"] for each in searches)
    wake = max(wakes["sealing"][1], wakes["merging"][1])
    found = [
        (f"build CPU over the stream, times building once: at most {BUILD_BAR}", build, build <= BUILD_BAR),
        (f"a query over the tiers, times one segment: at most {QUERY_BAR}", query, query <= QUERY_BAR),
        (f"p99 of a search during a merge, times without: at most {SEARCH_BAR}", search, search <= SEARCH_BAR),
        (f"wake-up p99 while sealing and merging: under {WAKE_BAR_MS} ms", wake, wake < WAKE_BAR_MS),
    ]
    rows = [f"| {bar} | {value:.2f} | {'met' if met else '**missed**'} |" for bar, value, met in found]
    return ["| bar | found | |", "| --- | ---: | --- |", *rows]


if __name__ == "__main__":
    main()
