"""Lists: pages put together are everything, whatever happens meanwhile to other records."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from lookalike.adapter.errors import FilterTooExpensive
from lookalike.adapter.records import listing
from lookalike.adapter.records.listing import PageCursors
from lookalike.adapter.records.points import point_id
from lookalike.adapter.records.selection import EVERYTHING, Selection
from tests.shelf import Shelf

ALL = None
IDS = frozenset({"_id"})


async def page(shelf: Shelf, number: int, size: int, cursors: PageCursors, **options: Any) -> Any:
    return await listing.list_page(
        shelf.engine,
        shelf.collection,
        options.get("selection", EVERYTHING),
        IDS,
        size=size,
        page=number,
        cursors=cursors,
    )


async def walk(shelf: Shelf, size: int, **options: Any) -> list[list[str]]:
    """All pages in order, as a client that follows them gets them."""
    cursors = PageCursors()
    pages: list[list[str]] = []
    while True:
        found = await page(shelf, len(pages) + 1, size, cursors, **options)
        pages.append([record["_id"] for record in found.records])
        if not found.has_next:
            return pages
        assert len(pages) < 1000


async def everything(shelf: Shelf) -> list[str]:
    scanned = listing.scan_records(shelf.engine, shelf.collection, EVERYTHING, IDS)
    return [entry.record["_id"] async for entries in scanned for entry in entries]


@pytest.mark.parametrize("count", [0, 1, 2, 30, 31])
async def test_pages_concatenated_are_everything(count: int, shelf: Shelf) -> None:
    ids = [str(number) for number in range(count)]
    if ids:
        await shelf.put(*ids)
    whole = await everything(shelf)
    assert sorted(whole) == sorted(ids)
    for size in range(1, count + 3):
        pages = await walk(shelf, size)
        assert [id_ for found in pages for id_ in found] == whole
        assert all(len(found) == size for found in pages[:-1])
        assert pages[-1] or not whole  # no page after the last record


async def test_pages_of_what_a_filter_leaves(shelf: Shelf) -> None:
    await shelf.insert(*({"_id": str(n), "n": n % 3, "l": [n % 2] * (n % 4)} for n in range(60)))
    residual = Selection.of({"l": {"$size": 3}}, shelf.collection)
    plain = Selection.of({"n": {"$in": [0, 2]}}, shelf.collection)
    for name, selection, matching in (
        ("size", residual, {str(n) for n in range(60) if n % 4 == 3}),
        ("in", plain, {str(n) for n in range(60) if n % 3 != 1}),
    ):
        for size in (1, 4, 15, 40, 100):
            pages = await walk(shelf, size, selection=selection, name=name)
            found = [id_ for some in pages for id_ in some]
            assert len(found) == len(matching)
            assert set(found) == matching


async def test_pages_in_any_order_and_without_cursors(shelf: Shelf) -> None:
    await shelf.put(*(str(number) for number in range(40)))
    whole = await everything(shelf)
    numbers = list(range(1, 9))
    random.Random(1).shuffle(numbers)
    shared = PageCursors()
    for number in [*numbers, 20]:
        for cursors in (shared, PageCursors()):
            found = await page(shelf, number, 6, cursors)
            expected = whole[6 * (number - 1) : 6 * number]
            assert [record["_id"] for record in found.records] == expected
            assert found.has_next == (6 * number < 40)


async def test_no_untouched_record_is_missed_or_repeated(shelf: Shelf) -> None:
    """While others insert and delete: in a walk from page to page, each of these comes once."""
    untouched = [f"stays {number}" for number in range(120)]
    await shelf.put(*untouched, *(f"goes {number}" for number in range(60)))
    done = asyncio.Event()

    async def churn() -> None:
        for number in range(60):
            await shelf.writer.delete(shelf.collection, [f"goes {number}"], IDS)
            await shelf.put(f"comes {number}")
        done.set()

    churning = asyncio.create_task(churn())
    walks = 0
    while not done.is_set() or walks < 2:
        for size in (1, 7, 50):
            found = [id_ for some in await walk(shelf, size) for id_ in some]
            assert len(found) == len(set(found))
            assert {id_ for id_ in found if id_.startswith("stays")} == set(untouched)
            walks += 1
    await churning


async def test_a_cursor_to_a_deleted_record(shelf: Shelf) -> None:
    await shelf.put(*(str(number) for number in range(20)))
    whole = await everything(shelf)
    cursors = PageCursors()
    await page(shelf, 1, 5, cursors)
    await shelf.writer.delete(shelf.collection, [whole[5]], IDS)  # where page 2 begins
    found = await page(shelf, 2, 5, cursors)
    assert [record["_id"] for record in found.records] == whole[6:11]


async def test_get_keeps_the_order_of_the_request(shelf: Shelf) -> None:
    await shelf.insert({"_id": "a", "n": 1}, {"_id": "b"}, {"_id": "c"})
    asked = ["c", "x", "a", "c"]
    found = await listing.get_records(
        shelf.engine, shelf.collection, asked, frozenset({"_id", "n"})
    )
    assert found == [{"_id": "c"}, {"_id": "a", "n": 1}]
    assert await listing.get_records(shelf.engine, shelf.collection, [], ALL) == []


async def test_random_is_random(shelf: Shelf) -> None:
    await shelf.insert(*({"_id": str(n), "n": n % 2, "l": [1] * (n % 2)} for n in range(40)))
    for filter_ in (None, {"n": 1}, {"l": {"$size": 1}}):
        selection = Selection.of(filter_, shelf.collection)
        expected = {str(n) for n in range(40) if filter_ is None or n % 2}
        seen: set[str] = set()
        # A record is missed by 250 samples once in 10^31 times.
        for _ in range(250):
            sampled = await listing.sample_records(
                shelf.engine, shelf.collection, 10, selection, IDS
            )
            ids = [record["_id"] for record in sampled.records]
            assert len(set(ids)) == 10
            seen |= set(ids)
            if seen == expected:
                break
        assert seen == expected
        sampled = await listing.sample_records(shelf.engine, shelf.collection, 99, selection, IDS)
        assert len(sampled.records) == len(expected)


async def test_delete_by_filter(shelf: Shelf) -> None:
    await shelf.insert(*({"_id": str(n), "n": n, "l": [n] * (n % 3)} for n in range(30)))
    selection = Selection.of({"l": {"$size": 2}}, shelf.collection)
    deleted = await listing.delete_by_filter(shelf.engine, shelf.collection, selection)
    assert sorted(map(int, deleted)) == [n for n in range(30) if n % 3 == 2]
    assert sorted(map(int, await everything(shelf))) == [n for n in range(30) if n % 3 != 2]
    assert await listing.delete_by_filter(shelf.engine, shelf.collection, selection) == []


async def test_the_work_for_a_residual_is_bounded(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound an error, and never a short list."""
    await shelf.insert(*({"_id": str(n), "l": [n] * (n % 3)} for n in range(30)))
    selection = Selection.of({"l": {"$size": 2}}, shelf.collection)
    assert selection.residual is not None
    monkeypatch.setattr("lookalike.adapter.records.selection.MAX_RESIDUAL_RECORDS", 5)
    with pytest.raises(FilterTooExpensive):
        await page(shelf, 1, 100, PageCursors(), selection=selection)
    with pytest.raises(FilterTooExpensive):
        await listing.sample_records(shelf.engine, shelf.collection, 5, selection, IDS)


def test_cursors_are_forgotten_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    cursors = PageCursors()
    cursors.remember("a", 5, point_id("x"))
    assert cursors.last_known("a", 7) == (5, point_id("x"))
    assert cursors.last_known("a", 4) == (1, None)
    assert cursors.last_known("b", 7) == (1, None)
    for number in range(PageCursors.MAX_ENTRIES):
        cursors.remember("c", number, point_id("x"))
    assert cursors.last_known("a", 7) == (1, None)
    monkeypatch.setattr(PageCursors, "SECONDS", -1.0)
    assert cursors.last_known("c", 7) == (1, None)
