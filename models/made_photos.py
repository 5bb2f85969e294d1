"""Pictures made of noise, where a network must be tried and no photograph is at hand."""

from __future__ import annotations

import numpy as np


def made_photos(side_px: int, count: int) -> np.ndarray:
    """Clouds of colour, float32 [count, side, side, 3] in 0..255, the same each time.

    Their power falls with frequency and their channels are nearly alike, as those of photographs do and are
    (Field 1987): plain noise would look like nothing that a network was trained for.
    """
    random = np.random.default_rng(1)
    frequencies = np.hypot(np.fft.fftfreq(side_px)[:, None], np.fft.rfftfreq(side_px)[None, :])
    spectra = np.fft.rfft2(random.normal(size=(count, 3, side_px, side_px))) / np.maximum(frequencies, 1 / side_px)
    clouds = np.fft.irfft2(spectra, s=(side_px, side_px))
    colours = 0.5 * (clouds + clouds.mean(axis=1, keepdims=True))
    colours = (colours - colours.mean(axis=(1, 2, 3), keepdims=True)) / colours.std(axis=(1, 2, 3), keepdims=True)
    return np.asarray(np.clip(115 + 60 * colours, 0, 255).transpose(0, 2, 3, 1), np.float32)
