"""Small collections of the engine that are none of ours: points without vectors, with indexes.

They keep what belongs to no single collection, so that it survives a restart and any number of API
processes see the same, on every engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qdrant_client import models

from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import CollectionNotFound, LookalikeError

UNUSED_VECTOR = {"unused": models.VectorParams(size=1, distance=models.Distance.DOT)}
"""An engine makes no collection without a vector."""


async def put_points(
    engine: Engine,
    name: str,
    points: Sequence[models.PointStruct],
    indexes: Mapping[str, models.PayloadSchemaType],
    *,
    mode: models.UpdateMode | None = None,
) -> None:
    """Writes points into the collection `name`, which the first write makes, with its indexes."""
    try:
        await engine.upsert(name, points, update_mode=mode)
    except CollectionNotFound:
        await _create(engine, name, indexes)
        await engine.upsert(name, points, update_mode=mode)


async def _create(
    engine: Engine, name: str, indexes: Mapping[str, models.PayloadSchemaType]
) -> None:
    try:
        await engine.create_collection(name, vectors_config=UNUSED_VECTOR)
    except LookalikeError:
        # Another process may have been first.
        if not await engine.collection_exists(name):
            raise
    for field, schema in indexes.items():
        await engine.create_payload_index(name, field, field_schema=schema)
