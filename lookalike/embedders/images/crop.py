"""A part of an image: a box in pixels or in fractions of the upright image."""

from __future__ import annotations

import math
from typing import NamedTuple

from PIL import Image

from lookalike.embedders.images.image_errors import ImageUnreadable


class Box(NamedTuple):
    """All four at most 1: fractions of width and height; else pixels. The origin is top left."""

    left: float
    top: float
    right: float
    bottom: float

    def fractions(self, width: int, height: int) -> Box:
        """The part of an image of this size, in fractions.

        Raises ImageUnreadable for a box that does not lie inside: it is one of another image, or of
        another size of this one. A pixel more is taken: detectors round up.
        """
        scale_x, scale_y = (1, 1) if max(self) <= 1 else (width, height)
        if self.right > scale_x + 1 or self.bottom > scale_y + 1:
            raise ImageUnreadable(
                f"the box of `_crop` reaches beyond the image of {width} x {height} pixels"
            )
        inside = Box(
            max(self.left / scale_x, 0.0),
            max(self.top / scale_y, 0.0),
            min(self.right / scale_x, 1.0),
            min(self.bottom / scale_y, 1.0),
        )
        if not (inside.left < inside.right and inside.top < inside.bottom):
            raise ImageUnreadable("the box of `_crop` holds no part of the image")
        return inside

    def needed_px(self, side_px: int) -> int:
        """How large the sides of the whole must be for those of this part to have `side_px`."""
        return math.ceil(side_px / min(self.right - self.left, self.bottom - self.top))

    def cut(self, image: Image.Image) -> Image.Image:
        """The part of these fractions, one pixel at least."""
        left, top = int(self.left * image.width), int(self.top * image.height)
        right = max(math.ceil(self.right * image.width), left + 1)
        bottom = max(math.ceil(self.bottom * image.height), top + 1)
        return image.crop((left, top, right, bottom))
