"""A shard on its way to a million vectors: build, memory, latency and restart, and what they grow like.

    python tests/benchmarks/bench_index_scale.py [ROWS]        (1,000,000 x 200; `pip install .[bench]`)

A mixture of clusters is made slice by slice, so that no memory of the generator's is measured, and added in batches;
the shard seals and merges as it wishes. At a tenth, three tenths and all of it, once there is nothing to merge: build
CPU and wall so far; memory of the process, mapped file pages apart; searches, with their recall@10; and a restart in a
fresh process, with the files in the system's cache and without. The slope is that of a line through the logarithms: 1
grows as the rows do, 0 not at all; the extrapolation follows it. Bars at the full size: restart in under 5 s, first
query in under 200 ms, both with warm files, as after a restart of the process. The tables go under bench-out/index too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import numpy as np  # noqa: E402  (the project must be on the path first)
from index_data import MIXTURE_DIMENSIONS, OUT, QUERIES, Mixture  # noqa: E402
from process_costs import ChildrenWatch, cpu_seconds, own_mb, resident_mb, size_mb  # noqa: E402
from shard_peer import COMPILED_ROWS, compile_shard, fill, open_shard, settle  # noqa: E402

from stream_app.index.shard import Shard  # noqa: E402

ROWS, K, ROUNDS = 1_000_000, 10, 3
SHARES = (0.1, 0.3, 1.0)
FARTHER = (10_000_000, 100_000_000)
RESTART_BAR_SECONDS, FIRST_QUERY_BAR_MS = 5.0, 200.0
#: What is measured at each size, and its words.
FIGURES = {
    "build_cpu": "build CPU s",
    "build_wall": "build wall s",
    "own_mb": "memory MB, own",
    "mapped_mb": "mapped file pages MB",
    "children_mb": "peak MB of child processes",
    "disk_mb": "MB on disk",
    "segments": "segments",
    "recall": "recall@10",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "restart_s": "restart s",
    "first_ms": "first query ms",
    "cold_restart_s": "restart s, files not in the cache",
    "cold_first_ms": "first query ms after it",
}
EXTRAPOLATED = ("build_cpu", "own_mb", "disk_mb", "p50_ms", "p99_ms", "restart_s")

Figures = dict[str, float]


def main() -> None:
    """Grow, stop at each size to look, and print the tables and the bars."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        compile_shard(Path(folder) / "few", Mixture(300).slice(0, COMPILED_ROWS))
        found = grow(Path(folder) / "shard", rows)
    text = "\n".join([*table(found), "", *judge(found[max(found)]), ""])
    print(text)
    (OUT / "scale.md").write_text(text, encoding="utf-8")
    (OUT / "scale.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


def grow(place: Path, rows: int) -> dict[int, Figures]:
    """The figures at each size."""
    sizes, found = [int(share * rows) for share in SHARES], {}
    source, truth, watch = Mixture(max(1, rows // 100)), Truth(), ChildrenWatch()
    before, shard, cpu, wall, start = _memory(), open_shard(place, MIXTURE_DIMENSIONS), 0.0, 0.0, 0
    queries = source.slice(-1, QUERIES)
    for vectors in source.slices(rows):
        stops = [size for size in sizes if start < size <= start + len(vectors)]
        for part in np.split(vectors, [size - start for size in stops]):
            truth.see(queries, part, start)
            begun, begun_wall = cpu_seconds(), time.monotonic()
            fill(shard, part, start)
            start += len(part)
            if start in stops:
                settle(shard)
            cpu, wall = cpu + cpu_seconds() - begun, wall + time.monotonic() - begun_wall
            if start in stops:
                found[start] = {"build_cpu": cpu, "build_wall": wall, "children_mb": watch.stop()}
                shard.close()
                found[start] |= _restarted(place)
                shard = open_shard(place, MIXTURE_DIMENSIONS)
                found[start] |= _figures(shard, place, queries, truth, before)
                watch = ChildrenWatch()
                print(f"{start:,} rows measured", file=sys.stderr)
                stops.remove(start)
    shard.close()
    return found


def _figures(shard: Shard, place: Path, queries: np.ndarray, truth: Truth, before: Figures) -> Figures:
    answers = [[hit.photo_id for hit in shard.search(query, K)] for query in queries]  # and a warm-up
    seconds = [_seconds(shard, query) for _ in range(ROUNDS) for query in queries]
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
    return {
        "recall": truth.recall(answers),
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        **{name: value - before[name] for name, value in _memory().items()},
        "disk_mb": size_mb(place),
        "segments": len(shard.manifest.segments),
    }


def _memory() -> Figures:
    return {"own_mb": own_mb(), "mapped_mb": resident_mb() - own_mb()}


class Truth:
    """The true neighbours of the queries among all that was seen so far, without keeping it."""

    def __init__(self) -> None:
        self._ids: np.ndarray | None = None  # int64 [queries, K]
        self._scores: np.ndarray | None = None

    def see(self, queries: np.ndarray, vectors: np.ndarray, first: int) -> None:
        """Vectors with the ids from `first` on."""
        scores = queries @ vectors.T
        ids = np.broadcast_to(np.arange(first, first + len(vectors)), scores.shape)
        if self._ids is not None and self._scores is not None:
            ids, scores = np.concatenate([self._ids, ids], 1), np.concatenate([self._scores, scores], 1)
        best = np.argsort(-scores, axis=1)[:, :K]
        self._ids, self._scores = np.take_along_axis(ids, best, 1), np.take_along_axis(scores, best, 1)

    def recall(self, answers: Sequence[Sequence[int]]) -> float:
        """The mean share of the true neighbours that were found."""
        assert self._ids is not None
        return float(np.mean([np.isin(true, found).mean() for true, found in zip(self._ids, answers, strict=True)]))


def _restarted(place: Path) -> Figures:
    """Opened by a fresh process: with the files as they are in the cache, and after they were put out of it."""
    warm = _opened_apart(place)
    _forget(place)
    cold = _opened_apart(place)
    return {
        "restart_s": warm["restart_s"],
        "first_ms": warm["first_ms"],
        "cold_restart_s": cold["restart_s"],
        "cold_first_ms": cold["first_ms"],
    }


def _opened_apart(place: Path) -> Figures:
    command = [sys.executable, __file__, "--", str(place)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def reopen(place: str) -> Figures:
    """Open the folder here and ask once; seconds of the opening, all imports aside, and of the query."""
    query, begun = Mixture(100).slice(-1, 1)[0], time.perf_counter()
    shard = open_shard(Path(place), MIXTURE_DIMENSIONS)
    restart_s = time.perf_counter() - begun
    figures = {"restart_s": restart_s, "first_ms": 1e3 * _seconds(shard, query)}
    shard.close()
    return figures


def _forget(place: Path) -> None:
    for path in place.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())  # only clean pages are dropped
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _seconds(shard: Shard, query: np.ndarray) -> float:
    begun = time.perf_counter()
    shard.search(query, K)
    return time.perf_counter() - begun


def table(found: dict[int, Figures]) -> list[str]:
    """A line for each figure: at every size, its slope, and what it comes to farther on."""
    sizes = list(found)
    heads = [*(f"{size:,}" for size in sizes), "slope", *(f"at {size:,}, by the slope" for size in FARTHER)]
    lines = [f"| | {' | '.join(heads)} |", "| --- |" + " ---: |" * len(heads)]
    for name, words in FIGURES.items():
        values = [found[size][name] for size in sizes]
        cells = [_number(value) for value in values]
        if name in EXTRAPOLATED and min(values) > 0:
            slope, height = np.polyfit(np.log(sizes), np.log(values), 1)
            cells += [f"{slope:.2f}", *(_number(float(np.exp(height + slope * np.log(size)))) for size in FARTHER)]
        else:
            cells += [""] * (1 + len(FARTHER))
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return lines


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def judge(figures: Figures) -> list[str]:
    """The table of bars."""
    found = [
        ("restart, seconds", figures["restart_s"], RESTART_BAR_SECONDS),
        ("its first query, ms", figures["first_ms"], FIRST_QUERY_BAR_MS),
    ]
    rows = [
        f"| {bar}: under {most:g} | {value:.2f} | {'met' if value < most else '**missed**'} |"
        for bar, value, most in found
    ]
    return ["| bar | found | |", "| --- | ---: | --- |", *rows]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--"]:
        print(json.dumps(reopen(sys.argv[2])))
    else:
        main()
