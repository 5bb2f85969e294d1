"""The main job, as a newcomer sees it: a folder of labelled photos, one command, and what it answers.

    python tests/benchmarks/bench_main_job.py

Needs ../shared/data beside the project (611 photographs of ImageNet classes, which are not ours to ship). Starts
`sightline up` with an empty data folder, and prints the seconds to the first answer and to the last photo, the
peak memory of every process (Linux), and what each everyday word finds over HTTP.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
DATA = ROOT.parent / "shared" / "data"

from album_process import AlbumProcess, until  # noqa: E402  (the project must be on the path first)

from models.evaluation import WordHits, descendants, mean_score, read_children  # noqa: E402
from stream_app.settings import Settings  # noqa: E402

FIRST = 5


def main() -> None:
    """Run the job and print the figures."""
    if not (DATA / "word_queries.tsv").is_file():
        sys.exit(f"This benchmark needs the photographs of {DATA}, which are not there. Nothing was measured.")
    classes = {row["file"]: row["wordnet_id"] for row in _rows(DATA / "photos" / "labels.csv", ",")}
    with tempfile.TemporaryDirectory() as data_dir:
        begun = time.monotonic()
        album = AlbumProcess(Settings(data_dir=Path(data_dir)), "up", "--photos", str(DATA / "photos"))
        try:
            album.ready()
            print(f"first answer after {time.monotonic() - begun:.1f} s, model bundle built")
            until(lambda: album.photo_count() >= len(classes), what="all photos")
            print(f"{album.photo_count()} photos findable after {time.monotonic() - begun:.1f} s\n")
            print_hits([hits for row in _rows(DATA / "word_queries.tsv", "\t") if (hits := ask(album, row, classes))])
            print_memory(album.process.pid)
        finally:
            album.stop()


def ask(album: AlbumProcess, query: dict[str, str], classes: dict[str, str]) -> WordHits | None:
    """What one word finds among the first; None when no photo of it is in the album."""
    right = descendants(query["synset"], read_children(DATA / "wordnet" / "parent_child.txt"))
    present = sum(each in right for each in classes.values())
    names = album.names(f"/api/search?q={query['word']}&k={FIRST}")
    found = sum(classes[unquote(name)] in right for name in names)  # an address quotes an apostrophe
    return WordHits(query["word"], present, found, found / min(FIRST, present)) if present else None


def print_hits(hits: list[WordHits]) -> None:
    """A table in Markdown."""
    print(f"| word | photos of it | right in the first {FIRST} | score |\n|---|---:|---:|---:|")
    for each in hits:
        print(f"| {each.word} | {each.present} | {each.found} | {each.score:.2f} |")
    print(f"| **{len(hits)} words** | | | **{mean_score(hits):.3f}** |\n")


def print_memory(root: int) -> None:
    """The peak resident memory (VmHWM) of `root` and every process below it."""
    parents, peaks = {}, {}
    for status in Path("/proc").glob("[0-9]*/status"):
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        pid = int(fields["Pid"])
        parents[pid] = int(fields["PPid"])
        peaks[pid] = int(fields.get("VmHWM", "0 kB").split()[0]) / 1024
    for pid in sorted(peaks):
        if _is_below(pid, root, parents):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            print(f"{peaks[pid]:6.0f} MB  {b' '.join(command[1:4]).decode()[-70:]}")
    print(f"{sum(peaks[pid] for pid in peaks if _is_below(pid, root, parents)):6.0f} MB in all")


def _is_below(pid: int, root: int, parents: dict[int, int]) -> bool:
    while pid not in (0, root):
        pid = parents.get(pid, 0)
    return pid == root


def _rows(path: Path, delimiter: str) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


if __name__ == "__main__":
    main()
