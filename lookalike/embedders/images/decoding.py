"""The bytes of an image -> an RGB image no larger than its reader needs.

Every byte here may come from a stranger. Only the formats of `formats.FORMATS` are let in, by name;
size and work are judged by the header, before anything is decoded; and whatever Pillow raises, from
`struct.error` to `SyntaxError`, ends as an `ImageUnreadable`.
"""

from __future__ import annotations

import io
import warnings

from PIL import Image, UnidentifiedImageError

from lookalike.embedders.images.color_profiles import to_srgb
from lookalike.embedders.images.crop import Box
from lookalike.embedders.images.decoding_cost import check_cost
from lookalike.embedders.images.formats import (
    FORMATS,
    is_svg,
    names_a_known_format,
    names_of_formats,
    profile_of_jpeg2000,
    without_icon_directory,
)
from lookalike.embedders.images.ground import put_on_ground
from lookalike.embedders.images.image_errors import ImageError, ImageTooLarge, ImageUnreadable
from lookalike.embedders.images.pixel_modes import scale_transparent_color, to_8_bits

# A part of every revision, the present one first: add one with anything that moves a pixel that an
# embedder sees. Former ones stay as long as most images have the same pixels by them, so that the
# vectors may be compared: decode-1 passed over profiles, and put all that is transparent on white.
DECODINGS = ("decode-2", "decode-1")
# A progressive JPEG passes over the whole image once a scan. Cameras and tools write about ten;
# a file of 32 MiB can hold 300,000 empty ones, an hour of work.
MAX_JPEG_SCANS = 100
# What decoding one image may need, where nobody says more.
MAX_BYTES = 400_000_000

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

# Pillow remarks on damaged metadata and on large images, once per place in its code: noise that
# any stranger could write into the log. What matters comes back as an error.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode_image(
    data: bytes,
    *,
    max_pixels: int,
    image_px: int,
    crop: Box | None = None,
    max_bytes: int = MAX_BYTES,
) -> Image.Image:
    """An RGB image in sRGB, upright, the first frame of several.

    What was transparent shows a ground: white, unless the drawing would be lost on it. If the image
    has so many pixels, both sides have at least `2 * image_px` of them, and the shorter one has at
    most twice that. Grey values of 16 bits keep their upper 8; whole or real numbers of 32 bits are
    stretched from their least to their greatest. With `crop` all that is said of that part of the
    upright image. Raises `ImageUnreadable` or `ImageTooLarge`, nothing else.
    """
    try:
        data = without_icon_directory(data, max_pixels)
        with Image.open(io.BytesIO(data), formats=tuple(FORMATS)) as image:
            return _decode_opened(image, data, (max_pixels, max_bytes), image_px, crop)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(f"the image has more than {max_pixels} pixels") from error
    except UnidentifiedImageError as error:
        raise _unknown(data) from error
    except MemoryError as error:
        raise ImageTooLarge("the image needs more memory than there is") from error
    except Exception as error:
        raise ImageUnreadable("the image is damaged or incomplete") from error


def _decode_opened(
    image: Image.Image, data: bytes, most: tuple[int, int], image_px: int, crop: Box | None
) -> Image.Image:
    max_pixels, max_bytes = most
    if image.width * image.height > max_pixels:
        raise ImageTooLarge(f"the image has more than {max_pixels} pixels")
    part, least_px = None, 2 * image_px
    if crop is not None:
        part = crop.fractions(*_upright_size(image))
        least_px = part.needed_px(least_px)
    if image.format in ("JPEG", "MPO"):
        _refuse_many_scans(data)
        # Decodes at 1/2, 1/4 or 1/8 straight from the frequencies: 2 to 9 times faster.
        image.draft("RGB", (least_px, least_px))
    check_cost(image, least_px, max_bytes)
    profile = image.info.get("icc_profile")
    if image.format == "JPEG2000":
        profile = profile_of_jpeg2000(data)
    scale_transparent_color(image)
    image.load()
    upright = _upright(to_8_bits(image, least_px), _orientation(image))
    wanted = upright if part is None else part.cut(upright)
    return put_on_ground(to_srgb(wanted, profile))


def _unknown(data: bytes) -> ImageUnreadable:
    if names_a_known_format(data):
        return ImageUnreadable("the image is damaged, incomplete, or far too large")
    known = names_of_formats()
    if is_svg(data):
        return ImageUnreadable(f"the data is an SVG drawing; read are images of pixels ({known})")
    return ImageUnreadable(f"the data is no image of a known format ({known})")


def _refuse_many_scans(data: bytes) -> None:
    # Inside the coded data a byte FF is always followed by 00, so that each FF DA starts a scan:
    # one of this image, of its thumbnail, or of further images in the file.
    if data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise ImageTooLarge(f"the JPEG has more than {MAX_JPEG_SCANS} scans")


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
