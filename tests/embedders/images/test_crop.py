"""A part of an image is what one would cut out by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from lookalike.embedders.images.crop import Box
from lookalike.embedders.images.decoding import decode_image
from lookalike.embedders.images.image_errors import ImageUnreadable

MAX_PIXELS = 10_000_000
RED, GREEN, BLUE, GREY = (200, 30, 30), (30, 200, 30), (30, 30, 200), (128, 128, 128)


def quarters(format_: str, orientation: int = 1, side: int = 400) -> bytes:
    """Red top left, green top right, blue bottom left, grey bottom right, twice as wide as high."""
    image = Image.new("RGB", (2 * side, side), GREY)
    image.paste(RED, (0, 0, side, side // 2))
    image.paste(GREEN, (side, 0, 2 * side, side // 2))
    image.paste(BLUE, (0, side // 2, side, side))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, format_, exif=exif)
    return buffer.getvalue()


def mean_colour(data: bytes, box: Box, image_px: int = 50) -> tuple[int, ...]:
    image = decode_image(data, max_pixels=MAX_PIXELS, image_px=image_px, crop=box)
    return tuple(round(v) for v in np.asarray(image).reshape(-1, 3).mean(axis=0))


@pytest.mark.parametrize("format_", ["PNG", "JPEG"])
@pytest.mark.parametrize(
    ("box", "colour"),
    [
        (Box(0, 0, 0.5, 0.5), RED),
        (Box(0.5, 0, 1, 0.5), GREEN),
        (Box(0, 200, 400, 400), BLUE),
        (Box(400, 200, 800, 400), GREY),
        (Box(400, 200, 801, 401), GREY),
    ],
)
def test_a_box_in_fractions_or_pixels_of_the_original(
    format_: str, box: Box, colour: tuple[int, ...]
) -> None:
    assert mean_colour(quarters(format_), box) == pytest.approx(colour, abs=4)


def test_the_box_is_one_of_the_upright_image() -> None:
    # Turned by 90 degrees, blue comes to the top left and the image is 400 wide, 800 high.
    assert mean_colour(quarters("JPEG", 6), Box(0, 0, 200, 400)) == pytest.approx(BLUE, abs=4)


def test_a_small_part_keeps_the_detail_that_the_model_can_see() -> None:
    part = decode_image(
        quarters("JPEG", side=2000), max_pixels=10**8, image_px=64, crop=Box(0.4, 0.4, 0.5, 0.5)
    )
    assert min(part.size) >= 128


@pytest.mark.parametrize(
    "box",
    [
        Box(900, 0, 1000, 100),
        Box(0, 500, 10, 600),
        Box(400, 200, 9000, 400),
        Box(0, 0, 800, 402),
        Box(800, 0, 801, 400),
    ],
)
def test_a_box_outside_of_the_image_is_refused(box: Box) -> None:
    with pytest.raises(ImageUnreadable, match="`_crop`"):
        mean_colour(quarters("PNG"), box)


def test_a_box_of_less_than_a_pixel_is_one_pixel() -> None:
    box = Box(0.25, 0.25, 0.2501, 0.2501)
    image = decode_image(quarters("PNG"), max_pixels=MAX_PIXELS, image_px=50, crop=box)
    assert image.size == (1, 1)
