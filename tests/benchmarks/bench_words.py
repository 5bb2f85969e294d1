"""How well everyday words find photographs: the right ones among the first 5, over the most there could be.

    python tests/benchmarks/bench_words.py

Needs ../shared/data beside the project (611 photographs of ImageNet classes, which are not ours to ship): a photo is
right for a word when its class is a kind of the word's synset. Prints a table in Markdown.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
DATA = ROOT.parent / "shared" / "data"

from models.bundle import build_bundle  # noqa: E402  (the project's root must be on the path first)
from models.encoder import Encoding, LocalEncoder  # noqa: E402
from models.evaluation import WordHits, descendants, mean_score, read_children, word_hits  # noqa: E402
from models.space import Space  # noqa: E402


def search_vectors(bundle_dir: Path, paths: list[Path]) -> np.ndarray:
    """What the index would hold for these photos, float32 [n, search_dimensions]."""
    encoder, space = LocalEncoder(bundle_dir), Space.load(bundle_dir)
    began = time.perf_counter()
    answers = encoder.encode_images([path.read_bytes() for path in paths])
    print(f"{len(paths)} photos encoded in {time.perf_counter() - began:.1f} s", file=sys.stderr)
    encodings = [answer for answer in answers if isinstance(answer, Encoding)]
    embeddings = np.stack([each.image_embedding for each in encodings])
    labels = np.stack([each.label_indices for each in encodings]), np.stack([each.label_scores for each in encodings])
    return space.search_vectors(embeddings, space.project(embeddings, *labels))


def measure(bundle_dir: Path) -> list[WordHits]:
    """Every word of word_queries.tsv that has a photo."""
    with (DATA / "photos" / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with (DATA / "word_queries.tsv").open(encoding="utf-8") as file:
        queries = list(csv.DictReader(file, delimiter="\t"))
    children = read_children(DATA / "wordnet" / "parent_child.txt")
    vectors = search_vectors(bundle_dir, [DATA / "photos" / row["file"] for row in rows])
    space = Space.load(bundle_dir)
    hits = []
    for query in queries:
        right = descendants(query["synset"], children)
        scores = vectors @ space.word_query(space.embed_words(query["word"]).vector)
        hits.append(word_hits(query["word"], scores, np.array([row["wordnet_id"] in right for row in rows])))
    return [each for each in hits if each is not None]


def main() -> None:
    """Build the default bundle in a temporary folder, and print the table."""
    if not (DATA / "word_queries.tsv").is_file():
        sys.exit(f"This benchmark needs the photographs of {DATA}, which are not there. Nothing was measured.")
    with tempfile.TemporaryDirectory() as folder:
        hits = measure(build_bundle(Path(folder) / "bundle"))
    print("| word | photos | right in the first 5 | score |\n|---|---:|---:|---:|")
    for each in hits:
        print(f"| {each.word} | {each.present} | {each.found} | {each.score:.2f} |")
    print(f"| **{len(hits)} words** | | | **{mean_score(hits):.3f}** |")


if __name__ == "__main__":
    main()
