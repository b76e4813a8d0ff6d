"""CIELAB: colours as the eye tells them apart, so that a distance means the same everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# sRGB, linear, to XYZ under D65 (IEC 61966-2-1), each row divided by the white point's value.
_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
) / np.array([[0.95047], [1.0], [1.08883]])
_DARK = (6 / 29) ** 3


def from_srgb(pixels: ArrayLike) -> NDArray[np.float32]:
    """sRGB of 0 to 255 in the last axis -> L*, a*, b*, float32 of the same shape.

    L* is 0 to 100; a* (green to red) and b* (blue to yellow) stay within -110 to 110. A distance
    of 2.3 is just noticeable. Formula: CIE 1976, https://en.wikipedia.org/wiki/CIELAB_color_space
    """
    coded = np.asarray(pixels, np.float32) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T
    root: NDArray[Any] = np.where(xyz > _DARK, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)
