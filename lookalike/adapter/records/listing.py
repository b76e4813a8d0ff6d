"""Records without a ranking: by id, all of them, at random, and their deletion."""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.records.points import (
    PayloadSelector,
    Record,
    payload_selector,
    point_id,
    shown,
    stored_record,
)
from lookalike.adapter.records.selection import Selection, Work, keep_matching

RECORDS_AT_ONCE = 256
"""Records that are read in one exchange. More come in pages, between which this process, and the
engine, answer others."""

Fields = frozenset[str] | None


async def get_records(
    engine: Engine, collection: Collection, ids: Sequence[str], fields: Fields
) -> list[Record]:
    """The stored records among `ids`, in their order, each once."""
    points = [point_id(id_) for id_ in dict.fromkeys(ids)]
    selector = payload_selector(collection, fields)
    records = await read_records(engine, collection, points, selector)
    return [shown(records[id_], fields) for id_ in points if id_ in records]


async def read_records(
    engine: Engine, collection: Collection, points: Sequence[str], selector: PayloadSelector
) -> dict[str, Record]:
    """The records of those of the points that are there, by the ids of the points."""
    records: dict[str, Record] = {}
    for begin in range(0, len(points), RECORDS_AT_ONCE):
        found = await engine.retrieve(
            collection.physical, points[begin : begin + RECORDS_AT_ONCE], with_payload=selector
        )
        records |= {str(point.id): stored_record(point.payload) for point in found}
    return records


class Listed(msgspec.Struct, frozen=True):
    point_id: str
    record: Record


async def scan_records(
    engine: Engine,
    collection: Collection,
    selection: Selection,
    fields: Fields,
    *,
    start: str | None = None,
    page: int = RECORDS_AT_ONCE,
    work: Work | None = None,
) -> AsyncIterator[list[Listed]]:
    """Pages of all matching records in the order of their point ids, from `start` on.

    The order is stable: a record that is added or deleted meanwhile moves no other. `work` bounds
    what a residual may cost, if there is one.
    """
    offset: Any = start
    while True:
        points, offset = await engine.scroll(
            collection.physical,
            scroll_filter=selection.filter,
            limit=page,
            offset=offset,
            with_payload=selection.payload(collection, fields),
        )
        listed = [Listed(str(point.id), stored_record(point.payload)) for point in points]
        matching = await keep_matching(selection, listed, lambda each: each.record, work)
        if matching:
            yield matching
        if offset is None:
            return


async def count_records(engine: Engine, collection: Collection, selection: Selection) -> int:
    """How many records match."""
    if selection.residual is None:
        answer = await engine.count(collection.physical, count_filter=selection.filter)
        return answer.count
    pages = scan_records(engine, collection, selection, frozenset({"_id"}), work=Work())
    return sum([len(page) async for page in pages])


class Sampled(msgspec.Struct):
    records: list[Record]
    residual_records: int = 0


async def sample_records(
    engine: Engine,
    collection: Collection,
    count: int,
    selection: Selection,
    fields: Fields,
    seed: int | None = None,
) -> Sampled:
    """Up to `count` different records, each set of them as likely as any other.

    With a seed the same collection answers the same records; this looks at every `_id`.
    """
    if count == 0:
        return Sampled([])
    if seed is not None:
        return await _sample_seeded(engine, collection, count, selection, fields, seed)
    if selection.residual is None:
        answer = await engine.query_points(
            collection.physical,
            query=models.SampleQuery(sample=models.Sample.RANDOM),
            query_filter=selection.filter,
            limit=count,
            with_payload=False,
        )
        ids = [str(point.id) for point in answer.points]
        selector = payload_selector(collection, fields)
        records = await read_records(engine, collection, ids, selector)
        return Sampled([shown(records[id_], fields) for id_ in ids if id_ in records])
    work = Work()
    found: list[Record] = []
    async for page in scan_records(engine, collection, selection, fields, work=work):
        found += [shown(entry.record, fields) for entry in page]
    return Sampled(
        random.sample(found, min(count, len(found))),
        work.residual_records,
    )


async def _sample_seeded(
    engine: Engine,
    collection: Collection,
    count: int,
    selection: Selection,
    fields: Fields,
    seed: int,
) -> Sampled:
    """The records whose ids have the smallest keyed hashes (bottom-k sampling)."""
    key = seed.to_bytes(8, "big")
    work = Work()
    lowest: list[tuple[bytes, str]] = []
    async for page in scan_records(engine, collection, selection, frozenset({"_id"}), work=work):
        ranked = [
            (hashlib.blake2b(entry.point_id.encode(), digest_size=16, key=key).digest(), entry)
            for entry in page
        ]
        found = [(digest, str(entry.record["_id"])) for digest, entry in ranked]
        lowest = heapq.nsmallest(count, lowest + found)
    records = await get_records(engine, collection, [id_ for _, id_ in lowest], fields)
    return Sampled(records, work.residual_records)


async def delete_by_filter(
    engine: Engine, collection: Collection, selection: Selection
) -> list[str]:
    """Deletes every record that matches and answers their `_id`s.

    The matching records are all found first and then deleted by id, so that an error while finding
    them has deleted nothing.
    """
    found: list[Listed] = []
    async for page in scan_records(engine, collection, selection, frozenset({"_id"})):
        # Only the ids: a residual needed the whole records, and there may be many.
        found += [Listed(entry.point_id, {"_id": entry.record.get("_id")}) for entry in page]
    for begin in range(0, len(found), RECORDS_AT_ONCE):
        ids: list[Any] = [entry.point_id for entry in found[begin : begin + RECORDS_AT_ONCE]]
        await engine.delete(collection.physical, points_selector=ids)
    return [str(entry.record["_id"]) for entry in found]
