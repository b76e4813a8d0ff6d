"""What the tests read in an answer."""

from __future__ import annotations

from typing import Any

from tests.service import Answer, Service


def search(service: Service, collection: str, query: object, **fields: Any) -> Answer:
    """The counts and the order of distances are checked of every answer; see `check_answer`."""
    answer = service.answer("visualKNN", collection, {"query_record": query, **fields})
    assert answer["status"] == {"code": 200, "text": "OK"}
    assert len(answer["answer_distances"]) == answer["answer_count"]
    return answer


def ids(answer: Answer) -> list[str]:
    return [record["_id"] for record in answer["answer_records"]]


def codes(answer: Answer) -> tuple[int, list[str], list[int]]:
    """The code of the whole, the ids that were taken, and the codes of the others."""
    skipped = [record["_reason"]["status"]["code"] for record in answer.get("skipped_records", [])]
    return answer["status"]["code"], ids(answer), skipped
