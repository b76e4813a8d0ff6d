"""Two vectors of the same records, side by side: to change the embedder, and to compare two.

A collection is searched by one of them; the other, its *alternative*, is the next one that a
migration is filling, the rival of a comparison, or the former one. An insert writes both in one
point, and whatever else changes concerns the point and so both. Which is which is told in one write
of the collection's metadata (`collection.save_vectors`), and noticed by every process within
`SETTLE_SECONDS`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter import collection as collections
from lookalike.adapter import storage as storages
from lookalike.adapter.collection import Alternative, Collection
from lookalike.adapter.engine import Engine
from lookalike.adapter.engines.server import ServerEngine
from lookalike.adapter.errors import CollectionConflict, InvalidRequest
from lookalike.adapter.pictures import ImageSource
from lookalike.adapter.records import VISUAL_VECTOR

SETTLE_SECONDS = 4.0
"""Every process reads the collections anew every 2 s. What takes longer than the rest, an insert
that waits for its pictures, looks at what is known by then before it writes."""

NONE_COMPLETE = "The collection has no other vector that is complete."

EmbedAlternative = Callable[[Collection, Sequence[ImageSource]], Awaitable[list[Any]]]
"""The vectors of pictures for a collection seen by its alternative (`swapped`); None for a picture
that has none."""


def swapped(collection: Collection) -> Collection:
    """The same collection, searched by its alternative, with the present vector as alternative."""
    other = collection.alternative
    assert other is not None, "a collection without an alternative has nothing to swap"
    former = Alternative(**collections.vector_fields(collection), complete=True)
    return msgspec.structs.replace(
        collection, **collections.vector_fields(other), alternative=former
    )


def named(collection: Collection, vector: str, place: str) -> Collection:
    """The collection searched by the vector of this name.

    Raises InvalidRequest (at `place`) where it has none, CollectionConflict where that is still
    being filled.
    """
    if vector == collection.vector:
        return collection
    other = collection.alternative
    if other is None or other.vector != vector:
        raise InvalidRequest("The collection has no vector of this name", place=place)
    if not other.complete:
        raise CollectionConflict("This vector is still being filled.")
    return swapped(collection)


def shared_out(collection: Collection, looked_for: bytes) -> Collection:
    """The collection searched by the vector that answers this query.

    The alternative answers its share of the different queries, and the same ones each time, so that
    the pages of an answer fit together.
    """
    other = collection.alternative
    if other is None or not other.complete:
        return collection
    digest = hashlib.blake2b(collection.id.encode() + looked_for, digest_size=8).digest()
    return swapped(collection) if int.from_bytes(digest) < other.share * 2**64 else collection


async def add(
    engine: Engine,
    collection: Collection,
    *,
    embedder: str,
    revision: str,
    dimension: int,
    distance: collections.Distance,
) -> Collection:
    """The collection with an alternative that no record has yet."""
    await _delete_unknown(engine, collection)
    alternative = Alternative(
        vector=await _new_name(engine, collection),
        embedder=embedder,
        revision=revision,
        dimension=dimension,
        distance=distance,
    )
    await engine.create_vector_name(
        collection.physical,
        alternative.vector,
        models.DenseVectorNameConfig(
            dense=models.DenseVectorConfig(
                size=dimension, distance=collections.ENGINE_DISTANCE[distance]
            )
        ),
    )
    options = storages.added_vector_options(collection.storage, collection.distance, distance)
    if options is not None and isinstance(engine, ServerEngine):
        await engine.update_collection(
            collection.physical, vectors_config={alternative.vector: options}
        )
    return await replace(engine, collection, alternative)


async def replace(
    engine: Engine, collection: Collection, alternative: Alternative | None
) -> Collection:
    """The collection with another state of its alternative."""
    changed = msgspec.structs.replace(collection, alternative=alternative)
    await collections.save_vectors(engine, changed)
    return changed


def sharing(collection: Collection, share: float) -> Alternative:
    """The alternative with this share of the queries.

    Raises CollectionConflict where there is none that is complete.
    """
    if collection.alternative is None or not collection.alternative.complete:
        raise CollectionConflict(NONE_COMPLETE)
    return msgspec.structs.replace(collection.alternative, share=share)


async def switch(engine: Engine, collection: Collection) -> Collection:
    """Searches by the alternative from now on; the former vector becomes the alternative.

    Raises CollectionConflict without an alternative that is complete.
    """
    if collection.alternative is None or not collection.alternative.complete:
        raise CollectionConflict(NONE_COMPLETE)
    changed = swapped(collection)
    await collections.save_vectors(engine, changed)
    return changed


async def drop(
    engine: Engine, collection: Collection, settle_seconds: float = SETTLE_SECONDS
) -> Collection:
    """Deletes the alternative, once no process uses it any more."""
    if collection.alternative is not None:
        collection = await replace(engine, collection, None)
        await asyncio.sleep(settle_seconds)
    await _delete_unknown(engine, collection)
    return collection


async def _delete_unknown(engine: Engine, collection: Collection) -> None:
    """Vectors that an interrupted `add` or `drop` has left."""
    for name in await _dense_names(engine, collection) - {collection.vector}:
        if collection.alternative is None or collection.alternative.vector != name:
            await engine.delete_vector_name(collection.physical, name)


async def _new_name(engine: Engine, collection: Collection) -> str:
    """`visual-<number>`, with a number above all that are there."""
    names = await _dense_names(engine, collection)
    numbers = [
        int(found[1]) for name in names if (found := re.fullmatch(rf"{VISUAL_VECTOR}-(\d+)", name))
    ]
    return f"{VISUAL_VECTOR}-{max(numbers, default=1) + 1}"


async def _dense_names(engine: Engine, collection: Collection) -> set[str]:
    vectors: Any = (await engine.get_collection(collection.physical)).config.params.vectors
    return set(vectors)
