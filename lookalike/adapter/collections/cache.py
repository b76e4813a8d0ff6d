"""The collections as one process knows them."""

from __future__ import annotations

import asyncio
import re
import time

from lookalike.adapter.collections import store
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import CollectionNotFound

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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

    async def find(self, id_or_name: str) -> Collection:
        """Raises CollectionNotFound."""
        found = self._lookup(id_or_name)
        if found is None and _ID.fullmatch(id_or_name):
            found = await store.read_collection(self._engine, id_or_name)
            if found is not None:
                self.put(found)
        elif found is None:
            await self._refresh_since(time.monotonic())
            found = self._lookup(id_or_name)
        if found is None:
            raise CollectionNotFound
        return found

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

    def _lookup(self, id_or_name: str) -> Collection | None:
        found = self._by_id.get(id_or_name)
        if found is not None:
            return found
        return next((c for c in self._by_id.values() if c.name == id_or_name), None)

    async def refresh(self) -> None:
        """Reads every collection of ours from the engine; others in the same Qdrant are ignored."""
        started = time.monotonic()
        found: dict[str, Collection] = {}
        for alias, physical in (await store.read_aliases(self._engine)).items():
            collection = await store.read_aliased(self._engine, alias, physical)
            if collection is not None:
                found[collection.id] = collection
        self._by_id = found
        self._refreshed = started
