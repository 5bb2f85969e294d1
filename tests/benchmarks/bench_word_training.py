"""65,000 words in 200 dimensions by one command: how long it takes, what it needs, and how good the words are.

    python tests/benchmarks/bench_word_training.py [TEXT ...]

Learns from the captions of ../shared/data beside the project (which are not ours to ship) and from WordNet
(/usr/share/wordnet, Debian's wordnet-base), or from the captions and the TEXTs given. Prints a table in Markdown, with
GloVe on the same pairs beside.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CAPTIONS = ROOT.parent / "shared" / "data" / "flickr8k_captions.tsv"
WORDNET = Path("/usr/share/wordnet")
OTHER = "glove_6b_50d"


def train(sources: list[Path], folder: Path) -> tuple[float, dict[str, Any]]:
    """Seconds of the whole command, and its report."""
    command = [sys.executable, "-m", "stream_app.cli", "train", "words", *map(str, sources)]
    command += ["--words-max", "65000", "--dimensions", "200", "--compare", OTHER]
    command += ["--out", str(folder / "words.vec"), "--report", str(folder / "report.json")]
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    return time.perf_counter() - began, json.loads((folder / "report.json").read_text(encoding="utf-8"))


def rows(seconds: float, report: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What was measured, as (what, ours, GloVe's)."""
    training = report["training"]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak_bytes = peak if sys.platform == "darwin" else peak * 1024
    table = [
        ("words x dimensions", f"{report['words']:,} x {report['dimensions']}", ""),
        ("words of text", f"{training['token_count']:,}, {training['plan']['epochs']} times", ""),
        ("the whole command", f"{seconds:.0f} s, of which training {training['seconds']:.0f} s", ""),
        ("training", f"{training['words_per_second']:,.0f} words/s", ""),
        ("peak memory", f"{peak_bytes / 1e9:.2f} GB", ""),
    ]
    for pair, compared in zip(report["pairs"], report["compared"], strict=True):
        table.append((f"{pair['name']}, {pair['judged']} of {pair['pairs']} pairs", f"{pair['spearman']:.3f}", ""))
        on_the_same = f"{compared['name']}, the {compared['pairs']} pairs that both know"
        table.append((on_the_same, f"{compared['own']:.3f}", f"{compared[OTHER]:.3f}"))
    return table


def main() -> None:
    """Train in a temporary folder, and print the table."""
    sources = [CAPTIONS, *(map(Path, sys.argv[1:]) if sys.argv[1:] else [WORDNET])]
    missing = [str(source) for source in sources if not source.exists()]
    if missing:
        sys.exit(f"This benchmark needs {' and '.join(missing)}, not there. Nothing was measured.")
    with tempfile.TemporaryDirectory() as folder:
        seconds, report = train(sources, Path(folder))
    print(f"| | our words | {OTHER} |\n|---|---:|---:|")
    for row in rows(seconds, report):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
