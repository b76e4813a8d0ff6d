"""The collections as one process knows them."""

from __future__ import annotations

import asyncio
import time

from lookalike.adapter.collections import store
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.collections.names import AmbiguousName, name_key
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import CollectionNotFound


class CollectionCache:
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

    def present(self, collection: Collection) -> Collection:
        """What is known of it by now, which may be more than when the request began."""
        return self._by_id.get(collection.id, collection)

    async def find(self, id_or_name: str, usable: frozenset[str] | None = None) -> Collection:
        """The collection of this id, or the one of the `usable` collections that has this name.

        Raises CollectionNotFound, and AmbiguousName with the ids of the usable ones. One that is
        not usable is as one that is not there, in the work that it makes too.
        """
        if usable is not None and id_or_name not in usable and names_an_id(id_or_name):
            raise CollectionNotFound
        found = self._lookup(id_or_name, usable)
        if len(found) == 1:
            return found[0]
        if not found and names_an_id(id_or_name):
            read = await store.read_collection(self._engine, id_or_name)
            if read is not None:
                self.put(read)
                found = [read]
        else:
            await self._refresh_since(time.monotonic())
            found = self._lookup(id_or_name, usable)
        if not found:
            raise CollectionNotFound
        if len(found) > 1:
            raise AmbiguousName(collection.id for collection in found)
        return found[0]

    async def read_newest(self, collection: Collection) -> Collection:
        """Reads the settings again, so that a change based on them does not undo another process's
        change. Raises CollectionNotFound."""
        found = await store.read_collection(self._engine, collection.id)
        if found is None:
            self.forget(collection.id)
            raise CollectionNotFound
        self.put(found)
        return found

    async def _refresh_since(self, asked: float) -> None:
        """Those who wait together share one listing."""
        async with self._refreshing:
            if self._refreshed >= asked:
                return
            await asyncio.sleep(self._refreshed + self.MIN_REFRESH_SECONDS - time.monotonic())
            await self.refresh()

    def _lookup(self, id_or_name: str, usable: frozenset[str] | None) -> list[Collection]:
        found = self._by_id.get(id_or_name)
        if found is not None:
            return [found]
        key = name_key(id_or_name)
        named = [c for c in self._by_id.values() if name_key(c.name) == key]
        return [c for c in named if usable is None or c.id in usable]

    async def refresh(self) -> None:
        """Reads every collection of ours from the engine."""
        started = time.monotonic()
        self._by_id = {c.id: c for c in await store.read_all(self._engine)}
        self._refreshed = started


def names_an_id(id_or_name: str) -> bool:
    """No collection has a name of this form."""
    return store.COLLECTION_ID.fullmatch(id_or_name) is not None
