"""On which device a network runs, and in which precision. TensorFlow comes in as an argument, and only in the process
that runs the network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stream_app.errors import EncoderFailed, SettingsError

KINDS = "auto, cpu, gpu, or gpu:N"
# Of any photo's embeddings in mixed precision and in float32. The default network's on 611 photographs, in bfloat16:
# .9992 in the mean, .991 at least. One that overflows in half precision falls far short of it.
PRECISION_COSINE_MIN = 0.99


@dataclass(frozen=True)
class Device:
    """What to run on; SettingsError when the name is none of KINDS."""

    name: str = "auto"  # the first GPU where there is one
    # float16 on a GPU, bfloat16 on a processor that has it, else float32; None: on such a processor only, and only for
    # a network that bears it
    mixed_precision: bool | None = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"auto|cpu|gpu(:\d{1,3})?", self.name):
            raise SettingsError("SIGHTLINE_DEVICE cannot be used", expected=KINDS, received=repr(self.name))

    def choose_gpu(self, gpus: list[Any]) -> Any | None:
        """The one of these GPUs to use, or None for the processor; EncoderFailed when it is not there."""
        if self.name == "cpu" or (self.name == "auto" and not gpus):
            return None
        number = int(self.name.partition(":")[2] or 0)
        if number >= len(gpus):
            raise EncoderFailed(
                f"SIGHTLINE_DEVICE={self.name}: there is no such GPU that TensorFlow can use",
                received=f"{len(gpus)} of them: {', '.join(each.name for each in gpus)}" if gpus else "no GPU at all",
                remedy="SIGHTLINE_DEVICE=auto takes what there is; deploy/README.md says what a GPU needs.",
            )
        return gpus[number]


def set_up(tf: Any, device: Device, *, threads: int) -> None:
    """Give TensorFlow its threads, and of the GPUs one, of which it takes only the memory that it needs.

    Where TensorFlow runs already, nothing is changed: whoever started it chose. Raises EncoderFailed.
    """
    gpu = device.choose_gpu(tf.config.list_physical_devices("GPU"))
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.set_visible_devices([gpu] if gpu else [], "GPU")
        if gpu:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:
        return


def tries_mixed_precision(tf: Any, device: Device) -> bool:
    """Whether half precision is asked for, or is left to what is here and this has instructions for it."""
    if tf.config.get_visible_devices("GPU"):
        return device.mixed_precision is True
    return device.mixed_precision is not False and multiplies_bfloat16()


def multiplies_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor has instructions for bfloat16, as far as Linux tells.

    TensorFlow itself takes every AVX-512 for one, and computes in float32 what it has rounded before.
    """
    try:
        flags = re.search(r"^flags\s*:(.*)$", cpuinfo.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
    except OSError:
        return False
    return flags is not None and not {"amx_bf16", "avx512_bf16"}.isdisjoint(flags[1].split())


def allow_mixed_precision(tf: Any, allowed: bool = True) -> None:
    """Let TensorFlow's graph optimiser halve what loses little by it, in every graph of this process from now on.

    It decides for each operation (Micikevicius et al. 2018); https://www.tensorflow.org/guide/graph_optimization.
    """
    on_gpu = bool(tf.config.get_visible_devices("GPU"))
    option = "auto_mixed_precision" if on_gpu else "auto_mixed_precision_onednn_bfloat16"
    tf.config.optimizer.set_experimental_options({option: allowed})


def check_precision(exact: np.ndarray, mixed: np.ndarray) -> None:
    """EncoderFailed unless embeddings [n, d] in mixed precision lie where those in float32 do."""
    norms = np.linalg.norm(exact, axis=1) * np.linalg.norm(mixed, axis=1)
    cosine = float(np.min((exact * mixed).sum(axis=1) / np.maximum(norms, 1e-12)))
    if not cosine >= PRECISION_COSINE_MIN:  # NaN is no match either
        raise EncoderFailed(
            "In mixed precision this network gives other embeddings",
            expected=f"a cosine of at least {PRECISION_COSINE_MIN} to those in float32",
            received=f"{cosine:.4f}",
            remedy="SIGHTLINE_MIXED_PRECISION=false",
        )
