"""Images and tags: the distance is the weighted sum of both."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lookalike.cli.demo_images import DemoImage
from tests.contract.answers import ids
from tests.contract.palette import COLOURS, TAGS, distance, filled, png
from tests.service import Service


def test_tags_count_by_their_weight(service: Service, shop: str, products: list[DemoImage]) -> None:
    """Weight 0 is the search without tags; weight 1 puts equal tags first; self is always first."""
    of = {product.id: product.tags for product in products}
    body = {"query_record": {"_id": "6"}, "k": 45}
    plain = service.answer("visualKNN", shop, body)
    assert ids(service.answer("visualTagsKNN", shop, body | {"tag_weight": 0})) == ids(plain)
    by_tags = service.answer("visualTagsKNN", shop, body | {"tag_weight": 1})
    assert ids(by_tags)[0] == "6"
    shared = [len(set(of[id_]) & set(of["6"])) for id_ in ids(by_tags)[1:6]]
    assert min(shared) >= 3
    assert set(ids(by_tags)) == set(of)
    default = service.answer("visualTagsKNN", shop, body)
    assert ids(default)[0] == "6"
    asked = {"query_record": {"_id": "6", "tags": of["26"]}, "k": 45, "tag_weight": 1}
    assert of[ids(service.answer("visualTagsKNN", shop, asked))[1]] == of["26"]


def tags_apart(one: list[str], other: list[str]) -> float:
    if not one or not other:
        return 1.0
    return 1 - len({*one} & {*other}) / math.sqrt(len(one) * len(other))


def test_images_and_tags(service: Service) -> None:
    collection = filled(service, tag_weight=0.6)
    kept = service.http.get(f"/similarity/v2/collection/{collection}").json()
    assert (kept["tag_weight"], kept["tag_idf"]) == (0.6, False)

    def check(body: dict[str, Any], weight: float, name: str, tags: list[str]) -> None:
        answer = service.answer("visualTagsKNN", collection, body)
        for other, found in zip(ids(answer), answer["answer_distances"], strict=True):
            fused = (1 - weight) * distance(name, other) + weight * tags_apart(
                tags, TAGS.get(other, [])
            )
            own = other == body["query_record"].get("_id")
            assert found == (0 if own else pytest.approx(fused, abs=2e-6)), other

    green = {"_base64": png(COLOURS["green"]), "tags": ["warm", "soft"]}
    check({"query_record": green}, 0.6, "green", ["warm", "soft"])
    check({"query_record": green, "tag_weight": 0.1}, 0.1, "green", ["warm", "soft"])
    check({"query_record": {"_id": "yellow"}}, 0.6, "yellow", TAGS["yellow"])
    check({"query_record": {"_id": "yellow", "tags": None}}, 0.6, "yellow", TAGS["yellow"])
    check({"query_record": {"_id": "yellow", "tags": ["soft"]}}, 0.6, "yellow", ["soft"])
    check({"query_record": green, "filter": {"hex": {"$regex": "E"}}}, 0.6, "green", green["tags"])  # type: ignore[arg-type]
    plain = service.answer("visualKNN", collection, {"query_record": {"_id": "blue"}})
    untagged = service.answer("visualTagsKNN", collection, {"query_record": {"_id": "blue"}})
    assert untagged["answer_distances"] == plain["answer_distances"]

    service.http.patch(f"/similarity/v2/collection/{collection}", json={"tag_weight": 1.0})
    service.answer("update", collection, {"records": [{"_id": "navy", "tags": ["soft", "warm"]}]})
    answer = service.answer("visualTagsKNN", collection, {"query_record": green, "k": 2})
    assert sorted(ids(answer)) == ["navy", "rose"]
    assert answer["answer_distances"] == [0.0, 0.0]


def test_rare_tags_count_more_where_the_collection_says_so(service: Service) -> None:
    collection = filled(service, tag_weight=1.0, tag_idf=True)
    kept = service.http.get(f"/similarity/v2/collection/{collection}").json()
    assert kept["tag_idf"] is True
    body = {"query_record": {"_base64": png((9, 9, 9)), "tags": ["warm", "soft", "nobody's"]}}
    answer = service.answer("visualTagsKNN", collection, body)

    def rarity(count: int) -> float:
        return math.log(1 + (len(COLOURS) - count + 0.5) / (count + 0.5))

    weights = {"warm": rarity(3), "soft": rarity(1), "nobody's": rarity(0)}
    for name, found in zip(ids(answer), answer["answer_distances"], strict=True):
        share = sum(weights.get(tag, 0) for tag in TAGS.get(name, [])) / sum(weights.values())
        assert found == pytest.approx(1 - share, abs=2e-6)
    # Tags that come later count at once, and old records are not written again.
    service.answer("update", collection, {"records": [{"_id": "navy", "tags": ["soft"]}]})
    after = service.answer("visualTagsKNN", collection, body)
    assert ids(after)[:2] == ["rose", "navy"]
    response = service.http.patch(
        f"/similarity/v2/collection/{collection}", json={"tag_idf": False}
    )
    assert response.status_code == 400
