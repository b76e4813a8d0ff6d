"""Product images: colours count, backgrounds do not, and the same product is found more often."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmarks.quality import Way, leave_one_out
from lookalike.cli.demo_images import DemoImage
from lookalike.embedders import lite0, product
from lookalike.embedders.images.decoding import decode_image


@pytest.fixture(scope="module")
def embedder(cache_folder: Path) -> product.Product:
    return product.load(cache_folder)


def test_same_product_and_category(
    products: list[DemoImage], network: lite0.Lite0, embedder: product.Product
) -> None:
    """Another image of the product is found far more often, the category no less."""
    data = [product.image for product in products]
    ways = [Way(e.name, 224, "cosine", e.embed_images) for e in (network, embedder)]
    print()
    scores = {}
    for what in ("product_id", "category"):
        ask = leave_one_out(data, [getattr(product, what) for product in products])
        scores[what] = plain, ours = [ask(way).first.mean() for way in ways]
        print(f"recall@1 for the {what}: lite0 {plain:.3f}, product {ours:.3f}")
    plain, ours = scores["product_id"]
    assert plain < 0.2
    assert ours > 0.45
    plain, ours = scores["category"]
    assert ours >= plain


def test_a_wider_background_moves_little(
    products: list[DemoImage], network: lite0.Lite0, embedder: product.Product
) -> None:
    """Half of the image added as white on each side, as another shop photographs."""
    images = [decode_image(p.image, max_pixels=2**21, image_px=224) for p in products[::5]]
    wide = [ImageOps.expand(image, image.width // 2, "white") for image in images]
    moved = {
        e.name: (e.embed_images(images) * e.embed_images(wide)).sum(1).mean()
        for e in (network, embedder)
    }
    print(f"\ncosine to the same product on a wider background: {moved}")
    assert moved["product"] > 0.95
    assert moved["product"] > moved["lite0"] + 0.1


def test_a_box_around_what_is_not_background() -> None:
    weights = np.zeros((50, 100), np.float32)
    weights[10:20, 30:60] = 1
    assert product.product_box(weights) == pytest.approx((0.24, 0.14, 0.66, 0.46))
    assert product.product_box(np.ones_like(weights)) == (0, 0, 1, 1)
    assert product.product_box(np.zeros_like(weights)) == (0, 0, 1, 1)


def test_the_same_thing_in_another_colour_is_farther_than_on_another_background(
    embedder: product.Product,
) -> None:
    def bag(colour: str, background: str) -> Image.Image:
        image = Image.new("RGB", (400, 400), background)
        image.paste(Image.new("RGB", (160, 200), colour), (120, 120))
        return image

    same, other, paper = embedder.embed_images(
        [bag("navy", "white"), bag("orange", "white"), bag("navy", "#f5f0e8")]
    )
    assert float(same @ paper) > float(same @ other) + 0.1
