"""What inserts and updates both do around a write: tokens, indexes, and the vectors of now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lookalike.adapter.collections import indexes, store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.collections.second_vector import swapped
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import InvalidRequest, RecordRefused, Unavailable
from lookalike.adapter.records.bookkeeping import WRITE_TOKEN_PATH, token_of
from lookalike.adapter.records.image_sources import Embedded, EmbedSecond, ImageSource
from lookalike.adapter.records.points import Record, record_id

NamedVectors = dict[str, Any]
"""The dense vectors of one point by name."""


class PointWrites:
    """One engine, and the collections on it as this process knows them."""

    def __init__(
        self, engine: Engine, cache: CollectionCache, embed_second: EmbedSecond | None
    ) -> None:
        self.engine = engine
        self._cache = cache
        self._embed_second = embed_second

    async def add_second(
        self, collection: Collection, embedded: Sequence[tuple[ImageSource, Embedded]]
    ) -> list[NamedVectors]:
        """The vectors of each image: that of the collection, and the second one if it has one."""
        found: list[NamedVectors] = [{collection.vector: one.vector} for _, one in embedded]
        second = collection.second_vector
        if second is None or self._embed_second is None or not embedded:
            return found
        sources = [source for source, _ in embedded]
        vectors = await self._embed_second(swapped(collection), sources)
        for names, vector in zip(found, vectors, strict=True):
            if vector is not None:
                names[second.vector] = vector
        return found

    def keep_present(self, collection: Collection, vectors: NamedVectors) -> NamedVectors:
        """Since the request began, the vectors may have been switched, or one have been dropped.

        Raises Unavailable where the vector is missing that is searched now.
        """
        searched, *others = self.present_names(collection)
        if searched not in vectors:
            raise Unavailable("The embedder of the collection was just replaced; try again.")
        return {name: vectors[name] for name in (searched, *others) if name in vectors}

    def present_names(self, collection: Collection) -> list[str]:
        """The names of the dense vectors that points have by now, first the one searched."""
        present = self._cache.present(collection)
        second = present.second_vector
        return [present.vector] if second is None else [present.vector, second.vector]

    async def read_tokens(self, collection: Collection, ids: list[str]) -> dict[str, str]:
        """Of the points that are there, who wrote each last."""
        found = await self.engine.retrieve(
            collection.physical, ids, with_payload=[WRITE_TOKEN_PATH]
        )
        return {str(point.id): token_of(point.payload) for point in found}

    async def index_new_fields(self, collection: Collection, payloads: list[Record]) -> None:
        """The first value of an indexed field decides the type of the index."""
        if indexes.infer_index_types(collection, payloads) is collection:
            return
        newest = await self._cache.read_newest(collection)
        changed = indexes.infer_index_types(newest, payloads)
        if changed is not newest:
            await store.save_collection(self.engine, newest, changed)
            self._cache.put(changed)


def usable_id(record: Record) -> str:
    """The record's `_id`. Raises RecordRefused (400) for one that is none."""
    try:
        return record_id(record.get("_id"), "_id")
    except InvalidRequest as error:
        raise RecordRefused(error.code, error.text) from None
