"""Copies are found, different products are not taken for copies: rates on 84 real images."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance

from lookalike.cli.demo_images import DemoImage
from lookalike.embedders.images.decoding import decode_image
from lookalike.embedders.phash import DIMENSION, colour_bits, load, structure_bits

from .images.images import gradient
from .test_lite0 import pattern

RADIUS = 8
Change = Callable[[Image.Image], Image.Image]


def mixed() -> Image.Image:
    y, x = np.mgrid[0:160, 0:200]
    return Image.fromarray(np.stack([x, y, (x * y // 50) % 256], -1).astype(np.uint8))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (gradient(), "a06dfd4db823a12b"),
        (Image.fromarray(pattern()), "ff47ff55ff000000"),
        (mixed(), "803b674957246b7b"),
    ],
)
def test_structure_is_the_phash_of_imagehash(image: Image.Image, expected: str) -> None:
    """Answers of imagehash 4.3.2; all 84 images below agree with it too, bit for bit."""
    assert np.packbits(structure_bits(image)).tobytes().hex() == expected


def test_a_vector_is_zeros_and_ones(network_free: list[Image.Image]) -> None:
    vectors = load(Path()).embed_images(network_free[:3])
    assert vectors.shape == (3, DIMENSION)
    assert vectors.dtype == np.float32
    assert set(np.unique(vectors)) == {0, 1}
    assert load(Path()).embed_images([]).shape == (0, DIMENSION)


def test_flat_images_have_no_noise() -> None:
    """Their frequencies are zero; the rounding errors of a transform must not become bits."""
    hashes = [structure_bits(Image.new("RGB", (side, side), "red")) for side in (1, 50, 333)]
    assert all((hash_ == hashes[0]).all() for hash_ in hashes)


def test_colours_n_steps_apart_are_about_n_bits_apart() -> None:
    def bits(*rgb: int) -> NDArray[np.bool_]:
        return colour_bits(Image.new("RGB", (32, 32), rgb))

    assert (bits(120, 60, 60) != bits(122, 60, 60)).sum() <= 1
    near = (bits(120, 60, 60) != bits(120, 80, 60)).sum()
    far = (bits(120, 60, 60) != bits(60, 60, 120)).sum()
    assert 2 <= near < far


@pytest.fixture(scope="module")
def network_free(products: list[DemoImage], interiors: dict[str, bytes]) -> list[Image.Image]:
    encoded = [product.image for product in products] + list(interiors.values())
    return [
        decode_image(data, max_pixels=2**24, image_px=load(Path()).image_px) for data in encoded
    ]


def jpeg(quality: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return change


def cut(left: float, top: float, right: float, bottom: float) -> Change:
    def change(image: Image.Image) -> Image.Image:
        width, height = image.size
        box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
        return image.crop(tuple(map(int, box)))  # type: ignore[arg-type]

    return change


def watermarked(image: Image.Image) -> Image.Image:
    image = image.copy()
    width, height = image.size
    draw = ImageDraw.Draw(image, "RGBA")
    box = [width * 0.6, height * 0.85, width * 0.97, height * 0.95]
    draw.rectangle(box, fill=(255, 255, 255, 160))
    draw.text((width * 0.62, height * 0.87), "(c) SHOP.EXAMPLE", fill=(0, 0, 0, 200))
    return image


CHANGES: dict[str, tuple[Change, float]] = {
    "half the size": (lambda i: i.resize((i.width // 2, i.height // 2)), 1.0),
    "96 pixels": (lambda i: i.resize((96, max(1, 96 * i.height // i.width))), 1.0),
    "JPEG quality 30": (jpeg(30), 1.0),
    "JPEG quality 10": (jpeg(10), 0.98),
    "cut by 2 %": (cut(0.01, 0.01, 0.01, 0.01), 0.98),
    "cut by 5 %": (cut(0.025, 0.025, 0.025, 0.025), 0.9),
    "5 % off one side": (cut(0, 0, 0.05, 0), 0.5),
    "watermark": (watermarked, 0.9),
    "30 % more contrast": (lambda i: ImageEnhance.Contrast(i).enhance(1.3), 0.95),
    "30 % brighter": (lambda i: ImageEnhance.Brightness(i).enhance(1.3), 0.6),
    "mirrored": (lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 0.0),
}


def test_copies_are_found_and_different_images_are_not_merged(
    network_free: list[Image.Image],
) -> None:
    embedder = load(Path())
    originals = embedder.embed_images(network_free)
    count = len(originals)
    apart = np.abs(originals[:, None] - originals[None]).sum(axis=2)
    different = apart[np.triu_indices(count, 1)]
    print(f"\n{count} different images: the nearest two are {different.min():.0f} bits apart,")
    print(f"the median pair {np.median(different):.0f}; found within {RADIUS} bits, false alarms:")
    assert different.min() > RADIUS
    for name, (change, least) in CHANGES.items():
        copies = embedder.embed_images([change(image) for image in network_free])
        distances = np.abs(copies[:, None] - originals[None]).sum(axis=2)
        found = float((np.diag(distances) <= RADIUS).mean())
        np.fill_diagonal(distances, np.inf)
        false = float((distances <= RADIUS).mean())
        print(f"{name:>20}: {found:.2f}, {false:.4f}")
        assert found >= least, name
        assert false <= 0.001, name


def test_images_in_two_colours_need_the_colour_bits(network_free: list[Image.Image]) -> None:
    """Why 64 bits are not enough: without colour, one hoodie in three colours is one product."""
    bits = np.stack([structure_bits(image) for image in network_free])
    apart = (bits[:, None] != bits[None]).sum(axis=2)[np.triu_indices(len(bits), 1)]
    print(f"\nstructure alone: {(apart <= RADIUS).sum()} pairs of different images are merged")
    assert (apart == 0).sum() >= 3
