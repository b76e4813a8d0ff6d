"""Where a collection is kept: in the metadata of the collection in Qdrant itself.

Any number of API processes agree on a collection because none of them owns its settings.

In the engine a collection is an alias, its id, for a *physical* collection
`lookalike-<id>-<number>`, which may be restored from a snapshot under another number. Its points
may have a second vector (`collections.second_vector`). A request knows from beginning to end the
collection that it was given: it never searches one vector with an image embedded for the other.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter.collections import storage
from lookalike.adapter.collections.collection_settings import (
    SECRET,
    VECTOR_FIELDS,
    Collection,
    SecondVector,
)
from lookalike.adapter.collections.indexes import change_indexes, ensure_indexes
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import CollectionNotFound
from lookalike.adapter.point_layout import METADATA_KEY, TAGS_VECTOR

VECTORS_KEY = "lookalike-vectors"
"""What vectors there are, once there is more than one. It wins over the settings, and stands apart
from them, so that whoever saves the settings does not undo what a migration has done."""
HEADERS_KEY = "lookalike-fetch-headers"
"""The setting that is a secret, apart from those that are shown and exported."""
PHYSICAL_PREFIX = "lookalike-"
COLLECTION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

ENGINE_DISTANCE = {
    "cosine": models.Distance.COSINE,
    "euclid": models.Distance.EUCLID,
    "dot": models.Distance.DOT,
    "manhattan": models.Distance.MANHATTAN,
}


def new_collection_id() -> str:
    return str(uuid.uuid4())


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def physical_name(collection_id: str, number: int = 1) -> str:
    return f"{PHYSICAL_PREFIX}{collection_id}-{number}"


async def create_collection(engine: Engine, collection: Collection) -> None:
    """Makes the collection in the engine. It exists once its alias does, which comes last."""
    await create_physical(engine, collection)
    await point_alias(engine, collection)


async def create_physical(engine: Engine, collection: Collection) -> None:
    """Makes the physical collection, with its indexes, before any record arrives."""
    on_server = engine.capabilities.storage_options
    options = storage.create_options(collection.storage, collection.distance) if on_server else {}
    await engine.create_collection(
        collection.physical,
        vectors_config={
            collection.vector: models.VectorParams(
                size=collection.dimension,
                distance=ENGINE_DISTANCE[collection.distance],
                on_disk=(collection.storage.on_disk or None) if on_server else None,
            )
        },
        sparse_vectors_config={TAGS_VECTOR: models.SparseVectorParams()},
        metadata={METADATA_KEY: to_settings(collection)}
        | ({HEADERS_KEY: collection.fetch_headers} if collection.fetch_headers else {}),
        **options,
    )
    await ensure_indexes(engine, collection)


async def point_alias(engine: Engine, collection: Collection) -> None:
    """The id stands for this physical collection from now on, in one step for everybody."""
    await engine.update_collection_aliases(
        [
            models.CreateAliasOperation(
                create_alias=models.CreateAlias(
                    collection_name=collection.physical, alias_name=collection.id
                )
            )
        ]
    )


async def save_collection(engine: Engine, old: Collection, new: Collection) -> None:
    """Writes changed settings, and makes or drops payload indexes to match."""
    await change_indexes(engine, old, new)
    metadata: dict[str, Any] = {METADATA_KEY: to_settings(new)}
    if new.fetch_headers != old.fetch_headers:
        metadata[HEADERS_KEY] = new.fetch_headers or None
    await engine.update_collection(new.physical, metadata=metadata)


def vector_fields(of: Collection | SecondVector) -> dict[str, Any]:
    return {name: getattr(of, name) for name in VECTOR_FIELDS}


async def save_vectors(engine: Engine, collection: Collection) -> None:
    """Tells every process which vectors there are, and which of them is searched, in one write."""
    kept = vector_fields(collection)
    kept["alternative"] = msgspec.to_builtins(collection.second_vector)
    await engine.update_collection(collection.physical, metadata={VECTORS_KEY: kept})


def to_settings(collection: Collection) -> dict[str, Any]:
    """A collection as it is kept and exported, without its secrets and its second vector."""
    kept: dict[str, Any] = msgspec.to_builtins(collection)
    # Its own name is no business of a collection: a snapshot may be restored under another one.
    for name in ("physical", "alternative", *SECRET):
        del kept[name]
    return kept


async def delete_collection(engine: Engine, collection_id: str) -> None:
    """Deletes the collection: what the alias stands for, and what an import has left."""
    names = set((await list_physicals(engine, collection_id)).values())
    physical = (await read_aliases(engine)).get(collection_id)
    # First the one in use: with it goes the alias, and the collection is no more.
    if physical is not None:
        await engine.delete_collection(physical)
    for name in names - {physical}:
        await engine.delete_collection(name)


async def count_stored(engine: Engine, collection: Collection) -> int:
    """How many records the collection has."""
    return (await engine.count(collection.physical)).count


async def list_physicals(engine: Engine, collection_id: str) -> dict[int, str]:
    """Every physical collection that belongs to a collection, by its number."""
    prefix = f"{PHYSICAL_PREFIX}{collection_id}-"
    names = [entry.name for entry in (await engine.get_collections()).collections]
    return {
        int(name.removeprefix(prefix)): name
        for name in names
        if name.startswith(prefix) and name.removeprefix(prefix).isdigit()
    }


async def read_aliases(engine: Engine) -> dict[str, str]:
    """Alias -> physical collection, of everything in the engine."""
    listing = await engine.get_aliases()
    return {entry.alias_name: entry.collection_name for entry in listing.aliases}


async def read_all(engine: Engine) -> list[Collection]:
    """Every collection of ours; others in the same Qdrant are ignored."""
    found = [
        (each.alias, _read_settings(each.physical, each.metadata))
        for each in await engine.get_aliased()
    ]
    return [kept for alias, kept in found if kept is not None and kept.id == alias]


async def read_collection(engine: Engine, collection_id: str) -> Collection | None:
    """The settings of one collection; None where it is not ours or has just been deleted."""
    physical = (await read_aliases(engine)).get(collection_id)
    return None if physical is None else await read_aliased(engine, collection_id, physical)


async def read_aliased(engine: Engine, alias: str, physical: str) -> Collection | None:
    """As `read_collection`, where it is known what the alias stands for."""
    found = await read_physical(engine, physical)
    return found if found is not None and found.id == alias else None


async def read_physical(engine: Engine, physical: str) -> Collection | None:
    """As `read_collection`, of a physical collection with or without an alias."""
    try:
        info = await engine.get_collection(physical)
    except CollectionNotFound:
        return None
    return _read_settings(physical, info.config.metadata or {})


def _read_settings(physical: str, metadata: dict[str, Any]) -> Collection | None:
    kept = metadata.get(METADATA_KEY)
    if kept is None:
        return None
    vectors = metadata.get(VECTORS_KEY) or {}
    own = {"physical": physical, "fetch_headers": metadata.get(HEADERS_KEY) or {}}
    return msgspec.convert(kept | vectors | own, Collection)
