"""The main job, as a newcomer sees it: a folder of labelled photos, one command, and what it answers.

    python tests/benchmarks/bench_main_job.py PHOTOS LABELS.csv QUERIES.tsv PARENT_CHILD.txt

PHOTOS is a folder of photos; LABELS.csv has the columns `file` and `wordnet_id`; QUERIES.tsv has a word and the
synset that judges it; PARENT_CHILD.txt has WordNet's is-a edges, `parent child` in a line. Prints the seconds to
the last photo, the memory of the worker's processes, and for every word how many of the first five are right.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from album_process import AlbumProcess, until  # noqa: E402

from stream_app.settings import Settings  # noqa: E402

FIRST = 5


def main(photos: Path, labels: Path, queries: Path, edges: Path) -> None:
    """Run the job and print the tables."""
    wordnet_ids = {row["file"]: row["wordnet_id"] for row in csv.DictReader(labels.open())}
    words = dict(line.split("\t")[:2] for line in queries.read_text().splitlines()[1:])
    with tempfile.TemporaryDirectory() as data_dir:
        begun = time.monotonic()
        album = AlbumProcess(Settings(data_dir=Path(data_dir)), "up", "--photos", str(photos))
        try:
            album.ready()
            print(f"first answer after {time.monotonic() - begun:.1f} s")
            until(lambda: album.photo_count() >= len(wordnet_ids), what="all photos")
            print(f"{album.photo_count()} photos findable after {time.monotonic() - begun:.1f} s")
            judge(album, words, wordnet_ids, descendants(edges))
            print_memory(album.process.pid)
        finally:
            album.stop()


def judge(album: AlbumProcess, words: dict[str, str], wordnet_ids: dict[str, str], below: dict[str, set[str]]) -> None:
    """Print, for every word with a right photo in the album, the share of right ones among the first five."""
    shares = []
    print("| word | right in the album | right among the first 5 |\n|---|---|---|")
    for word, synset in words.items():
        right = {file for file, wordnet_id in wordnet_ids.items() if wordnet_id in below[synset] | {synset}}
        if right:
            found = sum(name in right for name in album.names(f"/api/search?q={word}&k={FIRST}"))
            shares.append(found / min(FIRST, len(right)))
            print(f"| {word} | {len(right)} | {found} |")
    print(f"| **mean over {len(shares)} words** | | **{sum(shares) / len(shares):.3f}** |")


def descendants(edges: Path) -> dict[str, set[str]]:
    """For every synset, all that lie below it."""
    children = defaultdict(set)
    for line in edges.read_text().splitlines():
        parent, child = line.split()
        children[parent].add(child)
    below: dict[str, set[str]] = defaultdict(set)
    for synset in list(children):
        queue = [synset]
        while queue:
            for child in children.get(queue.pop(), ()):
                if child not in below[synset]:
                    below[synset].add(child)
                    queue.append(child)
    return below


def print_memory(root: int) -> None:
    """Print the peak resident memory (VmHWM) of every process below `root`; Linux only."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        parents[int(fields["Pid"])] = (int(fields["PPid"]), fields["Name"].strip(), fields.get("VmHWM", "0 kB"))
    total = 0
    for pid, (parent, name, peak) in sorted(parents.items()):
        while parent not in (0, root):
            parent = parents.get(parent, (0,))[0]
        if parent == root or pid == root:
            total += int(peak.split()[0])
            print(f"{name:20} {int(peak.split()[0]) / 1024:8.0f} MB")
    print(f"{'all':20} {total / 1024:8.0f} MB")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
