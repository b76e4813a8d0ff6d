"""Payload indexes: which fields of a collection have one, and of which type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter.collections.collection_settings import Collection, IndexedField, IndexType
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import InvalidRequest
from lookalike.adapter.filters import SHADOW_PATH, check_field, engine_key, split_path

# Numbers are indexed as floats, never as integers: an integer index silently drops 1.5 from ranges.
_ENGINE_INDEX = {
    "keyword": models.PayloadSchemaType.KEYWORD,
    "number": models.PayloadSchemaType.FLOAT,
}


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
    check_field(field, place)
    path = split_path(field)
    if "" in path or engine_key(path) is None:
        raise InvalidRequest("this field cannot be indexed", place=place)


def index_key(field: str) -> str:
    """The field as the engine spells it. Made for fields that `indexed_fields` has passed."""
    key = engine_key(split_path(field))
    assert key is not None, "checked when the collection was made"
    return key


async def ensure_indexes(engine: Engine, collection: Collection) -> None:
    """Makes the payload indexes that are missing; one that is there is left as it is."""
    await engine.create_payload_index(
        collection.physical, SHADOW_PATH, field_schema=models.PayloadSchemaType.KEYWORD
    )
    for index in collection.fields_to_index:
        await _create_index(engine, collection.physical, index)


async def change_indexes(engine: Engine, old: Collection, new: Collection) -> None:
    """Makes and drops payload indexes, so that those of `old` become those of `new`."""
    kept = {index.field: index.type for index in new.fields_to_index}
    for index in new.fields_to_index:
        if old.indexes.get(index.field) != index.type:
            await _create_index(engine, new.physical, index)
    for field in old.indexes:
        if field not in kept:
            await engine.delete_payload_index(new.physical, index_key(field))


async def _create_index(engine: Engine, physical: str, index: IndexedField) -> None:
    if index.type is not None:
        await engine.create_payload_index(
            physical, index_key(index.field), field_schema=_ENGINE_INDEX[index.type]
        )


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
        for value in _values_at(payload, field.split(".")):
            if isinstance(value, str):
                return "keyword"
            if isinstance(value, int | float) and not isinstance(value, bool):
                return "number"
    return None


def _values_at(value: Any, path: list[str]) -> Iterable[Any]:
    if isinstance(value, list):
        for element in value:
            yield from _values_at(element, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _values_at(value[path[0]], path[1:])
