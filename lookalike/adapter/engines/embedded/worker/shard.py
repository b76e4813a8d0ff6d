"""One collection in the worker: its shard, its manifest, and the reads.

Nothing here waits: every method is a call into the engine, which holds the interpreter lock. The
worker decides in which order they run.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

import qdrant_edge as edge

from lookalike.adapter.engines.embedded.worker import validation
from lookalike.adapter.engines.embedded.worker.conditions import Plain, filter_of
from lookalike.adapter.engines.embedded.worker.data_folder import Home
from lookalike.adapter.engines.embedded.worker.query_conversion import (
    Conversion,
    order_by,
    payload_selector,
    vector_selector,
)
from lookalike.adapter.engines.embedded.worker.schema import Schema
from lookalike.adapter.engines.embedded.worker.validation import Missing, PointId, Refused

IDS_PER_PAGE = 4096


class Collection:
    """A loaded shard. `unflushed` counts the points written since the last flush."""

    def __init__(self, home: Home, shard: edge.EdgeShard) -> None:
        self.home = home
        self.shard = shard
        self.unflushed = 0
        self.touched: set[PointId] | None = None
        """While a successor of the shard is being built: the points that were written meanwhile."""

    @property
    def name(self) -> str:
        return self.home.manifest.name

    @property
    def schema(self) -> Schema:
        return self.home.manifest.collection_schema

    # Writes

    def update(self, ids: Iterable[PointId], count: int, operation: edge.UpdateOperation) -> None:
        """Apply an operation on these points; when this returns it is in the engine's log."""
        if self.touched is not None:
            self.touched.update(ids)
        self.unflushed += count
        self.shard.update(operation)

    def flush(self) -> None:
        self.shard.flush()
        self.unflushed = 0

    def existing(self, ids: list[PointId]) -> list[PointId]:
        """Those of the ids that are there."""
        return [plain_id(record.id) for record in self.shard.retrieve(ids, False, False)]

    def ids_matching(self, condition: edge.Filter | None) -> list[PointId]:
        """The ids of all points that match."""
        found: list[PointId] = []
        offset = None
        while True:
            records, offset = self.shard.scroll(
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

    # Reads: plain arguments in, plain result out

    def get_collection(self, _: Plain) -> Plain:
        info = self.shard.info()
        manifest = self.home.manifest
        return {
            "points_count": info.points_count,
            "indexed_vectors_count": info.indexed_vectors_count,
            "segments_count": info.segments_count,
            "payload_schema": {
                path: {"params": manifest.payload_indexes.get(path), "points": index.points}
                for path, index in info.payload_schema.items()
            },
            "vectors": manifest.collection_schema.vectors,
            "sparse_vectors": manifest.collection_schema.sparse_vectors,
            "metadata": manifest.metadata,
        }

    def count(self, args: Plain) -> int:
        condition = filter_of(args.get("filter"))
        if condition is None:
            points: int = self.shard.info().points_count
            return points
        matching: int = self.shard.count(
            edge.CountRequest(exact=bool(args.get("exact", True)), filter=condition)
        )
        return matching

    def facet(self, args: Plain) -> list[tuple[Any, int]]:
        request = edge.FacetRequest(
            validation.path(args.get("key")),
            validation.limit(args.get("limit")),
            bool(args.get("exact", False)),
            filter_of(args.get("filter")),
        )
        return [(_facet_value(hit.value), hit.count) for hit in self.shard.facet(request).hits]

    def retrieve(self, args: Plain) -> list[Any]:
        ids = validation.point_ids(args.get("ids"))
        payload = payload_selector(args.get("with_payload"), default=True)
        vectors = vector_selector(args.get("with_vector"), self.schema)
        return [_record(record) for record in self.shard.retrieve(ids, payload, vectors)]

    def scroll(self, args: Plain) -> tuple[list[Any], PointId | None]:
        offset, order = args.get("offset"), args.get("order_by")
        if offset is not None and order is not None:
            raise Refused("order_by and offset exclude each other")
        records, after = self.shard.scroll(
            edge.ScrollRequest(
                offset=None if offset is None else validation.point_id(offset),
                limit=validation.limit(args.get("limit")),
                filter=filter_of(args.get("filter")),
                with_payload=payload_selector(args.get("with_payload"), default=True),
                with_vector=vector_selector(args.get("with_vector"), self.schema),
                order_by=None if order is None else order_by(order),
            )
        )
        return [_record(record) for record in records], None if after is None else plain_id(after)

    def query(self, args: Plain) -> list[Any]:
        conversion = Conversion(self.schema, self.vector)
        request = conversion.request(args)
        return self._hits(self.shard.query(request), conversion, args)

    def query_batch(self, args: Plain) -> list[list[Any]]:
        """Several queries in one scan: about twice as fast as one by one, for float vectors."""
        plains: list[Plain] = args["requests"]
        if len(plains) > validation.MAX_CONDITIONS:
            raise Refused("a batch has too many queries")
        conversions = [Conversion(self.schema, self.vector) for _ in plains]
        requests = [c.request(plain) for c, plain in zip(conversions, plains, strict=True)]
        answers = self.shard.query_batch(edge.QueryBatchRequest(requests)) if requests else []
        return [
            self._hits(hits, conversion, plain)
            for hits, conversion, plain in zip(answers, conversions, plains, strict=True)
        ]

    def _hits(self, hits: list[Any], conversion: Conversion, args: Plain) -> list[Any]:
        vectors = bool(args.get("with_vector"))
        if conversion.asked_with:
            hits = [hit for hit in hits if plain_id(hit.id) not in conversion.asked_with]
            start = args.get("offset") or 0
            hits = hits[start : start + validation.limit(args.get("limit"))]
        return [_hit(hit, vectors) for hit in hits]

    def vector(self, identity: PointId, name: str) -> Any:
        """The stored vector of a point; raises Missing."""
        records = self.shard.retrieve([identity], False, [name])
        vectors = records[0].vector if records else None
        if not isinstance(vectors, dict) or name not in vectors:
            raise Missing
        return vectors[name]


READS: dict[str, Callable[[Collection, Plain], Any]] = {
    "get_collection": Collection.get_collection,
    "count": Collection.count,
    "facet": Collection.facet,
    "retrieve": Collection.retrieve,
    "scroll": Collection.scroll,
    "query": Collection.query,
    "query_batch": Collection.query_batch,
}


def plain_id(identity: Any) -> PointId:
    return str(identity) if isinstance(identity, uuid.UUID) else identity


def _facet_value(value: Any) -> Any:
    return str(value) if isinstance(value, uuid.UUID) else value


def _plain_vectors(vectors: Any) -> Any:
    if not isinstance(vectors, dict):
        return vectors
    return {
        name: {"indices": vector.indices, "values": vector.values}
        if isinstance(vector, edge.SparseVector)
        else vector
        for name, vector in vectors.items()
    }


def _record(record: Any) -> tuple[Any, ...]:
    return (
        plain_id(record.id),
        record.payload,
        _plain_vectors(record.vector),
        record.order_value,
    )


def _hit(hit: Any, vectors: bool) -> tuple[Any, ...]:
    # MMR gives the vectors back also when nobody asked for them.
    return (
        plain_id(hit.id),
        hit.version,
        hit.score,
        hit.payload,
        _plain_vectors(hit.vector) if vectors else None,
        hit.order_value,
    )
