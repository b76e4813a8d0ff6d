"""Products instead of images, other groups, and diverse answers."""

from __future__ import annotations

from typing import Any

from tests.contract.answers import ids
from tests.contract.palette import KINDS, filled, nearest_to
from tests.service import Service


def test_products_instead_of_images(service: Service) -> None:
    collection = filled(service, product_id_field="kind")
    body: dict[str, Any] = {"query_record": {"_id": "rose"}, "fields_to_return": ["_product_count"]}
    answer = service.answer("visualKNN", collection, body)
    firsts, seen = [], set()
    for name in nearest_to("rose"):
        kind = KINDS.get(name, name)
        if kind not in seen:
            seen.add(kind)
            firsts.append(name)
    assert ids(answer) == firsts
    counts = {r["_id"]: r["_product_count"] for r in answer["answer_records"]}
    assert counts[firsts[0]] == 2
    assert counts["blue"] == counts["navy"] == 1
    flat = service.answer("visualKNN", collection, body | {"group_by": ""})
    assert ids(flat) == nearest_to("rose")
    pairs = service.answer("visualKNN", collection, body | {"group_size": 2, "k": 1})
    assert ids(pairs) == ["rose", "red"]
    second = service.answer("visualKNN", collection, body | {"k": 1, "from": 1})
    assert ids(second) == firsts[1:2]
    duplicates = service.answer("nearDuplicates", collection, {"query_record": {"_id": "blue"}})
    assert ids(duplicates)[0] == "blue"
    by_tags = service.answer("visualTagsKNN", collection, body)
    assert len({KINDS.get(name, name) for name in ids(by_tags)}) == len(ids(by_tags)) == 5


def test_other_groups_on_request(service: Service, paints: str) -> None:
    body = {"query_record": {"_id": "red"}, "group_by": "kind", "k": 2}
    assert ids(service.answer("visualKNN", paints, body)) == ["red", "orange"]


def test_diverse(service: Service, paints: str) -> None:
    body: dict[str, Any] = {"query_record": {"_id": "blue"}, "k": 3}
    assert ids(service.answer("visualKNN", paints, body)) == ["blue", "navy", "teal"]
    diverse = ids(service.answer("visualKNN", paints, body | {"diversity": 0.9}))
    assert diverse[0] == "blue"
    assert "navy" not in diverse
