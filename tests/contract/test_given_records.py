"""Records of the request itself are ranked, described and counted; near duplicates are told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.answers import ids
from tests.contract.palette import COLOURS, distance, nearest_to, paint, png
from tests.service import Service


def test_stored_and_other_records_are_ranked_together(service: Service, paints: str) -> None:
    body: dict[str, Any] = {
        "query_record": {"_id": "red"},
        "records": [
            {"_id": "blue", "note": "mine"},
            {"_base64": png(COLOURS["orange"]), "name": "a picture"},
            {"_id": "rose", "hex": "given"},
            {"_id": "nobody"},
            {"_id": "broken", "_base64": "no picture"},
            {"_id": True},
        ],
        "fields_to_return": ["*"],
    }
    answer = service.answer("visualRankRecords", paints, body)
    assert answer["answer_records"] == [
        {"_index": 1, "name": "a picture"},
        {"_id": "rose", "hex": "given", "tags": ["warm", "soft"], "kind": "a"},
        {"_id": "blue", "hex": "BLUE", "note": "mine"},
    ]
    expected = [distance("red", name) for name in ("orange", "rose", "blue")]
    assert answer["answer_distances"] == pytest.approx(expected, abs=2e-6)
    reasons = [r["_reason"]["status"]["code"] for r in answer["skipped_records"]]
    assert reasons == [404, 422, 400]
    assert not any("_base64" in r for r in answer["skipped_records"])
    near = service.answer("visualRankRecords", paints, body | {"radius": expected[0] + 1e-5})
    assert near["answer_count"] == 1
    assert service.answer("visualRankRecords", paints, body | {"k": 2})["answer_count"] == 2
    default = service.answer(
        "visualRankRecords",
        paints,
        {"query_record": {"_id": "red"}, "records": [{"_id": "rose", "_file": "r.png", "x": 1}]},
    )
    assert default["answer_records"] == [{"_id": "rose", "_file": "r.png"}]
    bare = service.answer("visualRankRecords", paints, body | {"fields_to_return": []})
    assert bare["answer_records"] == [{"_index": 1}, {"_id": "rose"}, {"_id": "blue"}]
    for filter_, left in (
        ({"hex": "given"}, ["rose"]),
        ({"note": "mine", "hex": "BLUE"}, ["blue"]),
        ({"name": {"$exists": False}}, ["rose", "blue"]),
        ({}, [None, "rose", "blue"]),
    ):
        answer = service.answer("visualRankRecords", paints, body | {"filter": filter_})
        assert [record.get("_id") for record in answer["answer_records"]] == left
        assert len(answer["skipped_records"]) == 3


def test_near_duplicates(service: Service, paints: str) -> None:
    body: dict[str, Any] = {"query_record": {"_id": "blue"}, "cand_set_size": 5}
    assert ids(service.answer("nearDuplicates", paints, body)) == ["blue", "navy"]
    wide = service.answer("nearDuplicates", paints, body | {"radius": 0.4})
    assert ids(wide) == [name for name in nearest_to("blue") if distance("blue", name) <= 0.4]


def test_near_duplicates_are_not_inserted(service: Service) -> None:
    collection = service.collection(embedder="palette")
    records = [paint(name) for name in ("blue", "navy", "red", "rose")]
    body = {"records": records, "radius": 0.001, "cand_set_size": 1000}
    answer = service.answer("nearDupsInsert", collection, body)
    assert answer["status"]["code"] == 211
    assert ids(answer) == ["blue", "red", "rose"]
    (skipped,) = answer["skipped_records"]
    assert skipped["_id"] == "navy"
    reason = skipped["_reason"]
    assert reason["status"] == {"code": 211, "text": "near duplicate"}
    assert reason["near_duplicates"] == [{"_id": "blue"}]
    assert reason["distances"] == [pytest.approx(distance("blue", "navy"), abs=2e-6)]
    again = service.answer("nearDupsInsert", collection, {"records": [paint("navy")]})
    assert again["status"]["code"] == 411


def test_descriptors_in_the_order_of_the_request(service: Service, paints: str) -> None:
    records = [{"_id": "red"}, {"_id": "nobody"}, {"_base64": png(COLOURS["blue"]), "x": 1}]
    answer = service.answer("descriptor", paints, {"records": records})
    assert answer["status"] == {"code": 200, "text": "OK"}
    red, nobody, blue = answer["records"]
    assert red["_descriptor"] == pytest.approx([0.99999, 0.00398, 0.00398], abs=1e-4)
    assert nobody["_status"]["code"] == 404
    assert "_descriptor" not in nobody
    assert blue["x"] == 1
    assert "_base64" not in blue
    assert blue["_status"] == {"code": 200, "text": "OK"}


def test_facets(service: Service, paints: str) -> None:
    answer = service.answer("facets", paints, {"field": "tags"})
    assert answer["facets"] == [
        {"value": "warm", "count": 3},
        {"value": "bright", "count": 2},
        {"value": "soft", "count": 1},
    ]
    body = {"field": "tags", "filter": {"hex": {"$in": ["RED", "GREEN"]}}, "limit": 1}
    assert service.answer("facets", paints, body)["facets"] == [{"value": "bright", "count": 1}]
    assert service.answer("facets", paints, {"field": "hex", "limit": 3})["facets"] == [
        {"value": name, "count": 1} for name in ("BLUE", "GREEN", "NAVY")
    ]
    kinds = service.answer("facets", paints, {"field": "kind"})["facets"]
    assert {"value": 1, "count": 2} in kinds
