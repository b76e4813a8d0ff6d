"""The header that names the collection."""

from __future__ import annotations

import itertools

import httpx

from tests.service import Service


def test_the_older_header_names_the_collection(service: Service, shop: str) -> None:
    answer = service.http.post("/similarity/products/v2/allRecords", headers={"collection": "shop"})
    assert answer.json()["answer_count"] == 45
    both = {"collection": "nothing", "collection-id": shop}
    answer = service.http.post("/similarity/products/v2/allRecords", headers=both)
    assert answer.json()["answer_count"] == 45


def test_a_collection_can_be_used_as_soon_as_it_is_made(admin: Service, image: str) -> None:
    """By every API process, by its id and by its name."""
    for round_ in range(10):
        name = f"new {round_}"
        collection = admin.collection(name=name)
        for record in range(2):
            with httpx.Client(base_url=admin.url, headers=admin.http.headers) as connection:
                answer = connection.post(
                    "/similarity/photos/v2/insert",
                    json={"records": [{"_id": str(record), "_base64": image}]},
                    headers={"collection-id": collection},
                )
                assert answer.json()["status"]["code"] == 210, answer.text
        with httpx.Client(base_url=admin.url, headers=admin.http.headers) as connection:
            answer = connection.post("/similarity/photos/v2/allIDs", headers={"collection": name})
            assert answer.json()["answer_count"] == 2, answer.text


def test_an_unknown_collection(service: Service, image: str) -> None:
    body = {"records": [{"_id": "1", "_base64": image}], "query_record": {"_id": "1"}}
    unknown = ["7c1e0000-0000-4000-8000-000000000000", "no such name", "../../etc", "x" * 5000]
    for method, collection in itertools.product(("insert", "visualKNN", "ping"), unknown):
        answer = service.call(method, collection, body)
        assert answer.status_code == 404
        assert answer.json() == {
            "detail": "Collection not found.",
            "status": {"code": 404, "text": "Collection not found."},
        }


def test_no_collection(service: Service) -> None:
    for headers in ({}, {"collection-id": ""}):
        answer = service.http.post("/similarity/photos/v2/allRecords", headers=headers)
        assert answer.status_code == 400
        assert "collection-id" in answer.json()["detail"]


def test_searches_without_a_collection_are_refused(service: Service) -> None:
    for method in ("visualKNN", "facets", "descriptor", "nearDupsInsert"):
        assert service.call(method, None, {}).status_code in (400, 404)
