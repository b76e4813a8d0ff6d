"""Which formats are read, by which names, and what is said of those that are not."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from lookalike.embedders.images.decoding import decode_image
from lookalike.embedders.images.formats import ACCEPT, FORMATS
from lookalike.embedders.images.image_errors import ImageUnreadable

from .images import bitmap_in_icon, difference, encoded, gradient, in_format, png_in_icon


def read(data: bytes) -> Image.Image:
    return decode_image(data, max_pixels=64_000_000, image_px=224)


def test_servers_are_asked_for_exactly_what_is_read() -> None:
    asked = ACCEPT.split(", ")
    assert {"image/jpeg", "image/heic", "image/avif", "image/jp2", "image/x-icon"} < set(asked)
    for kind in FORMATS:
        with Image.open(io.BytesIO(in_format(kind))) as image:
            assert image.format == kind
            assert image.get_format_mimetype() in asked
    assert len(asked) == len(set(asked))
    assert not any("*" in media_type or "svg" in media_type for media_type in asked)


@pytest.mark.parametrize(
    "data",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        b'<?xml version="1.0"?>\n<!-- a logo -->\n<svg:svg xmlns:svg="http://www.w3.org/2000/svg"/>',
        b'<?xml version="1.0"?><!DOCTYPE svg [' + b'<!ENTITY a "b">' * 1000 + b"]><SVG>",
        '\ufeff<svg xmlns="http://www.w3.org/2000/svg"/>'.encode("utf-16"),
    ],
    ids=["plain", "prefix", "entities", "utf-16"],
)
def test_a_drawing_is_refused_as_svg(data: bytes) -> None:
    with pytest.raises(ImageUnreadable, match="SVG"):
        read(data.replace(b"svg:svg", b"svg"))


@pytest.mark.parametrize("page", [b"<html><svg/></html>", b"<!doctype html><HTML><svg>"])
def test_a_page_with_a_drawing_is_no_svg(page: bytes) -> None:
    with pytest.raises(ImageUnreadable, match="known format"):
        read(page)


def test_the_largest_image_of_an_icon_counts() -> None:
    small, large = Image.new("RGB", (16, 16), "red"), gradient(64, 64)
    for bitmap_format in ("png", "bmp"):
        data = encoded(
            large,
            "ICO",
            sizes=[(16, 16), (64, 64)],
            append_images=[small],
            bitmap_format=bitmap_format,
        )
        assert difference(read(data), large) < 1


def test_an_icon_shows_all_of_a_png(rgba: Image.Image) -> None:
    """Its true size, its palette and its transparency, of which Pillow's reader drops some."""
    palette = gradient(96, 64).quantize(8)
    assert difference(read(png_in_icon(encoded(palette, "PNG"))), palette.convert("RGB")) == 0
    nothing = encoded(Image.new("RGBA", (32, 32)).quantize(2), "PNG")
    with pytest.raises(ImageUnreadable, match="transparent"):
        read(png_in_icon(nothing))
    assert np.asarray(read(encoded(rgba, "ICO", sizes=[rgba.size])))[0, 0].tolist() == [255] * 3


@pytest.fixture
def rgba() -> Image.Image:
    """A dark square on nothing."""
    image = Image.new("RGBA", (64, 64))
    image.paste((20, 30, 40, 255), (16, 16, 48, 48))
    return image


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\1\0\0\0", b"\0\0\1\0\xff\xff", b"\0\0\1\0\1\0" + bytes(16), bitmap_in_icon(16, 32),
        bitmap_in_icon(-16, -32), bitmap_in_icon(0, 0), png_in_icon(b"GIF89a"),
        png_in_icon(png_in_icon(in_format("PNG"))), png_in_icon(in_format("PNG"))[:-400],
        b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 1, 1, 0, 0, 1, 32, 2**32 - 1, 2**32 - 1),
    ],
)  # fmt: skip
def test_a_damaged_icon_is_refused(data: bytes) -> None:
    with pytest.raises(ImageUnreadable):
        read(data)


def test_a_video_is_no_image() -> None:
    with pytest.raises(ImageUnreadable, match="known format"):
        read(b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(100))
