"""Any mode of Pillow -> one of five modes of 8 bits, shrunk to what is needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")
_GREY = ("L", "LA", "La")
# Grey values of fewer bits than 8, and what one step of theirs is in steps of 8 bits.
_GREY_STEPS = {"L;2": 85, "L;4": 17}


def to_8_bits(image: Image.Image, least_px: int) -> Image.Image:
    """An image of mode L, LA, RGB, RGBA or CMYK; its sides stay at least `least_px` if they are.

    With an A exactly where the image may be transparent. The smaller image is the cheaper to
    convert, so it is shrunk on the way.
    """
    key = image.info.get("transparency")
    if image.mode.startswith("I;16"):
        values = np.asarray(image)
        grey = Image.fromarray((values >> 8).astype(np.uint8))
        if key is None:
            return _shrunk(grey, least_px)
        grey.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
        return _shrunk(grey, least_px)
    if image.mode in ("I", "F"):
        return _shrunk(_stretched(image), least_px)
    if image.mode in _WITH_ALPHA or key is not None:
        return _shrunk(image.convert("LA" if image.mode in _GREY else "RGBA"), least_px)
    if image.mode in ("1", "P"):  # no averages among the entries of a palette
        image = image.convert("RGB")
    image = _shrunk(image, least_px)
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def scale_transparent_color(image: ImageFile.ImageFile | Image.Image) -> None:
    """The colour that a PNG names as transparent, in 8 bits as Pillow reads the pixels.

    Before the image is loaded, which forgets how many bits the file has.
    """
    key = image.info.get("transparency")
    raw = image.tile[0].args if isinstance(image, ImageFile.ImageFile) and image.tile else None
    if isinstance(key, int) and raw in _GREY_STEPS:
        image.info["transparency"] = key * _GREY_STEPS[raw]
    elif isinstance(key, tuple) and raw == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _shrunk(image: Image.Image, least_px: int) -> Image.Image:
    """Halved until halving again would leave a side under `least_px`, as `draft` does for JPEG.

    Images wait in memory between here and the model, so none may keep 64 million pixels.
    """
    factor = shrink_factor(image.size, least_px)
    return image.reduce(factor) if factor > 1 else image


def shrink_factor(size: tuple[int, int], least_px: int) -> int:
    """The power of two by which an image of this size is shrunk."""
    factor = 1
    while min(size) >= 2 * factor * least_px:
        factor *= 2
    return factor


def _stretched(image: Image.Image) -> Image.Image:
    """Numbers of 32 bits without a known range -> 8 bits of grey."""
    with np.errstate(all="ignore"):  # a stranger's numbers may be anything
        values: NDArray[np.float32] = np.array(image, dtype=np.float32)
        np.nan_to_num(values, copy=False, posinf=0.0, neginf=0.0)
        values -= values.min()
        values *= 255.0 / max(float(values.max()), 1e-30)
        return Image.fromarray(np.nan_to_num(values).astype(np.uint8))
