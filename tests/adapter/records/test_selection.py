"""The engine decides alone what it can: only a record with too many tokens costs more."""

from __future__ import annotations

from lookalike.adapter.records.listing import count_records
from lookalike.adapter.records.selection import select
from tests.shelf import Shelf

ABSENT = {"colour": {"$exists": False}}


async def test_an_absent_field_is_decided_by_the_engine_until_a_record_has_too_many(
    shelf: Shelf,
) -> None:
    wide = {f"field_{number}": number for number in range(400)}
    await shelf.insert({"_id": "1", "colour": "red"}, {"_id": "2", "price": 3})
    selection = await select(shelf.engine, shelf.collection, ABSENT)
    assert selection.residual is None
    assert await count_records(shelf.engine, shelf.collection, selection) == 1
    await shelf.insert({"_id": "3", **wide}, {"_id": "4", **wide, "colour": "blue"})
    selection = await select(shelf.engine, shelf.collection, ABSENT)
    assert selection.residual is not None
    assert await count_records(shelf.engine, shelf.collection, selection) == 2
