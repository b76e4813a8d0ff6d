"""Lists in pages: they end, and are the whole list."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from ximilar.client.search import SimilarityPhotosClient

from tests.contract.answers import ids, search
from tests.contract.conftest import ADMIN_TOKEN
from tests.contract.images import base64_of
from tests.contract.official import connect_client
from tests.service import Service
from tests.waiting import PATIENCE_SECONDS

Insert = Callable[..., None]


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
    assert "after=" in first["next"]
    for answer in (first, second, service.answer("allRecords", shop, body)):
        assert answer["statistics"]["total_records"] == 8, "of those that match"
    records = first["answer_records"] + second["answer_records"]
    assert records == service.answer("allRecords", shop, body)["answer_records"]
    assert {r["category"] for r in records} == {"Footwear"}


def test_a_filter_that_no_index_decides_has_its_own_total(service: Service, shop: str) -> None:
    body = {"filter": {"name": {"$regex": "^[A-F]"}}}
    whole = service.answer("allRecords", shop, body)["answer_records"]
    url: str | None = "allRecords?size=4&page=1"
    found: list[Any] = []
    while url:
        answer = service.answer(url, shop, body)
        assert answer["statistics"]["total_records"] == len(whole) < 45
        found += answer["answer_records"]
        url = answer.get("next", "").rpartition("/")[2]
    assert found == whole


@pytest.fixture
def growing(admin: Service, image: str) -> tuple[str, Insert]:
    """A collection of two API processes, and what puts records into it."""
    collection = admin.collection(type="matching")

    def insert(*names: str) -> None:
        for begin in range(0, len(names), 100):
            records = [{"_id": id_, "_base64": image} for id_ in names[begin : begin + 100]]
            answer = admin.answer("insert", collection, {"records": records})
            assert answer["status"]["code"] == 210

    return collection, insert


def read_page(admin: Service, collection: str, page: int, size: int = 10) -> Any:
    """By a connection of its own, so that each process gets some."""
    path = f"/similarity/photos/v2/allRecords?size={size}&page={page}"
    headers = {**admin.http.headers, "collection-id": collection}
    with httpx.Client(base_url=admin.url, headers=headers, timeout=PATIENCE_SECONDS) as http:
        answer = http.post(path, json={})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_pages_after_more_was_inserted(admin: Service, growing: tuple[str, Insert]) -> None:
    collection, insert = growing
    insert(*(f"old {n}" for n in range(30)))
    for page in (1, 2, 3):
        assert len(read_page(admin, collection, page)["answer_records"]) == 10
    assert read_page(admin, collection, 4)["answer_records"] == []
    insert(*(f"new {n}" for n in range(30)))
    whole = admin.answer("allRecords", collection)["answer_records"]
    for page in range(6, 0, -1):
        answer = read_page(admin, collection, page)
        assert answer["answer_records"] == whole[10 * (page - 1) : 10 * page]
        assert ("next" in answer) == (page < 6)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda page: read_page(admin, collection, page), range(1, 8)))
    assert [r for answer in answers for r in answer["answer_records"]] == whole


def test_two_clients_who_count_while_records_are_deleted(
    admin: Service, growing: tuple[str, Insert]
) -> None:
    collection, insert = growing
    insert(*(f"{n}" for n in range(60)))
    first = read_page(admin, collection, 1)["answer_records"]
    admin.answer("delete", collection, {"records": first})
    seen: list[set[str]] = [{r["_id"] for r in first}, set()]
    pages = [1, 0]
    while any(pages):
        for reader in (1, 0):
            if pages[reader] or not seen[reader]:
                pages[reader] += 1
                answer = read_page(admin, collection, pages[reader])
                seen[reader] |= {r["_id"] for r in answer["answer_records"]}
                if "next" not in answer:
                    pages[reader] = 0
    assert len(seen[0]) == 60
    assert seen[1] == {r["_id"] for r in admin.answer("allRecords", collection)["answer_records"]}


def test_the_official_iterator_misses_nothing_that_it_deletes_behind_itself(
    admin: Service, growing: tuple[str, Insert]
) -> None:
    collection, insert = growing
    insert(*(f"{n}" for n in range(60)))
    client = connect_client(SimilarityPhotosClient, admin, collection, ADMIN_TOKEN)
    seen: list[str] = []
    for batch in client.all_records_iter(batch_size=10, return_batch=True):
        seen += [r["_id"] for r in batch]
        client.remove(batch)
    assert sorted(seen) == sorted(f"{n}" for n in range(60))
    assert client.allRecords()["answer_records"] == []


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
