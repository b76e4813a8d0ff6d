"""Searches among real images: the record itself, filters, k, radius, and random records."""

from __future__ import annotations

from typing import Any

import pytest

from lookalike.cli.demo_images import DemoImage
from tests.contract.answers import ids, search
from tests.contract.images import base64_of
from tests.file_server import FileServer
from tests.service import Service


def test_the_record_itself_is_first(service: Service, shop: str, products: list[DemoImage]) -> None:
    for product in products:
        answer = search(service, shop, {"_id": product.id}, k=3)
        assert ids(answer)[0] == product.id
        assert answer["answer_distances"][0] == 0


def test_a_filter_that_excludes_the_record_itself(service: Service, shop: str) -> None:
    answer = search(
        service, shop, {"_id": "1"}, filter={"category": "Footwear"}, fields_to_return=["category"]
    )
    assert answer["answer_count"] == 8
    assert {r["category"] for r in answer["answer_records"]} == {"Footwear"}
    answer = search(service, shop, {"_id": "1"}, filter={"category": "no such"})
    assert answer["answer_records"] == []
    assert answer["answer_distances"] == []


def test_filters_apply_before_the_cut(
    service: Service, shop: str, products: list[DemoImage]
) -> None:
    wanted = {product.id for product in products if product.category in ("Juices", "Alcohol")}
    condition = {"category": {"$in": ["Juices", "Alcohol"]}}
    answer = search(service, shop, {"_id": "1"}, k=len(wanted), filter=condition)
    assert set(ids(answer)) == wanted
    for spelling in (
        {"$and": [condition, {"department": "Groceries"}]},
        {"category": {"$in": ["Juices", "Alcohol"]}, "department": {"$eq": "Groceries"}},
    ):
        assert ids(search(service, shop, {"_id": "1"}, k=99, filter=spelling)) == ids(answer)


@pytest.mark.parametrize("k", [None, 0, 1, 30, 45, 46, 10_000, 10**9])
def test_k(k: int | None, service: Service, shop: str) -> None:
    answer = search(service, shop, {"_id": "1"}, **({} if k is None else {"k": k}))
    assert answer["answer_count"] == min(30 if k is None else k, 45)
    assert search(service, shop, {"_id": "1"}, k=k)["answer_records"] == answer["answer_records"]


def test_radius(service: Service, shop: str, thumbnails: dict[str, bytes]) -> None:
    whole = search(service, shop, {"_id": "1"}, k=45)
    assert ids(search(service, shop, {"_id": "1"}, radius=0)) == ["1"]
    for radius in (0.0, whole["answer_distances"][7], 0.3, 2):
        within = [distance for distance in whole["answer_distances"] if distance <= radius]
        answer = search(service, shop, {"_id": "1"}, k=45, radius=radius)
        assert answer["answer_distances"] == within
        assert ids(answer) == ids(whole)[: len(within)]
    image = {"_base64": base64_of(thumbnails["1"])}
    assert ids(search(service, shop, image, radius=1e-4)) == ["1"]


def test_the_same_image_is_at_distance_zero(
    service: Service, shop: str, thumbnails: dict[str, bytes]
) -> None:
    """By its bytes as by its id: the stored vector is the one that the image gives."""
    for id_ in ("1", "26", "40"):
        by_id = search(service, shop, {"_id": id_}, k=45)
        by_image = search(service, shop, {"_base64": base64_of(thumbnails[id_])}, k=45)
        assert by_image["answer_distances"] == pytest.approx(by_id["answer_distances"], abs=1e-4)
        assert ids(by_image)[0] == id_


def test_an_unknown_id_with_an_image_is_searched_by_the_image(
    service: Service, shop: str, thumbnails: dict[str, bytes], file_server: FileServer
) -> None:
    url = file_server.add("/26.jpg", thumbnails["26"])
    assert ids(search(service, shop, {"_id": "not stored", "_url": url}, k=1)) == ["26"]
    # The stored record wins where there is one, and `_base64` wins over `_url`.
    assert ids(search(service, shop, {"_id": "1", "_url": url}, k=1)) == ["1"]
    query = {"_base64": base64_of(thumbnails["1"]), "_url": url}
    assert ids(search(service, shop, query, k=1)) == ["1"]


def test_an_unknown_id_without_an_image(service: Service, shop: str) -> None:
    for method in ("visualKNN", "visualTagsKNN"):
        answer = service.answer(method, shop, {"query_record": {"_id": "not stored"}})
        assert answer["status"] == {"code": 404, "text": "records not found"}
        assert answer["answer_records"] == []


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("visualKNN", {"query_record": {"_id": "nobody"}}),
        ("visualTagsKNN", {"query_record": {"_id": "nobody", "tags": ["warm"]}}),
        ("visualRange", {"query_record": {"_id": "nobody"}, "radius": 1}),
        ("nearDuplicates", {"query_record": {"_id": "nobody"}}),
        ("visualKNN", {"query_records": [{"_id": "red"}, {"_id": "nobody"}]}),
        ("visualKNN", {"positive": [{"_id": "nobody"}]}),
        ("visualRankRecords", {"query_record": {"_id": "nobody"}, "records": []}),
    ],
)
def test_an_unknown_record_is_not_found(
    service: Service, paints: str, method: str, body: dict[str, Any]
) -> None:
    answer = service.answer(method, paints, body)
    assert answer["status"] == {"code": 404, "text": "records not found"}
    assert answer["answer_records"] == []


def test_random(service: Service, shop: str) -> None:
    assert service.answer("random", shop)["answer_count"] == 10
    draws = [ids(service.answer("random", shop, {"count": 20})) for _ in range(5)]
    assert all(len(set(draw)) == 20 for draw in draws)
    assert len({tuple(draw) for draw in draws}) == 5
    assert len(set().union(*draws)) > 35
    assert service.answer("random", shop, {"count": 0})["answer_records"] == []
    assert service.answer("random", shop, {"count": 10**9})["answer_count"] == 45
    body = {"filter": {"category": "Footwear"}, "fields_to_return": ["category"], "count": 100}
    answer = service.answer("random", shop, body)
    assert answer["answer_count"] == 8
    assert {r["category"] for r in answer["answer_records"]} == {"Footwear"}
    assert "answer_distances" not in answer


def test_random_with_a_seed(service: Service, paints: str) -> None:
    first = service.answer("random", paints, {"count": 5, "seed": 11})
    assert ids(service.answer("random", paints, {"count": 5, "seed": 11})) == ids(first)
    assert ids(service.answer("random", paints, {"count": 2, "seed": 11})) == ids(first)[:2]
    assert "answer_distances" not in first
