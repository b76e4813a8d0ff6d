"""Real product images for a first search and for the tests: those of the Saleor demo shop.

They come inside the wheel of Saleor 2.10.1 on PyPI and are read from it in place; nothing of it is
installed, and nothing of it is part of Lookalike. The images are by Saleor Commerce / Mirumee
(https://saleor.io), licensed CC-BY-4.0 (https://creativecommons.org/licenses/by/4.0/).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import msgspec

WHEEL = "saleor-2.10.1-py3-none-any.whl"
# The wheel asks for Python 3.8, which an installation would insist on; a download need not.
DOWNLOAD = (
    "pip download --no-deps --only-binary=:all: --python-version 3.8 --dest .demo saleor==2.10.1"
)

_DATA = "saleor/static/populatedb_data.json"
_IMAGES = "saleor/static/placeholders/"
# The shop's database names an image `…_stdygda.png` that the wheel keeps as `….png`.
_SUFFIX = re.compile(r"_[A-Za-z0-9]{7}\.png$")
# The shop shows somebody else's bottle for these.
_WITHOUT_IMAGE = frozenset({"Apple Juice", "Coconut Juice", "Pineapple Juice"})

Rows = dict[int, dict[str, Any]]


class DemoImage(msgspec.Struct, frozen=True, kw_only=True):
    """One image of one product. Products with several images share `product_id`."""

    id: str
    image: bytes
    """PNG, 1024 x 1024."""
    product_id: str
    name: str
    category: str
    """One of eight, such as `Footwear`."""
    department: str
    """What the category belongs to: `Accessories`, `Apparel` or `Groceries`."""
    price: float
    """US dollars."""
    description: str
    tags: list[str]
    """Lower case: department, category, type, and what the shop says of flavour or material."""
    variants: int
    """In how many sizes, volumes … the product is sold."""

    def record(self) -> dict[str, Any]:
        """The record to insert, without the image."""
        fields = msgspec.structs.asdict(self)
        del fields["image"]
        return {"_id": fields.pop("id"), **fields}


def read_demo_images(wheel: Path) -> list[DemoImage]:
    """The 45 images, in the order of their ids in the shop's database.

    An image that the shop uses for two products is given to the one that it shows. Raises OSError
    or `zipfile.BadZipFile` for a file that is not the wheel, KeyError for another version.
    """
    with ZipFile(wheel) as files:
        tables = _tables(json.loads(files.read(_DATA)))
        shots: dict[str, tuple[int, int]] = {}
        for key, shot in sorted(tables["productimage"].items()):
            if tables["product"][shot["product"]]["name"] not in _WITHOUT_IMAGE:
                name = _SUFFIX.sub(".png", Path(shot["image"]).name)
                shots.setdefault(name, (key, shot["product"]))
        tags = _tags(tables)
        return [
            _demo_image(key, product, files.read(_IMAGES + name), tags[product], tables)
            for name, (key, product) in shots.items()
        ]


def _tables(rows: Iterable[dict[str, Any]]) -> dict[str, Rows]:
    tables: dict[str, Rows] = {}
    for row in rows:
        tables.setdefault(row["model"].removeprefix("product."), {})[row["pk"]] = row["fields"]
    return tables


def _tags(tables: dict[str, Rows]) -> dict[int, list[str]]:
    tags = {}
    for key, product in tables["product"].items():
        category = tables["category"][product["category"]]
        kind = tables["producttype"][product["product_type"]]
        tags[key] = [tables["category"][category["parent"]]["name"], category["name"], kind["name"]]
    for assigned in tables["assignedproductattribute"].values():
        values = (tables["attributevalue"][value] for value in assigned["values"])
        tags[assigned["product"]] += [value["name"] for value in values]
    return {key: list(dict.fromkeys(map(str.lower, names))) for key, names in tags.items()}


def _demo_image(
    key: int, product_id: int, image: bytes, tags: list[str], tables: dict[str, Rows]
) -> DemoImage:
    product = tables["product"][product_id]
    category = tables["category"][product["category"]]
    variants = (row["product"] for row in tables["productvariant"].values())
    return DemoImage(
        id=str(key),
        image=image,
        product_id=str(product_id),
        name=product["name"],
        category=category["name"],
        department=tables["category"][category["parent"]]["name"],
        price=float(product["price_amount"]),
        description=product["description"],
        tags=tags,
        variants=sum(variant == product_id for variant in variants),
    )
