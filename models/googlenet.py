"""GoogLeNet (Inception-v1, Szegedy et al. 2014) as torchvision has it; both auxiliary heads are left out.

torchvision's edition has batch normalisation, and kernels of three where the paper has five.
"""

from __future__ import annotations

from pathlib import Path

from models.branches import Branches, BranchNetwork, Layer, Pool, Step, check_weights
from models.convolution import Weights
from models.torch_weights import read_torch_weights

SIDE_PX = 224
SMALLER = Pool("MAX", stride=2)
# torchvision puts three zeros on every side; TensorFlow's SAME would put two before and three after.
STEM_PADDING = [[0, 0], [3, 3], [3, 3], [0, 0]]


def _block(name: str, one: int, to_three: int, three: int, to_five: int, five: int, pool: int) -> Branches:
    return Branches(
        f"{name}.",
        (
            (Layer("branch1", one),),
            (Layer("branch2.0", to_three), Layer("branch2.1", three, (3, 3))),
            (Layer("branch3.0", to_five), Layer("branch3.1", five, (3, 3))),
            (Pool("MAX"), Layer("branch4.1", pool)),
        ),
    )


STEPS: tuple[Step, ...] = (
    Layer("conv1", 64, (7, 7), 2, STEM_PADDING),
    SMALLER,
    Layer("conv2", 64),
    Layer("conv3", 192, (3, 3)),
    SMALLER,
    _block("inception3a", 64, 96, 128, 16, 32, 32),
    _block("inception3b", 128, 128, 192, 32, 96, 64),
    SMALLER,
    _block("inception4a", 192, 96, 208, 16, 48, 64),
    _block("inception4b", 160, 112, 224, 24, 64, 64),
    _block("inception4c", 128, 128, 256, 24, 64, 64),
    _block("inception4d", 112, 144, 288, 32, 64, 64),
    _block("inception4e", 256, 160, 320, 32, 128, 128),
    Pool("MAX", side_px=2, stride=2),
    _block("inception5a", 256, 160, 320, 32, 128, 128),
    _block("inception5b", 384, 192, 384, 48, 128, 128),
)


def read_googlenet(path: Path) -> Weights:
    """The weights of torchvision's state file."""
    weights = read_torch_weights(path)
    check_weights(STEPS, weights)
    return weights


def googlenet(weights: Weights) -> BranchNetwork:
    """The network: float32 [n, 224, 224, 3] in -1..1 to embeddings [n, 1024] and probabilities."""
    return BranchNetwork(STEPS, weights, borders_averaged=True)
