"""Which values are ids, and what becomes of them."""

from __future__ import annotations

import uuid

import pytest

from tests.contract.answers import ids, search
from tests.service import Service

pytestmark = pytest.mark.usefixtures("healthy_afterwards")


def test_ids_are_strings_and_integers_are_accepted(
    service: Service, collection: str, image: str
) -> None:
    sent = [7, "x y/ž", -3, 2**70, "7.0"]
    records = [{"_id": id_, "_base64": image} for id_ in sent]
    answer = service.answer("insert", collection, {"records": records})
    assert ids(answer) == [str(id_) for id_ in sent]
    assert service.answer("insert", collection, {"records": [{"_id": "7", "_base64": image}]})[
        "skipped_records"
    ][0]["_reason"]["status"] == {"code": 211, "text": "record duplicate"}
    assert ids(search(service, collection, {"_id": 7}, k=1)) == ["7"]
    assert ids(service.answer("get", collection, {"records": [{"_id": 7}]})) == ["7"]
    answer = service.answer("update", collection, {"records": [{"_id": 7, "x": 1}]})
    assert answer["answer_records"] == [{"_id": "7", "x": 1}]
    assert ids(service.answer("delete", collection, {"records": [{"_id": -3}]})) == ["-3"]


def test_a_record_without_id_gets_a_uuid(service: Service, collection: str, image: str) -> None:
    records = [{"_base64": image}, {"_id": None, "_base64": image}]
    inserted = ids(service.answer("insert", collection, {"records": records}))
    assert [str(uuid.UUID(id_)) for id_ in inserted] == inserted
    assert sorted(service.ids(collection)) == sorted(inserted)


@pytest.mark.parametrize("id_", ["", True, 1.5, ["a"], {"a": 1}, "x" * 1025])
def test_an_id_that_is_none(id_: object, service: Service, collection: str, image: str) -> None:
    records = [{"_id": id_, "_base64": image}, {"_id": "good", "_base64": image}]
    answer = service.answer("insert", collection, {"records": records})
    assert answer["status"]["code"] == 211
    assert answer["skipped_records"][0]["_reason"]["status"]["code"] == 400
    answer = service.answer("update", collection, {"records": [{"_id": id_, "x": 1}]})
    assert answer["status"]["code"] == 400
    assert answer["skipped_records"][0]["_reason"]["status"]["code"] == 400
    assert service.ids(collection) == ["good"]


@pytest.mark.parametrize("id_", ["\x00", '"', "../x", "a b", "🦊", "x" * 1024, "ß", "ss", " x "])
def test_any_other_text_is_an_id(id_: str, service: Service, collection: str, image: str) -> None:
    service.load(collection, [{"_id": id_, "_base64": image}])
    assert service.ids(collection) == [id_]
    answer = service.answer("visualKNN", collection, {"query_record": {"_id": id_}})
    assert answer["answer_records"] == [{"_id": id_}]
    assert service.answer("delete", collection, {"records": [{"_id": id_}]})["answer_count"] == 1
