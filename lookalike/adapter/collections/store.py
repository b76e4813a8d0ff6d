"""What a collection is, and where that is kept: in the metadata of the collection in Qdrant itself.

Any number of API processes agree on a collection because none of them owns its settings.

In the engine a collection is an alias, its id, for a *physical* collection
`lookalike-<id>-<number>`, which may be restored from a snapshot under another number. Beside the
vector that is searched its points may have another one (`collections.second_vector`). A request
knows from beginning to end the collection that it was given: it never searches one vector with an
image embedded for the other.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
from qdrant_client import models

from lookalike.adapter.collections import storage as storages
from lookalike.adapter.collections.storage import Storage
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import CollectionNotFound, InvalidRequest
from lookalike.adapter.filters import SHADOW_PATH, engine_key, split
from lookalike.adapter.point_layout import RESERVED_KEY, TAGS_VECTOR, VISUAL_VECTOR

CollectionType = Literal[
    "photos", "products", "fashion", "homedecor", "custom", "colors", "matching"
]
IndexType = Literal["keyword", "number"]
Distance = Literal["cosine", "euclid", "dot", "manhattan"]

METADATA_KEY = "lookalike"
VECTORS_KEY = "lookalike-vectors"
"""What vectors there are, once there is more than one. It wins over the settings, and apart from
them whoever saves those does not undo what a migration has done."""
PHYSICAL_PREFIX = "lookalike-"
SCHEMA_VERSION = 1

ENGINE_DISTANCE = {
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


class SecondVector(msgspec.Struct, frozen=True, kw_only=True):
    """Another vector of the same records, made by another embedder."""

    vector: str
    """Its name in Qdrant."""
    embedder: str
    revision: str
    dimension: int
    distance: Distance
    complete: bool = False
    """Whether every record has it whose image can be read."""
    share: float = 0.0
    """Of different queries the part that it answers, 0 to 1."""


VECTOR_FIELDS = ("vector", "embedder", "revision", "dimension", "distance")
"""What a collection and its second vector both say of a vector."""


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a collection. `id` is its alias in Qdrant."""

    id: str
    physical: str
    """The name of the collection in Qdrant that holds the records."""
    name: str
    type: CollectionType
    embedder: str
    revision: str
    """Fingerprint of the embedder that made the vectors; another one must not add to them."""
    dimension: int
    distance: Distance
    vector: str = VISUAL_VECTOR
    """The vector that is searched, by its name in Qdrant."""
    second_vector: SecondVector | None = msgspec.field(default=None, name="alternative")
    created: str
    fields_to_index: tuple[IndexedField, ...] = ()
    product_id_field: str | None = None
    capacity: int | None = None
    """The largest number of records, or None for no limit."""
    tag_weight: float = 0.25
    """Share of the tags in the distance of `visualTagsKNN`, 0 to 1."""
    tag_idf: bool = False
    """Rare tags count more. Fixed for ever: the vectors of the tags depend on it."""
    storage: Storage = Storage()
    schema_version: int = SCHEMA_VERSION

    @property
    def search_params(self) -> models.SearchParams | None:
        return storages.search_params(self.storage, self.distance)

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


def physical_name(collection_id: str, number: int = 1) -> str:
    return f"{PHYSICAL_PREFIX}{collection_id}-{number}"


async def create(engine: Engine, collection: Collection) -> None:
    """Makes the collection in the engine. It exists once its alias does, which comes last."""
    await create_physical(engine, collection)
    await point_alias(engine, collection)


async def create_physical(engine: Engine, collection: Collection) -> None:
    """Makes the physical collection, with its indexes, before any record arrives."""
    on_server = engine.capabilities.storage_options
    options = storages.create_options(collection.storage, collection.distance) if on_server else {}
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
        metadata=_to_metadata(collection),
        **options,
    )
    await ensure_indexes(engine, collection)


async def ensure_indexes(engine: Engine, collection: Collection) -> None:
    """Makes the payload indexes that are missing; one that is there is left as it is."""
    await engine.create_payload_index(
        collection.physical, SHADOW_PATH, field_schema=models.PayloadSchemaType.KEYWORD
    )
    for index in collection.fields_to_index:
        await _create_index(engine, collection.physical, index)


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


def vector_fields(of: Collection | SecondVector) -> dict[str, Any]:
    return {name: getattr(of, name) for name in VECTOR_FIELDS}


async def save_vectors(engine: Engine, collection: Collection) -> None:
    """Tells every process which vectors there are, and which of them is searched, in one write."""
    kept = vector_fields(collection)
    kept["alternative"] = msgspec.to_builtins(collection.second_vector)
    await engine.update_collection(collection.physical, metadata={VECTORS_KEY: kept})


async def physicals(engine: Engine, collection_id: str) -> dict[int, str]:
    """Every physical collection that belongs to a collection, by its number."""
    prefix = f"{PHYSICAL_PREFIX}{collection_id}-"
    names = [entry.name for entry in (await engine.get_collections()).collections]
    return {
        int(name.removeprefix(prefix)): name
        for name in names
        if name.startswith(prefix) and name.removeprefix(prefix).isdigit()
    }


async def delete(engine: Engine, collection_id: str) -> None:
    """Deletes the collection: what the alias stands for, and what an import has left."""
    names = set((await physicals(engine, collection_id)).values())
    physical = (await aliases(engine)).get(collection_id)
    # First the one in use: with it goes the alias, and the collection is no more.
    if physical is not None:
        await engine.delete_collection(physical)
    for name in names - {physical}:
        await engine.delete_collection(name)


async def _create_index(engine: Engine, physical: str, index: IndexedField) -> None:
    if index.type is not None:
        await engine.create_payload_index(
            physical, index_key(index.field), field_schema=_ENGINE_INDEX[index.type]
        )


async def save(engine: Engine, old: Collection, new: Collection) -> None:
    """Writes changed settings, and makes or drops payload indexes to match."""
    kept = {index.field: index.type for index in new.fields_to_index}
    for index in new.fields_to_index:
        if old.indexes.get(index.field) != index.type:
            await _create_index(engine, new.physical, index)
    for field in old.indexes:
        if field not in kept:
            await engine.delete_payload_index(new.physical, index_key(field))
    await engine.update_collection(new.physical, metadata=_to_metadata(new))


def _to_metadata(collection: Collection) -> dict[str, Any]:
    kept = msgspec.to_builtins(collection)
    # Its own name is no business of a collection: a snapshot may be restored under another one.
    del kept["physical"]
    del kept["alternative"]
    return {METADATA_KEY: kept}


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


async def aliases(engine: Engine) -> dict[str, str]:
    """Alias -> physical collection, of everything in the engine."""
    listing = await engine.get_aliases()
    return {entry.alias_name: entry.collection_name for entry in listing.aliases}


async def read(engine: Engine, collection_id: str) -> Collection | None:
    """The settings of one collection; None where it is not ours or has just been deleted."""
    physical = (await aliases(engine)).get(collection_id)
    return None if physical is None else await read_aliased(engine, collection_id, physical)


async def read_aliased(engine: Engine, alias: str, physical: str) -> Collection | None:
    """As `read`, where it is known what the alias stands for."""
    found = await read_physical(engine, physical)
    return found if found is not None and found.id == alias else None


async def read_physical(engine: Engine, physical: str) -> Collection | None:
    """As `read`, of a physical collection with or without an alias."""
    try:
        info = await engine.get_collection(physical)
    except CollectionNotFound:
        return None
    metadata = info.config.metadata or {}
    kept = metadata.get(METADATA_KEY)
    if kept is None:
        return None
    vectors = metadata.get(VECTORS_KEY) or {}
    return msgspec.convert(kept | vectors | {"physical": physical}, Collection)
