"""Changes of what a record's payload looks like, numbered, each applied once to each collection.

The version of a collection's layout is in its settings; how far a migration has come is in the
metadata of the physical collection, so that it goes on after an interruption. New code writes the
new layout from its first write on, and reads both until the migration is through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from lookalike.adapter.collections import store
from lookalike.adapter.collections.collection_settings import RECORD_TEXT_SINCE, Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.filters import may_be_misread
from lookalike.adapter.point_layout import RESERVED_KEY
from lookalike.adapter.records.bookkeeping import stored_payload
from lookalike.adapter.records.point_batches import replace_payloads, scroll_points
from lookalike.adapter.records.points import RECORD_TEXT, stored_record

CHECKPOINT_KEY = "lookalike-migration"
PAGE = 256

Payload = dict[str, Any]


class Migration(msgspec.Struct, frozen=True):
    """`change` answers the payload in the new layout, or None where it has that already. It must
    take its own result, for after an interruption records are seen again.

    `doubtful`: whether a payload that is changed may not be what was sent; `doubt` says why, and
    what helps.
    """

    number: int
    text: str
    change: Callable[[Payload], Payload | None]
    doubtful: Callable[[Payload], bool] = lambda _: False
    doubt: str = ""


def _with_record_text(payload: Payload) -> Payload | None:
    own = payload.get(RESERVED_KEY) or {}
    return None if RECORD_TEXT in own else stored_payload(stored_record(payload), own)


def _has_inexact_numbers(payload: Payload) -> bool:
    return may_be_misread(stored_record(payload))


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        RECORD_TEXT_SINCE,
        "each record is kept as its own text, so that every number is the number that was sent",
        _with_record_text,
        _has_inexact_numbers,
        "have numbers of more than 15 digits, or very small or large ones. Until now about one "
        "such number in ten was kept with another last digit, and which ones cannot be told any "
        "more. Update these fields, or insert the records again, if that digit matters.",
    ),
)
"""Numbered from 2 on without gaps: 1 is the layout that a collection was made with at first."""


class Checkpoint(msgspec.Struct, frozen=True):
    number: int = 0
    after: Any = None
    """The id of the point with which the next page begins."""
    records: int = 0
    doubtful: int = 0
    """How many of them may not be what was sent."""


class Applied(msgspec.Struct, frozen=True):
    """The collection with its new layout, and how many of its records are `doubtful`."""

    collection: Collection
    doubtful: int


def pending(
    collection: Collection, migrations: Sequence[Migration] = MIGRATIONS
) -> list[Migration]:
    """What is still to be applied, in order."""
    return [each for each in migrations if each.number > collection.schema_version]


async def read_checkpoint_of(engine: Engine, collection: Collection) -> Checkpoint:
    info = await engine.get_collection(collection.physical)
    kept = (info.config.metadata or {}).get(CHECKPOINT_KEY) or {}
    return msgspec.convert(kept, Checkpoint)


async def apply(
    engine: Engine,
    collection: Collection,
    migration: Migration,
    progress: Callable[[int], object],
) -> Applied:
    """Brings every record to the new layout.

    A record that is written meanwhile is left alone: whoever writes, writes the new layout.
    """
    found = await read_checkpoint_of(engine, collection)
    if found.number != migration.number:
        found = Checkpoint(number=migration.number)
    records, doubtful = found.records, found.doubtful
    pages = scroll_points(engine, collection, start=found.after, page=PAGE)
    async for points, after in pages:
        changes = [
            (point, payload)
            for point in points
            if (payload := migration.change(point.payload)) is not None
        ]
        await replace_payloads(engine, collection, changes)
        records += len(points)
        doubtful += sum(migration.doubtful(point.payload) for point, _ in changes)
        if after is not None:
            reached = Checkpoint(migration.number, str(after), records, doubtful)
            await _save(engine, collection, reached)
        progress(len(points))
    present = await store.read_collection(engine, collection.id) or collection
    changed = msgspec.structs.replace(present, schema_version=migration.number)
    await store.save_collection(engine, present, changed)
    await _save(engine, collection, None)
    return Applied(changed, doubtful)


async def _save(engine: Engine, collection: Collection, reached: Checkpoint | None) -> None:
    kept = {} if reached is None else msgspec.to_builtins(reached)
    await engine.update_collection(collection.physical, metadata={CHECKPOINT_KEY: kept})
