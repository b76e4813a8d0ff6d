"""Making, changing and deleting collections: one way for HTTP and for the command line."""

from __future__ import annotations

from typing import Protocol

from msgspec import UNSET, structs

from lookalike.adapter.collections import defaults, names, second_vector, store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import (
    Collection,
    CollectionChange,
    CollectionSettings,
    CollectionView,
    EmbedderIdentity,
    IndexedField,
)
from lookalike.adapter.collections.fetch_headers import checked_headers
from lookalike.adapter.collections.indexes import indexed_fields
from lookalike.adapter.collections.run_logs import delete_run_logs
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import CollectionNotFound

TAGS_INDEX = IndexedField("tags", "keyword")


class EmbedderLookup(Protocol):
    """The part of the port `lookalike.embedding` that collections need."""

    async def identify_embedder(self, name: str, place: str) -> EmbedderIdentity:
        """Raises InvalidRequest at `place` for an unknown name."""
        ...


class CollectionService:
    """The collections of one engine, found in `cache` without I/O."""

    def __init__(
        self,
        engine: Engine,
        cache: CollectionCache,
        embedders: EmbedderLookup,
        preferred_embedder: str = "",
    ) -> None:
        self._engine = engine
        self._cache = cache
        self._embedders = embedders
        self._preferred_embedder = preferred_embedder

    async def find(self, id_or_name: str, usable: frozenset[str] | None = None) -> Collection:
        """As `CollectionCache.find`."""
        return await self._cache.find(id_or_name, usable)

    async def list_all(self) -> list[Collection]:
        """Every collection as the engine has it now, oldest first."""
        await self._cache.refresh()
        return self._cache.all()

    async def create(self, settings: CollectionSettings) -> Collection:
        """Raises InvalidRequest for an unknown embedder, for a field that cannot be indexed, for
        headers that may not be sent and for what is no name, NameTaken for one that is not free."""
        names.check_name(settings.name)
        name = settings.embedder or defaults.embedder_for(settings.type, self._preferred_embedder)
        identity = await self._embedders.identify_embedder(name, "$.embedder")
        id_ = store.new_collection_id()
        # Searches count how many records have a tag.
        wanted = [*settings.fields_to_index, *([TAGS_INDEX] if settings.tag_idf else [])]
        made = {
            "id": id_,
            "physical": store.physical_name(id_),
            "fields_to_index": indexed_fields(
                wanted, settings.product_id_field, "$.fields_to_index"
            ),
            "fetch_headers": checked_headers(settings.fetch_headers, "$.fetch_headers"),
            "created": store.now(),
        }
        collection = Collection(**structs.asdict(settings) | structs.asdict(identity) | made)
        async with names.claimed(self._engine, collection.name, collection.id):
            await store.create_collection(self._engine, collection)
        self._cache.put(collection)
        return collection

    async def change(self, collection: Collection, change: CollectionChange) -> Collection:
        """The collection with the given settings, as every process will know it.

        Raises CollectionNotFound, InvalidRequest for a field that cannot be indexed, for headers
        that may not be sent and for what is no name, NameTaken, and CollectionConflict for a share
        of the queries without a second vector that is complete.
        """
        old = await self._cache.read_newest(collection)
        new = changed(old, change)
        await self._save(old, new)
        if new.second_vector != old.second_vector:
            await second_vector.save_second_vector(self._engine, new, new.second_vector)
        self._cache.put(new)
        return new

    async def _save(self, old: Collection, new: Collection) -> None:
        if names.name_key(new.name) == names.name_key(old.name):
            await store.save_collection(self._engine, old, new)
            return
        names.check_name(new.name)
        async with names.claimed(self._engine, new.name, new.id):
            await store.save_collection(self._engine, old, new)
        await names.release_name(self._engine, old.name, old.id)

    async def delete(self, collection: Collection, asked: str) -> None:
        """Deletes by id only: a name is too easily a mistake. Raises CollectionNotFound."""
        if collection.id != asked:
            raise CollectionNotFound
        await delete_run_logs(self._engine, collection.id)
        await store.delete_collection(self._engine, collection.id)
        await names.release_name(self._engine, collection.name, collection.id)
        self._cache.forget(collection.id)

    async def show(self, collection: Collection) -> CollectionView:
        """The settings as the engine has them now. Raises CollectionNotFound."""
        return await self.make_view(await self._cache.read_newest(collection))

    async def make_view(self, collection: Collection) -> CollectionView:
        """These settings, with the number of records."""
        return CollectionView.of(collection, await store.count_stored(self._engine, collection))


def changed(old: Collection, change: CollectionChange) -> Collection:
    """The collection with the given settings. Raises as `CollectionService.change`."""
    given = change.given
    known = {index.field: index for index in old.fields_to_index}
    fields_to_index = indexed_fields(
        # A field that is named again without a type keeps the type that was seen.
        [
            known.get(entry, entry) if isinstance(entry, str) else entry
            for entry in given.get("fields_to_index", old.fields_to_index)
        ],
        given.get("product_id_field", old.product_id_field),
        "$.fields_to_index",
    )
    headers = checked_headers(given.get("fetch_headers", old.fetch_headers), "$.fetch_headers")
    second = old.second_vector
    if change.second_vector_share is not UNSET:
        second = second_vector.with_share(old, change.second_vector_share)
    made = {"fields_to_index": fields_to_index, "fetch_headers": headers}
    return structs.replace(old, **given | made, second_vector=second)
