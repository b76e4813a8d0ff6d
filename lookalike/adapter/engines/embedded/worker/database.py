"""All collections of a data folder: loads, creates, changes and deletes them.

Used by the worker, on its one thread. Administrative changes are writes of the collection's queue.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import qdrant_edge as edge

from lookalike.adapter.engines.embedded import messages
from lookalike.adapter.engines.embedded.disk_space import DiskSpace
from lookalike.adapter.engines.embedded.messages import VectorParams
from lookalike.adapter.engines.embedded.worker import integrity, residency, validation
from lookalike.adapter.engines.embedded.worker.data_folder import (
    CollectionFolder,
    DamagedCollection,
    DataFolder,
)
from lookalike.adapter.engines.embedded.worker.loading import (
    LoadPostponed,
    ShardDamaged,
    load_shard,
)
from lookalike.adapter.engines.embedded.worker.manifests import Manifest
from lookalike.adapter.engines.embedded.worker.schema import (
    Schema,
    add_vector,
    edge_config,
    index_params,
)
from lookalike.adapter.engines.embedded.worker.shard import Shard
from lookalike.adapter.engines.embedded.worker.validation import Refused
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings
from lookalike.adapter.point_layout import METADATA_KEY

log = logging.getLogger("lookalike.engine")


Start = Literal["first", "again", "faulted"]
"""Of a service; of a worker that follows another; of one that follows one that died of a fault."""


class NoCollection(Exception):
    """No collection has this name, nor an alias."""


class NotLoaded(Exception):
    """The collection is there and whole, and cannot be loaded now. The text says why."""


BYTES_PER_ELEMENT = 4


class Database:
    """The loaded collections by name; those that could not be loaded are `broken`."""

    def __init__(self, data: Path, settings: WorkerSettings) -> None:
        self.settings = settings
        self.disk_space = DiskSpace(data, settings.disk_reserve_mb << 20)
        self.data_folder = DataFolder(data)
        self.shards: dict[str, Shard] = {}
        self.broken: dict[str, DamagedCollection] = {}
        self.postponed: dict[str, tuple[CollectionFolder, str]] = {}
        """Those that cannot be loaded now, and why; they are tried again."""

    def load(self, start: Start = "first") -> None:
        """Load every collection."""
        self.data_folder.remove_leftovers()
        ids: dict[str, str | None] = {}
        for found in self.data_folder.read_collections():
            if isinstance(found, CollectionFolder):
                self._load_collection(found, faulted=start == "faulted")
                ids[found.manifest.name] = _id_of(found.manifest.metadata)
            else:
                self._note_broken(found)
                ids[found.name] = _id_of(found.metadata)
        self.data_folder.read_aliases(ids)
        if start == "first":
            self._remove_unfinished(ids)

    def _remove_unfinished(self, ids: dict[str, str | None]) -> None:
        """Remove collections whose making was cut off before they had their alias.

        One that is being imported looks the same until it has points, so this is for the start of a
        service only, when nobody can be importing: not for that of a worker that follows another.
        """
        aliased = set(self.data_folder.aliases.values())
        for name in ids.keys() - aliased:
            shard = self.shards.get(name)
            if ids[name] is not None and shard is not None and shard.points_count == 0:
                log.warning("removed the collection %s: its making was cut off", name)
                self._remove(name)

    def _load_collection(self, folder: CollectionFolder, *, faulted: bool) -> None:
        name, metadata = folder.manifest.name, folder.manifest.metadata
        try:
            # The engine writes some blocks before it reads, and dies where there are none.
            if self.disk_space.exhausted:
                raise LoadPostponed("the disk is full")
            loaded = load_shard(folder, faulted=faulted)
        except LoadPostponed as why:
            if name not in self.postponed:
                log.error("the collection %s is not loaded, and tried again: %s", name, why)
            self.postponed[name] = folder, str(why)
            return
        except ShardDamaged as damage:
            self._note_broken(DamagedCollection(folder.path, name, str(damage), metadata))
            return
        self.postponed.pop(name, None)
        folder.ensure_copy()
        self.shards[name] = Shard(folder, loaded)
        elements = loaded.info().points_count * folder.manifest.collection_schema.elements_per_point
        if elements * BYTES_PER_ELEMENT < residency.SMALL_BYTES:
            residency.release_pages(folder.shard_folder)

    def load_postponed(self) -> None:
        """Try those again that could not be loaded."""
        for folder, _ in list(self.postponed.values()):
            self._load_collection(folder, faulted=False)

    def _remove(self, name: str) -> None:
        if name in self.broken:
            path = self.broken.pop(name).path
        elif name in self.postponed:
            path = self.postponed.pop(name)[0].path
        else:
            shard = self.shard(name)
            path = shard.folder.path
            del self.shards[name]
            shard.edge_shard.close()
        self.data_folder.remove(path)

    def _note_broken(self, collection: DamagedCollection) -> None:
        log.error(
            "the collection %s in %s is damaged: %s. Others are served; nothing of it is deleted. "
            "`lookalike doctor` says what can be done",
            *(collection.name, collection.path, collection.reason),
        )
        self.broken[collection.name] = collection

    def close(self) -> bool:
        """Bring everything to the files; False where there is no room. The logs have it all."""
        if not self.disk_space.steady:
            log.error("the disk is full: what was written last stays in the logs")
            return False
        for shard in self.shards.values():
            shard.close()
        return True

    @property
    def known(self) -> list[str]:
        """The names of all collections, loaded or not."""
        return [*self.shards, *self.broken, *self.postponed]

    def resolve(self, name: str) -> str:
        return self.data_folder.aliases.get(name, name)

    def shard(self, name: str) -> Shard:
        """A collection by name or alias; raises NoCollection."""
        name = self.resolve(name)
        if (broken := self.broken.get(name)) is not None:
            raise Refused(
                f"The files of the collection {name} are damaged: {broken.reason}. "
                "`lookalike doctor` says what can be done."
            )
        if name in self.postponed:
            raise NotLoaded(f"The collection cannot be loaded now: {self.postponed[name][1]}.")
        try:
            return self.shards[name]
        except KeyError:
            raise NoCollection from None

    def check_room(self, request: messages.WorkerRequest[Any], sent_bytes: int) -> None:
        """Raises NoRoom where the disk has no room for a write of this size."""
        if _adds(request):
            self.disk_space.check_adding(sent_bytes)
        elif not isinstance(request, messages.DeleteCollection):  # Which makes room.
            self.disk_space.check_writing()

    # Reads

    def check_room_now(self, _: messages.CheckRoom) -> None:
        self.disk_space.check_adding(0)

    def health(self, _: messages.GetHealth) -> messages.EngineHealth:
        return messages.EngineHealth(
            ready=True,
            collections=len(self.shards),
            broken={name: self.broken[name].reason for name in sorted(self.broken)},
            postponed={name: self.postponed[name][1] for name in sorted(self.postponed)},
            rebuilding=sorted(
                name for name, shard in self.shards.items() if shard.touched is not None
            ),
            logs_aside={
                name: aside
                for name, shard in self.shards.items()
                if (aside := shard.folder.find_logs_aside())
            },
            disk_full=self.disk_space.full,
            disk_free_mb=self.disk_space.free_bytes >> 20,
        )

    def names(self, _: messages.GetCollections) -> list[str]:
        return self.known

    def aliases(self, _: messages.GetAliases) -> dict[str, str]:
        return self.data_folder.aliases

    def aliased(self, _: messages.GetAliased) -> dict[str, tuple[str, dict[str, Any]]]:
        metadata = {name: shard.folder.manifest.metadata for name, shard in self.shards.items()}
        metadata |= {name: damaged.metadata for name, damaged in self.broken.items()}
        metadata |= {name: each.manifest.metadata for name, (each, _) in self.postponed.items()}
        aliases = self.data_folder.aliases
        return {
            alias: (name, metadata[name]) for alias, name in aliases.items() if name in metadata
        }

    # Administration

    def create_collection(self, request: messages.CreateCollection) -> Iterator[None]:
        name = request.collection
        if not name or name in self.known:
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
            folder.finish()
        except Exception:
            folder.discard()
            raise
        self.shards[name] = Shard(folder, made)
        yield

    def delete_collection(self, request: messages.DeleteCollection) -> Iterator[None]:
        name = self.resolve(request.collection)
        self._remove(name)
        kept = {alias: of for alias, of in self.data_folder.aliases.items() if of != name}
        if kept != self.data_folder.aliases:
            self.data_folder.save_aliases(kept)
        yield

    def restore_collection(self, request: messages.RestoreCollection) -> Iterator[None]:
        """Serve a damaged collection again: by the copy of its manifest, or with what its files
        still have."""
        name = self.resolve(request.collection)
        damaged = self.broken.get(name)
        if damaged is None:
            raise Refused("no damaged collection has this name")
        folder = self.data_folder.restore_manifest(damaged.path)
        if folder is None:
            raise Refused("there is nothing to restore it from")
        del self.broken[name]
        integrity.remove_inventory(folder.shard_folder)
        self._load_collection(folder, faulted=False)
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


def _id_of(metadata: dict[str, Any]) -> str | None:
    """The id of a collection of ours, which its alias is."""
    kept = metadata.get(METADATA_KEY)
    id_ = kept.get("id") if isinstance(kept, dict) else None
    return id_ if isinstance(id_, str) else None


def _with_vectors(schema: Schema, vectors: dict[str, VectorParams]) -> Schema:
    return msgspec.structs.replace(schema, vectors=vectors)


def _adds(request: messages.WorkerRequest[Any]) -> bool:
    """Whether a write takes room on the disk; settings and aliases count for nothing."""
    if isinstance(request, messages.ChangePoints):
        return not all(isinstance(each, messages.DeleteMatching) for each in request.changes)
    return isinstance(request, ADDING)


ADDING = (
    *(messages.UpsertPoints, messages.CreateCollection),
    *(messages.CreateVectorName, messages.CreatePayloadIndex),
)

DATABASE_READS: dict[type[messages.WorkerRequest[Any]], Callable[[Database, Any], Any]] = {
    messages.CheckRoom: Database.check_room_now,
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
    messages.RestoreCollection: Database.restore_collection,
    messages.UpdateCollection: Database.update_collection,
    messages.CreateVectorName: Database.create_vector_name,
    messages.DeleteVectorName: Database.delete_vector_name,
    messages.CreatePayloadIndex: Database.create_payload_index,
    messages.DeletePayloadIndex: Database.delete_payload_index,
    messages.PointAliases: Database.point_aliases,
}
