"""Which fields are answered, and fields that nobody asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.answers import ids, search
from tests.service import Service

ODD = ["a.b", "a[0]", "a b", "", "é", 'a"b', "*a", "a\\b", "a,b", "_a-b", "0"]


@pytest.fixture(scope="module")
def odd(service: Service, image: str) -> tuple[str, dict[str, Any]]:
    """A record with odd field names, and the same again inside, where a path could find it."""
    collection = service.collection()
    fields = {name: f"value of {name}" for name in ODD} | {"a": {"b": "inside"}, "nothing": None}
    record = {"_id": "1", **fields}
    service.load(collection, [record | {"_base64": image}])
    return collection, record


def fields_answered(service: Service, collection: str, fields: Any) -> list[dict[str, Any]]:
    """By every method that answers records."""
    asked = {} if fields is ... else {"fields_to_return": fields}
    bodies: dict[str, dict[str, Any]] = {
        "get": {"records": [{"_id": "1"}]},
        "visualKNN": {"query_record": {"_id": "1"}},
        "visualTagsKNN": {"query_record": {"_id": "1", "tags": ["x"]}},
        "random": {},
        "allRecords": {},
        "allRecords?size=5": {},
    }
    return [
        service.answer(method, collection, body | asked)["answer_records"][0]
        for method, body in bodies.items()
    ]


@pytest.mark.parametrize("fields", [..., None, [], ["_id"], ["unknown"]])
def test_the_id_always_comes_along(
    fields: Any, service: Service, odd: tuple[str, dict[str, Any]]
) -> None:
    for record in fields_answered(service, odd[0], fields):
        assert record == {"_id": "1"}


@pytest.mark.parametrize("fields", [["*"], ["*", "unknown"], ["_id", "*"]])
def test_a_star_is_everything(
    fields: Any, service: Service, odd: tuple[str, dict[str, Any]]
) -> None:
    for record in fields_answered(service, odd[0], fields):
        assert record == odd[1]
        assert next(iter(record)) == "_id"


@pytest.mark.parametrize("field", [*ODD, "nothing"])
def test_odd_names_are_names_and_no_paths(
    field: str, service: Service, odd: tuple[str, dict[str, Any]]
) -> None:
    for record in fields_answered(service, odd[0], [field]):
        assert record == {"_id": "1", field: odd[1][field]}


def test_unknown_and_null_fields(service: Service, shop: str, image: str) -> None:
    more = {"extract_tags": None, "extract_colors": None, "something": {"deep": [1]}, "x": None}
    assert ids(search(service, shop, {"_id": "1", "tags": None, "zz": 1}, **more)) == ids(
        search(service, shop, {"_id": "1"})
    )
    nulls = {"k": None, "from": None, "radius": None, "filter": None, "fields_to_return": None}
    assert search(service, shop, {"_id": "1"}, **nulls)["answer_count"] == 30
    assert service.answer("allRecords", shop, more | nulls)["answer_count"] == 45
    assert service.answer("random", shop, more | nulls | {"count": None})["answer_count"] == 10
    answer = service.answer("get", shop, {"records": [{"_id": "1", "_base64": image}]} | nulls)
    assert answer["answer_records"] == [{"_id": "1"}]


def test_underscored_fields_are_kept(service: Service, collection: str, image: str) -> None:
    kept = {"_id": "1", "_estate_id": "e1", "_tags": {"a": 1}, "_objects": [], "__x": 1}
    service.load(collection, [kept | {"_base64": image}])
    body = {"records": [{"_id": "1"}], "fields_to_return": ["*"]}
    assert service.answer("get", collection, body)["answer_records"] == [kept]
    answer = search(service, collection, {"_id": "1"}, filter={"_estate_id": "e1"})
    assert answer["answer_count"] == 1
