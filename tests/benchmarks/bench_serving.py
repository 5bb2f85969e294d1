"""The same photographs encoded here and at TF Serving's two protocols: how far apart, how fast, in how much memory.

    python tests/benchmarks/bench_serving.py [COUNT]

Needs ../shared/data beside the project (611 photographs of ImageNet classes, which are not ours to ship). The servers
are those of the tests: Python around the SavedModel of the default bundle, on this machine's own cores, so the speeds
say what the protocols cost and not what TF Serving reaches. Ends with a fifth of the answers delayed or failed.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
DATA = ROOT.parent / "shared" / "data"

import numpy as np  # noqa: E402  (the project must be on the path first)
from PIL import Image  # noqa: E402
from serving_process import ServingProcess  # noqa: E402

from agents.encoding import encode_patiently  # noqa: E402
from models.encoder import AsyncEncoder, Encoding, load_network  # noqa: E402
from models.encoder_process import ProcessEncoder  # noqa: E402
from models.manifest import read_manifest  # noqa: E402
from models.serving import RemoteEncoder, transport_to  # noqa: E402
from models.serving_protocol import parse_address, read_prediction  # noqa: E402
from models.squares import Square, SquareCutter  # noqa: E402

BATCH = 32  # as the embed agent takes them
TOGETHER = 16


async def main() -> None:
    """Run everything and print the figures."""
    if not (DATA / "photos").is_dir():
        sys.exit(f"This benchmark needs the photographs of {DATA}, which are not there. Nothing was measured.")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 611
    photos = [path.read_bytes() for path in sorted((DATA / "photos").glob("*.jpg"))[:count]]
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        with_tensorflow = asyncio.to_thread(_build_apart, bundle)
        await with_tensorflow
        servers = ServingProcess(bundle, Path(folder))
        try:
            await measure(bundle, servers, photos)
        finally:
            servers.kill()


async def measure(bundle: Path, servers: ServingProcess, photos: list[bytes]) -> None:
    """Speeds first, while this process holds no TensorFlow; then the vectors themselves."""
    print(f"{len(photos)} photographs, {sum(map(len, photos)) / 1e6:.0f} MB; before: {_peak_mb():.0f} MB\n")
    ours = await timed("in a child process", ProcessEncoder(bundle), photos)
    for kind in ("grpc", "rest"):
        theirs = await timed(kind, RemoteEncoder(bundle, parse_address(servers.address(kind))), photos)
        print(f"    {differing(ours, theirs)}")
    servers.misbehave(delayed=0.1, failed=0.1, delay_seconds=2.0)
    for kind in ("grpc", "rest"):
        remote = RemoteEncoder(bundle, parse_address(servers.address(kind)), timeout_seconds=1.0, batch_size=4)
        await timed(f"{kind}, a fifth of the answers delayed or failed", remote, photos)
        print(f"    {dict(servers.outcomes())}")
        servers.misbehave(delayed=0.1, failed=0.1, delay_seconds=2.0)
    servers.misbehave()
    await compare(bundle, servers, photos)


async def timed(what: str, encoder: AsyncEncoder, photos: list[bytes]) -> list[Encoding]:
    """Encode all photos as the agent does, and print the speed and the peak memory of this process."""
    await encoder.start()
    begun = time.monotonic()
    answers = []
    for start in range(0, len(photos), BATCH):
        answers += await encode_patiently(encoder, photos[start : start + BATCH])
    seconds = time.monotonic() - begun
    await encoder.close()
    encodings = [each for each in answers if isinstance(each, Encoding)]
    print(f"{what}: {len(encodings)} encoded, {len(photos) / seconds:.0f} photos/s, peak memory {_peak_mb():.0f} MB")
    return encodings


def differing(ours: list[Encoding], theirs: list[Encoding]) -> str:
    """How the half-precision encodings differ."""
    a, b = (np.stack([each.image_embedding for each in encodings]).astype(np.float32) for encodings in (ours, theirs))
    labels = sum((x.label_indices[:5] == y.label_indices[:5]).all() for x, y in zip(ours, theirs, strict=True))
    return (
        f"{(a != b).mean():.2e} of the halved numbers differ, the first five labels agree for {labels} of {len(ours)}"
    )


async def compare(bundle: Path, servers: ServingProcess, photos: list[bytes]) -> None:
    """The largest difference in single precision, from the same squares."""
    manifest = read_manifest(bundle)
    cutter = SquareCutter(manifest, pixels_max=150_000_000)
    squares = [each for each in map(cutter.cut, photos) if isinstance(each, Square)]
    network = load_network(bundle, threads=2)
    for kind in ("grpc", "rest"):
        transport, worst, largest = transport_to(parse_address(servers.address(kind))), 0.0, 0.0
        for start in range(0, len(squares), TOGETHER):
            files = [each.file for each in squares[start : start + TOGETHER]]
            theirs = read_prediction(await transport.predict(files, 30.0), len(files), manifest)
            embeddings, _ = network(np.stack([_pixels(file) for file in files]))
            worst = max(worst, float(np.abs(embeddings - theirs.image_embedding).max()))
            largest = max(largest, float(np.abs(embeddings).max()))
        await transport.close()
        print(f"{kind}: image embeddings differ by {worst:.1e} at most, in numbers of up to {largest:.1f}")


def _pixels(file: bytes) -> np.ndarray:
    import io

    return np.asarray(Image.open(io.BytesIO(file)))


def _build_apart(bundle: Path) -> None:
    """In a process of its own: this one is to show what a client needs."""
    import subprocess

    program = f"from pathlib import Path; from models.bundle import build_bundle; build_bundle(Path({str(bundle)!r}))"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    asyncio.run(main())
