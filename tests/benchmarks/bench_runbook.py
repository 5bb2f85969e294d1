"""A stream of changes and searches, the same for a shard and for its peers: what it costs, and what is found.

    python tests/benchmarks/bench_runbook.py [COUNT] [DATA] [PEER ...]      (300,000 mixture-200; `.[bench]`)

COUNT vectors arrive in 60 steps, cluster after cluster; every fifth step deletes a twentieth of what is there, every
step replaces some photos and then asks 200 queries (`index_runbook.py`). Each peer keeps up in its own way
(`runbook_peers.py`), in a process of its own, on one thread; the shard merges in the background besides, as a worker
does, and its child processes count. DATA is a name of `index_data.py`, PEER one of `runbook_peers.py` (all but Annoy
angular; on GloVe rather that one). What others found earlier on the same script stays in the tables, so that peers can
be run one at a time; who has used ten minutes of processor is stopped where it is.

A peer gets a fixed search budget. The least that finds .95 in the first steps, and its neighbours, are all asked from
then on; only the searches of one are counted, and shown is the cheapest whose mean recall over the whole is .95, as if
its user had known. The shard is as it is set. Bars: mean recall@10 at least .95, worst step at least .93, total CPU at
most half of the best peer's. The tables go under bench-out/index as well. It takes about half an hour on two cores.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import numpy as np  # noqa: E402  (the project must be on the path first)
from index_data import OUT, Mixture  # noqa: E402
from index_runbook import Runbook, Step, follow, write_runbook  # noqa: E402
from process_costs import ChildrenWatch, cpu_seconds, forget_peak, peak_mb  # noqa: E402
from recall_curves import Question, recall_of  # noqa: E402
from runbook_peers import PEERS, SHARD  # noqa: E402
from shard_peer import COMPILED_ROWS, compile_shard  # noqa: E402
from stream_peer import StreamPeer  # noqa: E402

COUNT, STEPS, K, BATCH_ROWS = 300_000, 60, 10, 1_000
PREFIX_STEPS, SMALLER_BUDGETS, LARGER_BUDGETS = 6, 2, 3
BAR_RECALL, BAR_WORST, BAR_CPU = 0.95, 0.93, 0.5
CPU_SECONDS_MAX = 600
LEFT_OUT = "Annoy angular, rebuilt"


@dataclass
class Searches:
    """What one budget found and cost, step by step."""

    budget: Any
    recalls: list[float] = field(default_factory=list)
    cpu: float = 0.0
    wall: float = 0.0
    seconds: list[float] = field(default_factory=list)  # of each search


@dataclass
class Summary:
    """One peer at its best budget."""

    name: str
    budget: Any
    mean_recall: float
    worst_recall: float
    update_cpu: float
    search_cpu: float
    wall: float
    peak_mb: float
    p50_ms: float
    p99_ms: float
    steps: int

    @property
    def total_cpu(self) -> float:
        """Processor seconds of everything."""
        return self.update_cpu + self.search_cpu


def main() -> None:
    """Write the script, let every peer follow it, and print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    data = sys.argv[2] if len(sys.argv) > 2 else "mixture-200"
    names = sys.argv[3:] or [name for name in PEERS if name != LEFT_OUT]
    OUT.mkdir(parents=True, exist_ok=True)
    runbook = write_runbook(data, count, STEPS, K)
    said = f"Runbook, {data}: {describe(runbook)}"
    print(f"## {said}\n\n{HEADER}", flush=True)
    everything = earlier(data, said)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "runbook"
        file.write_bytes(pickle.dumps(runbook))
        if SHARD in names:
            compile_shard(Path(folder) / "few", Mixture(300).slice(0, COMPILED_ROWS))
        for name in names:
            everything[name] = summarise(name, _followed_apart(name, file))
            print(row(best(everything[name])), flush=True)
            keep(data, said, everything)
    print("\n" + "\n".join(judge(everything)))


def earlier(data: str, said: str) -> dict[str, list[Summary]]:
    """What peers found on the same script before."""
    path = OUT / f"runbook-{data}.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if kept.get("said") != said:
        return {}
    return {name: [Summary(**each) for each in found] for name, found in kept["peers"].items()}


def keep(data: str, said: str, everything: dict[str, list[Summary]]) -> None:
    """Write the tables."""
    rows = [row(best(found)) for found in everything.values()]
    text = "\n".join([said, "", HEADER, *rows, "", *judge(everything), ""])
    (OUT / f"runbook-{data}.md").write_text(text, encoding="utf-8")
    peers = {name: [asdict(each) for each in found] for name, found in everything.items()}
    (OUT / f"runbook-{data}.json").write_text(json.dumps({"said": said, "peers": peers}, indent=1), encoding="utf-8")


def describe(runbook: Runbook) -> str:
    """How much happens in it."""
    inserted, removed, replaced, asked = (
        sum(len(getattr(step, name)) for step in runbook.steps)
        for name in ("inserted", "removed", "replaced", "query_rows")
    )
    return (
        f"{inserted:,} insertions, {removed:,} deletions, {replaced:,} replacements, {asked:,} searches "
        f"in {len(runbook.steps)} steps, {runbook.pool.shape[1]} dimensions"
    )


def _followed_apart(name: str, file: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--", name, str(file)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def run(name: str, file: str) -> dict[str, Any]:
    """Follow the script here, and say what it cost."""
    runbook: Runbook = pickle.loads(Path(file).read_bytes())
    pool, row_of, aside = runbook.pool.astype(np.float32), {}, _Aside()
    held, cpu, begun = forget_peak(), cpu_seconds(), time.monotonic()
    peer, watch = PEERS[name](pool.shape[1]), ChildrenWatch()
    asked = [Searches(budget) for budget in peer.budgets]
    for number, step in enumerate(runbook.steps):
        change(peer, step, pool)
        with aside:
            follow(row_of, step)
        turn = number % len(asked)  # whoever is asked first finds the vectors cold
        for searches in [*asked[turn:], *asked[:turn]]:
            found = ask(peer, searches, pool[step.query_rows])
            with aside:
                searches.recalls.append(recall(found, step, row_of, pool))
        if number + 1 == PREFIX_STEPS:
            for searches in asked:
                aside.add(searches)
            asked = promising(asked)
            for searches in asked:
                aside.subtract(searches)
        if cpu_seconds() - cpu > CPU_SECONDS_MAX:
            break
    peer.close()
    used, wall = cpu_seconds() - cpu - aside.cpu, time.monotonic() - begun - aside.wall
    return {
        "update_cpu": used - sum(each.cpu for each in asked),
        "update_wall": wall - sum(each.wall for each in asked),
        "peak_mb": peak_mb() - held + watch.stop(),
        "searches": [asdict(each) for each in asked],
    }


class _Aside:
    """Time that is no part of the stream: judging, and the searches of budgets that were given up."""

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0

    def __enter__(self) -> None:
        self._cpu, self._wall = time.thread_time(), time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.cpu += time.thread_time() - self._cpu
        self.wall += time.monotonic() - self._wall

    def add(self, searches: Searches) -> None:
        """Count these searches out."""
        self.cpu, self.wall = self.cpu + searches.cpu, self.wall + searches.wall

    def subtract(self, searches: Searches) -> None:
        """Count them in again."""
        self.cpu, self.wall = self.cpu - searches.cpu, self.wall - searches.wall


def change(peer: StreamPeer, step: Step, pool: np.ndarray) -> None:
    """The step's insertions in batches, then its deletions and replacements."""
    for start in range(0, len(step.inserted), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        peer.insert(step.inserted[part], pool[step.inserted_rows[part]])
    if len(step.removed):
        peer.remove(step.removed)
    if len(step.replaced):
        peer.replace(step.replaced, pool[step.replaced_rows])


def ask(peer: StreamPeer, searches: Searches, queries: np.ndarray) -> list[Any]:
    """Search for each, and note what it took."""
    peer.set_budget(searches.budget)
    found, cpu, wall = [], time.thread_time(), time.monotonic()
    for query in queries:
        begun = time.perf_counter()
        found.append(peer.search(query, K))
        searches.seconds.append(time.perf_counter() - begun)
    searches.cpu += time.thread_time() - cpu
    searches.wall += time.monotonic() - wall
    return found


def recall(found: list[Any], step: Step, row_of: dict[int, int], pool: np.ndarray) -> float:
    """Of one step's answers; a photo that is not there is no answer."""
    rows = [[row_of.get(int(photo_id), -1) for photo_id in each] for each in found]
    return recall_of(rows, Question(pool[step.query_rows], pool, step.worst, K))


def promising(asked: list[Searches]) -> list[Searches]:
    """The smallest budget that finds enough so far, and its neighbours: what is enough may change as more comes."""
    enough = [place for place, each in enumerate(asked) if np.mean(each.recalls) >= BAR_RECALL]
    first = enough[0] if enough else len(asked) - 1
    return asked[max(0, first - SMALLER_BUDGETS) : first + 1 + LARGER_BUDGETS]


def summarise(name: str, measured: dict[str, Any]) -> list[Summary]:
    """What one peer comes to at each of its budgets."""
    return [_summary(name, measured, Searches(**each)) for each in measured["searches"]]


def best(found: list[Summary]) -> Summary:
    """The cheapest budget whose mean recall is enough; without any, the one that finds most."""
    enough = [each for each in found if each.mean_recall >= BAR_RECALL]
    return min(enough, key=lambda each: each.total_cpu) if enough else max(found, key=lambda each: each.mean_recall)


def _summary(name: str, measured: dict[str, Any], searches: Searches) -> Summary:
    p50, p99 = np.percentile(searches.seconds, [50, 99]) * 1e3
    return Summary(
        name,
        searches.budget,
        mean_recall=float(np.mean(searches.recalls)),
        worst_recall=min(searches.recalls),
        update_cpu=measured["update_cpu"],
        search_cpu=searches.cpu,
        wall=measured["update_wall"] + searches.wall,
        peak_mb=measured["peak_mb"],
        p50_ms=float(p50),
        p99_ms=float(p99),
        steps=len(searches.recalls),
    )


HEADER = """\
| way | budget | mean recall | worst step | total CPU s | of it updates | wall s | peak MB | p50 ms | p99 ms |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


def row(of: Summary) -> str:
    """One line of the table."""
    cut = "" if of.steps == STEPS else f", stopped after {of.steps} of {STEPS} steps"
    return (
        f"| {of.name}{cut} | {of.budget or 'as set'} | {of.mean_recall:.3f} | {of.worst_recall:.3f} "
        f"| {of.total_cpu:.1f} | {of.update_cpu:.1f} | {of.wall:.1f} | {of.peak_mb:.0f} | {of.p50_ms:.2f} "
        f"| {of.p99_ms:.2f} |"
    )


def judge(everything: dict[str, list[Summary]]) -> list[str]:
    """The table of bars, which is empty when the shard took no part; who was stopped is nobody's peer."""
    lines = ["| bar | found | |", "| --- | ---: | --- |"]
    others = [each for name, found in everything.items() if name != SHARD for each in found if each.steps == STEPS]
    for ours in everything.get(SHARD, []):
        lines.append(_verdict(f"mean recall at least {BAR_RECALL}", ours.mean_recall, ours.mean_recall >= BAR_RECALL))
        lines.append(_verdict(f"worst step at least {BAR_WORST}", ours.worst_recall, ours.worst_recall >= BAR_WORST))
        peers = [each for each in others if each.mean_recall >= BAR_RECALL]
        steady = [each for each in peers if each.worst_recall >= BAR_WORST]
        for which, of in (("best peer", peers), (f"best peer whose worst step is {BAR_WORST}", steady)):
            if of:
                cheapest = min(of, key=lambda each: each.total_cpu)
                part = ours.total_cpu / cheapest.total_cpu
                lines.append(_verdict(f"CPU at most {BAR_CPU} of the {which}: {cheapest.name}", part, part <= BAR_CPU))
    return lines


def _verdict(bar: str, value: float, met: bool) -> str:
    return f"| {bar} | {value:.3f} | {'met' if met else '**missed**'} |"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--"]:
        print(json.dumps(run(*sys.argv[2:])))
    else:
        main()
