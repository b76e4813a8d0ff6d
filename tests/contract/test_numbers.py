"""A number is the number that was sent: in answers, filters, facets, groups, updates, exports."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import NewServer
from tests.live import lookalike
from tests.service import Service

LATITUDE = 0.40159101448507484
"""The engine reads it as 0.4015910144850749."""


def doubles(count: int) -> list[float]:
    """Random ones of 15 to 17 digits, in the range of coordinates, prices and time stamps."""
    chance = random.Random(12)
    return [chance.uniform(-1, 1) * 10.0 ** chance.randint(-3, 12) for _ in range(count)]


@pytest.fixture(scope="module")
def numbers(service: Service, image: str) -> tuple[str, list[float]]:
    collection = service.collection(fields_to_index=["lat"])
    sent = [LATITUDE, 0.1 + 0.2, 0.3, *doubles(297)]
    records = [{"_id": str(n), "_base64": image, "lat": value} for n, value in enumerate(sent)]
    service.load(collection, records)
    return collection, sent


def test_every_double_comes_back_as_it_was_sent(
    service: Service, numbers: tuple[str, list[float]]
) -> None:
    collection, sent = numbers
    answer = service.answer("allRecords", collection, {"fields_to_return": ["lat"]})
    kept = {record["_id"]: record["lat"] for record in answer["answer_records"]}
    assert kept == {str(n): value for n, value in enumerate(sent)}


OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "$eq": lambda value, bound: value == bound,
    "$lt": lambda value, bound: value < bound,
    "$lte": lambda value, bound: value <= bound,
    "$gt": lambda value, bound: value > bound,
    "$gte": lambda value, bound: value >= bound,
    "$ne": lambda value, bound: value != bound,
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_filters_decide_by_the_number_that_was_sent(
    service: Service, numbers: tuple[str, list[float]], operator: str
) -> None:
    collection, sent = numbers
    for bound in [*sent[:30], 0, 100, 19.99]:
        body = {"filter": {"lat": {operator: bound}}, "fields_to_return": ["_id"]}
        answer = service.answer("allRecords", collection, body)
        found = {record["_id"] for record in answer["answer_records"]}
        accepts = OPERATORS[operator]
        assert found == {str(n) for n, value in enumerate(sent) if accepts(value, bound)}


def test_searches_facets_and_groups_do_too(service: Service, image: str) -> None:
    """0.1 + 0.2 and 0.3 are two products, and so are two integers that one double stands for."""
    collection = service.collection(product_id_field="product")
    products: list[Any] = [0.1 + 0.2, 0.3, LATITUDE, 2**60, 2**60 + 1, 10**30, 10**30 + 1]
    service.load(
        collection,
        [
            {"_id": f"{n}-{copy}", "_base64": image, "product": product}
            for n, product in enumerate(products)
            for copy in "ab"
        ],
    )
    answer = service.answer("facets", collection, {"field": "product"})
    counts = {json.dumps(each["value"]): each["count"] for each in answer["facets"]}
    assert counts == {json.dumps(product): 2 for product in products}
    query = {"query_record": {"_base64": image}, "fields_to_return": ["product"]}
    answer = service.answer("visualKNN", collection, query)
    assert sorted(r["product"] for r in answer["answer_records"]) == sorted(products)
    for product in products:
        only = query | {"filter": {"product": product}}
        (record,) = service.answer("visualKNN", collection, only)["answer_records"]
        assert record["product"] == product


def test_an_update_keeps_the_other_numbers(service: Service, image: str) -> None:
    collection = service.collection()
    kept = {"lat": LATITUDE, "list": [10**25, -0.0, {"x": 0.1 + 0.2}], "z": 1, "a": 2}
    service.load(collection, [{"_id": "1", "_base64": image, **kept}])
    service.answer("update", collection, {"records": [{"_id": "1", "new": 1e-300}]})
    found = service.stored(collection, "1")
    assert json.dumps(found) == json.dumps({"_id": "1", **kept, "new": 1e-300})


def test_integers_beyond_64_bits_are_compared_exactly(service: Service, image: str) -> None:
    collection = service.collection()
    base = 2**70
    service.load(
        collection,
        [{"_id": str(n), "_base64": image, "n": base + n} for n in range(4)],
    )
    for filter_, wanted in (
        ({"n": base + 1}, ["1"]),
        ({"n": {"$gt": base + 1}}, ["2", "3"]),
        ({"n": {"$in": [base, base + 3, *range(100)]}}, ["0", "3"]),
        ({"n": {"$lte": base - 1}}, []),
    ):
        body = {"filter": filter_, "fields_to_return": ["_id"]}
        answer = service.answer("allRecords", collection, body)
        assert sorted(record["_id"] for record in answer["answer_records"]) == wanted, filter_


def test_an_export_and_its_import_keep_every_bit(
    new_server: NewServer, image: str, tmp_path: Path
) -> None:
    server = new_server()
    server.start()
    service = Service(server.url)
    collection = service.collection(fields_to_index=["v"])
    sent = {str(n): value for n, value in enumerate([LATITUDE, *doubles(49)])}
    service.load(collection, [{"_id": id_, "_base64": image, "v": v} for id_, v in sent.items()])
    file = tmp_path / "collection.jsonl"
    data = str(server.data)
    assert lookalike("export", collection, str(file), "--data", data).returncode == 0
    service.http.delete(f"/similarity/v2/collection/{collection}")
    assert lookalike("import", str(file), "--data", data).returncode == 0
    answer = service.answer("allRecords", collection, {"fields_to_return": ["v"]})
    assert {r["_id"]: r["v"] for r in answer["answer_records"]} == sent
    for id_, value in sent.items():
        body = {"filter": {"v": value}}
        assert service.answer("allRecords", collection, body)["answer_records"] == [{"_id": id_}]
    service.close()
