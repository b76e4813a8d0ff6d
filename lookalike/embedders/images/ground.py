"""What a transparent image is put on: white, unless its drawing would be lost on it.

A white logo on white is nothing, and four of them are one image. So each ground is tried on a small
copy, and how much of the edges is seen there decides: those between the drawing and the ground, and
those within the drawing. White stays wherever most of the best is seen on it, since that is what
shops and browsers put images on.

    drawing                        seen on white   black   grey   chosen
    black, blue, yellow                      1.0     0-1    1.0   white
    white                                    0       1.0    1.0   black
    left half black, right white             0.5     0.5    1.0   grey
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.embedders.images.image_errors import ImageUnreadable

# Of equals the first is taken.
GROUNDS = ((255, 255, 255), (0, 0, 0), (128, 128, 128))
# The share of the edges seen on the best ground that white must show to be taken. White shoes and
# glasses, photographed and cut out, keep 0.74 by their folds and shadows, and the other views of
# them are on white; a drawing that is half black and half white keeps 0.62.
_ENOUGH = 0.68
# In steps of 255, of the channel that differs most: an edge of that is seen fully.
_SEEN = 64
# What is less opaque than this, of 255, shows nothing on any ground.
_LEAST_ALPHA = 8
_SMALL_PX = 256


def put_on_ground(image: Image.Image) -> Image.Image:
    """RGBA becomes RGB, on a ground; RGB stays. Raises `ImageUnreadable` if there is nothing."""
    if image.mode != "RGBA":
        return image
    alpha = image.getchannel("A")
    opacity = np.asarray(alpha)
    if opacity.max() < _LEAST_ALPHA:
        raise ImageUnreadable("the image is empty: all of it is transparent")
    color = GROUNDS[0] if opacity.min() == 255 else _find_ground(image)
    ground = Image.new("RGB", image.size, color)
    ground.paste(image, mask=alpha)
    return ground


def _find_ground(image: Image.Image) -> tuple[int, int, int]:
    factor = round(math.sqrt(image.width * image.height) / _SMALL_PX)
    pixels = np.asarray(image.reduce(max(1, factor)), np.float32)
    seen = [_visible_edges(pixels, ground) for ground in GROUNDS]
    best = int(np.argmax(seen))
    return GROUNDS[0] if seen[0] >= _ENOUGH * seen[best] else GROUNDS[best]


def _visible_edges(pixels: NDArray[np.float32], ground: tuple[int, int, int]) -> float:
    """RGBA of shape (height, width, 4), 0 to 255 -> how much of its edges is seen on `ground`."""
    opaque = pixels[..., 3:] / 255
    shown = pixels[..., :3] * opaque + np.array(ground, np.float32) * (1 - opaque)
    return sum(
        float(np.minimum(np.abs(np.diff(shown, axis=axis)).max(axis=2), _SEEN).sum())
        for axis in (0, 1)
    )
