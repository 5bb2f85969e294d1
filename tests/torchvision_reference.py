"""What torchvision computes for weights and a photo made by rule: the numbers that our networks must give as well.

PyTorch is no dependency. Where it is installed, `python tests/torchvision_reference.py` prints REFERENCE anew; as it
stands here it was printed with PyTorch 2.15.0 and torchvision 0.29.2.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np


class Answers(NamedTuple):
    """Of one photo: some numbers of its embedding, the embedding's length, and the scores of four classes."""

    embedding: list[float]  # every 128th
    length: float
    scores: list[float]  # of the first four classes


SIDES_PX = {"googlenet": 224, "inception_v3": 299}
REFERENCE: dict[str, Answers] = {
    "googlenet": Answers(
        [0.747463, 0.0505133, 15.121, 0.0531706, 2.72393, 0.414977, 0.127657, 0.0],
        246.594,
        [0.000505448, 0.00104167, 0.00069915, 0.000866632],
    ),
    "inception_v3": Answers(
        [
            0.0,
            6.50538,
            3.59628,
            2.986,
            0.108419,
            6.09835,
            1.69006,
            4.79604,
            3.45758,
            0.0171185,
            18.9307,
            4.19749,
            0.305148,
            2.1873,
            3.59994,
            3.05231,
        ],
        231.4248,
        [0.00097841, 0.00165121, 0.000740267, 0.00119839],
    ),
}


def made_tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Weights as lively as trained ones: variances about 1, kernels that keep the size of what goes through."""
    numbers = _scattered(name, shape)
    if name.endswith(("running_var", "bn.weight")):
        return (0.5 + numbers).astype(np.float32)
    fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 24
    gain = 0.05 if name.startswith("fc") else 1.0  # scores of several classes are to be seen
    return ((2 * numbers - 1) * gain * np.sqrt(6 / fan_in)).astype(np.float32)


def made_photo(side_px: int) -> np.ndarray:
    """A photo of noise, float32 [1, side, side, 3] in -1..1."""
    return (2 * _scattered("photo", (1, side_px, side_px, 3)) - 1).astype(np.float32)


def _scattered(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in 0..1 without visible order that are the same on every machine and with every version of NumPy."""
    steps = np.arange(int(np.prod(shape)), dtype=np.float64) + zlib.crc32(name.encode()) % 10_000
    return (np.sin(steps * 12.9898) * 43758.5453 % 1.0).reshape(shape)


def main() -> None:
    """Print REFERENCE as torchvision computes it."""
    import torch
    import torchvision

    print(torch.__version__, torchvision.__version__)
    for name, side_px in SIDES_PX.items():
        network: Any = getattr(torchvision.models, name)(weights=None, init_weights=False, transform_input=False)
        state = network.state_dict()
        made = {key: made_tensor(key, tuple(each.shape)) for key, each in state.items() if each.ndim}
        network.load_state_dict(state | {key: torch.tensor(each) for key, each in made.items()})
        pooled: list[Any] = []
        network.avgpool.register_forward_hook(lambda module, given, output, kept=pooled: kept.append(output))
        with torch.no_grad():
            logits = network.eval()(torch.tensor(made_photo(side_px).transpose(0, 3, 1, 2).copy()))
        embedding = pooled[0].flatten().double()
        scores = torch.softmax(logits.double(), 1)[0, :4]
        rounded = [[float(f"{value:.6g}") for value in each] for each in (embedding[::128], scores)]
        print(f'    "{name}": Answers({rounded[0]}, {float(embedding.norm()):.7g}, {rounded[1]}),')


if __name__ == "__main__":
    main()
