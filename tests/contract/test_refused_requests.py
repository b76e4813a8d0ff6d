"""Requests that are refused before anything is done: each row is a request and its fault's place.

A refusal names the place and never repeats a value. It changes nothing.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.images import image_of
from tests.contract.palette import COLOURS
from tests.service import Service

pytestmark = pytest.mark.usefixtures("healthy_afterwards")

QUERY = {"query_record": {"_id": "red"}}
TOO_MANY = [{"_id": "red"}] * 101

MALFORMED = [
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"{'query_record': {}}",
    b'{"query_record": {"_id": NaN}}',
    b'{"query_record": {"_id": "\xff"}}',
    b'{"query_record": {"_id": "\\ud800"}}',
    b'\xef\xbb\xbf{"query_record": {"_id": "1"}}',
    b'{"query_record": {"_id": "1"}} trailing',
    b'{"query_record": ' + b"[" * 100_000,
    b'{"query_record": {"_id": "1", "x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}}",
    b'{"query_record": {"n": 1' + b"0" * 5000 + b"}}",
    b'{"query_record": {"n": 1e999}}',
    b"\x00",
    b"--boundary\r\nContent-Disposition: form-data\r\n\r\n1",
]

Refused = tuple[str, object, str]
"""A method, a body, and the place of the fault; a name without `$` is one in the text."""

QUERIES: list[Refused] = [
    ("visualKNN", None, "query_record"),
    ("visualKNN", {}, "$"),
    ("visualKNN", {}, "query_record"),
    ("visualKNN", {"query_record": None}, "query_record"),
    ("visualKNN", {"query_record": "1"}, "$.query_record"),
    ("visualKNN", {"query_record": ["1"]}, "$.query_record"),
    ("visualKNN", {"query_record": {}}, "$.query_record"),
    ("visualKNN", {"query_record": {"_id": True}}, "$.query_record._id"),
    ("visualKNN", {"query_record": {"_id": 1.5}}, "$.query_record._id"),
    ("visualKNN", {"query_record": {"_id": []}}, "$.query_record._id"),
    ("visualKNN", {"query_record": {"_id": ["1"]}}, "$.query_record._id"),
    ("visualKNN", {"query_record": {"_id": {}}}, "$.query_record._id"),
    ("visualKNN", {"query_record": {"_id": ""}}, "$.query_record._id"),
    ("visualKNN", {"query_record": {"_id": "x" * 5000}}, "$.query_record._id"),
    ("visualKNN", {"query_record": {"_url": 7}}, "$.query_record"),
    ("visualKNN", {"query_record": {"_base64": {"x": 1}}}, "$.query_record"),
    ("visualKNN", {"query_record": {"_base64": "no picture"}}, "$.query_record"),
    ("visualKNN", {"query_record": {"_text_data": " "}}, "$.query_record._text_data"),
    ("visualKNN", {"query_records": [{"_id": "red"}], "weights": [1, 2]}, "$.weights"),
    ("visualKNN", {"query_records": [{"_id": "red"}], "weights": [0]}, "$.weights[0]"),
    ("visualKNN", {"query_records": [{"_id": "red"}, {}]}, "$.query_records[1]"),
    ("visualKNN", {"query_records": TOO_MANY}, "$.query_records"),
    ("visualKNN", {"negative": [{"_id": "red"}]}, "$.positive"),
    ("visualKNN", QUERY | {"query_records": [{"_id": "blue"}]}, "$.query_record"),
    ("visualKNN", QUERY | {"positive": [{"_id": "blue"}]}, "$.query_record"),
    ("visualKNN", {"query_records": [{"_id": "red"}], "positive": [{"_id": "blue"}]}, "$.positive"),
    ("visualRange", QUERY | {"radius": 1, "query_records": [{"_id": "blue"}]}, "$.query_record"),
    ("nearDuplicates", QUERY | {"query_records": [{"_id": "blue"}]}, "$.query_record"),
    ("nearDuplicates", QUERY | {"group_size": 2}, "$.group_by"),
    ("visualKNN", QUERY | {"weights": [1]}, "$.weights"),
    ("visualKNN", {"positive": [{"_id": "red"}], "weights": [1]}, "$.weights"),
    (
        "text",
        {"query_record": {"_text_data": "red"}, "query_records": [{"_id": "blue"}]},
        "$.query_record",
    ),
    ("visualRankRecords", {"query_record": {}, "records": []}, "$.query_record"),
    (
        "visualTagsKNN",
        {"query_record": {"_id": "red", "tags": [{"a": 1}]}},
        "$.query_record.tags[0]",
    ),
    ("visualTagsKNN", {"query_record": {"_id": "red", "_tags": True}}, "$.query_record._tags"),
    (
        "visualTagsKNN",
        {"query_records": [{"_id": "red"}, {"_id": "blue", "tags": {"a": 2}}]},
        "$.query_records[1].tags.a",
    ),
    (
        "visualTagsKNN",
        {"positive": [{"_id": "red"}], "negative": [{"_id": "blue", "tags": ["a"]}]},
        "$.negative[0]",
    ),
    ("text", {}, "$.query_record._text_data"),
    ("text", QUERY, "$.query_record._text_data"),
]

BOUNDS: list[Refused] = [
    ("visualKNN", QUERY | {"k": "five"}, "$.k"),
    ("visualKNN", QUERY | {"k": "1.5"}, "$.k"),
    ("visualKNN", QUERY | {"k": -1}, "$.k"),
    ("visualKNN", QUERY | {"k": 1.5}, "$.k"),
    ("visualKNN", QUERY | {"k": True}, "$.k"),
    ("visualKNN", QUERY | {"from": -1}, "$.from"),
    ("visualKNN", QUERY | {"from": ""}, "$.from"),
    ("visualKNN", QUERY | {"from": 50_001}, "$.from"),
    ("visualKNN", QUERY | {"radius": -0.1}, "$.radius"),
    ("visualKNN", QUERY | {"radius": "0.1"}, "$.radius"),
    ("visualKNN", QUERY | {"radius": 2.1}, "$.radius"),
    ("visualRange", QUERY | {"radius": 5}, "$.radius"),
    ("nearDuplicates", QUERY | {"radius": 5}, "$.radius"),
    ("visualRankRecords", QUERY | {"records": [], "radius": 5}, "$.radius"),
    ("nearDupsInsert", {"records": [], "radius": 5.0}, "$.radius"),
    ("visualKNN", QUERY | {"diversity": 1.1}, "$.diversity"),
    ("visualKNN", QUERY | {"diversity": 0.5, "group_by": "kind"}, "$.diversity"),
    ("visualKNN", QUERY | {"group_size": 2}, "$.group_by"),
    ("visualKNN", QUERY | {"group_size": 0, "group_by": "kind"}, "$.group_size"),
    ("visualRange", QUERY, "$.radius"),
    ("visualTagsKNN", QUERY | {"tag_weight": 1.5}, "$.tag_weight"),
    ("visualTagsKNN", QUERY | {"tag_weight": 2}, "$.tag_weight"),
    ("random", {"count": -1}, "$.count"),
    ("random", {"count": "many"}, "$.count"),
    ("random", {"seed": -1}, "$.seed"),
    ("facets", {"field": "hex", "limit": 0}, "$.limit"),
    ("allRecords?size=x", {}, "size"),
    ("allRecords?size=-1", {}, "size"),
    ("allRecords?size=2.5", {}, "size"),
    ("allRecords?size=2&page=0", {}, "page"),
    ("allRecords?size=2&page=x", {}, "page"),
    ("allRecords?size=2&page=2&after=x", {}, "after"),
    ("allRecords?size=2&page=2&after=", {}, "after"),
    (f"allRecords?size=2&after={'A' * 1000}", {}, "after"),
    ("allRecords?after=kcQQAAAAAAAAAAAAAAAAAAAAAMDA", {}, "size"),
]

FIELDS_AND_FILTERS: list[Refused] = [
    ("visualKNN", QUERY | {"fields_to_return": "_id"}, "$.fields_to_return"),
    ("visualKNN", QUERY | {"fields_to_return": [1]}, "$.fields_to_return[0]"),
    ("allRecords", {"fields_to_return": {"a": 1}}, "$.fields_to_return"),
    ("facets", {}, "$"),
    ("facets", {"field": ""}, "$.field"),
    ("visualKNN", QUERY | {"filter": [{}]}, "$.filter"),
    ("visualKNN", QUERY | {"filter": {"_id": {"$gt": 5}}}, "$.filter._id.$gt"),
    ("visualRankRecords", QUERY | {"records": [], "filter": {"a": {"$x": 1}}}, "$.filter.a.$x"),
    ("visualKNN", QUERY | {"filter": "x"}, "$.filter"),
    ("visualKNN", QUERY | {"filter": {"$where": "1"}}, "$.filter.$where"),
    ("visualKNN", QUERY | {"filter": {"a": {"$near": 1}}}, "$.filter.a.$near"),
    ("visualKNN", QUERY | {"filter": {"a": {"$foo": 1}}}, "$.filter.a.$foo"),
    ("visualKNN", QUERY | {"filter": {"a": {"$in": 1}}}, "$.filter.a.$in"),
    ("deleteByFilter", None, "filter"),
    ("deleteByFilter", {"filter": []}, "$.filter"),
    ("deleteByFilter", {"filter": {"$or": []}}, "$.filter.$or"),
    ("deleteByFilter", {"filter": {"a": {"$where": 1}}}, "$.filter.a.$where"),
    ("random", {"filter": [1]}, "$.filter"),
    ("allRecords", {"filter": {"$x": 1}}, "$.filter.$x"),
]

RECORDS: list[Refused] = [
    ("insert", None, "records"),
    ("insert", {}, "records"),
    ("insert", {"records": {}}, "$.records"),
    ("insert", {"records": ["1"]}, "$.records[0]"),
    ("insert", {"records": [{}, None]}, "$.records[1]"),
    ("insert", {"records": None}, "$.records"),
    ("update", {"records": [[1]]}, "$.records[0]"),
    ("get", None, "records"),
    ("get", {"records": [{}, {"_id": ""}]}, "$.records[0]._id"),
    ("get", {"records": [{"_id": None}]}, "$.records[0]._id"),
    ("delete", {"records": [{"_id": 1.5}, {"_id": []}]}, "$.records[0]._id"),
    ("delete", {"records": [{"_id": {"$ne": 1}}]}, "$.records[0]._id"),
    ("visualRankRecords", {"records": []}, "$"),
    ("visualRankRecords", QUERY, "$"),
    ("visualRankRecords", QUERY | {"records": TOO_MANY}, "$.records"),
    ("nearDupsInsert", {}, "$"),
    ("descriptor", {}, "$"),
    ("descriptor", {"records": TOO_MANY}, "$.records"),
]

REPEATING: list[dict[str, Any]] = [
    {"k": "secret"},
    {"filter": {"a": {"$in": "secret"}}},
    {"from": ["secret"]},
]


@pytest.mark.parametrize("body", MALFORMED)
@pytest.mark.parametrize("method", ["visualKNN", "insert", "allRecords", "update"])
def test_malformed_json(body: bytes, method: str, service: Service, paints: str) -> None:
    if method == "allRecords" and b"query_record" in body:
        body = body.replace(b"query_record", b"filter")
    answer = service.send(method, paints, body)
    assert answer.status_code == 400
    assert answer.json()["status"]["place"].startswith("$")


@pytest.mark.parametrize(
    ("method", "body", "place"),
    [*QUERIES, *BOUNDS, *FIELDS_AND_FILTERS, *RECORDS],
    ids=lambda part: str(part)[:60],
)
def test_a_fault_is_named_with_its_place(
    method: str, body: object, place: str, service: Service, paints: str
) -> None:
    answer = service.call(method, paints, body)
    assert answer.status_code == 400, answer.text
    content = answer.json()
    assert content["status"]["code"] == 400
    assert place in content["detail"]
    if place.startswith("$"):
        assert content["status"]["place"] == place
    assert sorted(service.ids(paints)) == sorted(COLOURS)


@pytest.mark.parametrize("fault", REPEATING, ids=str)
def test_values_are_not_repeated(fault: dict[str, Any], service: Service, paints: str) -> None:
    body = {"query_record": {"_id": "secret"}, **fault}
    answer = service.call("visualKNN", paints, body)
    assert answer.status_code == 400
    assert "secret" not in answer.text


@pytest.mark.parametrize("method", ["text", "visualKNN"])
def test_without_a_text_tower_the_answer_says_so(method: str, service: Service, shop: str) -> None:
    answer = service.call(method, shop, {"query_record": {"_text_data": "a red shoe"}})
    assert answer.status_code == 400
    assert "text tower" in answer.json()["detail"]
    assert answer.json()["status"]["place"] == "$.query_record._text_data"


def test_weights_need_cosine(service: Service) -> None:
    collection = service.collection(type="matching")
    body = {"query_records": [{"_base64": image_of(1)}], "weights": [1]}
    answer = service.call("visualKNN", collection, body)
    assert answer.json()["status"]["place"] == "$.weights"
