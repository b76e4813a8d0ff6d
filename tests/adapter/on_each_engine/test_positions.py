"""Pages by number, on every engine: each finds a position in its own way."""

from __future__ import annotations

import pytest

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.records import numbered_pages
from lookalike.adapter.records.numbered_pages import ListedPage, PageWanted
from lookalike.adapter.records.selection import Selection
from lookalike.adapter.records.writer import Writer
from tests.shelf import embed, record

IDS = frozenset({"_id"})


@pytest.mark.parametrize("at_once", [4, 1000])
@pytest.mark.parametrize("filter_", [None, {"category": "lamp"}, {"tags": {"$size": 2}}])
async def test_pages_by_number(
    filter_: object,
    at_once: int,
    engine: Engine,
    collection: Collection,
    writer: Writer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(numbered_pages, "SKIPPED_AT_ONCE", at_once)
    await writer.insert(collection, [record(n) for n in range(40)], embed, IDS)
    selection = Selection.of(filter_, collection)

    async def read(number: int, size: int = 3) -> ListedPage:
        wanted = PageWanted(size, number)
        return await numbered_pages.list_page(engine, collection, selection, IDS, wanted)

    whole = (await read(1, 100)).records
    assert len(whole) == (10 if filter_ == {"category": "lamp"} else 40)
    for number in (4, 2, 14, 1, 3, 15):
        found = await read(number)
        assert found.records == whole[3 * (number - 1) : 3 * number]
        assert (found.next is not None) == (3 * number < len(whole))
        assert found.total == len(whole)
    # Of a reader who deletes what was read.
    await writer.delete(collection, [entry["_id"] for entry in (await read(1)).records], IDS)
    assert (await read(2)).records == whole[3:6]
