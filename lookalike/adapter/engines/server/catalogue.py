"""All collections of a server with their metadata: it has no call for several."""

from __future__ import annotations

import asyncio

from qdrant_client import models

from lookalike.adapter.engines.base import AliasedCollection, Engine
from lookalike.adapter.errors import CollectionNotFound

SIDE_BY_SIDE = 8
"""Calls at once, which leave connections to others."""


async def list_aliased(engine: Engine) -> list[AliasedCollection]:
    """All aliases, with the metadata of their collections."""
    few = asyncio.Semaphore(SIDE_BY_SIDE)

    async def read(alias: models.AliasDescription) -> AliasedCollection | None:
        async with few:
            try:
                info = await engine.get_collection(alias.collection_name)
            except CollectionNotFound:  # Deleted meanwhile.
                return None
        metadata = info.config.metadata or {}
        return AliasedCollection(alias.alias_name, alias.collection_name, metadata)

    aliases = (await engine.get_aliases()).aliases
    found = await asyncio.gather(*map(read, aliases))
    return [collection for collection in found if collection is not None]
