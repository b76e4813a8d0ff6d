"""Records by id, at random, and the deletion of those that a filter selects."""

from __future__ import annotations

import pytest

from lookalike.adapter.errors import FilterTooExpensive
from lookalike.adapter.records import listing
from lookalike.adapter.records.selection import EVERYTHING, Selection
from tests.shelf import Shelf

ALL = None
IDS = frozenset({"_id"})


async def everything(shelf: Shelf) -> list[str]:
    scanned = listing.scan_records(shelf.engine, shelf.collection, EVERYTHING, IDS)
    return [entry.record["_id"] async for entries in scanned for entry in entries]


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
    monkeypatch.setattr("lookalike.adapter.records.selection.MAX_RESIDUAL_WORK", 5 * 220)
    with pytest.raises(FilterTooExpensive):
        await listing.sample_records(shelf.engine, shelf.collection, 5, selection, IDS)
