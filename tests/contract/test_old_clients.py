"""What clients of 2018 to 2021 send, by the shapes of their requests.

The shapes are those of the official Python clients 1.10.4 (`SmartSearchClient`) and 1.10.25
(`VisualSearchClient`), and of a PHP client of 2018.
"""

from __future__ import annotations

from typing import Any

import pytest

from lookalike.api.request_paths import UNSUPPORTED
from tests.contract.images import base64_of
from tests.service import Answer, Service

OLD = pytest.mark.parametrize("prefix", ["smart", "visual-search"])


def ask(service: Service, prefix: str, method: str, collection: str, body: object) -> Answer:
    response = service.call(method, collection, body, prefix)
    assert response.status_code == 200, response.text
    answer: Answer = response.json()
    return answer


@OLD
def test_the_life_of_a_record(
    prefix: str, service: Service, collection: str, thumbnails: dict[str, bytes]
) -> None:
    def call(method: str, body: object) -> Answer:
        return ask(service, prefix, method, collection, body)

    records = [
        {"_id": id_, "product_id": f"p{id_}", "_base64": base64_of(thumbnails[id_])}
        for id_ in ("1", "9", "26")
    ]
    inserted = call("product/insert", {"records": records, "custom_flow": "a-flow"})
    assert inserted["status"]["code"] == 210
    found = call("allIDs", {"something": "value"})
    assert {record["_id"] for record in found["answer_records"]} == {"1", "9", "26"}
    updated = call("update", {"records": [{"_id": "9", "price": 3}], "fields_to_return": ["*"]})
    assert updated["answer_records"] == [{"_id": "9", "product_id": "p9", "price": 3}]
    query = {"_base64": base64_of(thumbnails["9"]), "noresize": True}
    body = {"records": [query], "k": 5, "fields_to_return": ["product_id"], "custom_flow": "a-flow"}
    hits = call("product/search", body)
    assert hits["answer_records"][0] == {"_id": "9", "product_id": "p9"}
    assert hits["answer_distances"][0] == 0
    assert hits["answer_count"] == 3
    hits = call("product/search", body | {"filter": {"product_id": {"$in": ["p1", "p26"]}}, "k": 1})
    assert hits["answer_count"] == 1
    assert hits["answer_records"][0]["_id"] in ("1", "26")
    deleted = call("delete", {"records": [{"_id": "1"}, {"_id": "9"}, {"_id": "26"}]})
    assert deleted["status"]["code"] == 220


def test_a_product_search_is_a_visual_search(service: Service, shop: str) -> None:
    """With the same default of `k`, and the same outcome for what is not there."""
    old = ask(service, "smart", "product/search", shop, {"records": [{"_id": "1"}]})
    new = service.answer("visualKNN", shop, {"query_record": {"_id": "1"}})
    assert old["answer_records"] == new["answer_records"]
    assert old["answer_distances"] == new["answer_distances"]
    missing = ask(service, "smart", "product/search", shop, {"records": [{"_id": "none"}]})
    assert missing["status"] == {"code": 404, "text": "records not found"}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"records": []}, "$.records"),
        ({"records": [{"_id": "1"}, {"_id": "2"}]}, "$.records"),
        ({"query_record": {"_id": "1"}}, "$"),
        ({"records": [{"category": "paint"}]}, "$.records[0]"),
        ({"records": [{"_id": {}}]}, "$.records[0]._id"),
        ({"records": [{"_base64": 7}]}, "$.records[0]"),
        ({"records": [{"_id": "1"}], "filter": {"a": {"$no": 1}}}, "$.filter.a.$no"),
    ],
)
def test_a_product_search_that_is_refused(
    body: dict[str, Any], place: str, service: Service, shop: str
) -> None:
    answer = service.call("product/search", shop, body, "visual-search")
    assert answer.status_code == 400
    assert answer.json()["status"]["place"] == place


@pytest.mark.parametrize("prefix", ["smart", "visual-search", "similarity/fashion"])
@pytest.mark.parametrize("method", sorted(UNSUPPORTED))
def test_what_needs_detection_says_so(
    prefix: str, method: str, service: Service, shop: str, image: str
) -> None:
    """With the collection in a header, in the body, or nowhere; `top_categories` comes as GET."""
    bodies: list[dict[str, Any]] = [{"records": [{"_base64": image}]}, {"collection": "shop"}, {}]
    answers = [service.call(method, None, body, prefix) for body in bodies]
    answers.append(service.call(method, shop, {}, prefix))
    answers.append(service.http.get(f"/localhost/{prefix}/v2/{method}/"))
    for answer in answers:
        assert answer.status_code == 501
        assert answer.json()["status"]["code"] == 501
        assert answer.json()["detail"].startswith(f"{method} is not supported")
