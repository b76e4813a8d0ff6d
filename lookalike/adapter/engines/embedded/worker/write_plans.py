"""Writes, in two passes of bounded steps.

The first checks and converts everything, because a batch of the engine is not atomic and some
values break it; the second applies it. Both pause after every SLICE points, so that the worker can
serve the searches that wait: a call into the engine cannot be interrupted.

A write by filter is resolved to ids once, when its turn comes, and applied to them in slices.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

import qdrant_edge as edge

from lookalike.adapter.engines.embedded import messages
from lookalike.adapter.engines.embedded.condition_messages import Filter
from lookalike.adapter.engines.embedded.messages import SparseVector, Vectors
from lookalike.adapter.engines.embedded.worker import validation
from lookalike.adapter.engines.embedded.worker.conditions import edge_filter
from lookalike.adapter.engines.embedded.worker.schema import Schema
from lookalike.adapter.engines.embedded.worker.shard import Shard, plain_id
from lookalike.adapter.engines.embedded.worker.validation import EdgeId, PointMissing, Refused

SLICE = 32
"""Points a call: 2 ms at 512 dimensions. Larger calls cost as much a point, and searches wait."""

T = TypeVar("T")
Step = Callable[[Shard], Iterator[None]]
Plan = Callable[[Schema, Any], Iterator[Step]]

_U = edge.UpdateOperation


def write(shard: Shard, request: messages.WorkerRequest[None]) -> Generator[None, None, None]:
    """Run one write; each `yield` is a moment in which others may use the engine.

    Raises Refused before anything is applied, and PointMissing at the end when a point that was to
    be changed is not there (the others are changed, as on the server).
    """
    steps: list[Step] = []
    for step in WRITE_PLANS[type(request)](shard.schema, request):
        steps.append(step)
        yield
    missing = False
    for step in steps:
        try:
            yield from step(shard)
        except PointMissing:
            missing = True
    if missing:
        raise PointMissing


def _upsert(schema: Schema, request: messages.UpsertPoints) -> Iterator[Step]:
    condition = edge_filter(request.update_only)
    mode = edge.UpdateMode.InsertOnly if request.insert_only else edge.UpdateMode.Upsert
    mode = mode if condition is None else edge.UpdateMode.UpdateOnly
    for part in _slices(request.points):
        ids = [validation.check_point_id(point.id) for point in part]
        payloads = [validation.check_payload(point.payload) for point in part]
        vectors = _edge_vectors(schema, [point.vectors for point in part])
        points = [edge.Point(*point) for point in zip(ids, vectors, payloads, strict=True)]
        yield _upserted(ids, payloads, _U.upsert_points(points, condition, mode))


def _delete(_: Schema, request: messages.DeletePoints) -> Iterator[Step]:
    for ids in _slices(validation.check_point_ids(request.ids)):
        yield _applied(ids, _U.delete_points(ids))


def _change(schema: Schema, request: messages.ChangePoints) -> Iterator[Step]:
    for change in request.changes:
        yield from _CHANGE_PLANS[type(change)](schema, change)


def _update_vectors(schema: Schema, change: messages.UpdateVectors) -> Iterator[Step]:
    condition = edge_filter(change.filter)
    for part in _slices(change.points):
        ids = [validation.check_point_id(point.id) for point in part]
        vectors = _edge_vectors(schema, [point.vectors for point in part])
        yield _on_existing(dict(zip(ids, vectors, strict=True)), condition)


def _delete_matching(_: Schema, change: messages.DeleteMatching) -> Iterator[Step]:
    yield _on_matching(change.filter, _U.delete_points)


def _overwrite_payload(_: Schema, change: messages.OverwritePayload) -> Iterator[Step]:
    payload = validation.check_payload(change.payload)
    yield _on_matching(change.filter, lambda ids: _U.overwrite_payload(ids, payload), [payload])


WRITE_PLANS: dict[type[messages.WorkerRequest[Any]], Plan] = {
    messages.UpsertPoints: _upsert,
    messages.DeletePoints: _delete,
    messages.ChangePoints: _change,
}
"""Each is of the collection that its request names."""

_CHANGE_PLANS: dict[type, Plan] = {
    messages.UpdateVectors: _update_vectors,
    messages.DeleteMatching: _delete_matching,
    messages.OverwritePayload: _overwrite_payload,
}


def _slices(items: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), SLICE):
        yield items[start : start + SLICE]


def _edge_vectors(schema: Schema, points: list[Vectors]) -> list[dict[str, Any]]:
    """The vectors of several points, checked by name: one matrix for all vectors of a name."""
    rows: list[dict[str, Any]] = [{} for _ in points]
    names = schema.names
    if any(not names.issuperset(point) for point in points):
        raise Refused("a point has a vector that the collection does not have")
    for name, params in schema.vectors.items():
        having = [i for i, point in enumerate(points) if name in point]
        values = [_dense_bytes(points[i][name]) for i in having]
        checked = validation.check_dense(values, params.size, unit=params.distance == "Cosine")
        for i, value in zip(having, checked, strict=True):
            rows[i][name] = value
    for name in schema.sparse_vectors:
        for row, point in zip(rows, points, strict=True):
            if name in point:
                row[name] = _edge_sparse(point[name])
    return rows


def _dense_bytes(vector: bytes | SparseVector) -> bytes:
    if not isinstance(vector, bytes):
        raise Refused("a point has a sparse vector where the collection has a dense one")
    return vector


def _edge_sparse(vector: bytes | SparseVector) -> edge.SparseVector:
    if isinstance(vector, bytes):
        raise Refused("a point has a dense vector where the collection has a sparse one")
    return edge.SparseVector(*validation.check_sparse(vector))


def _applied(ids: list[EdgeId], operation: edge.UpdateOperation) -> Step:
    def step(shard: Shard) -> Iterator[None]:
        shard.update(ids, len(ids), operation)
        yield

    return step


def _upserted(
    ids: list[EdgeId], payloads: list[messages.PointPayload], operation: edge.UpdateOperation
) -> Step:
    def step(shard: Shard) -> Iterator[None]:
        shard.note_written(ids, payloads)
        shard.update(ids, len(ids), operation)
        yield

    return step


def _on_matching(
    filter_: Filter,
    operation: Callable[[list[EdgeId]], edge.UpdateOperation],
    payloads: Sequence[messages.PointPayload] = (),
) -> Step:
    """Change the points that match, and that will have one of these payloads."""
    edge_filter(filter_)  # Refused now, before anything is applied.

    def step(shard: Shard) -> Iterator[None]:
        found: list[EdgeId] = []
        for page in shard.pages(filter_):
            found += [plain_id(record.id) for record in page]
            yield
        shard.note_written((), payloads)
        for ids in _slices(found):
            shard.update(ids, len(ids), operation(ids))
            yield

    return step


def _on_existing(vectors: dict[EdgeId, dict[str, Any]], condition: edge.Filter | None) -> Step:
    """Set vectors of points that are there; the engine would stop half way at the first that is
    not."""

    def step(shard: Shard) -> Iterator[None]:
        there = shard.existing(list(vectors))
        if there:
            points = [edge.PointVectors(identity, vectors[identity]) for identity in there]
            shard.update(there, len(there), _U.update_vectors(points, condition))
        yield
        if len(there) < len(vectors):
            raise PointMissing

    return step
