"""Records inserted, changed and deleted: codes, order, and what is kept."""

from __future__ import annotations

from typing import Any

from tests.contract.answers import codes, ids, search
from tests.contract.images import base64_of
from tests.service import Service


def test_codes_of_insert(service: Service, collection: str, image: str) -> None:
    def insert(*records: dict[str, Any]) -> tuple[Any, ...]:
        return codes(service.answer("insert", collection, {"records": records}))

    def good(id_: str) -> dict[str, Any]:
        return {"_id": id_, "_base64": image}

    bad = {"_id": "bad", "_base64": base64_of(b"no picture")}
    assert insert() == (210, [], [])
    assert insert(good("a"), good("b")) == (210, ["a", "b"], [])
    assert insert(good("a"), good("c")) == (211, ["c"], [211])
    assert insert(good("d"), good("d")) == (211, ["d"], [211])
    assert insert(good("a"), good("b")) == (411, [], [211, 211])
    assert insert(good("e"), bad) == (211, ["e"], [422])
    assert insert(bad) == (400, [], [422])
    assert insert(good("a"), bad) == (400, [], [211, 422])
    assert sorted(service.ids(collection)) == ["a", "b", "c", "d", "e"]


def test_a_refused_record_comes_back_without_its_image(
    service: Service, collection: str, image: str
) -> None:
    record = {"_id": "1", "_url": "http://x.invalid/1.jpg", "_base64": image, "price": [1, None]}
    service.load(collection, [record])
    answer = service.answer("insert", collection, {"records": [record]})
    assert answer["status"] == {"code": 411, "text": "record duplicate"}
    del record["_base64"]
    assert answer["skipped_records"] == [
        record | {"_reason": {"status": {"code": 211, "text": "record duplicate"}}}
    ]


def test_codes_of_update_get_and_delete(service: Service, collection: str, image: str) -> None:
    service.load(collection, [{"_id": id_, "_base64": image, "n": 0} for id_ in "abcd"])

    def call(method: str, *names: str) -> tuple[Any, ...]:
        records = [{"_id": name, "seen": True} for name in names]
        answer = service.answer(method, collection, {"records": records})
        assert "skipped_records" not in answer
        return answer["status"]["code"], answer["status"]["text"], ids(answer)

    some, none = "some of the records not found", "records not found"
    assert call("get", "c", "a") == (205, "records found", ["c", "a"])
    assert call("get", "x", "a") == (206, some, ["a"])
    assert call("get", "x") == (404, none, [])
    assert call("get", "a", "a") == (205, "records found", ["a"])
    assert call("update", "b", "a") == (200, "OK", ["b", "a"])
    assert call("update", "b", "x") == (206, some, ["b"])
    assert call("update", "x") == (404, none, [])
    assert call("delete", "d", "a") == (220, "records deleted", ["d", "a"])
    assert call("delete", "a", "b") == (206, some, ["b"])
    assert call("delete", "a") == (404, none, [])
    assert service.ids(collection) == ["c"]


def test_a_record_without_a_usable_id_does_not_sink_its_batch(
    service: Service, collection: str, image: str
) -> None:
    """Nine good ones are done whatever the tenth is; the one that is none says why."""
    good = [str(number) for number in range(9)]
    unusable: list[Any] = [{}, {"_id": 1.5, "_base64": image}, {"_id": ""}, {"_id": "x" * 1025}]
    service.load(collection, [{"_id": id_, "_base64": image} for id_ in good])
    for method, all_found in (("get", 205), ("update", 200), ("delete", 220)):
        for bad in unusable:
            records = [{"_id": id_} for id_ in good]
            records.insert(4, bad)
            answer = service.answer(method, collection, {"records": records})
            assert codes(answer) == (206, good, [400]), method
            (skipped,) = answer["skipped_records"]
            assert "_base64" not in skipped
            assert skipped.get("_id") == bad.get("_id")
            if method == "delete":
                service.load(collection, [{"_id": id_, "_base64": image} for id_ in good])
        body = {"records": [{"_id": "unknown"}, {"_id": True}]}
        assert codes(service.answer(method, collection, body)) == (404, [], [400])
        assert codes(service.answer(method, collection, {"records": []})) == (all_found, [], [])


def test_update_merges_and_keeps_the_vector(
    service: Service, collection: str, thumbnails: dict[str, bytes]
) -> None:
    stored: dict[str, Any] = {"_id": "a", "price": 1, "tags": ["x"], "deep": {"b": 1, "c": 2}}
    service.load(collection, [stored | {"_base64": base64_of(thumbnails["1"])}])
    change: dict[str, Any] = {
        "_id": "a",
        "price": None,
        "deep": {"b": 3},
        "new": [],
    }
    body: dict[str, Any] = {"records": [change | {"_url": None, "_base64": ""}]}
    answer = service.answer("update", collection, body)
    assert answer["answer_records"] == [stored | change | {"_url": None}]
    answer = search(service, collection, {"_base64": base64_of(thumbnails["1"])})
    assert answer["answer_distances"][0] < 1e-4
    body = {"records": [{"_id": "a", "n": 1}, {"_id": "a", "n": 2}], "fields_to_return": ["n"]}
    assert service.answer("update", collection, body)["answer_records"] == [{"_id": "a", "n": 2}]


def test_delete_and_insert_again(
    service: Service, collection: str, thumbnails: dict[str, bytes]
) -> None:
    for id_ in ("1", "26"):
        record = {"_id": "same", "_base64": base64_of(thumbnails[id_]), "from": id_}
        assert service.answer("insert", collection, {"records": [record]})["status"]["code"] == 210
        answer = search(
            service, collection, {"_base64": record["_base64"]}, fields_to_return=["from"]
        )
        assert answer["answer_records"] == [{"_id": "same", "from": id_}]
        assert answer["answer_distances"][0] < 1e-4
        service.answer("delete", collection, {"records": [{"_id": "same"}]})
        assert search(service, collection, {"_base64": record["_base64"]})["answer_records"] == []


def test_delete_answers_the_fields_asked_for(service: Service, collection: str, image: str) -> None:
    service.load(collection, [{"_id": "a", "_base64": image, "n": 1}])
    body = {"records": [{"_id": "a", "_base64": image}], "fields_to_return": ["*"]}
    assert service.answer("delete", collection, body)["answer_records"] == [{"_id": "a", "n": 1}]


def test_delete_by_filter(service: Service, collection: str, image: str) -> None:
    service.load(collection, [{"_id": str(n), "_base64": image, "n": n % 3} for n in range(9)])
    answer = service.answer("deleteByFilter", collection, {"filter": {"n": {"$in": [0, 1]}}})
    assert answer["status"] == {"code": 220, "text": "records deleted"}
    assert answer["answer_count"] == 6
    assert sorted(service.ids(collection)) == ["2", "5", "8"]
    answer = service.answer("deleteByFilter", collection, {"filter": {"n": 0}})
    assert answer["status"] == {"code": 404, "text": "records not found"}
    nothing: list[dict[str, Any]] = [{}, {"filter": {}}, {"filter": None}]
    for body in nothing:
        refused = service.call("deleteByFilter", collection, body)
        assert refused.status_code == 400
    assert sorted(service.ids(collection)) == ["2", "5", "8"]
