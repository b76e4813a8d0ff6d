"""All collections of a data folder: loads, creates, changes and deletes them.

Used by the worker, on its one thread. Administrative changes are writes of the collection's queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import qdrant_edge as edge

from lookalike.adapter.engines.embedded import messages
from lookalike.adapter.engines.embedded.messages import VectorParams
from lookalike.adapter.engines.embedded.worker import residency, validation
from lookalike.adapter.engines.embedded.worker.data_folder import (
    CollectionFolder,
    DataFolder,
    Manifest,
)
from lookalike.adapter.engines.embedded.worker.loading import ShardDamaged, load_shard
from lookalike.adapter.engines.embedded.worker.schema import (
    Schema,
    add_vector,
    edge_config,
    index_params,
)
from lookalike.adapter.engines.embedded.worker.shard import Shard
from lookalike.adapter.engines.embedded.worker.validation import Refused
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings


class NoCollection(Exception):
    """No collection has this name, nor an alias."""


BYTES_PER_ELEMENT = 4


class Database:
    """The loaded collections by name; those that could not be loaded are `broken`."""

    def __init__(self, data: Path, settings: WorkerSettings) -> None:
        self.settings = settings
        self.data_folder = DataFolder(data)
        self.shards: dict[str, Shard] = {}
        self.broken: dict[str, CollectionFolder] = {}

    def load(self, *, faulted: bool) -> None:
        """Load every collection; `faulted` when the last worker died of a fault of its own."""
        self.data_folder.remove_leftovers()
        for folder in self.data_folder.read_collections():
            name = folder.manifest.name
            try:
                loaded = load_shard(folder, faulted=faulted)
            except ShardDamaged:
                self.broken[name] = folder
                continue
            self.shards[name] = Shard(folder, loaded)
            elements = (
                loaded.info().points_count * folder.manifest.collection_schema.elements_per_point
            )
            if elements * BYTES_PER_ELEMENT < residency.SMALL_BYTES:
                residency.release_pages(folder.shard_folder)

    def close(self) -> None:
        """Bring everything to the files."""
        for shard in self.shards.values():
            shard.flush()
            shard.edge_shard.close()

    def resolve(self, name: str) -> str:
        return self.data_folder.aliases.get(name, name)

    def shard(self, name: str) -> Shard:
        """A collection by name or alias; raises NoCollection."""
        name = self.resolve(name)
        if name in self.broken:
            raise Refused("the files of the collection are damaged")
        try:
            return self.shards[name]
        except KeyError:
            raise NoCollection from None

    # Reads

    def health(self, _: messages.GetHealth) -> messages.EngineHealth:
        return messages.EngineHealth(
            ready=True,
            collections=len(self.shards),
            broken=sorted(self.broken),
            rebuilding=sorted(
                name for name, shard in self.shards.items() if shard.touched is not None
            ),
            logs_aside={
                name: aside
                for name, shard in self.shards.items()
                if (aside := shard.folder.find_logs_aside())
            },
        )

    def names(self, _: messages.GetCollections) -> list[str]:
        return [*self.shards, *self.broken]

    def aliases(self, _: messages.GetAliases) -> dict[str, str]:
        return self.data_folder.aliases

    def aliased(self, _: messages.GetAliased) -> dict[str, tuple[str, dict[str, Any]]]:
        return {
            alias: (name, self.shards[name].folder.manifest.metadata)
            for alias, name in self.data_folder.aliases.items()
            if name in self.shards
        }

    # Administration

    def create_collection(self, request: messages.CreateCollection) -> Iterator[None]:
        name = request.collection
        if not name or name in self.shards or name in self.broken:
            raise Refused("a collection of this name exists")
        schema = Schema(request.vectors, {vector: {} for vector in request.sparse_vectors})
        config = edge_config(schema)
        metadata = validation.check_payload(request.metadata)
        folder = self.data_folder.create_folder(
            Manifest(name=name, collection_schema=schema, metadata=metadata)
        )
        try:
            made = edge.EdgeShard.create(str(folder.shard_folder), config)
            made.flush()
            folder.save()
        except Exception:
            folder.discard()
            raise
        self.shards[name] = Shard(folder, made)
        yield

    def delete_collection(self, request: messages.DeleteCollection) -> Iterator[None]:
        name = self.resolve(request.collection)
        if name in self.broken:
            folder = self.broken.pop(name)
        else:
            shard = self.shard(name)
            folder = shard.folder
            del self.shards[name]
            shard.edge_shard.close()
        self.data_folder.remove(folder)
        kept = {alias: of for alias, of in self.data_folder.aliases.items() if of != name}
        if kept != self.data_folder.aliases:
            self.data_folder.save_aliases(kept)
        yield

    def update_collection(self, request: messages.UpdateCollection) -> Iterator[None]:
        folder = self.shard(request.collection).folder
        merged = folder.manifest.metadata | validation.check_payload(request.metadata)
        folder.save(metadata={k: v for k, v in merged.items() if v is not None})
        yield

    def create_vector_name(self, request: messages.CreateVectorName) -> Iterator[None]:
        """As on the server, one that is there with the same parameters is left as it is."""
        shard = self.shard(request.collection)
        name, params, schema = request.vector, request.params, shard.schema
        if schema.vectors.get(name) == params:
            return
        if name in schema.names:
            raise Refused("a vector of this name exists with other parameters")
        folder = shard.folder
        # The manifest comes last: a vector that it does not name is dropped when the shard is
        # loaded, and one that it names is there.
        add_vector(shard.edge_shard, name, params)
        folder.save(
            collection_schema=_with_vectors(schema, schema.vectors | {name: params}),
            new_vectors=[*folder.manifest.new_vectors, name],
        )
        # Examined for a rebuild after the next flush.
        shard.unflushed += 1
        yield

    def delete_vector_name(self, request: messages.DeleteVectorName) -> Iterator[None]:
        shard = self.shard(request.collection)
        name, schema, folder = request.vector, shard.schema, shard.folder
        if name in schema.sparse_vectors or schema.vectors.keys() == {name}:
            raise Refused("the only dense vector of a collection, and sparse ones, stay")
        if name in schema.vectors:
            kept = {other: params for other, params in schema.vectors.items() if other != name}
            folder.save(
                collection_schema=_with_vectors(schema, kept),
                new_vectors=[other for other in folder.manifest.new_vectors if other != name],
            )
            shard.edge_shard.update(edge.UpdateOperation.delete_vector_name(name))
        yield

    def create_payload_index(self, request: messages.CreatePayloadIndex) -> Iterator[None]:
        shard = self.shard(request.collection)
        path, params = validation.check_path(request.path), index_params(request.kind)
        shard.edge_shard.update(edge.UpdateOperation.create_field_index(path, params))
        indexes = shard.folder.manifest.payload_indexes
        shard.folder.save(payload_indexes=indexes | {path: request.kind})
        yield

    def delete_payload_index(self, request: messages.DeletePayloadIndex) -> Iterator[None]:
        shard = self.shard(request.collection)
        path = validation.check_path(request.path)
        indexes = dict(shard.folder.manifest.payload_indexes)
        if indexes.pop(path, None) is not None:
            shard.edge_shard.update(edge.UpdateOperation.delete_field_index(path))
            shard.folder.save(payload_indexes=indexes)
        yield

    def point_aliases(self, request: messages.PointAliases) -> Iterator[None]:
        for alias, name in request.targets.items():
            if name not in self.shards:
                raise NoCollection
            if alias in self.shards:
                raise Refused("a collection has the name of the alias")
        self.data_folder.save_aliases(self.data_folder.aliases | request.targets)
        yield


def _with_vectors(schema: Schema, vectors: dict[str, VectorParams]) -> Schema:
    return msgspec.structs.replace(schema, vectors=vectors)


DATABASE_READS: dict[type[messages.WorkerRequest[Any]], Callable[[Database, Any], Any]] = {
    messages.GetHealth: Database.health,
    messages.GetCollections: Database.names,
    messages.GetAliases: Database.aliases,
    messages.GetAliased: Database.aliased,
}

ADMINISTRATION: dict[
    type[messages.WorkerRequest[Any]], Callable[[Database, Any], Iterator[None]]
] = {
    messages.CreateCollection: Database.create_collection,
    messages.DeleteCollection: Database.delete_collection,
    messages.UpdateCollection: Database.update_collection,
    messages.CreateVectorName: Database.create_vector_name,
    messages.DeleteVectorName: Database.delete_vector_name,
    messages.CreatePayloadIndex: Database.create_payload_index,
    messages.DeletePayloadIndex: Database.delete_payload_index,
    messages.PointAliases: Database.point_aliases,
}
