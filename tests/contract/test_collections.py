"""Collections are managed over HTTP: what an administrator's script relies on."""

from __future__ import annotations

import unicodedata
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.service import Service
from tests.waiting import wait_until

PATH = "/similarity/v2/collection/"
TYPES = {
    "photos": ("lite0-384", 384),
    "products": ("product", 512),
    "fashion": ("product", 512),
    "homedecor": ("product", 512),
    "custom": ("lite0-384", 384),
    "colors": ("colors", 128),
    "matching": ("phash", 128),
}
"""The embedder of each, and the length of its vectors."""


@pytest.mark.parametrize("type_", TYPES)
def test_create_and_show(type_: str, service: Service) -> None:
    answer = service.http.post(PATH, json={"name": f"of {type_}", "type": type_})
    assert answer.status_code == 201
    made = answer.json()
    assert str(uuid.UUID(made["id"])) == made["id"]
    assert made["name"] == f"of {type_}"
    assert made["type"] == type_
    assert made["records_count"] == 0
    assert (made["embedder"], made["dimension"]) == TYPES[type_]
    assert made["revision"]
    for path in (PATH + made["id"], f"{PATH}{made['id']}/", f"/localhost{PATH}{made['id']}"):
        assert service.http.get(path).json() == made
    assert made in service.http.get(PATH).json()["results"]


def test_all_settings(service: Service) -> None:
    body = {
        "name": "all",
        "type": "products",
        "fields_to_index": ["color", {"field": "price", "type": "number"}, "deep.field"],
        "product_id_field": "sku",
        "embedder": "lite0",
        "capacity": 1000,
    }
    made = service.http.post(PATH, json=body).json()
    assert made["fields_to_index"] == [
        {"field": "color", "type": None},
        {"field": "price", "type": "number"},
        {"field": "deep.field", "type": None},
        {"field": "sku", "type": None},
    ]
    assert made["product_id_field"] == "sku"
    assert made["capacity"] == 1000
    assert made["embedder"] == "lite0"


def test_an_index_gets_the_type_of_what_arrives(service: Service, image: str) -> None:
    """Float for numbers, keyword for strings; it makes filters fast and never changes an answer."""
    collection = service.collection(fields_to_index=["color", "price"])
    records: list[dict[str, Any]] = [
        {"_id": "1", "color": "red", "price": 1},
        {"_id": "2", "color": 7, "price": 1.5},
        {"_id": "3", "color": ["red", "blue"], "price": "1"},
        {"_id": "4", "price": None},
    ]
    service.load(collection, [record | {"_base64": image} for record in records])
    shown = service.http.get(PATH + collection).json()
    assert shown["fields_to_index"] == [
        {"field": "color", "type": "keyword"},
        {"field": "price", "type": "number"},
    ]
    assert shown["records_count"] == 4

    def matching(filter_: dict[str, Any]) -> list[str]:
        answer = service.answer("allRecords", collection, {"filter": filter_})
        return sorted(r["_id"] for r in answer["answer_records"])

    assert matching({"color": "red"}) == ["1", "3"]
    assert matching({"color": 7}) == ["2"]
    assert matching({"color": {"$in": [7, "blue"]}}) == ["2", "3"]
    assert matching({"price": 1.5}) == ["2"]
    assert matching({"price": 1}) == ["1"]
    assert matching({"price": "1"}) == ["3"]
    assert matching({"$and": [{"color": "red"}, {"price": 1.0}]}) == ["1"]


def test_change(service: Service, image: str) -> None:
    collection = service.collection(name="before", fields_to_index=["a"], capacity=5)
    service.load(collection, [{"_id": "1", "_base64": image, "a": 1, "b": "x"}])
    path = PATH + collection
    changed = service.http.patch(path, json={"name": "after"}).json()
    assert changed["name"] == "after"
    assert changed["capacity"] == 5
    assert changed["fields_to_index"] == [{"field": "a", "type": "number"}]
    body = {"fields_to_index": ["a", {"field": "b", "type": "keyword"}], "capacity": None}
    changed = service.http.put(f"{path}/", json=body).json()
    assert changed["fields_to_index"] == [
        {"field": "a", "type": "number"},
        {"field": "b", "type": "keyword"},
    ]
    assert changed["capacity"] is None
    assert service.http.get(path).json() == changed
    for filter_ in ({"a": 1}, {"b": "x"}):
        assert service.answer("allRecords", collection, {"filter": filter_})["answer_count"] == 1


def test_delete(service: Service, image: str) -> None:
    collection = service.collection(name="to be deleted")
    service.load(collection, [{"_id": "1", "_base64": image}])
    by_name = service.http.delete(PATH + "to be deleted")
    assert by_name.status_code == 404  # a name is too easily a mistake
    assert service.ids(collection) == ["1"]
    assert service.http.delete(f"{PATH}{collection}/").status_code == 204
    for answer in (
        service.http.get(PATH + collection),
        service.http.delete(PATH + collection),
        service.call("allRecords", collection),
        service.call("visualKNN", collection, {"query_record": {"_id": "1"}}),
        service.call("insert", collection, {"records": [{"_id": "2", "_base64": image}]}),
    ):
        assert answer.status_code == 404
        assert answer.json()["detail"] == "Collection not found."


def test_one_process_deletes_what_another_knows(admin: Service, image: str) -> None:
    collection = admin.collection(name="short-lived")
    for _ in range(4):  # both processes know it
        assert admin.ids(collection) == []
    assert admin.http.delete(PATH + collection).status_code == 204
    for _ in range(8):
        answer = admin.call("insert", collection, {"records": [{"_id": "1", "_base64": image}]})
        assert answer.status_code == 404
        assert answer.json()["detail"] == "Collection not found."


def test_a_changed_capacity_reaches_every_process(admin: Service, image: str) -> None:
    collection = admin.collection(capacity=0)
    assert admin.http.patch(PATH + collection, json={"capacity": 50}).status_code == 200
    inserted: list[int] = []

    def enough() -> bool:
        answer = admin.answer("insert", collection, {"records": [{"_base64": image}]})
        inserted.append(answer["answer_count"])
        return sum(inserted) == 8

    wait_until(enough, "every process knows the capacity")  # documented: a few seconds


def test_changes_by_several_processes_do_not_undo_each_other(admin: Service, image: str) -> None:
    """Each request on a connection of its own, so that both processes get some."""

    def ask(verb: str, path: str, body: Any = None, **headers: str) -> Any:
        with httpx.Client(base_url=admin.url, headers=admin.http.headers) as http:
            answer = http.request(verb, path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    for round_ in range(5):
        collection = admin.collection(fields_to_index=["n"])
        path = PATH + collection
        ask("PATCH", path, {"name": f"name {round_}"})
        ask("PATCH", path, {"capacity": 10})
        ask("PATCH", path, {"product_id_field": "sku"})
        body = {"records": [{"_id": "1", "_base64": image, "n": 1, "sku": "x"}]}
        ask("POST", "/similarity/products/v2/insert", body, **{"collection-id": collection})
        view = ask("GET", path)
        assert view["name"] == f"name {round_}"
        assert view["capacity"] == 10
        assert view["fields_to_index"] == [
            {"field": "n", "type": "number"},
            {"field": "sku", "type": "keyword"},
        ]


def test_lists_by_name(service: Service) -> None:
    name = f"name {uuid.uuid4()}"
    made = service.collection(name=name)
    for asked in (name, f" {name} "):
        page = service.http.get(PATH, params={"name": asked}).json()
        assert page["count"] == 1
        assert [view["id"] for view in page["results"]] == [made]


def test_a_name_is_given_once(service: Service) -> None:
    name = f"naïve {uuid.uuid4()}"
    first, other = service.collection(name=name), service.collection()
    for taken in (name, f"  {name}", unicodedata.normalize("NFD", name)):
        for answer in (
            service.http.post(PATH, json={"name": taken}),
            service.change(other, name=taken),
        ):
            assert answer.status_code == 409
            assert answer.json()["detail"] == "A collection of this name exists, or is being made."
    assert service.view(other)["name"] != name
    assert service.change(first, name=name, capacity=3).status_code == 200, "it is its own"
    other_case = service.collection(name=name.upper())
    # Once it is given up it can be had again.
    assert service.change(first, name=f"former {name}").status_code == 200
    assert service.change(other, name=name).status_code == 200
    assert service.http.delete(PATH + other).status_code == 204
    again = service.collection(name=name)
    assert len({first, other, other_case, again}) == 4


def test_of_many_who_make_a_collection_of_a_name_one_does(admin: Service) -> None:
    """Two API processes, and a connection for each request."""

    def make(_: int) -> int:
        with httpx.Client(base_url=admin.url, headers=admin.http.headers, timeout=60) as http:
            return http.post(PATH, json={"name": name}).status_code

    for _ in range(3):
        name = f"raced {uuid.uuid4()}"
        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(make, range(8))) == [201] + [409] * 7
        assert admin.http.get(PATH, params={"name": name}).json()["count"] == 1


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "name"),
        ({"name": ""}, "$.name"),
        ({"name": " \t"}, "$.name"),
        ({"name": "7c1e0000-0000-4000-8000-000000000000"}, "$.name"),
        ({"name": 7}, "$.name"),
        ({"name": "x" * 201}, "$.name"),
        ({"name": "x", "type": "unknown"}, "$.type"),
        ({"name": "x", "fields_to_index": "a"}, "$.fields_to_index"),
        ({"name": "x", "fields_to_index": [""]}, "$.fields_to_index[0]"),
        ({"name": "x", "fields_to_index": ["a", 'b"c']}, "$.fields_to_index[1]"),
        ({"name": "x", "fields_to_index": [{"field": "a", "type": "integer"}]}, "type"),
        ({"name": "x", "fields_to_index": ["_lookalike.shadow"]}, "$.fields_to_index[0]"),
        ({"name": "x", "product_id_field": ""}, "$.product_id_field"),
        ({"name": "x", "embedder": "no such"}, "$.embedder"),
        ({"name": "x", "capacity": -1}, "$.capacity"),
        ({"name": "x", "unknown": 1}, "unknown"),
    ],
)
def test_wrong_settings(body: dict[str, Any], place: str, service: Service) -> None:
    before = service.http.get(PATH).json()["count"]
    answer = service.http.post(PATH, json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 400
    assert place in problem["detail"]
    assert service.http.get(PATH).json()["count"] == before
