"""A shop sends its images again, recompressed: only those are refused, at the default radius."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest

from lookalike.cli.demo_images import DemoImage
from tests.contract.images import base64_of, batches, jpeg
from tests.service import Service

SIDE_PX, QUALITY = 480, 60


@pytest.fixture(scope="module")
def images(products: list[DemoImage]) -> dict[str, dict[str, bytes]]:
    """Real images by the type of the collection that they belong in."""
    rooms = sorted((files("interior_photos") / "images").iterdir(), key=lambda file: file.name)
    return {
        "products": {product.id: product.image for product in products},
        "photos": {file.name: file.read_bytes() for file in rooms},
    }


@pytest.mark.parametrize("type_", ["products", "photos"])
def test_copies_are_refused_and_different_images_are_not(
    type_: str, service: Service, images: dict[str, dict[str, bytes]]
) -> None:
    collection = service.collection(type=type_)
    sent = {id_: jpeg(image, 800, 92) for id_, image in images[type_].items()}
    refused = insert(service, collection, sent)
    print(f"\n{type_}: {len(refused)} of {len(sent)} different images are taken for copies")
    assert not refused
    copies = {id_: jpeg(image, SIDE_PX, QUALITY) for id_, image in images[type_].items()}
    refused = insert(service, collection, {f"{id_} again": copy for id_, copy in copies.items()})
    print(f"{len(refused)} of {len(copies)} copies are recognised")
    assert len(refused) >= 0.95 * len(copies)
    for record in refused:
        nearest = record["_reason"]["near_duplicates"][0]["_id"]
        assert record["_id"] == f"{nearest} again"


def insert(service: Service, collection: str, images: dict[str, bytes]) -> list[dict[str, Any]]:
    """The records that were refused as near duplicates."""
    records = [{"_id": id_, "_base64": base64_of(image)} for id_, image in images.items()]
    refused: list[dict[str, Any]] = []
    for batch in batches(records, 10):
        answer = service.answer("nearDupsInsert", collection, {"records": batch})
        refused += answer.get("skipped_records", [])
    assert all(record["_reason"]["status"]["text"] == "near duplicate" for record in refused)
    return refused
