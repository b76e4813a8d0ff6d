"""While a collection is embedded anew: what every API process has to know and do.

A *successor*, a physical collection with the vectors of another embedder, is being filled. Inserts
go into it as well (their picture may have come as bytes, which nobody keeps); whatever else changes
is copied by the migration, which compares the write tokens of both. Just before the alias moves,
writes are held for some seconds, so that the last comparison is the last.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec
from qdrant_client import models

from lookalike.adapter.errors import LookalikeError
from lookalike.adapter.records import RESERVED_KEY, VISUAL_VECTOR

log = logging.getLogger("lookalike")

MADE_FROM = "made_from"
"""In the bookkeeping of a successor's record: the hash of the picture that the original had, by
which a record that was deleted and inserted again with another picture is recognised."""


class Successor(msgspec.Struct, frozen=True, kw_only=True):
    """The physical collection that will follow, and the embedder that makes its vectors."""

    physical: str
    embedder: str
    revision: str
    closed_until: float = 0.0
    """Until this time (Unix, seconds) no write may begin. It passes by itself: a migration that is
    killed at the worst moment stops nobody for long."""

    @property
    def closed(self) -> bool:
        return time.time() < self.closed_until


Vector = list[float]
EmbedAgain = Callable[[Successor, Sequence[Any]], Awaitable[list[Vector | None]]]
"""The sources' vectors by the successor's embedder; None for one that cannot be read."""


class Writes(Protocol):
    async def upsert(self, collection_name: str, points: Any, **options: Any) -> Any: ...


async def insert_too(
    engine: Writes,
    successor: Successor,
    points: Sequence[models.PointStruct],
    sources: Sequence[Any],
    embed: EmbedAgain,
) -> None:
    """Inserts new points into the successor as well. What fails is left to the migration."""
    try:
        vectors = await embed(successor, sources)
        copies = [
            successor_point(point, vector, successor)
            for point, vector in zip(points, vectors, strict=True)
            if vector is not None
        ]
        if copies:
            await engine.upsert(
                successor.physical, points=copies, update_mode=models.UpdateMode.INSERT_ONLY
            )
    except LookalikeError as error:
        log.warning("an insert into the successor failed, the migration repeats it: %s", error)


def successor_point(point: Any, visual: Vector, successor: Successor) -> models.PointStruct:
    """The point with another visual vector, and all else as it is."""
    payload = dict(point.payload or {})
    bookkeeping = dict(payload.get(RESERVED_KEY) or {})
    bookkeeping |= {"revision": successor.revision, MADE_FROM: bookkeeping.get("image")}
    vectors: Any = point.vector or {}
    return models.PointStruct.model_construct(
        id=point.id,
        vector={**vectors, VISUAL_VECTOR: visual},
        payload=payload | {RESERVED_KEY: bookkeeping},
    )
