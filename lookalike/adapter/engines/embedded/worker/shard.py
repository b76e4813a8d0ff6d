"""One collection in the worker: the engine's shard, the manifest, and the reads.

Nothing here waits: every method is a call into the engine, which holds the interpreter lock. The
worker decides in which order they run.
"""

from __future__ import annotations

import sys
import uuid
from array import array
from collections.abc import Generator, Iterable, Iterator
from typing import Any, TypeVar

import qdrant_edge as edge

from lookalike.adapter.engines.embedded import messages
from lookalike.adapter.engines.embedded.condition_messages import Filter, PlainPointId
from lookalike.adapter.engines.embedded.worker import integrity
from lookalike.adapter.engines.embedded.worker.conditions import edge_filter
from lookalike.adapter.engines.embedded.worker.data_folder import CollectionFolder
from lookalike.adapter.engines.embedded.worker.facet_values import FacetValues
from lookalike.adapter.engines.embedded.worker.filter_costs import is_long
from lookalike.adapter.engines.embedded.worker.id_slices import FIRST, IdSlices, Key, order_of
from lookalike.adapter.engines.embedded.worker.schema import Schema
from lookalike.adapter.engines.embedded.worker.validation import EdgeId, PointMissing

PAGE, PAGE_OF_IDS = 128, 1_000
"""Points that are read in 1 ms: with what they hold, and their ids alone."""

R = TypeVar("R")
Steps = Generator[None, None, R]
"""A read. Each `yield` is a moment in which others may use the engine; it returns the result."""


class Shard:
    """A loaded collection. `unflushed` counts the points written since the last flush."""

    def __init__(self, folder: CollectionFolder, edge_shard: edge.EdgeShard) -> None:
        self.folder = folder
        self.edge_shard = edge_shard
        self.unflushed = 0
        self.id_slices = IdSlices()
        self.facet_values = FacetValues()
        self.touched: set[EdgeId] | None = None
        """While a successor of the files is being built: the points that were written meanwhile."""

    @property
    def name(self) -> str:
        return self.folder.manifest.name

    @property
    def schema(self) -> Schema:
        return self.folder.manifest.collection_schema

    # Writes

    def update(self, ids: Iterable[EdgeId], count: int, operation: edge.UpdateOperation) -> None:
        """Apply an operation on these points; when this returns it is in the engine's log."""
        if self.touched is not None:
            self.touched.update(ids)
        self.unflushed += count
        self.edge_shard.update(operation)

    def note_written(
        self, ids: Iterable[EdgeId], payloads: Iterable[messages.PointPayload]
    ) -> None:
        """Points with these ids, or these payloads, are about to be written."""
        self.id_slices.note_new(ids)
        self.facet_values.note(payloads)

    def flush(self) -> None:
        """Bring everything to the files."""
        files = self.folder.shard_folder
        integrity.remove_inventory(files)
        self.edge_shard.flush()
        self.unflushed = 0
        integrity.take_inventory(files, "flushed", self.points_count)

    def close(self) -> None:
        """Flush, and let go of the files."""
        files, points = self.folder.shard_folder, self.points_count
        integrity.remove_inventory(files)
        self.edge_shard.flush()
        self.edge_shard.close()
        integrity.take_inventory(files, "closed", points)

    def existing(self, ids: list[EdgeId]) -> list[EdgeId]:
        """Those of the ids that are there."""
        return [plain_id(record.id) for record in self.edge_shard.retrieve(ids, False, False)]

    # Reads

    def state(self) -> messages.CollectionState:
        info = self.edge_shard.info()
        manifest = self.folder.manifest
        return messages.CollectionState(
            points_count=info.points_count,
            indexed_vectors_count=info.indexed_vectors_count,
            segments_count=info.segments_count,
            payload_indexes={
                path: messages.IndexState(
                    # The engine has it and the manifest not: its worker was killed in between.
                    manifest.payload_indexes.get(path, "keyword"),
                    index.points,
                )
                for path, index in info.payload_schema.items()
            },
            vectors=manifest.collection_schema.vectors,
            sparse_vectors=list(manifest.collection_schema.sparse_vectors),
            metadata=manifest.metadata,
        )

    @property
    def points_count(self) -> int:
        points: int = self.edge_shard.info().points_count
        return points

    @property
    def has_graph(self) -> bool:
        return self.folder.manifest.graph_indexes is not None

    def is_long(self, filter_: Filter | None, *, graph: bool = False) -> bool:
        """As `filter_costs.is_long`."""
        return is_long(filter_, self.folder.manifest.payload_indexes, self.edge_shard, graph=graph)

    def parts(self, filter_: Filter | None, begin: EdgeId | None = None) -> Iterator[edge.Filter]:
        """The filter for one slice of the ids after the other, from that of `begin` on."""
        condition = edge_filter(filter_)
        start: Key | None = FIRST if begin is None else order_of(begin)
        while start is not None:
            ids, start = self.id_slices.at(start, self.edge_shard)
            yield edge.Filter(must=[ids, *([condition] if condition else [])])

    def pages(
        self,
        filter_: Filter | None,
        *,
        begin: EdgeId | None = None,
        payload: Any = False,
        vectors: Any = False,
        most: int | None = None,
    ) -> Iterator[list[Any]]:
        """Up to `most` matching points from `begin` on in the order of their ids, in pages of
        which each takes a few milliseconds. There may be empty ones."""
        size = PAGE if payload or vectors else PAGE_OF_IDS
        left = sys.maxsize if most is None else most
        long = self.is_long(filter_)
        for part in self.parts(filter_, begin) if long else [edge_filter(filter_)]:
            start = begin
            while True:
                request = edge.ScrollRequest(
                    offset=start,
                    limit=min(left, size),
                    filter=part,
                    with_payload=payload,
                    with_vector=vectors,
                )
                records, start = self.edge_shard.scroll(request)
                left -= len(records)
                yield records
                if left <= 0:
                    return
                if start is None:
                    break

    def vector(self, identity: EdgeId, name: str) -> Any:
        """The stored vector of a point; raises PointMissing."""
        records = self.edge_shard.retrieve([identity], False, [name])
        vectors = records[0].vector if records else None
        if not isinstance(vectors, dict) or name not in vectors:
            raise PointMissing
        return vectors[name]


def retrieve(
    shard: Shard, ids: list[EdgeId], payload: Any, vectors: Any
) -> Steps[list[messages.FoundPoint]]:
    """Those of the points that are there, each once, in the order of the ids."""
    found: list[messages.FoundPoint] = []
    ids = list(dict.fromkeys(ids))
    for begin in range(0, len(ids), PAGE):
        if begin:
            yield
        records = shard.edge_shard.retrieve(ids[begin : begin + PAGE], payload, vectors)
        found += map(found_point, records)
    return found


def plain_id(identity: Any) -> PlainPointId:
    return str(identity) if isinstance(identity, uuid.UUID) else identity


def _plain_vectors(vectors: Any) -> messages.Vectors | None:
    if not isinstance(vectors, dict):
        return None
    return {
        name: messages.SparseVector(vector.indices, vector.values)
        if isinstance(vector, edge.SparseVector)
        else array("f", vector).tobytes()
        for name, vector in vectors.items()
    }


def found_point(record: Any) -> messages.FoundPoint:
    return messages.FoundPoint(plain_id(record.id), record.payload, _plain_vectors(record.vector))


def scored_hit(hit: Any) -> messages.ScoredHit:
    return messages.ScoredHit(plain_id(hit.id), hit.score, hit.payload, _plain_vectors(hit.vector))
