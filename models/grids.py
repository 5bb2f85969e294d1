"""The settings that each loss is tuned over, at most eight of each: the same budget for all."""

GRIDS: dict[str, dict[str, tuple[float, ...]]] = {
    "bilinear": {"penalty": (0.3, 1.0, 3.0, 10.0), "word_penalty": (0.3, 1.0)},
    "ridge": {"penalty": (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)},
    "cosine": {"learning_rate": (3e-4, 1e-3, 3e-3, 1e-2), "weight_decay": (1e-4, 1e-2)},
    "hinge": {"learning_rate": (1e-3, 3e-3), "margin": (0.1, 0.3, 1.0, 3.0)},
    "prototypes": {},
}
