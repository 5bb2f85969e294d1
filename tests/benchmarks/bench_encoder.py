"""Photographs per second of the encoder against Keras' `model.predict` of the same network, decoding included.

    python tests/benchmarks/bench_encoder.py [COUNT]

Needs ../shared/data beside the project (611 photographs of ImageNet classes, which are not ours to ship). Each way runs
in a process of its own, three times in turns; shown are medians, and the peak memory of COUNT photos and of three times
as many. `predict` gets what a service would give it that decodes with Pillow: one array per micro-batch. Inception-v3
has made weights, which are as fast as trained ones. Bars: twice the speed of `predict`; memory that does not grow with
the number of photos by more than a tenth.

What was tried for float32 and lost, in processor time per photo of EfficientNet-Lite0 in batches of 8 (10.2 ms, and
2 ms for decoding; batch normalisation is folded anyway): batches of 16 and 32, 11.6 and 12.0 ms; two batches at once
with a thread each, 11.6; TensorFlow without oneDNN, twice as much; TensorFlow Lite with XNNPACK, 9.7, but TensorFlow is
about to drop it. In bfloat16 (4.5 ms): depthwise convolutions left in float32, as slow as all of it in float32; the
last layer left in it, no better words.
"""

from __future__ import annotations

import io
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
DATA = ROOT.parent / "shared" / "data"
BATCHES = (1, 32)  # a person's upload; the embed agent's micro-batch
ROUNDS = 3
WAYS = ("model.predict", "encoder", "encoder, mixed precision")
COUNTS = {"efficientnet_lite0": 611, "inception_v3": 128}
BAR, MEMORY_BAR = 2.0, 1.1


def main() -> None:
    """Build the bundles, measure every way in turns, and print a table."""
    if not (DATA / "photos").is_dir():
        sys.exit(f"This benchmark needs the photographs of {DATA}, which are not there. Nothing was measured.")
    print("| network | micro-batch | way | photos/s | times predict | peak MB | with three times the photos |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for vision, usual in COUNTS.items():
            count = min(usual, int(sys.argv[1])) if len(sys.argv) > 1 else usual
            bundle = Path(folder) / vision
            _apart("build", vision, str(bundle))
            for batch in BATCHES:
                _measure(vision, bundle, batch, count if batch > 1 else count // 4)


def _measure(vision: str, bundle: Path, batch: int, count: int) -> None:
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way in WAYS:
            runs[way].append(_apart("run", way, str(bundle), str(batch), str(count)))
    speeds = {way: statistics.median(each["photos_per_second"] for each in runs[way]) for way in WAYS}
    for way in WAYS:
        peak = statistics.median(each["peak_mb"] for each in runs[way])
        thrice = _apart("run", way, str(bundle), str(batch), str(3 * count))["peak_mb"]
        times = speeds[way] / speeds[WAYS[0]]
        missed = way != WAYS[0] and (times < BAR or thrice > MEMORY_BAR * peak)
        print(
            f"| {vision} | {batch} | {way} | {speeds[way]:.1f} | {times:.2f}{' (bar missed)' if missed else ''} "
            f"| {peak:.0f} | {thrice:.0f} |",
            flush=True,
        )


def _apart(*arguments: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def build(vision: str, bundle: str) -> dict[str, float]:
    """A bundle of the network; Inception-v3's weights are made, and kept beside it for Keras."""
    from models.bundle import build_bundle

    weights = None
    if vision == "inception_v3":
        import keras

        keras.utils.set_random_seed(1)
        weights = Path(bundle + ".weights.h5")
        keras.applications.InceptionV3(weights=None).save_weights(weights)
    build_bundle(Path(bundle), vision=vision, weights=weights)
    return {}


def run(way: str, bundle: str, batch: str, count: str) -> dict[str, float]:
    """One way in this process: photos per second after a warm-up, and the peak memory."""
    encode = _predict(Path(bundle)) if way == WAYS[0] else _encoder(Path(bundle), mixed=way == WAYS[2])
    files = sorted((DATA / "photos").glob("*.jpg"))
    encode([each.read_bytes() for each in files[: int(batch)]])
    begun = time.monotonic()
    for photos in _batches(files, int(batch), int(count)):
        encode(photos)
    seconds = time.monotonic() - begun
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return {"photos_per_second": int(count) / seconds, "peak_mb": peak_kib / 1024}


def _batches(files: list[Path], batch: int, count: int) -> Iterator[list[bytes]]:
    for start in range(0, count, batch):
        yield [files[row % len(files)].read_bytes() for row in range(start, min(start + batch, count))]


def _encoder(bundle: Path, *, mixed: bool) -> Callable[[list[bytes]], object]:
    from models.devices import Device
    from models.encoder import LocalEncoder

    return LocalEncoder(bundle, device=Device(mixed_precision=mixed)).encode_images


def _predict(bundle: Path) -> Callable[[list[bytes]], object]:
    import keras
    import numpy as np
    from PIL import Image, ImageOps

    from models.manifest import VISION_DIR, read_manifest

    manifest = read_manifest(bundle)
    side = int(manifest.preprocessing["side_px"])
    if manifest.vision == "inception_v3":
        model = keras.applications.InceptionV3(weights=None)
        model.load_weights(f"{bundle}.weights.h5")
    else:  # Keras' own way with a SavedModel
        layer = keras.layers.TFSMLayer(str(bundle / VISION_DIR), call_endpoint="pixels")
        photos = keras.Input([side, side, 3], dtype="uint8")
        model = keras.Model(photos, layer(photos))

    def encode(files: list[bytes]) -> object:
        squares = [ImageOps.fit(Image.open(io.BytesIO(file)).convert("RGB"), (side, side)) for file in files]
        pixels = np.stack([np.asarray(square) for square in squares])
        if manifest.vision == "inception_v3":
            pixels = keras.applications.inception_v3.preprocess_input(pixels.astype(np.float32))
        return model.predict(pixels, verbose=0)

    return encode


if __name__ == "__main__":
    if sys.argv[1:2] == ["--"]:
        print(json.dumps({"build": build, "run": run}[sys.argv[2]](*sys.argv[3:])))
    else:
        main()
