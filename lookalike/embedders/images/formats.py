"""Which formats are read: the one list, and what is taken out of a file before Pillow reads it."""

from __future__ import annotations

import re
import struct

import pillow_heif
from PIL import (
    AvifImagePlugin,
    IcoImagePlugin,
    Jpeg2KImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from lookalike.embedders.images.image_errors import ImageTooLarge, ImageUnreadable

# By Pillow's names, each with its media types.
FORMATS = {
    "JPEG": ("image/jpeg",),
    "PNG": ("image/png",),
    "WEBP": ("image/webp",),
    "AVIF": ("image/avif",),
    "HEIF": ("image/heic", "image/heif"),
    "GIF": ("image/gif",),
    "JPEG2000": ("image/jp2", "image/jpx"),
    "TIFF": ("image/tiff",),
    "BMP": ("image/bmp",),
    "ICO": ("image/x-icon", "image/vnd.microsoft.icon"),
}
ACCEPT = ", ".join(media_type for types in FORMATS.values() for media_type in types)
"""The header by which a server learns what is read."""

# Imported for their side effect, so that they are registered before the first image arrives.
assert IcoImagePlugin
assert Jpeg2KImagePlugin
assert TiffImagePlugin
assert WebPImagePlugin
# What lies beside the image of a HEIF is of no use here. Several images are decoded at once
# already: threads for each of them would only make their cost hard to bound.
pillow_heif.register_heif_opener(
    thumbnails=False, depth_images=False, aux_images=False, decode_threads=1
)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

_ICON = b"\x00\x00\x01\x00"
_ICON_ENTRY = struct.Struct("<BBBBHHII")
_PNG = b"\x89PNG\r\n\x1a\n"
_HEIF_BRANDS = re.compile(rb".{4}ftyp(avi[fs]|hei[cxms]|hev[cx]|mif1|msf1)", re.DOTALL)
_JPEG2000 = (b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  \r\n\x87\n")
# A box `colr` that holds a profile: its method is 2 or 3, then precedence and approximation.
_JPEG2000_PROFILE = re.compile(rb"(.{4})colr[\x02\x03]..", re.DOTALL)
_JPEG2000_HEAD_BYTES = 4096
# Where an SVG begins may stand behind a long list of entities.
_SVG_HEAD_BYTES = 65_536


def names_of_formats() -> str:
    """For people who sent something else."""
    return ", ".join(FORMATS)


def may_outgrow_its_header(data: bytes) -> bool:
    """Whether the cost of decoding may be other than what the header claims: HEIF, AVIF, JPEG 2000.

    Their pictures are put together of parts, each with a size of its own, as many as a file likes:
    thousands of tiles may be one piece of data, decoded again for each.
    """
    return data[4:8] == b"ftyp" or data.startswith(_JPEG2000)


def names_a_known_format(data: bytes) -> bool:
    """Of those that Pillow does not open where their header is damaged, or claims too much."""
    return _HEIF_BRANDS.match(data) is not None or data.startswith(_JPEG2000)


def is_svg(data: bytes) -> bool:
    """Whether this is a drawing in XML, in any encoding. A page that holds one is none."""
    head = data[:_SVG_HEAD_BYTES].replace(b"\0", b"").lower()
    return b"<svg" in head and b"<html" not in head


def without_icon_directory(data: bytes, max_pixels: int) -> bytes:
    """The largest image of an icon: a PNG as it is, a bitmap as an icon of one entry.

    Anything but an icon is left as it is. Pillow decodes an icon as soon as it is opened, and the
    size in the directory says nothing of that of the image, so it is looked at here.
    """
    if not data.startswith(_ICON):
        return data
    count = struct.unpack_from("<H", data, 4)[0]
    entries = [_ICON_ENTRY.unpack_from(data, 6 + 16 * number) for number in range(count)]
    if not entries:
        raise ImageUnreadable("the icon holds no image")
    entry = max(entries, key=lambda each: ((each[0] or 256) * (each[1] or 256), each[5]))
    size, start = entry[6:]
    image = data[start : start + size]
    if image.startswith(_PNG):
        return image
    width, height = struct.unpack_from("<ii", image, 4)
    if abs(width * height) // 2 > max_pixels:  # the mask below the image counts as height
        raise ImageTooLarge(f"the image has more than {max_pixels} pixels")
    return _ICON + struct.pack("<H", 1) + _ICON_ENTRY.pack(*entry[:6], len(image), 22) + image


def profile_of_jpeg2000(data: bytes) -> bytes | None:
    """The colour profile in the header, which Pillow leaves there."""
    found = _JPEG2000_PROFILE.search(data, 0, _JPEG2000_HEAD_BYTES)
    if found is None:
        return None
    return data[found.end() : found.start() + int.from_bytes(found[1])]
