"""Whole points in pages, and writes that spare a point which somebody else has changed meanwhile.

For whatever moves collections. A point is a struct of ours here, so that nobody above has to know
what Qdrant's filters and operations look like.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import RecordsNotFound
from lookalike.adapter.point_layout import RESERVED_KEY
from lookalike.adapter.records.bookkeeping import (
    IMAGE,
    WRITE_TOKEN_PATH,
    decided,
    in_state,
    token_of,
)

StoredId = str | int


class SparseNumbers(msgspec.Struct, frozen=True):
    indices: list[int]
    values: list[float]


class StoredPoint(msgspec.Struct, frozen=True):
    """A point, or as much of it as was asked for."""

    id: StoredId
    payload: dict[str, Any]
    vectors: dict[str, list[float] | SparseNumbers] = {}

    @property
    def image_hash(self) -> str | None:
        """Of the image that its vectors were made of."""
        found: str | None = (self.payload.get(RESERVED_KEY) or {}).get(IMAGE)
        return found


async def scroll_points(
    engine: Engine,
    collection: Collection,
    *,
    lacking: str | None = None,
    start: StoredId | None = None,
    payload: bool | list[str] = True,
    vectors: Sequence[str] = (),
    page: int,
) -> AsyncIterator[tuple[list[StoredPoint], StoredId | None]]:
    """Pages of points in the order of their ids, each with the id at which the next one begins.

    `lacking`: only those without the vector of this name.
    """
    offset: Any = start
    while True:
        found, offset = await engine.scroll(
            collection.physical,
            scroll_filter=None if lacking is None else _without(lacking),
            limit=page,
            offset=offset,
            with_payload=payload,
            with_vectors=list(vectors) or False,
        )
        yield [_stored(point) for point in found], offset
        if offset is None:
            return


async def read_points(
    engine: Engine, collection: Collection, ids: Sequence[StoredId], vectors: Sequence[str]
) -> list[StoredPoint]:
    """Those of the points that are there, whole."""
    found = await engine.retrieve(
        collection.physical, list(ids), with_payload=True, with_vectors=list(vectors)
    )
    return [_stored(point) for point in found]


async def scroll_tokens(
    engine: Engine, collection: Collection, page: int
) -> AsyncIterator[dict[StoredId, str]]:
    """Pages of points, each with the token that its last write left."""
    pages = scroll_points(engine, collection, payload=[WRITE_TOKEN_PATH], page=page)
    async for points, _ in pages:
        yield {point.id: token_of(point.payload) for point in points}


async def count_lacking(engine: Engine, collection: Collection, vector: str) -> int:
    """How many records are without this vector."""
    return (await engine.count(collection.physical, count_filter=_without(vector))).count


async def sample_ids(engine: Engine, collection: Collection, vector: str, count: int) -> list[str]:
    """The `_id`s of up to `count` random records that have this vector."""
    answer = await engine.query_points(
        collection.physical,
        query=models.SampleQuery(sample=models.Sample.RANDOM),
        query_filter=models.Filter(must=[models.HasVectorCondition(has_vector=vector)]),
        limit=count,
        with_payload=["_id"],
    )
    return [str((point.payload or {})["_id"]) for point in answer.points]


async def insert_missing(
    engine: Engine, collection: Collection, points: Sequence[StoredPoint]
) -> None:
    """Writes those whose id is not there yet."""
    if not points:
        return
    ids = [point.id for point in points]
    found = await engine.retrieve(collection.physical, ids, with_payload=False)
    existing = {str(point.id) for point in found}
    missing = [_point_struct(point) for point in points if str(point.id) not in existing]
    if missing:
        await engine.upsert(collection.physical, points=missing)


async def replace_points(
    engine: Engine,
    collection: Collection,
    points: Sequence[StoredPoint],
    deleted: Sequence[StoredId],
) -> None:
    """Writes points over what is there, and deletes others."""
    if points:
        structs = [_point_struct(point) for point in points]
        await engine.upsert(collection.physical, points=structs)
    if deleted:
        await engine.delete(collection.physical, points_selector=list(deleted))


async def set_vectors(
    engine: Engine,
    collection: Collection,
    name: str,
    vectors: Iterable[tuple[StoredPoint, list[float]]],
) -> None:
    """Sets one vector of each point, unless the point has another image by now.

    It has another one if the record was deleted and inserted again.
    """
    operations = [_set_vector(point, name, vector) for point, vector in vectors]
    if operations:
        # A record that was deleted meanwhile may stop the rest. Whoever asks again finds what is
        # still without the vector.
        with contextlib.suppress(RecordsNotFound):
            await engine.batch_update_points(collection.physical, update_operations=operations)


async def replace_payloads(
    engine: Engine,
    collection: Collection,
    payloads: Iterable[tuple[StoredPoint, dict[str, Any]]],
) -> None:
    """Replaces the payload of each point, unless somebody wrote the point since it was read."""
    operations: list[models.UpdateOperation] = [
        models.OverwritePayloadOperation(
            overwrite_payload=models.SetPayload(
                payload=payload, filter=in_state(point.id, token_of(point.payload))
            )
        )
        for point, payload in payloads
    ]
    if operations:
        await engine.batch_update_points(collection.physical, update_operations=operations)


def _without(vector: str) -> models.Filter:
    return models.Filter(must_not=[models.HasVectorCondition(has_vector=vector)])


def _set_vector(point: StoredPoint, name: str, vector: list[float]) -> models.UpdateOperation:
    same_image = models.Filter(
        must=[
            models.HasIdCondition(has_id=[point.id]),
            models.FieldCondition(
                key=f"{RESERVED_KEY}.{IMAGE}",
                match=models.MatchValue(value=point.image_hash or ""),
            ),
        ]
    )
    return models.UpdateVectorsOperation.model_construct(
        update_vectors=models.UpdateVectors.model_construct(
            points=[models.PointVectors.model_construct(id=point.id, vector={name: vector})],
            update_filter=same_image,
        )
    )


def _stored(point: models.Record) -> StoredPoint:
    found: Any = point.vector or {}
    vectors = {
        name: SparseNumbers(vector.indices, vector.values)
        if isinstance(vector, models.SparseVector)
        else vector
        for name, vector in found.items()
    }
    id_: Any = point.id
    return StoredPoint(id_, point.payload or {}, vectors)


def _point_struct(point: StoredPoint) -> models.PointStruct:
    vectors = {
        name: models.SparseVector(indices=vector.indices, values=vector.values)
        if isinstance(vector, SparseNumbers)
        else vector
        for name, vector in point.vectors.items()
    }
    return models.PointStruct.model_construct(
        id=point.id, vector=vectors, payload=decided(point.payload)
    )
