"""Two vectors of the same records, side by side: to change the embedder, and to compare two.

A collection is searched by one of them. Its *second vector* is the next one that a migration is
filling, the rival of a comparison, or the former one. An insert writes both in one point, and
whatever else changes concerns the point and so both. Which is which is told in one write of the
collection's metadata (`store.save_vectors`), and noticed by every process within `SETTLE_SECONDS`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter.collections import storage, store
from lookalike.adapter.collections.collection_settings import (
    Collection,
    EmbedderIdentity,
    SecondVector,
)
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import CollectionConflict, InvalidRequest
from lookalike.adapter.point_layout import VISUAL_VECTOR

SETTLE_SECONDS = 4.0
"""Processes reload collections every `CACHE_REFRESH_SECONDS`. An insert that waited longer for its
images reads the cache again before it writes."""

NONE_COMPLETE = "The collection has no other vector that is complete."


def swapped(collection: Collection) -> Collection:
    """The same collection, searched by its second vector, with the present vector as the second."""
    second = collection.second_vector
    assert second is not None, "a collection without a second vector has nothing to swap"
    former = SecondVector(**store.vector_fields(collection), complete=True)
    return msgspec.structs.replace(collection, **store.vector_fields(second), second_vector=former)


def searched_by(collection: Collection, vector: str, place: str) -> Collection:
    """The collection searched by the vector of this name alone.

    Raises InvalidRequest (at `place`) where it has none, CollectionConflict where that is still
    being filled.
    """
    second = collection.second_vector
    if vector == collection.vector:
        unshared = None if second is None else msgspec.structs.replace(second, share=0.0)
        return msgspec.structs.replace(collection, second_vector=unshared)
    if second is None or second.vector != vector:
        raise InvalidRequest("The collection has no vector of this name", place=place)
    if not second.complete:
        raise CollectionConflict("This vector is still being filled.")
    return swapped(collection)


def share_out(collection: Collection, looked_for: bytes) -> Collection:
    """The collection searched by the vector that answers this query.

    The second vector answers its share of the distinct queries, and the same ones each time, so
    that the pages of an answer fit together.
    """
    second = collection.second_vector
    if second is None or not second.complete:
        return collection
    digest = hashlib.blake2b(collection.id.encode() + looked_for, digest_size=8).digest()
    return swapped(collection) if int.from_bytes(digest) < second.share * 2**64 else collection


async def add_second_vector(
    engine: Engine, collection: Collection, identity: EmbedderIdentity
) -> Collection:
    """The collection with a second vector that no record has yet."""
    await _delete_unknown(engine, collection)
    second = SecondVector(
        vector=await _find_new_name(engine, collection), **msgspec.structs.asdict(identity)
    )
    await _create_vector(engine, collection, second)
    return await save_second_vector(engine, collection, second)


async def restore_second_vector(engine: Engine, collection: Collection) -> None:
    """Makes the second vector that an imported collection has, unless it is there already."""
    second = collection.second_vector
    if second is None:
        return
    if second.vector not in await _read_vector_names(engine, collection):
        await _create_vector(engine, collection, second)
    await store.save_vectors(engine, collection)


async def _create_vector(engine: Engine, collection: Collection, second: SecondVector) -> None:
    await engine.create_vector_name(
        collection.physical,
        second.vector,
        models.DenseVectorNameConfig(
            dense=models.DenseVectorConfig(
                size=second.dimension, distance=store.ENGINE_DISTANCE[second.distance]
            )
        ),
    )
    options = storage.added_vector_options(collection.storage, collection.distance, second.distance)
    if options is not None and engine.capabilities.storage_options:
        await engine.update_collection(collection.physical, vectors_config={second.vector: options})


async def save_second_vector(
    engine: Engine, collection: Collection, second: SecondVector | None
) -> Collection:
    """The collection with another state of its second vector."""
    changed = msgspec.structs.replace(collection, second_vector=second)
    await store.save_vectors(engine, changed)
    return changed


def with_share(collection: Collection, share: float) -> SecondVector:
    """The second vector with this share of the queries.

    Raises CollectionConflict where there is none that is complete.
    """
    if collection.second_vector is None or not collection.second_vector.complete:
        raise CollectionConflict(NONE_COMPLETE)
    return msgspec.structs.replace(collection.second_vector, share=share)


async def switch_vectors(engine: Engine, collection: Collection) -> Collection:
    """Searches by the second vector from now on; the former vector becomes the second vector.

    Raises CollectionConflict without a second vector that is complete.
    """
    if collection.second_vector is None or not collection.second_vector.complete:
        raise CollectionConflict(NONE_COMPLETE)
    changed = swapped(collection)
    await store.save_vectors(engine, changed)
    return changed


async def drop_second_vector(
    engine: Engine, collection: Collection, settle_seconds: float = SETTLE_SECONDS
) -> Collection:
    """Deletes the second vector, once no process uses it any more."""
    if collection.second_vector is not None:
        collection = await save_second_vector(engine, collection, None)
        await asyncio.sleep(settle_seconds)
    await _delete_unknown(engine, collection)
    return collection


async def _delete_unknown(engine: Engine, collection: Collection) -> None:
    """Vectors that an interrupted `add` or `drop` has left."""
    for name in await _read_vector_names(engine, collection) - {collection.vector}:
        if collection.second_vector is None or collection.second_vector.vector != name:
            await engine.delete_vector_name(collection.physical, name)


async def _find_new_name(engine: Engine, collection: Collection) -> str:
    """`visual-<number>`, with a number above all that are there."""
    names = await _read_vector_names(engine, collection)
    numbers = [
        int(found[1]) for name in names if (found := re.fullmatch(rf"{VISUAL_VECTOR}-(\d+)", name))
    ]
    return f"{VISUAL_VECTOR}-{max(numbers, default=1) + 1}"


async def _read_vector_names(engine: Engine, collection: Collection) -> set[str]:
    vectors: Any = (await engine.get_collection(collection.physical)).config.params.vectors
    return set(vectors)
