"""Inception-v3 (Szegedy et al. 2015) as `keras.applications` and torchvision have it, without the auxiliary head.

Both layouts lead to one network; its layers bear torchvision's names. Of their two editions only the averages at
the border differ, and each file is computed as its own library would.
"""

from __future__ import annotations

from pathlib import Path

from models.branches import Branches, BranchNetwork, Layer, Pool, Step, check_weights, walk
from models.convolution import Weights
from models.torch_weights import read_torch_weights

SIDE_PX = 299
AVERAGE = Pool("AVG")
SMALLER = Pool("MAX", stride=2, padding="VALID")


def _narrowing(pool_filters: int) -> tuple[tuple[Step, ...], ...]:
    """The ways of the blocks at 35 x 35."""
    double = (
        Layer("branch3x3dbl_1", 64),
        Layer("branch3x3dbl_2", 96, (3, 3)),
        Layer("branch3x3dbl_3", 96, (3, 3)),
    )
    return (
        (Layer("branch1x1", 64),),
        (Layer("branch5x5_1", 48), Layer("branch5x5_2", 64, (5, 5))),
        double,
        (AVERAGE, Layer("branch_pool", pool_filters)),
    )


def _lengthwise(width: int) -> tuple[tuple[Step, ...], ...]:
    """The ways of the blocks at 17 x 17: seven by seven as rows and columns."""
    once = (
        Layer("branch7x7_1", width),
        Layer("branch7x7_2", width, (1, 7)),
        Layer("branch7x7_3", 192, (7, 1)),
    )
    twice = (
        Layer("branch7x7dbl_1", width),
        Layer("branch7x7dbl_2", width, (7, 1)),
        Layer("branch7x7dbl_3", width, (1, 7)),
        Layer("branch7x7dbl_4", width, (7, 1)),
        Layer("branch7x7dbl_5", 192, (1, 7)),
    )
    return (Layer("branch1x1", 192),), once, twice, (AVERAGE, Layer("branch_pool", 192))


def _cross(name: str) -> Branches:
    """A row and a column of the same input, side by side."""
    return Branches(name, ((Layer("a", 384, (1, 3)),), (Layer("b", 384, (3, 1)),)))


def _widening() -> tuple[tuple[Step, ...], ...]:
    """The ways of the blocks at 8 x 8."""
    return (
        (Layer("branch1x1", 320),),
        (Layer("branch3x3_1", 384), _cross("branch3x3_2")),
        (Layer("branch3x3dbl_1", 448), Layer("branch3x3dbl_2", 384, (3, 3)), _cross("branch3x3dbl_3")),
        (AVERAGE, Layer("branch_pool", 192)),
    )


TO_17: tuple[tuple[Step, ...], ...] = (
    (Layer("branch3x3", 384, (3, 3), 2, "VALID"),),
    (
        Layer("branch3x3dbl_1", 64),
        Layer("branch3x3dbl_2", 96, (3, 3)),
        Layer("branch3x3dbl_3", 96, (3, 3), 2, "VALID"),
    ),
    (SMALLER,),
)
TO_8: tuple[tuple[Step, ...], ...] = (
    (Layer("branch3x3_1", 192), Layer("branch3x3_2", 320, (3, 3), 2, "VALID")),
    (
        Layer("branch7x7x3_1", 192),
        Layer("branch7x7x3_2", 192, (1, 7)),
        Layer("branch7x7x3_3", 192, (7, 1)),
        Layer("branch7x7x3_4", 192, (3, 3), 2, "VALID"),
    ),
    (SMALLER,),
)
STEPS: tuple[Step, ...] = (
    Layer("Conv2d_1a_3x3", 32, (3, 3), 2, "VALID"),
    Layer("Conv2d_2a_3x3", 32, (3, 3), 1, "VALID"),
    Layer("Conv2d_2b_3x3", 64, (3, 3)),
    SMALLER,
    Layer("Conv2d_3b_1x1", 80),
    Layer("Conv2d_4a_3x3", 192, (3, 3), 1, "VALID"),
    SMALLER,
    Branches("Mixed_5b.", _narrowing(32)),
    Branches("Mixed_5c.", _narrowing(64)),
    Branches("Mixed_5d.", _narrowing(64)),
    Branches("Mixed_6a.", TO_17),
    Branches("Mixed_6b.", _lengthwise(128)),
    Branches("Mixed_6c.", _lengthwise(160)),
    Branches("Mixed_6d.", _lengthwise(160)),
    Branches("Mixed_6e.", _lengthwise(192)),
    Branches("Mixed_7a.", TO_8),
    Branches("Mixed_7b.", _widening()),
    Branches("Mixed_7c.", _widening()),
)
LAYER_NAMES = [name for name, _, _ in walk(STEPS)]  # in the order in which keras.applications makes them, too


def read_inception_v3(path: Path) -> tuple[Weights, bool]:
    """The weights in any of the layouts, and whether they are torchvision's edition."""
    from models.keras_files import is_keras_file, read_keras_inception_v3

    from_keras = is_keras_file(path)
    weights = read_keras_inception_v3(path, LAYER_NAMES) if from_keras else read_torch_weights(path)
    check_weights(STEPS, weights)
    return weights, not from_keras


def inception_v3(weights: Weights, *, torchvision: bool) -> BranchNetwork:
    """The network: float32 [n, 299, 299, 3] in -1..1 to embeddings [n, 2048] and probabilities."""
    return BranchNetwork(STEPS, weights, borders_averaged=torchvision)
