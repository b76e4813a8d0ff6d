"""The provider's own Python client, unmodified: every class, every method."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from ximilar.client import search as clients

from lookalike.cli.demo_images import DemoImage
from tests.contract.images import MEBIBYTE, base64_of, jpeg, record
from tests.contract.official import CLIENTS, OF_EVERY_CLASS, ClientClass, connect_client
from tests.file_server import FileServer
from tests.service import Service


def test_the_list_of_classes_is_complete() -> None:
    classes = {
        cls
        for _, cls in inspect.getmembers(clients, inspect.isclass)
        if issubclass(cls, clients.SimilarityPhotosClient)
    }
    assert classes == {cls for cls, _ in CLIENTS}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, products: list[DemoImage]) -> tuple[Path, Path]:
    """Two images on disk: one that the client sends as it is, and one that it makes smaller."""
    folder = tmp_path_factory.mktemp("images")
    small, large = folder / "small.jpg", folder / "large.png"
    small.write_bytes(jpeg(products[0].image))
    rng = np.random.default_rng(0)
    first = Image.open(folder / "small.jpg").resize((900, 700))
    noise = rng.integers(0, 60, (700, 900, 3), dtype=np.uint8)
    Image.fromarray((np.asarray(first) // 2 + noise).astype(np.uint8)).save(large)
    assert small.stat().st_size < 0.1 * MEBIBYTE < large.stat().st_size
    return small, large


@OF_EVERY_CLASS
def test_every_method_of_every_class(
    client_class: ClientClass,
    type_: str,
    service: Service,
    products: list[DemoImage],
    thumbnails: dict[str, bytes],
    files: tuple[Path, Path],
    file_server: FileServer,
) -> None:
    small, large = files
    client = connect_client(client_class, service, service.collection(type=type_))
    url = file_server.add("/footwear.jpg", thumbnails["26"])
    blue_first = cv2.imdecode(np.frombuffer(thumbnails["9"], np.uint8), cv2.IMREAD_COLOR)
    assert blue_first is not None
    pixels = cv2.cvtColor(blue_first, cv2.COLOR_BGR2RGB)
    records: list[dict[str, Any]] = [
        {"_id": "small", "_file": str(small), "price": 10, "tags": ["paint"]},
        {"_id": "large", "_file": str(large), "price": 20, "tags": ["paint", "noisy"]},
        {"_id": "base64", "_base64": base64_of(thumbnails["2"]), "price": 30, "tags": ["paint"]},
        {"_id": "url", "_url": url, "price": 40, "tags": ["shoe"], "_estate_id": "e7"},
        {"_id": "pixels", "_img_data": pixels, "_color_space": "RGB", "price": 50, "noresize": 1},
    ]

    assert client.ping()["status"] == {"code": 200, "text": "OK"}

    answer = client.insert(records)
    assert answer["status"] == {"code": 210, "text": "records inserted"}
    assert [r["_id"] for r in answer["answer_records"]] == [r["_id"] for r in records]

    queries = (
        ({"_id": "url"}, "url"),
        ({"_url": url}, "url"),
        ({"_base64": base64_of(thumbnails["2"])}, "base64"),
        ({"_file": str(small)}, "small"),
        ({"_file": str(large)}, "large"),
    )
    check_searches(client, queries)
    check_filters_and_samples(client)
    check_updates(client, url, small)
    check_reads(client, {r["_id"] for r in records})
    check_removals(client, records)


def check_searches(client: Any, queries: Iterable[tuple[dict[str, str], str]]) -> None:
    for query, nearest in queries:
        answer = client.search(query, k=3, fields_to_return=["_id", "price"])
        assert answer["status"]["code"] == 200
        assert answer["answer_records"][0]["_id"] == nearest
        assert answer["answer_count"] == 3 == len(answer["answer_distances"])
        assert set(answer["answer_records"][0]) == {"_id", "price"}
    assert client.search({"_id": "url"})["answer_distances"][0] == 0


def check_filters_and_samples(client: Any) -> None:
    answer = client.search({"_id": "small"}, filter={"price": {"$in": [20, 30, 99]}})
    assert {r["_id"] for r in answer["answer_records"]} == {"large", "base64"}
    answer = client.search({"_id": "small"}, filter={"price": 40, "_estate_id": "e7"})
    assert [r["_id"] for r in answer["answer_records"]] == ["url"]

    assert len(client.random(count=3)["answer_records"]) == 3
    answer = client.random(filter={"price": {"$in": [10, 20]}}, fields_to_return=["price"])
    assert sorted(r["price"] for r in answer["answer_records"]) == [10, 20]
    assert "answer_distances" not in answer


def check_updates(client: Any, url: str, small: Path) -> None:
    answer = client.update([{"_id": "url", "price": 41}, {"_id": "small", "sold": True}])
    assert answer["status"] == {"code": 200, "text": "OK"}
    assert answer["answer_records"] == [
        {"_id": "url", "_url": url, "price": 41, "tags": ["shoe"], "_estate_id": "e7"},
        {"_id": "small", "_file": str(small), "price": 10, "tags": ["paint"], "sold": True},
    ]
    assert client.update([{"_id": "url", "x": 1}, {"_id": "no"}])["status"]["code"] == 206


def check_reads(client: Any, everything: set[str]) -> None:
    answer = client.get_records([{"_id": "pixels"}, {"_id": "url"}], fields_to_return=["*"])
    assert answer["status"] == {"code": 205, "text": "records found"}
    assert answer["answer_records"][0] == {"_id": "pixels", "price": 50}
    assert answer["answer_records"][1]["price"] == 41
    answer = client.get_records([{"_id": "none"}, {"_id": "url"}])
    assert answer["status"] == {"code": 206, "text": "some of the records not found"}
    assert answer["answer_records"] == [{"_id": "url"}]
    answer = client.get_records([{"_id": "none"}])
    assert answer["status"] == {"code": 404, "text": "records not found"}
    assert answer["answer_records"] == []

    assert {r["_id"] for r in client.get_all_ids()["answer_records"]} == everything
    prices = client.get_all_ids(fields=["price"], filterf={"price": 50})
    assert prices["answer_records"] == [{"_id": "pixels", "price": 50}]
    assert {r["_id"] for r in client.all_records_iter(batch_size=2)} == everything


def check_removals(client: Any, records: Sequence[dict[str, Any]]) -> None:
    answer = client.remove([{"_id": "pixels"}, {"_id": "none"}])
    assert answer["status"] == {"code": 206, "text": "some of the records not found"}
    assert answer["answer_records"] == [{"_id": "pixels"}]
    answer = client.remove([r for r in records if r["_id"] != "pixels" and "_img_data" not in r])
    assert answer["status"] == {"code": 220, "text": "records deleted"}
    assert answer["answer_count"] == 4
    assert client.remove([{"_id": "url"}])["status"] == {"code": 404, "text": "records not found"}
    assert client.allRecords()["answer_records"] == []


def test_an_image_is_never_stored_or_returned(
    service: Service, collection: str, files: tuple[Path, Path], image: str
) -> None:
    client = connect_client(clients.SimilarityPhotosClient, service, collection)
    client.insert(
        [
            {"_id": "1", "_file": str(files[0]), "noresize": True, "_text_data": "words"},
            {"_id": "2", "_base64": image, "noresize": True},
        ],
        request_fields={"fields_to_return": ["*", "_base64"], "skip_empty": True},
    )
    answer = client.get_records([{"_id": "1"}, {"_id": "2"}], fields_to_return=["*", "_base64"])
    assert answer["answer_records"] == [{"_id": "1", "_file": str(files[0])}, {"_id": "2"}]


@pytest.mark.parametrize("colors", [None, True])
@pytest.mark.parametrize("tags", [None, True])
def test_fashion_with_its_nulls(
    colors: bool | None, tags: bool | None, service: Service, products: list[DemoImage]
) -> None:
    client = connect_client(
        clients.SimilarityFashionClient, service, service.collection(type="fashion")
    )
    shirts = [product for product in products if product.category in ("T-shirts", "Footwear")][:4]
    records = [record(product) for product in shirts]
    answer = client.insert(records, extract_colors=colors, extract_tags=tags)
    assert answer["status"]["code"] == 210
    assert client.PREDICT_ENDPOINT == "visualTagsKNN"
    answer = client.search({"_id": shirts[0].id}, k=2)
    assert answer["answer_records"][0] == {"_id": shirts[0].id}
    assert answer["answer_distances"][0] == 0
    answer = client.search({"_base64": records[1]["_base64"], "tags": shirts[1].tags}, k=2)
    assert answer["answer_records"][0] == {"_id": shirts[1].id}


def test_unknown_keywords_are_sent_and_ignored(service: Service, shop: str) -> None:
    client = connect_client(clients.SimilarityProductsClient, service, shop)
    data = client.construct_data({"_id": "1"}, k=2, custom_flow="flow", something={"x": None})
    assert client.post("visualKNN", data=data)["answer_records"][0] == {"_id": "1"}


def test_account_calls_on_a_similarity_client(service: Service, shop: str) -> None:
    client = connect_client(clients.SimilarityPhotosClient, service, shop)
    assert client.get_user_details()["id"]
    assert isinstance(client.get_config("similarity"), dict)
    assert isinstance(client.get_config("similarity", version=3), dict)


def test_a_client_without_a_collection(service: Service) -> None:
    client = connect_client(clients.ImageMatchingSearchClient, service, None)
    assert client.ping()["_service_info"]["_name"]
    answer = client.search({"_id": "1"})
    assert answer["status"]["code"] == 400
    assert "collection-id" in answer["detail"]


@OF_EVERY_CLASS
def test_given_records_are_ranked(
    client_class: ClientClass,
    type_: str,
    service: Service,
    thumbnails: dict[str, bytes],
    file_server: FileServer,
) -> None:
    client = connect_client(client_class, service, service.collection(type=type_))
    client.insert([{"_id": "stored", "_base64": base64_of(thumbnails["26"]), "noresize": True}])
    url = file_server.add("/2.jpg", thumbnails["2"])
    records = [
        {"_id": "stored"},
        {"_url": url},
        {"_id": "new", "_base64": base64_of(thumbnails["1"])},
    ]
    query = {"_base64": base64_of(thumbnails["1"]), "noresize": True}
    answer = client.search_and_rank(query, records, fields_to_return=["_id", "_url"])
    assert answer["status"]["code"] == 200
    assert answer["answer_count"] == 3 == len(answer["answer_distances"])
    assert answer["answer_distances"] == sorted(answer["answer_distances"])
    assert answer["answer_records"][0]["_id"] == "new"
    assert url in [r.get("_url") for r in answer["answer_records"]]


def test_words_need_a_model_that_reads(service: Service, shop: str) -> None:
    """The bundled model knows images only: a clear no, and nothing else."""
    client = connect_client(clients.SimilarityProductsClient, service, shop)
    for method in ("visualKNN", "text"):
        client.PREDICT_ENDPOINT = method
        answer = client.search({"_text_data": "a red shoe"})
        assert answer["status"]["code"] == 400
        assert answer["detail"]
        assert "answer_records" not in answer
    answer = client.insert([{"_id": "words", "_text_data": "a red shoe"}])
    assert answer["skipped_records"][0]["_reason"]["status"]["code"] == 400
    assert answer["answer_records"] == []
