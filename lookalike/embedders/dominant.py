"""The few colours that an image consists of, as people would name them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from lookalike.embedders.colors import foreground, palette, shrink_to_lab

MAX_COLORS = 6
MIN_SHARE = 0.03
# Colours of the palette that are nearer than this, in CIELAB units, are shades of one.
_SHADES = 24.0


class DominantColor(NamedTuple):
    """One colour of an image, and how much of it there is."""

    rgb: tuple[int, int, int]
    """sRGB, 0 to 255: the mean of the pixels."""
    share: float
    """Of the foreground, 0 to 1."""


def dominant_colors(image: Image.Image) -> list[DominantColor]:
    """At most six, the largest first, each of at least 3 % of the image without its background.

    Pixels go to the nearest of 128 colours spread over CIELAB; then the fullest of these takes
    those around it, again and again.
    """
    lab = shrink_to_lab(image)
    height, width = lab.shape[:2]
    rgb = np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float64)
    weights = foreground(lab).ravel().astype(np.float64)
    centres = palette()
    apart = np.linalg.norm(lab.reshape(-1, 1, 3) - centres, axis=2)
    nearest = apart.argmin(axis=1)
    filled = np.bincount(nearest, weights, minlength=len(centres)) / weights.sum()
    sums = (
        np.stack(
            [np.bincount(nearest, weights * axis, len(centres)) for axis in rgb.reshape(-1, 3).T],
            axis=1,
        )
        / weights.sum()
    )
    found: list[DominantColor] = []
    while filled.max() > 0:
        group = np.linalg.norm(centres - centres[filled.argmax()], axis=1) < _SHADES
        share = float(filled[group].sum())
        red, green, blue = (round(float(v)) for v in sums[group].sum(axis=0) / share)
        found.append(DominantColor((red, green, blue), share))
        filled[group], sums[group] = 0.0, 0.0
    found.sort(key=lambda color: -color.share)
    return [color for color in found[:MAX_COLORS] if color.share >= MIN_SHARE]
