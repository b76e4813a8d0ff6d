"""What a refusal says is what is wrong, and where."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service import Service

pytestmark = pytest.mark.usefixtures("healthy_afterwards")

PATH = "/similarity/v2/collection/"
TOO_LARGE = [2**63, 2**70, -(2**70), 10**400]


@pytest.mark.parametrize("number", TOO_LARGE, ids=["2**63", "2**70", "-2**70", "10**400"])
def test_a_capacity_that_no_engine_keeps_is_refused_at_its_place(
    number: int, service: Service, collection: str
) -> None:
    made = service.http.post(PATH, json={"name": "x", "capacity": number})
    changed = service.change(collection, capacity=number)
    for answer in (made, changed):
        assert answer.status_code == 400
        assert answer.json()["place"] == "$.capacity"


@pytest.mark.parametrize("number", TOO_LARGE, ids=["2**63", "2**70", "-2**70", "10**400"])
def test_no_number_of_a_request_is_too_large_for_an_answer(
    number: int, service: Service, paints: str
) -> None:
    query: dict[str, Any] = {"query_record": {"_id": "red"}}
    two = {"query_records": [{"_id": "red"}, {"_id": "blue"}]}
    requests: list[tuple[str, dict[str, Any]]] = [
        *(
            ("visualKNN", query | {name: number})
            for name in ("k", "from", "radius", "diversity", "group_size")
        ),
        ("visualTagsKNN", query | {"tag_weight": number}),
        ("visualRange", query | {"radius": 1, "k": number}),
        ("visualRankRecords", query | {"records": [{"_id": "red"}], "k": number}),
        ("visualKNN", two | {"weights": [number, 1]}),
        ("visualKNN", {"query_record": {"_id": "red", "_crop": [0, 0, number, number]}}),
        ("visualKNN", query | {"filter": {"n": {"$gt": number}}}),
        ("random", {"count": number}),
        ("random", {"seed": number}),
        ("facets", {"field": "n", "limit": number}),
        ("nearDupsInsert", {"records": [], "radius": number}),
        (f"allRecords?size={number}", {}),
        (f"allRecords?size=2&page={number}", {}),
        ("get", {"records": [{"_id": number}]}),
    ]
    for method, body in requests:
        assert service.call(method, paints, body).status_code in (200, 400), (method, body)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("type", "fixed when a collection is made"),
        ("distance", "fixed when a collection is made"),
        ("embedder", "lookalike migrate up"),
        ("records_count", "counted"),
    ],
)
def test_a_setting_that_cannot_change_says_so(
    setting: str, said: str, service: Service, collection: str
) -> None:
    before = service.view(collection)
    answer = service.change(collection, **{"name": "other", setting: before[setting]})
    assert answer.status_code == 400
    assert answer.json()["place"] == f"$.{setting}"
    assert said in answer.json()["detail"]
    assert service.view(collection) == before


def test_an_update_without_an_id_is_a_400_as_an_insert_is(service: Service, paints: str) -> None:
    for records in ([{"n": 1}], [{"_id": None, "n": 1}, {"_id": True}]):
        answer = service.answer("update", paints, {"records": records})
        assert answer["status"]["code"] == 400
        assert [r["_reason"]["status"]["code"] for r in answer["skipped_records"]] == [400] * len(
            records
        )
    mixed = service.answer("update", paints, {"records": [{"n": 1}, {"_id": "no such"}]})
    assert mixed["status"]["code"] == 404
    assert service.answer("update", paints, {"records": []})["status"]["code"] == 200


@pytest.mark.parametrize(
    ("filter_", "place", "said"),
    [
        ({"d": {"$date": "2024-01-01"}}, "$.filter.d.$date", "$date is MongoDB's extended JSON"),
        ({"d": {"$gt": {"$date": 1}}}, "$.filter.d.$gt", "$date is MongoDB's extended JSON"),
        ({"_id": {"$oid": "5f"}}, "$.filter._id.$oid", "write the text itself"),
        ({"n": {"$in": [1, {"$numberLong": "2"}]}}, "$.filter.n.$in", "write a plain number"),
        ({"n": {"$in": ["a", {"$regex": "^b"}]}}, "$.filter.n.$in", "$regex among values"),
        ({"n": {"$nin": [{"$regularExpression": {}}]}}, "$.filter.n.$nin", "$or instead"),
        ({"n": {"x": {"$gt": 1}}}, "$.filter.n", "write the path with dots"),
    ],
)
def test_a_filter_names_what_it_does_not_read(
    filter_: Any, place: str, said: str, service: Service, paints: str
) -> None:
    body = {"query_record": {"_id": "red"}, "filter": filter_}
    answer = service.call("visualKNN", paints, body)
    assert answer.status_code == 400
    assert answer.json()["status"]["place"] == place
    assert said in answer.json()["detail"]
