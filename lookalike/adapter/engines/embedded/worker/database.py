"""All collections of a data folder: making, loading, changing and keeping them.

Used by the worker, on its one thread. Administrative changes are writes of the collection's queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import qdrant_edge as edge

from lookalike.adapter.engines.embedded.worker import residency, validation
from lookalike.adapter.engines.embedded.worker.conditions import Plain
from lookalike.adapter.engines.embedded.worker.data_folder import Catalog, Home, Manifest
from lookalike.adapter.engines.embedded.worker.loading import Damaged, load_shard
from lookalike.adapter.engines.embedded.worker.schema import (
    Schema,
    add_vector,
    edge_config,
    index_params,
)
from lookalike.adapter.engines.embedded.worker.shard import Collection
from lookalike.adapter.engines.embedded.worker.validation import Refused
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings


class NoCollection(Exception):
    """No collection has this name, nor an alias."""


BYTES_PER_ELEMENT = 4


class Engine:
    """The collections by name; those that could not be loaded are `broken`."""

    def __init__(self, data: Path, settings: WorkerSettings) -> None:
        self.settings = settings
        self.catalog = Catalog(data)
        self.collections: dict[str, Collection] = {}
        self.broken: dict[str, Home] = {}

    def load(self, *, faulted: bool) -> None:
        """Load every collection; `faulted` when the last worker died of a fault of its own."""
        for home in self.catalog.homes():
            name = home.manifest.name
            try:
                shard = load_shard(home, faulted=faulted)
            except Damaged:
                self.broken[name] = home
                continue
            self.collections[name] = Collection(home, shard)
            elements = (
                shard.info().points_count * home.manifest.collection_schema.elements_per_point
            )
            if elements * BYTES_PER_ELEMENT < residency.SMALL_BYTES:
                residency.release_pages(home.shard)

    def close(self) -> None:
        """Bring everything to the files."""
        for collection in self.collections.values():
            collection.flush()
            collection.shard.close()

    def resolve(self, name: str) -> str:
        return self.catalog.aliases.get(name, name)

    def collection(self, name: str) -> Collection:
        """A collection by name or alias; raises NoCollection."""
        name = self.resolve(name)
        if name in self.broken:
            raise Refused("the files of the collection are damaged")
        try:
            return self.collections[name]
        except KeyError:
            raise NoCollection from None

    # Reads

    def health(self) -> Plain:
        """What is not as it should be; `ready` is true when this answers at all."""
        return {
            "ready": True,
            "collections": len(self.collections),
            "broken": sorted(self.broken),
            "rebuilding": sorted(
                name for name, kept in self.collections.items() if kept.touched is not None
            ),
            "logs_aside": {
                name: aside
                for name, collection in self.collections.items()
                if (aside := collection.home.logs_aside())
            },
        }

    def get_collections(self) -> list[str]:
        return [*self.collections, *self.broken]

    def get_aliases(self) -> dict[str, str]:
        return self.catalog.aliases

    # Administration

    def create_collection(self, name: str, args: Plain) -> Iterator[None]:
        if not name or name in self.collections or name in self.broken:
            raise Refused("a collection of this name exists")
        schema = Schema(
            vectors=args.get("vectors") or {},
            sparse_vectors=args.get("sparse_vectors") or {},
            hnsw_config=args.get("hnsw_config") or {},
            quantization_config=args.get("quantization_config"),
        )
        config = edge_config(schema)
        metadata = validation.payload(args.get("metadata"))
        home = self.catalog.new_home(
            Manifest(name=name, collection_schema=schema, metadata=metadata)
        )
        try:
            shard = edge.EdgeShard.create(str(home.shard), config)
            shard.flush()
            home.save()
        except Exception:
            home.discard()
            raise
        self.collections[name] = Collection(home, shard)
        yield

    def delete_collection(self, name: str, _: Plain) -> Iterator[None]:
        if name in self.broken:
            home = self.broken.pop(name)
        else:
            collection = self.collection(name)
            home = collection.home
            del self.collections[name]
            collection.shard.close()
        self.catalog.remove(home)
        kept = {alias: of for alias, of in self.catalog.aliases.items() if of != name}
        if kept != self.catalog.aliases:
            self.catalog.save_aliases(kept)
        yield

    def update_collection(self, name: str, args: Plain) -> Iterator[None]:
        """Merge metadata; null removes a key."""
        home = self.collection(name).home
        merged = home.manifest.metadata | validation.payload(args.get("metadata"))
        home.save(metadata={k: v for k, v in merged.items() if v is not None})
        yield

    def create_vector_name(self, name: str, args: Plain) -> Iterator[None]:
        """As on the server, one that is there with the same parameters is left as it is."""
        collection = self.collection(name)
        vector, params, schema = validation.text(args["vector"]), args["params"], collection.schema
        if schema.vectors.get(vector) == params:
            return
        if vector in schema.vectors or vector in schema.sparse_vectors:
            raise Refused("a vector of this name exists with other parameters")
        home = collection.home
        wanted = msgspec.structs.replace(schema, vectors=schema.vectors | {vector: params})
        # The manifest comes last: a vector that it does not name is dropped when the shard is
        # loaded, and one that it names is there.
        add_vector(collection.shard, vector, wanted)
        home.save(collection_schema=wanted, new_vectors=[*home.manifest.new_vectors, vector])
        # Examined for a rebuild after the next flush.
        collection.unflushed += 1
        yield

    def delete_vector_name(self, name: str, args: Plain) -> Iterator[None]:
        collection = self.collection(name)
        vector, schema, home = validation.text(args["vector"]), collection.schema, collection.home
        if vector in schema.sparse_vectors or schema.vectors.keys() == {vector}:
            raise Refused("the only dense vector of a collection, and sparse ones, stay")
        if vector in schema.vectors:
            kept = {name: params for name, params in schema.vectors.items() if name != vector}
            home.save(
                collection_schema=msgspec.structs.replace(schema, vectors=kept),
                new_vectors=[name for name in home.manifest.new_vectors if name != vector],
            )
            collection.shard.update(edge.UpdateOperation.delete_vector_name(vector))
        yield

    def create_payload_index(self, name: str, args: Plain) -> Iterator[None]:
        collection = self.collection(name)
        path = validation.path(args.get("field"))
        params = index_params(args["field_schema"])
        collection.shard.update(edge.UpdateOperation.create_field_index(path, params))
        indexes = collection.home.manifest.payload_indexes
        collection.home.save(payload_indexes=indexes | {path: args["field_schema"]})
        yield

    def delete_payload_index(self, name: str, args: Plain) -> Iterator[None]:
        collection = self.collection(name)
        path = validation.path(args.get("field"))
        indexes = dict(collection.home.manifest.payload_indexes)
        if indexes.pop(path, None) is not None:
            collection.shard.update(edge.UpdateOperation.delete_field_index(path))
            collection.home.save(payload_indexes=indexes)
        yield

    def update_aliases(self, _: str, args: Plain) -> Iterator[None]:
        """All changes or none."""
        aliases = dict(self.catalog.aliases)
        for action in args["actions"]:
            ((kind, params),) = action.items()
            alias = params.get("alias_name") or params.get("old_alias_name")
            if kind == "create_alias":
                if params["collection_name"] not in self.collections:
                    raise NoCollection
                if alias in self.collections:
                    raise Refused("a collection has the name of the alias")
                aliases[alias] = params["collection_name"]
            elif alias not in aliases:
                raise Refused("there is no such alias")
            elif kind == "rename_alias":
                aliases[params["new_alias_name"]] = aliases.pop(alias)
            else:
                del aliases[alias]
        self.catalog.save_aliases(aliases)
        yield


ADMINISTRATION: dict[str, Callable[[Engine, str, Plain], Iterator[None]]] = {
    "create_collection": Engine.create_collection,
    "delete_collection": Engine.delete_collection,
    "update_collection": Engine.update_collection,
    "create_vector_name": Engine.create_vector_name,
    "delete_vector_name": Engine.delete_vector_name,
    "create_payload_index": Engine.create_payload_index,
    "delete_payload_index": Engine.delete_payload_index,
    "update_aliases": Engine.update_aliases,
}
