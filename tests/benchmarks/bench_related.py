"""How well a photo finds others of its class: precision at 10 of search vectors, against bare image embeddings.

    python tests/benchmarks/bench_related.py

Needs ../shared/data beside the project: 3,000 images of Tiny ImageNet (the first 15 of each of 200 classes, by number).
"""

from __future__ import annotations

import re
import sys
import tarfile
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
ARCHIVE = ROOT.parent / "shared" / "data" / "tiny_imagenet_120_per_class.tar"
IMAGES_PER_CLASS = 15

from models.bundle import build_bundle  # noqa: E402  (the project's root must be on the path first)
from models.encoder import Encoding, LocalEncoder  # noqa: E402
from models.evaluation import precision_at_k  # noqa: E402
from models.space import Space  # noqa: E402


def read_images() -> tuple[list[str], list[bytes]]:
    """The class and the file of each image."""
    members: dict[str, list[tuple[int, tarfile.TarInfo]]] = defaultdict(list)
    classes, images = [], []
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            if match := re.search(r"(n\d{8})/images/.*?_?(\d+)\.\w+$", member.name):
                members[match[1]].append((int(match[2]), member))
        for name in sorted(members):
            for _, member in sorted(members[name], key=lambda each: each[0])[:IMAGES_PER_CLASS]:
                file = archive.extractfile(member)
                assert file is not None
                classes.append(name)
                images.append(file.read())
    return classes, images


def measure(bundle_dir: Path) -> dict[str, float]:
    """Precision at 10 of each kind of vector."""
    classes, images = read_images()
    space = Space.load(bundle_dir)
    encodings = [each for each in LocalEncoder(bundle_dir).encode_images(images) if isinstance(each, Encoding)]
    embeddings = np.stack([each.image_embedding for each in encodings]).astype(np.float32)
    labels = np.stack([each.label_indices for each in encodings]), np.stack([each.label_scores for each in encodings])
    joint = space.project(embeddings, *labels)
    kinds = {
        "image embedding": embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True),
        "joint embedding": joint,
        "search vector": space.search_vectors(embeddings, joint),
    }
    return {name: precision_at_k(vectors, classes, 10) for name, vectors in kinds.items()}


def main() -> None:
    """Build the default bundle in a temporary folder, and print the table."""
    if not ARCHIVE.is_file():
        sys.exit(f"This benchmark needs {ARCHIVE}, which is not there. Nothing was measured.")
    with tempfile.TemporaryDirectory() as folder:
        precisions = measure(build_bundle(Path(folder) / "bundle"))
    print("| vector | precision at 10 | times the image embedding |\n|---|---:|---:|")
    for name, precision in precisions.items():
        print(f"| {name} | {precision:.3f} | {precision / precisions['image embedding']:.2f} |")


if __name__ == "__main__":
    main()
