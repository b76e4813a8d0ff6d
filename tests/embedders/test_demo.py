"""The demo images: read in place from the wheel, each with what the shop knows of it."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter

from PIL import Image

from lookalike.cli.demo_images import DemoImage


def test_45_images_of_products(products: list[DemoImage]) -> None:
    assert len(products) == 45
    assert len({product.id for product in products}) == 45
    assert len({hashlib.sha256(product.image).digest() for product in products}) == 45
    for product in products:
        with Image.open(io.BytesIO(product.image)) as image:
            assert image.format == "PNG"
            assert image.size == (1024, 1024)


def test_what_the_shop_knows_of_them(products: list[DemoImage]) -> None:
    assert Counter(product.category for product in products) == {
        "T-shirts": 9, "Footwear": 8, "Juices": 6, "Alcohol": 6, "Paints": 5, "Hoodies": 5,
        "Polo Shirts": 4, "Homewares": 2,
    }  # fmt: skip
    views = Counter(product.product_id for product in products)
    assert sum(count > 1 for count in views.values()) == 9
    assert sum(count for count in views.values() if count > 1) == 23
    by_id = {product.id: product for product in products}
    assert by_id["1"].name == "Nebula Night Sky Paint"
    assert by_id["1"].tags == ["accessories", "paints", "paint"]
    assert by_id["1"].variants == 3
    assert by_id["12"].name == "Power Juice"
    assert by_id["12"].tags == [
        "groceries",
        "juices",
        "juice",
        "salty, like the tears of your enemy",
    ]
    assert all(product.price > 0 and product.description for product in products)


def test_a_record_can_be_sent_as_it_is(products: list[DemoImage]) -> None:
    record = products[0].record()
    assert json.loads(json.dumps(record)) == record
    assert record["_id"] == products[0].id
    assert "image" not in record
