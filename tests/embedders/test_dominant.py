"""Dominant colours are the ones that a person would point at."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from lookalike.cli.demo_images import DemoImage
from lookalike.embedders.dominant import MAX_COLORS, MIN_SHARE, dominant_colors
from lookalike.embedders.images.decoding import decode_image


def test_flags_are_their_stripes() -> None:
    flag = Image.new("RGB", (300, 200), (0, 0, 160))
    flag.paste((255, 255, 255), (100, 0, 200, 200))
    flag.paste((220, 20, 40), (200, 0, 300, 200))
    found = dominant_colors(flag)
    assert {color.rgb for color in found} == {(0, 0, 160), (255, 255, 255), (220, 20, 40)}
    assert [color.share for color in found] == pytest.approx([1 / 3] * 3, abs=0.03)


def test_a_plain_background_is_no_colour_of_the_product() -> None:
    product = Image.new("RGB", (400, 400), "white")
    product.paste((200, 30, 30), (120, 120, 280, 280))
    (red,) = dominant_colors(product)
    assert red.rgb == pytest.approx((200, 30, 30), abs=6)
    assert red.share == pytest.approx(1.0)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (3, 2)])
def test_images_of_any_shape(size: tuple[int, int]) -> None:
    assert dominant_colors(Image.new("RGB", size, (10, 120, 10)))[0].rgb == (10, 120, 10)


def test_real_product_images(products: list[DemoImage]) -> None:
    paints = {"Nebula": "blue", "Red Dwarf": "red", "Light Speed Yellow": "yellow"}
    for product in products:
        image = decode_image(product.image, max_pixels=10**8, image_px=64)
        found = dominant_colors(image)
        assert 1 <= len(found) <= MAX_COLORS
        assert all(color.share >= MIN_SHARE for color in found)
        assert sum(color.share for color in found) <= 1.0001
        name = next((n for n in paints if product.name.startswith(n)), None)
        if name is not None:
            assert any(is_like(color.rgb, paints[name]) for color in found), (product.name, found)


def is_like(rgb: tuple[int, int, int], name: str) -> bool:
    red, green, blue = rgb
    return {
        "blue": blue > red and blue >= green,
        "red": red > 1.5 * green and red > 1.5 * blue,
        "yellow": red > 1.5 * blue and green > 1.3 * blue,
    }[name]


def test_the_ground_of_a_transparent_image_is_no_color_of_it() -> None:
    buffer = io.BytesIO()
    image = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 10, 10))
    image.save(buffer, "PNG")
    image = decode_image(buffer.getvalue(), max_pixels=10**6, image_px=64)
    assert image.getpixel((49, 49)) == (255, 255, 255)
    assert [color.rgb for color in dominant_colors(image)] == [(0, 0, 255)]
