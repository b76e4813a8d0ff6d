"""A colour is the colour that its profile means, in every kind of file that can carry one."""

from __future__ import annotations

import io
import struct
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from lookalike.embedders.colors import Colors
from lookalike.embedders.images.color_profiles import MAX_PROFILE_BYTES
from lookalike.embedders.images.decoding import decode_image

from .images import difference, encoded, gradient, in_format
from .profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    cmyk_profile,
    grey_profile,
    in_profile,
    on_press,
    rgb_profile,
    with_tag,
)

GREEN = (0x14, 0xA0, 0x3C)
ADOBE = rgb_profile(ADOBE_RGB, 563 / 256)
P3 = rgb_profile(DISPLAY_P3, 2.2)
GREY = grey_profile(1.0)
PRESS = cmyk_profile()
EXACT: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 98, "subsampling": 0},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 98, "subsampling": "4:4:4"},
    "HEIF": {"quality": 98, "chroma": 444},
}


def read(data: bytes) -> Image.Image:
    return decode_image(data, max_pixels=64_000_000, image_px=224)


def green(side_px: int = 64) -> Image.Image:
    return Image.new("RGB", (side_px, side_px), GREEN)


def saved(image: Image.Image, kind: str, profile: bytes | None) -> bytes:
    return encoded(image, kind, icc_profile=profile, **EXACT.get(kind, {}))


def color_distance(image: Image.Image, other: Image.Image) -> float:
    """As a collection of colours tells it."""
    one, two = Colors().embed_images([image, other])
    return 1 - float(one @ two)


def is_green(image: Image.Image) -> bool:
    # Red is near the edge of sRGB here, where one step of a wider space is seven of it.
    off = np.abs(np.asarray(image)[8, 8].astype(int) - GREEN).max()
    return bool(off <= 20) and color_distance(image, green()) <= 0.01


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize("profile", [ADOBE, P3], ids=["Adobe RGB", "Display P3"])
def test_a_wider_space_is_brought_to_srgb(kind: str, profile: bytes) -> None:
    stored = in_profile(green(), profile, "RGB")
    assert color_distance(stored, green()) > 0.01
    assert is_green(read(saved(stored, kind, profile)))


def test_transparency_and_palettes_keep_their_profile() -> None:
    stored = in_profile(green(), ADOBE, "RGB")
    drawing = stored.copy()
    drawing.putalpha(255)
    assert is_green(read(saved(drawing, "PNG", ADOBE)))
    assert is_green(read(saved(drawing, "WEBP", ADOBE)))
    assert is_green(read(saved(stored.quantize(4), "PNG", ADOBE)))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_with_and_without_a_profile(kind: str) -> None:
    inks = Image.new("CMYK", (64, 64), on_press(GREEN))
    assert not is_green(read(saved(inks, kind, None)))
    assert is_green(read(saved(inks, kind, PRESS)))
    assert is_green(read(saved(green().convert("CMYK"), kind, None)))


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_with_a_profile(mode: str) -> None:
    """128 of linear light is 188 on a screen."""
    grey = Image.new("L", (64, 64), 128).convert(mode)
    assert np.asarray(read(saved(grey, "PNG", GREY)))[0, 0].tolist() == [188, 188, 188]
    assert np.asarray(read(saved(grey, "PNG", None)))[0, 0].tolist() == [128, 128, 128]


def test_a_profile_of_jpeg_2000_is_found() -> None:
    plain = encoded(in_profile(green(), ADOBE, "RGB"), "JPEG2000")
    at = plain.index(b"colr") - 4
    length = int.from_bytes(plain[at : at + 4])
    box = struct.pack(">I", len(ADOBE) + 11) + b"colr\x02\0\0" + ADOBE
    data = plain[:at] + box + plain[at + length :]
    head = data.index(b"jp2h") - 4
    size = int.from_bytes(data[head : head + 4]) + len(box) - length
    assert is_green(read(data[:head] + size.to_bytes(4) + data[head + 4 :]))
    assert not is_green(read(plain))


def test_an_srgb_profile_changes_nothing() -> None:
    """Under any name: what pictures have most must not move their vectors."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for same in (profile, with_tag(profile, b"s\0R\0G\0B", b"o\0t\0h\0e")):
        assert difference(read(saved(gradient(), "PNG", same)), gradient()) == 0
    grey = gradient().convert("L")
    assert difference(read(saved(grey, "PNG", profile)), grey) == 0


@pytest.mark.parametrize(
    "profile",
    [
        b"", b"no profile", ADOBE[:100], ADOBE[:-40], bytes(len(ADOBE)), PRESS, GREY,
        with_tag(ADOBE, b"rXYZ", b"none"), with_tag(ADOBE, b"RGB ", b"Lab "),
        with_tag(ADOBE, b"acsp", b"none"), ADOBE[:128] + b"\xff" * 400,
    ],
    ids=[
        "empty", "text", "head", "cut", "zeros", "inks", "grey", "tag", "space", "mark", "tags",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_broken_profile_does_not_break_the_image(kind: str, profile: bytes) -> None:
    image = read(saved(green(), kind, profile))
    assert image.size == (64, 64)
    assert profile[:128] == ADOBE[:128] or is_green(image)


def test_a_profile_of_many_megabytes_is_passed_over() -> None:
    profile = ADOBE + bytes(MAX_PROFILE_BYTES - len(ADOBE))
    stored = in_profile(green(), ADOBE, "RGB")
    for kind in ("JPEG", "PNG", "TIFF"):
        assert is_green(read(saved(stored, kind, profile)))
    for kind in ("JPEG", "TIFF"):  # a PNG that unpacks to so much is refused, as any bomb
        assert not is_green(read(saved(stored, kind, profile + bytes(1))))


def test_a_profile_of_endless_steps_costs_nothing() -> None:
    """20,000 matrices, one after the other, as a profile of floating point may name them."""
    steps, matrix = 20_000, [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
    element = b"matf\0\0\0\0" + struct.pack(">HH12f", 3, 3, *matrix)
    table = b"mpet\0\0\0\0" + struct.pack(">HHI", 3, 3, steps)
    table += struct.pack(">II", 16 + 8 * steps, len(element)) * steps + element
    profile = with_tag(ADOBE, b"wtpt" + ADOBE[ADOBE.index(b"wtpt") + 4 :][:8],
                       b"D2B0" + struct.pack(">II", len(ADOBE), len(table))) + table  # fmt: skip
    profile = len(profile).to_bytes(4) + profile[4:]
    begun = time.process_time()
    assert read(saved(green(), "JPEG", profile)).size == (64, 64)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_image_is_converted_after_it_is_shrunk(kind: str) -> None:
    large = Image.new("RGB", (4000, 3000), GREEN)
    stored = in_profile(large, ADOBE, "RGB")
    data = saved(stored, kind, ADOBE)
    image = read(data)
    assert min(image.size) < 900
    assert is_green(image)
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.info["icc_profile"] == ADOBE


def test_without_a_profile_nothing_changes() -> None:
    assert difference(read(in_format("PNG")), gradient()) == 0
