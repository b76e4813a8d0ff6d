"""Managing collections. The provider does this by hand in its app; these endpoints are ours."""

from __future__ import annotations

from litestar import Controller, get, post, route
from litestar import delete as http_delete

from lookalike.adapter.collections.collection_settings import (
    CollectionChange,
    CollectionSettings,
    CollectionView,
)
from lookalike.adapter.collections.names import name_key
from lookalike.adapter.collections.service import CollectionService
from lookalike.api.auth import Grant
from lookalike.api.bodies import JsonBody
from lookalike.api.dependencies import check_query, find_collection
from lookalike.api.schemas import CollectionPage

NEEDS_ADMIN = {"scope": "admin"}
NEEDS_READ = {"scope": "read"}


class CollectionMethods(Controller):
    path = "/similarity/v2/collection"
    tags = ("collections",)
    guards = (check_query,)

    @get("/", opt=NEEDS_READ | {"query": {"name"}})
    async def list_all(
        self, collections: CollectionService, grant: Grant, name: str | None = None
    ) -> CollectionPage:
        """Every collection that the token may use, oldest first."""
        views = [
            await collections.make_view(collection)
            for collection in await collections.list_all()
            if grant.allows_collection(collection.id)
            and (name is None or name_key(name) == name_key(collection.name))
        ]
        return CollectionPage(len(views), None, None, views)

    @post("/", status_code=201, opt=NEEDS_ADMIN, dto=JsonBody[CollectionSettings])
    async def create(
        self, data: CollectionSettings, collections: CollectionService, grant: Grant
    ) -> CollectionView:
        """Makes a collection, with its payload indexes, ready for records.

        A token that is bound to collections cannot: it could not use the new one.
        """
        grant.require_all_collections("make collections")
        return await collections.make_view(await collections.create(data))

    @get("/{collection_id:str}", opt=NEEDS_READ)
    async def show(
        self, collection_id: str, collections: CollectionService, grant: Grant
    ) -> CollectionView:
        return await collections.show(await find_collection(collections, collection_id, grant))

    @route(
        "/{collection_id:str}",
        http_method=["PUT", "PATCH"],
        status_code=200,
        opt=NEEDS_ADMIN,
        dto=JsonBody[CollectionChange],
    )
    async def change(
        self,
        collection_id: str,
        data: CollectionChange,
        collections: CollectionService,
        grant: Grant,
    ) -> CollectionView:
        """Sets the given settings; PUT is as PATCH: a collection has no other state to replace."""
        collection = await find_collection(collections, collection_id, grant)
        if data.given.get("name", collection.name) != collection.name:
            # That a name is taken would tell of collections that do not exist for the token.
            grant.require_all_collections("rename collections")
        return await collections.make_view(await collections.change(collection, data))

    @http_delete("/{collection_id:str}", status_code=204, opt=NEEDS_ADMIN)
    async def remove(
        self, collection_id: str, collections: CollectionService, grant: Grant
    ) -> None:
        """Deletes the collection with all its records."""
        collection = await find_collection(collections, collection_id, grant)
        await collections.delete(collection, collection_id)
