"""Managing collections. The provider does this by hand in its app; these endpoints are ours."""

from __future__ import annotations

from litestar import Controller, get, post, route
from litestar import delete as http_delete
from msgspec import UNSET, structs

from lookalike.adapter.collections import defaults, second_vector
from lookalike.adapter.collections import store as collections
from lookalike.adapter.collections.store import Collection, IndexedField
from lookalike.adapter.errors import CollectionNotFound
from lookalike.api.auth import Grant
from lookalike.api.bodies import JsonBody
from lookalike.api.schemas import (
    CollectionChange,
    CollectionPage,
    CollectionView,
    NewCollection,
)
from lookalike.api.services import Services

ADMIN = {"scope": "admin"}
READ = {"scope": "read"}

TAGS_INDEX = IndexedField("tags", "keyword")


class Collections(Controller):
    path = "/similarity/v2/collection"
    tags = ("collections",)

    @get("/", opt=READ)
    async def list_all(
        self, services: Services, grant: Grant, name: str | None = None
    ) -> CollectionPage:
        """Every collection that the token may use, oldest first."""
        await services.cache.refresh()
        views = [
            await view(collection, services)
            for collection in services.cache.all()
            if (grant.collections is None or collection.id in grant.collections)
            and name in (None, collection.name)
        ]
        return CollectionPage(len(views), None, None, views)

    @post("/", status_code=201, opt=ADMIN, dto=JsonBody[NewCollection])
    async def create(self, data: NewCollection, services: Services) -> CollectionView:
        """Makes a collection, with its payload indexes, ready for records."""
        return await view(await create(data, services), services)

    @get("/{collection_id:str}", opt=READ)
    async def show(self, collection_id: str, services: Services, grant: Grant) -> CollectionView:
        collection = await services.collection(collection_id, grant)
        return await view(await services.cache.newest(collection), services)

    @route(
        "/{collection_id:str}",
        http_method=["PUT", "PATCH"],
        status_code=200,
        opt=ADMIN,
        dto=JsonBody[CollectionChange],
    )
    async def change(
        self,
        collection_id: str,
        data: CollectionChange,
        services: Services,
        grant: Grant,
    ) -> CollectionView:
        """Sets the given settings; PUT is as PATCH: a collection has no other state to replace."""
        old = await services.cache.newest(await services.collection(collection_id, grant))
        new = changed(old, data)
        await collections.save(services.engine, old, new)
        if new.second_vector != old.second_vector:
            await second_vector.replace(services.engine, new, new.second_vector)
        services.cache.put(new)
        return await view(new, services)

    @http_delete("/{collection_id:str}", status_code=204, opt=ADMIN)
    async def remove(self, collection_id: str, services: Services, grant: Grant) -> None:
        """Deletes the collection with all its records."""
        await delete(await services.collection(collection_id, grant), collection_id, services)


async def create(data: NewCollection, services: Services) -> Collection:
    """Raises InvalidRequest for an unknown embedder and for a field that cannot be indexed."""
    name = data.embedder or defaults.embedder_for(data.type, services.settings.embedder)
    embedder = await services.embedder_named(name, "$.embedder")
    id_ = collections.new_collection_id()
    collection = Collection(
        id=id_,
        physical=collections.physical_name(id_),
        name=data.name,
        type=data.type,
        embedder=name,
        revision=embedder.revision,
        dimension=embedder.dimension,
        distance=embedder.distance,
        created=collections.now(),
        fields_to_index=collections.indexed_fields(
            # Searches count how many records have a tag.
            [*data.fields_to_index, *([TAGS_INDEX] if data.tag_idf else [])],
            data.product_id_field,
            "$.fields_to_index",
        ),
        product_id_field=data.product_id_field,
        capacity=data.capacity,
        tag_weight=data.tag_weight,
        tag_idf=data.tag_idf,
        storage=data.storage,
    )
    await collections.create(services.engine, collection)
    services.cache.put(collection)
    return collection


async def delete(collection: Collection, asked: str, services: Services) -> None:
    """Deletes by id only: a name is too easily a mistake. Raises CollectionNotFound."""
    if collection.id != asked:
        raise CollectionNotFound
    await collections.delete(services.engine, collection.id)
    services.cache.forget(collection.id)


def changed(old: Collection, data: CollectionChange) -> Collection:
    product_id_field = (
        old.product_id_field if data.product_id_field is UNSET else data.product_id_field
    )
    wanted = old.fields_to_index if data.fields_to_index is UNSET else data.fields_to_index
    known = {index.field: index for index in old.fields_to_index}
    fields = collections.indexed_fields(
        # A field that is named again without a type keeps the type that was seen.
        [known.get(entry, entry) if isinstance(entry, str) else entry for entry in wanted],
        product_id_field,
        "$.fields_to_index",
    )
    return structs.replace(
        old,
        name=old.name if data.name is UNSET else data.name,
        fields_to_index=fields,
        product_id_field=product_id_field,
        capacity=old.capacity if data.capacity is UNSET else data.capacity,
        tag_weight=old.tag_weight if data.tag_weight is UNSET else data.tag_weight,
        second_vector=(
            old.second_vector
            if data.second_vector_share is UNSET
            else second_vector.sharing(old, data.second_vector_share)
        ),
    )


async def view(collection: Collection, services: Services) -> CollectionView:
    count = (await services.engine.count(collection.physical, exact=True)).count
    return CollectionView(
        id=collection.id,
        name=collection.name,
        type=collection.type,
        embedder=collection.embedder,
        revision=collection.revision,
        dimension=collection.dimension,
        distance=collection.distance,
        vector=collection.vector,
        second_vector=collection.second_vector,
        fields_to_index=collection.fields_to_index,
        product_id_field=collection.product_id_field,
        capacity=collection.capacity,
        tag_weight=collection.tag_weight,
        tag_idf=collection.tag_idf,
        storage=collection.storage,
        records_count=count,
        created=collection.created,
    )
