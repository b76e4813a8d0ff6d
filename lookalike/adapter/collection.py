"""What a collection is, and where that is kept: in the metadata of the collection in Qdrant itself.

Any number of API processes agree on a collection because none of them owns its settings.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
from qdrant_client import models

from lookalike.adapter.engine import Engine
from lookalike.adapter.errors import CollectionNotFound, InvalidRequest
from lookalike.adapter.filters import SHADOW_PATH, engine_key, split
from lookalike.adapter.records import RESERVED_KEY, TAGS_VECTOR, VISUAL_VECTOR

CollectionType = Literal[
    "photos", "products", "fashion", "homedecor", "custom", "colors", "matching"
]
IndexType = Literal["keyword", "number"]
Distance = Literal["cosine", "euclid", "dot", "manhattan"]

METADATA_KEY = "lookalike"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SCHEMA_VERSION = 1

_ENGINE_DISTANCE = {
    "cosine": models.Distance.COSINE,
    "euclid": models.Distance.EUCLID,
    "dot": models.Distance.DOT,
    "manhattan": models.Distance.MANHATTAN,
}
# Numbers are indexed as floats, never as integers: an integer index silently drops 1.5 from ranges.
_ENGINE_INDEX = {
    "keyword": models.PayloadSchemaType.KEYWORD,
    "number": models.PayloadSchemaType.FLOAT,
}


class IndexedField(msgspec.Struct, frozen=True):
    """A metadata field with a payload index.

    `field` is a dotted path. `type` is None until the first record with a value in the field shows
    whether it holds numbers or strings. An index changes how fast a filter is, never its answer.
    """

    field: str
    type: IndexType | None = None


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a collection. `id` is also the name of the collection in Qdrant."""

    id: str
    name: str
    type: CollectionType
    embedder: str
    revision: str
    """Fingerprint of the embedder that made the vectors; another one must not add to them."""
    dimension: int
    distance: Distance
    created: str
    fields_to_index: tuple[IndexedField, ...] = ()
    product_id_field: str | None = None
    capacity: int | None = None
    """The largest number of records, or None for no limit."""
    tag_weight: float = 0.25
    schema_version: int = SCHEMA_VERSION

    @property
    def indexes(self) -> dict[str, str]:
        """Path -> "keyword" or "number", for the payload indexes that exist."""
        return {index.field: index.type for index in self.fields_to_index if index.type}


def new_collection_id() -> str:
    return str(uuid.uuid4())


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def indexed_fields(
    wanted: Iterable[str | IndexedField], product_id_field: str | None, place: str
) -> tuple[IndexedField, ...]:
    """The indexes that a collection gets: the wanted ones and the product field, once each.

    Raises InvalidRequest for a path that the engine cannot address.
    """
    fields: dict[str, IndexedField] = {}
    for number, entry in enumerate(wanted):
        index = IndexedField(entry) if isinstance(entry, str) else entry
        _check_path(index.field, f"{place}[{number}]")
        fields[index.field] = index
    if product_id_field is not None:
        _check_path(product_id_field, "$.product_id_field")
        fields.setdefault(product_id_field, IndexedField(product_id_field))
    return tuple(fields.values())


def _check_path(field: str, place: str) -> None:
    path = split(field)
    if "" in path or path[0] == RESERVED_KEY or engine_key(path) is None:
        raise InvalidRequest("this field cannot be indexed", place=place)


def index_key(field: str) -> str:
    key = engine_key(split(field))
    assert key is not None, "checked when the collection was made"
    return key


async def create(engine: Engine, collection: Collection) -> None:
    """Makes the collection in the engine, with its indexes, before any record arrives."""
    await engine.create_collection(
        collection.id,
        vectors_config={
            VISUAL_VECTOR: models.VectorParams(
                size=collection.dimension, distance=_ENGINE_DISTANCE[collection.distance]
            )
        },
        sparse_vectors_config={TAGS_VECTOR: models.SparseVectorParams()},
        metadata=_to_metadata(collection),
    )
    await engine.create_payload_index(
        collection.id, SHADOW_PATH, field_schema=models.PayloadSchemaType.KEYWORD
    )
    for index in collection.fields_to_index:
        await _create_index(engine, collection.id, index)


async def _create_index(engine: Engine, collection_id: str, index: IndexedField) -> None:
    if index.type is not None:
        await engine.create_payload_index(
            collection_id, index_key(index.field), field_schema=_ENGINE_INDEX[index.type]
        )


async def save(engine: Engine, old: Collection, new: Collection) -> None:
    """Writes changed settings, and makes or drops payload indexes to match."""
    kept = {index.field: index.type for index in new.fields_to_index}
    for index in new.fields_to_index:
        if old.indexes.get(index.field) != index.type:
            await _create_index(engine, new.id, index)
    for field in old.indexes:
        if field not in kept:
            await engine.delete_payload_index(new.id, index_key(field))
    await engine.update_collection(new.id, metadata=_to_metadata(new))


def _to_metadata(collection: Collection) -> dict[str, Any]:
    return {METADATA_KEY: msgspec.to_builtins(collection)}


def infer_index_types(collection: Collection, payloads: Iterable[Mapping[str, Any]]) -> Collection:
    """The collection with a type for each index that had none and has a value in these payloads."""
    if all(index.type for index in collection.fields_to_index):
        return collection
    payloads = list(payloads)
    inferred = tuple(
        index if index.type else IndexedField(index.field, _type_seen(payloads, index.field))
        for index in collection.fields_to_index
    )
    if inferred == collection.fields_to_index:
        return collection
    return msgspec.structs.replace(collection, fields_to_index=inferred)


def _type_seen(payloads: Iterable[Mapping[str, Any]], field: str) -> IndexType | None:
    for payload in payloads:
        for value in values_at(payload, field.split(".")):
            if isinstance(value, str):
                return "keyword"
            if isinstance(value, int | float) and not isinstance(value, bool):
                return "number"
    return None


def values_at(value: Any, path: list[str]) -> Iterable[Any]:
    if isinstance(value, list):
        for element in value:
            yield from values_at(element, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from values_at(value[path[0]], path[1:])


class Catalogue:
    """The collections as this process knows them, so that a request finds its own without I/O.

    Another process, or the command line, may create, change or delete one at any time: `refresh`
    is called every few seconds, and an unknown collection is looked for in the engine.
    """

    MIN_REFRESH_SECONDS = 0.5
    """Unknown names cost at most two listings of the engine a second, however many are asked for;
    the question waits, because the collection may have been made a moment ago."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._by_id: dict[str, Collection] = {}
        self._refreshed = -self.MIN_REFRESH_SECONDS
        self._refreshing = asyncio.Lock()

    def all(self) -> list[Collection]:
        return sorted(self._by_id.values(), key=lambda collection: collection.created)

    def put(self, collection: Collection) -> None:
        self._by_id[collection.id] = collection

    def forget(self, collection_id: str) -> None:
        self._by_id.pop(collection_id, None)

    async def find(self, id_or_name: str) -> Collection:
        """Raises CollectionNotFound."""
        found = self._lookup(id_or_name)
        if found is None and _ID.fullmatch(id_or_name):
            found = await read(self._engine, id_or_name)
            if found is not None:
                self.put(found)
        elif found is None:
            await self._refresh_since(time.monotonic())
            found = self._lookup(id_or_name)
        if found is None:
            raise CollectionNotFound("Collection not found.")
        return found

    async def _refresh_since(self, asked: float) -> None:
        """Those who wait together share one listing."""
        async with self._refreshing:
            if self._refreshed >= asked:
                return
            await asyncio.sleep(self._refreshed + self.MIN_REFRESH_SECONDS - time.monotonic())
            await self.refresh()

    def _lookup(self, id_or_name: str) -> Collection | None:
        found = self._by_id.get(id_or_name)
        if found is not None:
            return found
        return next((c for c in self._by_id.values() if c.name == id_or_name), None)

    async def refresh(self) -> None:
        """Reads every collection of ours from the engine; others in the same Qdrant are ignored."""
        self._refreshed = time.monotonic()
        listing = await self._engine.get_collections()
        found: dict[str, Collection] = {}
        for description in listing.collections:
            collection = await read(self._engine, description.name)
            if collection is not None:
                found[collection.id] = collection
        self._by_id = found


async def read(engine: Engine, collection_id: str) -> Collection | None:
    """The settings of one collection; None where it is not ours or has just been deleted."""
    try:
        info = await engine.get_collection(collection_id)
    except CollectionNotFound:
        return None
    kept = (info.config.metadata or {}).get(METADATA_KEY)
    return None if kept is None else msgspec.convert(kept, Collection)
