"""Lists in pages: they end, and are the whole list."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.contract.answers import ids, search
from tests.contract.images import base64_of
from tests.service import Service


@pytest.mark.parametrize("prefix", ["similarity/photos/v2", "localhost/photo/search/v2"])
def test_next_can_be_followed_and_is_absent_at_the_end(
    prefix: str, service: Service, shop: str
) -> None:
    url: str | None = f"/{prefix}/allRecords?size=20&page=1"
    seen: list[str] = []
    while url:
        answer = service.http.post(url, json={}, headers={"collection-id": shop}).json()
        assert answer["statistics"]["total_records"] == 45
        seen += [r["_id"] for r in answer["answer_records"]]
        url = answer.get("next")
        assert len(seen) <= 45
    assert len(seen) == len(set(seen)) == 45


@pytest.mark.parametrize("size", [1, 9, 44, 45, 46, 10**6])
def test_pages_concatenated_are_the_whole_list(size: int, service: Service, shop: str) -> None:
    whole = service.answer("allRecords", shop)["answer_records"]
    pages = []
    for page in itertools.count(1):
        answer = service.answer(f"allRecords?size={size}&page={page}", shop)
        pages += answer["answer_records"]
        if "next" not in answer:
            break
        assert page < 45
    assert pages == whole


def test_pages_in_any_order(service: Service, shop: str) -> None:
    whole = service.answer("allRecords", shop, {"fields_to_return": ["*"]})["answer_records"]
    for page in (3, 1, 5, 2, 4, 6):
        answer = service.answer(f"allRecords?size=9&page={page}", shop, {"fields_to_return": ["*"]})
        assert answer["answer_records"] == whole[9 * (page - 1) : 9 * page]
        assert ("next" in answer) == (page < 5)


def test_a_page_of_a_filtered_list(service: Service, shop: str) -> None:
    body = {"filter": {"category": "Footwear"}, "fields_to_return": ["category"]}
    first = service.answer("allRecords?size=5&page=1", shop, body)
    second = service.answer("allRecords?size=5&page=2", shop, body)
    assert first["answer_count"] == 5
    assert second["answer_count"] == 3
    assert "next" not in second
    records = first["answer_records"] + second["answer_records"]
    assert records == service.answer("allRecords", shop, body)["answer_records"]
    assert {r["category"] for r in records} == {"Footwear"}


@pytest.mark.parametrize("step", [1, 7, 20])
@pytest.mark.parametrize(
    "condition",
    [None, {"category": "Footwear"}, {"department": {"$in": ["Apparel", "Groceries"]}}],
    ids=["all", "without itself", "two departments"],
)
def test_pages_of_a_ranking_are_the_whole_ranking_cut_in_pieces(
    step: int,
    condition: dict[str, Any] | None,
    service: Service,
    shop: str,
    thumbnails: dict[str, bytes],
) -> None:
    by_image = {"_base64": base64_of(thumbnails["1"])}
    for query in ({"_id": "1"}, by_image) if step > 1 else ({"_id": "1"},):
        whole = search(service, shop, query, k=100, filter=condition)
        pieces: list[tuple[str, float]] = []
        for begin in range(0, 45 + step, step):
            piece = search(service, shop, query, k=step, filter=condition, **{"from": begin})
            pieces += zip(ids(piece), piece["answer_distances"], strict=True)
        assert pieces == list(zip(ids(whole), whole["answer_distances"], strict=True))


def test_from_beyond_the_end(service: Service, shop: str) -> None:
    for method in ("visualKNN", "visualTagsKNN"):
        for begin in (45, 46, 10_000):
            body = {"query_record": {"_id": "1"}, "from": begin}
            assert service.answer(method, shop, body)["answer_records"] == []
        for begin in (10**6, 2**63, 2**70):
            refused = service.call(method, shop, {"query_record": {"_id": "1"}, "from": begin})
            assert refused.status_code == 400
            assert "from" in refused.json()["detail"]
