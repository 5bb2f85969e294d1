"""A shard against Annoy, hnswlib, faiss, usearch and voyager on the same vectors: recall, speed, and what it costs.

    python tests/benchmarks/bench_index.py [ROWS] [DATA ...]      (300,000 rows of all data; `pip install .[bench]`)

DATA are names of `index_data.py`: mixture-200, glove-50, glove-100 (needs npm), photos (needs ../shared/data beside the
project; 24,000 photographs, with word queries reported apart). What takes long to make is kept under bench-out/index,
and there the tables go as well, as Markdown and JSON, with a picture of each curve.

Each index is built by a process of its own, which says its processor seconds and its peak memory with those of its
children; then one process opens all of them and asks them in turns, one query at a time on one thread: a warm-up, then
rounds in each of which every way is asked at every budget; shown are medians. On two cores about a quarter of an hour
for each data set. Speeds at a recall@10 lie on the curve between measured points. Of the shard the whole search is
measured, from a vector to hits with versions; of the others the bare library call. usearch and voyager take part at
100,000 rows and below. Bars, at recall .95: 3 times the better Annoy, .5 of hnswlib; a quarter of hnswlib's build;
words find .90 with the shard as it is set, which is shown other words
when it is built and told that they are asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import numpy as np  # noqa: E402  (the project must be on the path first)
from index_data import DATA_SETS, OUT, WORDS, DataMissing, DataSet, load, nearest  # noqa: E402
from index_peers import ANNOYS, COMPACT, HNSWLIB, PEERS, SHARD, SMALL_ONLY, SMALL_ROWS_MAX  # noqa: E402
from process_costs import ChildrenWatch, cpu_seconds, forget_peak, own_mb, peak_mb, size_mb  # noqa: E402
from recall_curves import Point, Question, draw, measure_in_turns, qps_at, worthwhile  # noqa: E402
from shard_peer import COMPILED_ROWS, ShardPeer, compile_shard  # noqa: E402

K, ROUNDS, ROWS = 10, 5, 300_000
RECALLS = (0.90, 0.95, 0.98, 0.99)
BAR_RECALL, ANNOY_BAR, HNSWLIB_BAR, BUILD_BAR, WORDS_BAR = 0.95, 3.0, 0.5, 0.25, 0.90

Costs = dict[str, dict[str, float]]
Curves = dict[str, list[Point]]


def main() -> None:
    """Measure every data set, print its tables as they come, and at the end how the bars were met."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    verdicts: list[str] = []
    for name in sys.argv[2:] or DATA_SETS:
        try:
            data = load(name, rows)
        except DataMissing as reason:
            print(f"## {name}\n\nNot measured: {reason}.\n")
            continue
        costs, curves = measure(data)
        report(data, costs, curves)
        verdicts += judge(data, costs, curves)
    print("## Bars\n\n| data | bar | found | |\n| --- | --- | ---: | --- |\n" + "\n".join(verdicts))


def measure(data: DataSet) -> tuple[Costs, dict[str, Curves]]:
    """What each way costs to build, and its curve for each kind of query."""
    names = [name for name in PEERS if name not in SMALL_ONLY or len(data.vectors) <= SMALL_ROWS_MAX]
    with tempfile.TemporaryDirectory() as folder:
        places = {name: Path(folder) / str(number) for number, name in enumerate(names)}
        compile_shard(Path(folder) / "few", data.vectors[:COMPILED_ROWS])
        file = Path(folder) / "vectors.npz"
        np.savez(file, vectors=data.vectors.astype(np.float16), outside=data.outside)
        costs = {name: _apart("build", name, file, place) for name, place in places.items()}
        ways: dict[str, Any] = {}
        for name, place in places.items():
            costs[name] |= _apart("hold", name, file, place)
            ways[name] = PEERS[name](data.vectors.shape[1])
            ways[name].open(place)
        return costs, {kind: _curves(ways, data.vectors, queries, kind) for kind, queries in data.queries.items()}


def _curves(ways: Mapping[str, Any], vectors: np.ndarray, queries: np.ndarray, kind: str) -> Curves:
    for way in ways.values():
        if isinstance(way, ShardPeer):
            way.say_outside(kind == WORDS)
    question = Question(queries, vectors, nearest(queries, vectors, K)[1], K)
    asked = {name: (way, worthwhile(way, way.budgets, question)) for name, way in ways.items()}
    return measure_in_turns(asked, question, ROUNDS)


def _apart(what: str, name: str, file: Path, place: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--", what, name, str(file), str(place)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def build(name: str, file: str, place: str) -> dict[str, float]:
    """Build one index here: processor and wall seconds, megabytes of memory beyond the vectors, and on disk."""
    with np.load(file) as arrays:
        vectors, outside = arrays["vectors"].astype(np.float32), arrays["outside"]
    peer, watch = PEERS[name](vectors.shape[1]), ChildrenWatch()
    if isinstance(peer, ShardPeer) and len(outside):
        peer.outside_queries = outside
    held, cpu, begun = forget_peak(), cpu_seconds(), time.monotonic()
    peer.build(vectors, Path(place))
    seconds, used = time.monotonic() - begun, cpu_seconds() - cpu
    peak = peak_mb() - held + watch.stop()
    return {"build_cpu": used, "build_seconds": seconds, "peak_mb": peak, "disk_mb": size_mb(Path(place))}


def hold(name: str, file: str, place: str) -> dict[str, float]:
    """Open one index here and ask it: megabytes of memory, mapped file pages aside."""
    with np.load(file) as arrays:
        queries = arrays["vectors"][:100].astype(np.float32)
    peer, held = PEERS[name](queries.shape[1]), own_mb()
    peer.open(Path(place))
    peer.set_budget(peer.budgets[-1])
    for query in queries:
        peer.search(query, K)
    return {"own_mb": own_mb() - held}


def report(data: DataSet, costs: Costs, curves: dict[str, Curves]) -> None:
    """Print the tables of one data set, and keep them as Markdown, JSON and pictures."""
    rows, dimensions = data.vectors.shape
    parts = [f"## {data.name}: {rows:,} x {dimensions}\n", _cost_table(costs)]
    for kind, curve in curves.items():
        title = f"{data.name}{', ' + kind if kind else ''}"
        parts.append(f"\n{title}, {len(data.queries[kind])} queries: queries per second at a recall@{K}\n")
        parts.append(_speed_table(curve))
        draw(curve, f"{title}: {rows:,} x {dimensions}", OUT / f"{title.replace(', ', '-')}.png")
    text = "\n".join(parts) + "\n"
    print(text, flush=True)
    (OUT / f"{data.name}.md").write_text(text, encoding="utf-8")
    points = {
        kind: {way: [point._asdict() for point in found] for way, found in each.items()}
        for kind, each in curves.items()
    }
    kept = {"rows": rows, "dimensions": dimensions, "costs": costs, "curves": points}
    (OUT / f"{data.name}.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")


def _cost_table(costs: Costs) -> str:
    lines = ["| way | build CPU s | wall s | MB at the peak of building | MB on disk | MB held once open |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, cost in costs.items():
        fields = ("build_cpu", "build_seconds", "peak_mb", "disk_mb", "own_mb")
        lines.append(f"| {name} | " + " | ".join(f"{cost[field]:,.1f}" for field in fields) + " |")
    return "\n".join(lines)


def _speed_table(curves: Curves) -> str:
    lines = [f"| way | {' | '.join(f'{recall:.2f}' for recall in RECALLS)} | as it is set: recall, queries/s |"]
    lines.append("| --- |" + " ---: |" * (len(RECALLS) + 1))
    for name, points in curves.items():
        speeds = [qps_at(points, recall) for recall in RECALLS]
        usual = _usual(points)
        lines.append(
            f"| {name} | {' | '.join('–' if speed is None else f'{speed:,.0f}' for speed in speeds)} "
            f"| {f'{usual.recall:.3f}, {usual.qps:,.0f}' if usual else ''} |"
        )
    return "\n".join(lines)


def _usual(points: Sequence[Point]) -> Point | None:
    return next((point for point in points if point.budget is None), None)


def judge(data: DataSet, costs: Costs, curves: dict[str, Curves]) -> list[str]:
    """A row of the table of bars for each that the data set has a say in."""
    found = []
    for way in (SHARD, COMPACT):
        for kind, curve in curves.items():
            ours = qps_at(curve[way], BAR_RECALL) or 0.0
            peers = {name: qps_at(points, BAR_RECALL) or 0.0 for name, points in curve.items()}
            better, graph = max(peers[name] for name in ANNOYS), peers[HNSWLIB]
            label = f"{data.name}{', ' + kind if kind else ''} | {way}: "
            found.append((label + "times the better Annoy", ours / max(better, 1e-9), ANNOY_BAR, True))
            found.append((label + "times hnswlib", ours / max(graph, 1e-9), HNSWLIB_BAR, True))
            if kind == WORDS and (usual := _usual(curve[way])):
                found.append((label + "recall as it is set", usual.recall, WORDS_BAR, True))
        part = costs[way]["build_cpu"] / costs[HNSWLIB]["build_cpu"]
        found.append((f"{data.name} | {way}: of hnswlib's build CPU", part, BUILD_BAR, False))
    return [_verdict(*each) for each in found]


def _verdict(label: str, value: float, bar: float, more_is_better: bool) -> str:
    met = value >= bar if more_is_better else value <= bar
    sense = "at least" if more_is_better else "at most"
    return f"| {label}, {sense} {bar:g} | {value:.2f} | {'met' if met else '**missed**'} |"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--"]:
        print(json.dumps({"build": build, "hold": hold}[sys.argv[2]](*sys.argv[3:])))
    else:
        main()
