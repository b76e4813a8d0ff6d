"""One collection in the worker: the engine's shard, the manifest, and the reads.

Nothing here waits: every method is a call into the engine, which holds the interpreter lock. The
worker decides in which order they run.
"""

from __future__ import annotations

import uuid
from array import array
from collections.abc import Callable, Iterable
from typing import Any

import qdrant_edge as edge

from lookalike.adapter.engines.embedded import messages
from lookalike.adapter.engines.embedded.condition_messages import PlainPointId
from lookalike.adapter.engines.embedded.worker import validation
from lookalike.adapter.engines.embedded.worker.conditions import edge_filter
from lookalike.adapter.engines.embedded.worker.data_folder import CollectionFolder
from lookalike.adapter.engines.embedded.worker.query_conversion import (
    edge_payload_selector,
    edge_request,
    edge_vector_selector,
)
from lookalike.adapter.engines.embedded.worker.schema import Schema
from lookalike.adapter.engines.embedded.worker.validation import EdgeId, PointMissing, Refused

IDS_PER_PAGE = 4096
MAX_QUERIES = 4000
"""In one request."""


class Shard:
    """A loaded collection. `unflushed` counts the points written since the last flush."""

    def __init__(self, folder: CollectionFolder, edge_shard: edge.EdgeShard) -> None:
        self.folder = folder
        self.edge_shard = edge_shard
        self.unflushed = 0
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

    def flush(self) -> None:
        self.edge_shard.flush()
        self.unflushed = 0

    def existing(self, ids: list[EdgeId]) -> list[EdgeId]:
        """Those of the ids that are there."""
        return [plain_id(record.id) for record in self.edge_shard.retrieve(ids, False, False)]

    def ids_matching(self, condition: edge.Filter | None) -> list[EdgeId]:
        """The ids of all points that match."""
        found: list[EdgeId] = []
        offset = None
        while True:
            records, offset = self.edge_shard.scroll(
                edge.ScrollRequest(
                    offset=offset,
                    limit=IDS_PER_PAGE,
                    filter=condition,
                    with_payload=False,
                    with_vector=False,
                )
            )
            found.extend(plain_id(record.id) for record in records)
            if offset is None:
                return found

    # Reads

    def state(self, _: messages.GetCollection) -> messages.CollectionState:
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

    def count(self, request: messages.CountPoints) -> int:
        condition = edge_filter(request.filter)
        if condition is None:
            points: int = self.edge_shard.info().points_count
            return points
        matching: int = self.edge_shard.count(edge.CountRequest(exact=True, filter=condition))
        return matching

    def count_values(self, request: messages.CountValues) -> list[messages.FacetCount]:
        facet = edge.FacetRequest(
            validation.check_path(request.key), request.limit, True, edge_filter(request.filter)
        )
        hits = self.edge_shard.facet(facet).hits
        return [messages.FacetCount(_plain_value(hit.value), hit.count) for hit in hits]

    def retrieve(self, request: messages.RetrievePoints) -> list[messages.FoundPoint]:
        ids = validation.check_point_ids(request.ids)
        payload = edge_payload_selector(request.with_payload)
        vectors = edge_vector_selector(request.with_vectors, self.schema)
        return [_found(record) for record in self.edge_shard.retrieve(ids, payload, vectors)]

    def scroll(self, request: messages.ScrollPoints) -> messages.PointPage:
        offset = request.offset
        records, after = self.edge_shard.scroll(
            edge.ScrollRequest(
                offset=None if offset is None else validation.check_point_id(offset),
                limit=request.limit,
                filter=edge_filter(request.filter),
                with_payload=edge_payload_selector(request.with_payload),
                with_vector=edge_vector_selector(request.with_vectors, self.schema),
            )
        )
        return messages.PointPage(
            [_found(record) for record in records], None if after is None else plain_id(after)
        )

    def query(self, request: messages.QueryPoints) -> list[list[messages.ScoredHit]]:
        """Several queries in one scan: about twice as fast as one by one, for float vectors."""
        if len(request.queries) > MAX_QUERIES:
            raise Refused("a batch has too many queries")
        asked = [edge_request(query, self.schema, self.vector) for query in request.queries]
        if not asked:
            return []
        answers = self.edge_shard.query_batch(edge.QueryBatchRequest([each for each, _ in asked]))
        return [
            _scored(hits, query, asked_with)
            for hits, query, (_, asked_with) in zip(answers, request.queries, asked, strict=True)
        ]

    def vector(self, identity: EdgeId, name: str) -> Any:
        """The stored vector of a point; raises PointMissing."""
        records = self.edge_shard.retrieve([identity], False, [name])
        vectors = records[0].vector if records else None
        if not isinstance(vectors, dict) or name not in vectors:
            raise PointMissing
        return vectors[name]


SHARD_READS: dict[type[messages.WorkerRequest[Any]], Callable[[Shard, Any], Any]] = {
    messages.GetCollection: Shard.state,
    messages.CountPoints: Shard.count,
    messages.CountValues: Shard.count_values,
    messages.RetrievePoints: Shard.retrieve,
    messages.ScrollPoints: Shard.scroll,
    messages.QueryPoints: Shard.query,
}
"""Each is of the collection that its request names."""


def plain_id(identity: Any) -> PlainPointId:
    return str(identity) if isinstance(identity, uuid.UUID) else identity


def _plain_value(value: Any) -> Any:
    return str(value) if isinstance(value, uuid.UUID) else value


def _plain_vectors(vectors: Any) -> messages.Vectors | None:
    if not isinstance(vectors, dict):
        return None
    return {
        name: messages.SparseVector(vector.indices, vector.values)
        if isinstance(vector, edge.SparseVector)
        else array("f", vector).tobytes()
        for name, vector in vectors.items()
    }


def _found(record: Any) -> messages.FoundPoint:
    return messages.FoundPoint(plain_id(record.id), record.payload, _plain_vectors(record.vector))


def _scored(
    hits: list[Any], query: messages.PointQuery, asked_with: EdgeId | None
) -> list[messages.ScoredHit]:
    if asked_with is not None:
        others = [hit for hit in hits if plain_id(hit.id) != asked_with]
        hits = others[query.offset : query.offset + query.limit]
    return [
        messages.ScoredHit(plain_id(hit.id), hit.score, hit.payload, _plain_vectors(hit.vector))
        for hit in hits
    ]
