"""The provider's walk-through: a file of JSON lines, loaded in batches of ten, then searched.

https://www.ximilar.com/blog/ shows it with images of estates; here they are product images, which
have the same fields: `estate_id` for what several images belong to, `category`, `subcategory`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ximilar.client.search import SimilarityPhotosClient

from lookalike.cli.demo_images import DemoImage
from tests.contract.images import altered, base64_of, batches, jpeg
from tests.file_server import FileServer
from tests.service import Service


@pytest.fixture(scope="module")
def lines(
    tmp_path_factory: pytest.TempPathFactory, products: list[DemoImage], file_server: FileServer
) -> Path:
    """What the customer has: a file with one record a line, and images on a server."""
    path = tmp_path_factory.mktemp("walkthrough") / "estates.jsonl"
    records = [
        {
            "_id": product.id,
            "_url": file_server.add(f"/estates/{product.id}.jpg", jpeg(product.image, 512)),
            "estate_id": product.product_id,
            "category": product.department,
            "subcategory": product.category,
            "tags": product.tags,
        }
        for product in products
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture(scope="module")
def client(service: Service, lines: Path) -> Any:
    """The client, its collection loaded from the file."""
    collection = service.collection(
        name="estates", type="photos", fields_to_index=["estate_id", "category", "subcategory"]
    )
    client = SimilarityPhotosClient(
        token="my-token",
        collection_id=collection,
        endpoint=f"{service.url}/localhost/similarity/photos/v2/",
    )
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    for batch in batches(records, 10):
        answer = client.insert(batch)
        assert answer["status"] == {"code": 210, "text": "records inserted"}
    assert client.ping()["statistics"]["total_records"] == len(records) == 45
    return client


def test_search_by_id(client: Any) -> None:
    answer = client.search({"_id": "26"}, k=5, fields_to_return=["_id", "subcategory", "_url"])
    assert answer["answer_records"][0]["_id"] == "26"
    assert answer["answer_distances"][0] == 0
    assert answer["answer_records"][0]["_url"].endswith("/estates/26.jpg")
    assert answer["answer_count"] == 5


def test_search_by_id_with_filters(client: Any) -> None:
    answer = client.search(
        {"_id": "26"},
        k=50,
        filter={"category": "Apparel"},
        fields_to_return=["category", "subcategory"],
    )
    assert {r["category"] for r in answer["answer_records"]} == {"Apparel"}
    found = len(answer["answer_records"])
    answer = client.search(
        {"_id": "26"},
        k=50,
        filter={"category": "Apparel", "subcategory": {"$in": ["Hoodies", "Polo Shirts"]}},
        fields_to_return=["subcategory"],
    )
    assert {r["subcategory"] for r in answer["answer_records"]} == {"Hoodies", "Polo Shirts"}
    assert 0 < answer["answer_count"] < found
    assert answer["answer_records"][0]["_id"] != "26"


def test_search_by_an_external_image(
    client: Any, products: list[DemoImage], file_server: FileServer
) -> None:
    """An altered copy, as it comes back from the web, finds its original."""
    found = 0
    for product in products:
        query = {"_base64": base64_of(altered(product.image)), "noresize": True}
        answer = client.search(query, k=3)
        found += product.id in [r["_id"] for r in answer["answer_records"]]
    print(f"altered copies that find their original among three: {found} of {len(products)}")
    assert found >= 0.9 * len(products)
    url = file_server.add("/elsewhere.jpg", altered(products[0].image))
    assert client.search({"_url": url}, k=1)["answer_records"] == [{"_id": products[0].id}]


def test_other_images_of_an_estate_are_near(client: Any, products: list[DemoImage]) -> None:
    """Of products with several images: how often another one is among the next five."""
    owner = {product.id: product.product_id for product in products}
    several = [id_ for id_ in owner if list(owner.values()).count(owner[id_]) > 1]
    assert len(several) >= 10
    hits = 0
    for id_ in several:
        answer = client.search({"_id": id_}, k=6)
        hits += owner[id_] in [owner[r["_id"]] for r in answer["answer_records"][1:]]
    print(f"another image of the same product among the next five: {hits} of {len(several)}")
    assert hits >= 0.5 * len(several)


def test_neighbours_are_sensible(client: Any, products: list[DemoImage]) -> None:
    """Leave-one-out: the nearest other image has the category of the query."""
    category = {product.id: product.category for product in products}
    right = 0
    for id_ in category:
        _, nearest = client.search({"_id": id_}, k=2)["answer_records"]
        right += category[nearest["_id"]] == category[id_]
    accuracy = right / len(category)
    print(f"category of the nearest neighbour: {right} of {len(category)}, {accuracy:.3f}")
    assert accuracy >= 0.85
