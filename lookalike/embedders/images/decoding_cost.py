"""What decoding an image needs, told by its header before anything is decoded.

Pixels say little: a WebP takes 20 bytes for each while it is decoded, a grey PNG one, and a JPEG
that is shrunk on the way next to nothing. The factors are the peak memory of a process that decoded
images of 16 million pixels, divided by the pixels (Pillow 11, pillow-heif 1.8).
"""

from __future__ import annotations

import io
from contextlib import suppress

from PIL import Image

from lookalike.embedders.images.image_errors import ImageTooCostly, ImageTooLarge
from lookalike.embedders.images.pixel_modes import shrink_factor

MAX_SIDE_PX = 65_535
"""No camera, scanner or stitched panorama has a longer one; and no JPEG can."""

_OF_FORMAT = {"WEBP": 20.5, "JPEG2000": 19.5, "AVIF": 9.5, "HEIF": 8.0}
_OF_MODE = {"L": 1.5, "1": 5.5, "P": 5.5, "RGB": 4.5, "CMYK": 6.0, "I;16": 7.0, "I;16B": 7.0}
_WITH_TRANSPARENCY, _OTHERS = 13.5, 17.5
_FREQUENCY_BYTES = 2
"""A progressive JPEG keeps the frequencies of the whole image, whatever it is shrunk to: so many
bytes for each value of each component."""
_KEPT = 12.0
"""What is left after shrinking is turned, cut, brought to sRGB and put on a ground."""


def check_cost(image: Image.Image, least_px: int, most_bytes: int) -> None:
    """Of an image that was opened and not loaded, of a JPEG after `draft`. Raises ImageTooLarge."""
    if max(image.size) > MAX_SIDE_PX:
        raise ImageTooLarge(f"a side of the image is longer than {MAX_SIDE_PX} pixels")
    refuse_costly(needed_bytes(image, least_px), most_bytes)


def refuse_costly(needed: int, most_bytes: int) -> None:
    """Raises ImageTooCostly."""
    if needed > most_bytes:
        raise ImageTooCostly(
            f"to decode the image takes {needed / 1e6:.0f} MB of memory; "
            f"{most_bytes / 1e6:.0f} MB are allowed"
        )


def needed_bytes(image: Image.Image, least_px: int, full_px: int | None = None) -> int:
    """As `check_cost`. `least_px`: shrinking leaves the sides at least so long; `full_px`: the
    pixels of a JPEG before `draft`."""
    pixels = image.width * image.height
    if image.format in ("JPEG", "MPO"):
        needed = 4.5 * pixels
        if image.info.get("progressive"):
            needed += _FREQUENCY_BYTES * _values_per_pixel(image) * (full_px or _full_pixels(image))
    else:
        needed = _factor(image) * pixels
    return int(needed + _KEPT * pixels / shrink_factor(image.size, least_px) ** 2)


def _factor(image: Image.Image) -> float:
    if image.format in _OF_FORMAT:
        return _OF_FORMAT[image.format]
    if image.mode not in ("I", "F") and "transparency" in image.info:
        return _WITH_TRANSPARENCY
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        return _WITH_TRANSPARENCY
    return _OF_MODE.get(image.mode, _OTHERS)


def _values_per_pixel(image: Image.Image) -> float:
    """Of a JPEG, whose colours may have fewer values than there are pixels: 1.5 in most."""
    layers = getattr(image, "layer", None) or [(0, 1, 1, 0)] * 4
    most: int = max(h for _, h, _, _ in layers) * max(v for _, _, v, _ in layers)
    values: int = sum(h * v for _, h, v, _ in layers)
    return values / most


def _full_pixels(image: Image.Image) -> int:
    """Of a JPEG that `draft` has shrunk: its tile is the whole image."""
    scale = getattr(image, "decoderconfig", None)
    factor = scale[0] if scale else 1
    return image.width * image.height * factor * factor


def cost_of(data: bytes, image_px: int) -> int:
    """What decoding all of an image needs at the least, in bytes, for lanes and for early refusals.
    What cannot be opened costs nothing: whoever decodes it says why."""
    with suppress(Exception), Image.open(io.BytesIO(data)) as image:
        if image.format not in ("JPEG", "MPO"):
            return needed_bytes(image, 2 * image_px)
        full_px = image.width * image.height
        image.draft("RGB", (2 * image_px, 2 * image_px))
        return needed_bytes(image, 2 * image_px, full_px)
    return 0
