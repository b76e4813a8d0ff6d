"""The bytes of an image -> an RGB image no larger than its reader needs.

Every byte here may come from a stranger. Only six formats are let in, by name; size and work are
judged by the header, before anything is decoded; and whatever Pillow raises, from `struct.error`
to `SyntaxError`, ends as an `ImageUnreadable`.
"""

from __future__ import annotations

import io
import threading
import warnings
from contextlib import nullcontext

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin

from lookalike.embedders.images.crop import Box
from lookalike.embedders.images.image_errors import ImageError, ImageTooLarge, ImageUnreadable

# Part of every revision: change it with anything that moves a pixel that an embedder sees.
DECODING = "decode-1"
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
# A progressive JPEG passes over the whole image once a scan. Cameras and tools write about ten;
# a file of 32 MiB can hold 300,000 empty ones, an hour of work.
MAX_JPEG_SCANS = 100
# An image of more pixels is decoded alone: 64 Mpx with transparency take half a gigabyte.
LARGE_PIXELS = 16_000_000

_EXIF_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_large = threading.Lock()

# Imported for their side effect, so that they are registered before the first image arrives.
assert TiffImagePlugin
assert WebPImagePlugin
# Pillow remarks on damaged metadata and on large images, once per place in its code: noise that
# any stranger could write into the log. What matters comes back as an error.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode_image(
    data: bytes, *, max_pixels: int, image_px: int, crop: Box | None = None
) -> Image.Image:
    """An RGB image, upright, on white where it was transparent; the first frame of several.

    If the image has so many pixels, both sides have at least `2 * image_px` of them, and the
    shorter one has at most twice that. Grey values of 16 bits keep their upper 8; whole or real
    numbers of 32 bits are stretched from their least to their greatest. Colour profiles are not
    applied. With `crop` all that is said of that part of the upright image. Raises
    `ImageUnreadable` or `ImageTooLarge`, nothing else.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            pixels = image.width * image.height
            if pixels > max_pixels:
                raise ImageTooLarge(f"the image has more than {max_pixels} pixels")
            part, least_px = None, 2 * image_px
            if crop is not None:
                part = crop.fractions(*_upright_size(image))
                least_px = part.needed_px(least_px)
            if image.format in ("JPEG", "MPO"):
                _refuse_many_scans(data)
                # Decodes at 1/2, 1/4 or 1/8 straight from the frequencies: 2 to 9 times faster.
                image.draft("RGB", (least_px, least_px))
            with _large if pixels > LARGE_PIXELS else nullcontext():
                image.load()
                upright = _upright(_to_rgb(image, least_px), _orientation(image))
                return upright if part is None else part.cut(upright)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(f"the image has more than {max_pixels} pixels") from error
    except UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        raise ImageUnreadable(f"the data is no image of a known format ({known})") from error
    except MemoryError as error:
        raise ImageTooLarge("the image needs more memory than there is") from error
    except Exception as error:
        raise ImageUnreadable("the image is damaged or incomplete") from error


def _refuse_many_scans(data: bytes) -> None:
    # Inside the coded data a byte FF is always followed by 00, so that each FF DA starts a scan:
    # one of this image, of its thumbnail, or of further images in the file.
    if data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise ImageTooLarge(f"the JPEG has more than {MAX_JPEG_SCANS} scans")


def _to_rgb(image: Image.Image, least_px: int) -> Image.Image:
    """Any mode -> RGB, shrunk on the way: the smaller image is the cheaper to convert."""
    if image.mode.startswith("I;16"):
        return _shrunk(
            Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)), least_px
        ).convert("RGB")
    if image.mode in ("I", "F"):
        return _shrunk(_stretched(image), least_px).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = _shrunk(image.convert("RGBA"), least_px)
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    if image.mode in ("1", "P"):  # no averages among the entries of a palette
        image = image.convert("RGB")
    return _shrunk(image, least_px).convert("RGB")


def _shrunk(image: Image.Image, least_px: int) -> Image.Image:
    """Halved until halving again would leave a side under `least_px`, as `draft` does for JPEG.

    Images wait in memory between here and the model, so none may keep 64 million pixels.
    """
    factor = 1
    while min(image.size) >= 2 * factor * least_px:
        factor *= 2
    return image.reduce(factor) if factor > 1 else image


def _stretched(image: Image.Image) -> Image.Image:
    """Numbers of 32 bits without a known range -> 8 bits of grey."""
    with np.errstate(all="ignore"):  # a stranger's numbers may be anything
        values = np.array(image, dtype=np.float32)
        np.nan_to_num(values, copy=False, posinf=0.0, neginf=0.0)
        values -= values.min()
        values *= 255.0 / max(float(values.max()), 1e-30)
        return Image.fromarray(np.nan_to_num(values).astype(np.uint8))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # a damaged remark about an image does not damage the image
        return 1


def _upright_size(image: Image.Image) -> tuple[int, int]:
    # The turns from 5 on put the image on its side. Pillow turns a TIFF itself, size and all.
    turned = image.format != "TIFF" and _orientation(image) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else image.size


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)
