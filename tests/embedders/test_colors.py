"""Images of like colours: on real images labelled with their main colour, beside baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.duplicates import measure
from benchmarks.quality import Way, baselines, decoded, leave_one_out
from lookalike.adapter.collections.defaults import NEAR_DUPLICATE_RADIUS
from lookalike.cli.demo_images import DemoImage
from lookalike.embedders import cielab, lite0
from lookalike.embedders.colors import foreground, load, palette
from lookalike.embedders.images.decoding import decode_image

# The main colour of each product image as two eyes see it, background not counted. Two images
# have no main colour or one of their own, and are left out.
MAIN_COLOUR = {
    "white": "22 27 28 29 30 34 35 42 49 50",
    "black": "15 31 32 33 36 46",
    "red": "3 26 37 38 39",
    "yellow to orange": "4 6 8 9 18 20 23 24 25 48",
    "blue": "1 2 12 21 47",
    "turquoise": "5 40 41",
    "green": "13 17",
    "brown": "14 19",
}


def plain(colour: str, size: int = 64) -> Image.Image:
    return Image.new("RGB", (size, size), colour)


def product(colour: str, background: str = "white") -> Image.Image:
    image = plain(background)
    image.paste(plain(colour, 24), (20, 20))
    return image


def distance(one: Image.Image, other: Image.Image) -> float:
    a, b = load(Path()).embed_images([one, other]).astype(np.float64)
    return float(1 - a @ b)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((255, 255, 255), (100, 0, 0)), ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)), ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)), ((119, 119, 119), (50.03, 0, 0)),
    ],
)  # fmt: skip
def test_cielab_of_known_colours(
    rgb: tuple[int, int, int], lab: tuple[float, float, float]
) -> None:
    np.testing.assert_allclose(cielab.from_srgb(rgb), lab, atol=0.02)


def test_unit_vectors_that_depend_on_colour_alone() -> None:
    images = [plain("red"), product("red"), Image.new("RGB", (1, 1)), Image.new("RGB", (900, 2))]
    vectors = load(Path()).embed_images(images)
    assert vectors.shape == (4, 128)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors.min() >= 0
    assert load(Path()).embed_images([]).shape == (0, 128)
    mirrored = product("teal").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert distance(product("teal"), mirrored) < 1e-6


def test_the_distance_follows_the_eye() -> None:
    shades = [
        distance(plain("#c03030"), plain(other)) for other in ("#c43434", "#d05030", "#30c030")
    ]
    assert 0 <= shades[0] < 0.01 < shades[1] < shades[2]
    assert shades[2] > 0.9


def test_the_background_does_not_count() -> None:
    assert distance(product("red"), product("red", "black")) < 0.1
    assert distance(product("red"), product("blue")) > 0.9
    assert distance(plain("white"), product("white")) < 1e-6, "a white product stays white"


def test_a_image_without_a_background_is_taken_whole(interiors: dict[str, bytes]) -> None:
    room = decode_image(next(iter(interiors.values())), max_pixels=2**24, image_px=64)
    assert foreground(cielab.from_srgb(np.asarray(room))).min() == 1


def test_the_palette_is_spread_over_all_colours() -> None:
    colours = palette()
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert apart.min() > 15


def test_near_duplicates_have_the_same_colours_not_like_ones(products: list[DemoImage]) -> None:
    apart = measure(load(Path()), decoded([product.image for product in products], 64))
    radius = NEAR_DUPLICATE_RADIUS["colors"]
    for change in ("half the size", "JPEG of quality 30", "5 % cut off", "mirrored"):
        assert (apart.copies[change] <= radius).mean() >= 0.95, change
    assert (apart.different <= radius).mean() < 0.01


def test_main_colours_of_product_images(products: list[DemoImage], network: lite0.Lite0) -> None:
    label_of = {key: name for name, keys in MAIN_COLOUR.items() for key in keys.split()}
    labelled = [product for product in products if product.id in label_of]
    assert len(labelled) == 43
    ask = leave_one_out([p.image for p in labelled], [label_of[p.id] for p in labelled])
    (histogram,) = (way for way in baselines() if way.name == "HSV histogram")
    ours, bundled = load(Path()), network
    ways = [histogram, *(Way(e.name, 64, "cosine", e.embed_images) for e in (ours, bundled))]
    scores = {way.name: ask(way) for way in ways}
    print()
    for name, (first, _, average) in scores.items():
        print(f"{name:>16}: recall@1 of the colour {first.mean():.3f}, mAP {average.mean():.3f}")
    first, _, average = scores["colors"]
    assert first.mean() >= 0.75
    assert average.mean() >= 0.75
    assert average.mean() > scores["HSV histogram"].average_precision.mean() + 0.2
