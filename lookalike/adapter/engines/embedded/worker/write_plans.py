"""Writes, in two passes of bounded steps.

The first checks and converts everything, because a batch of the engine is not atomic and some
values break it; the second applies it. Both pause after every SLICE points, so that the worker can
serve the searches that wait: a call into the engine cannot be interrupted.

A write by filter is resolved to ids once, when its turn comes, and applied to them in slices.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import qdrant_edge as edge

from lookalike.adapter.engines.embedded.worker import validation
from lookalike.adapter.engines.embedded.worker.conditions import Plain, filter_of
from lookalike.adapter.engines.embedded.worker.schema import Schema
from lookalike.adapter.engines.embedded.worker.shard import Collection
from lookalike.adapter.engines.embedded.worker.validation import Missing, PointId, Refused

SLICE = 32
"""Points a call: 2 ms at 512 dimensions. Larger calls cost as much a point, and searches wait."""

Step = Callable[[Collection], Iterator[None]]
Plan = Callable[[Schema, Plain], Iterator[Step]]
Selected = Callable[[Collection], list[PointId]]

_U = edge.UpdateOperation
_MODES = {
    "upsert": edge.UpdateMode.Upsert,
    "insert_only": edge.UpdateMode.InsertOnly,
    "update_only": edge.UpdateMode.UpdateOnly,
}


def write(collection: Collection, method: str, args: Plain) -> Generator[None, None, None]:
    """Run one write; each `yield` is a moment in which others may use the engine.

    Raises Refused before anything is applied, and Missing at the end when a point that was to be
    changed is not there (the others are changed, as on the server).
    """
    steps: list[Step] = []
    for step in PLANS[method](collection.schema, args):
        steps.append(step)
        yield
    missing = False
    for step in steps:
        try:
            yield from step(collection)
        except Missing:
            missing = True
    if missing:
        raise Missing


def _upsert(schema: Schema, args: Plain) -> Iterator[Step]:
    mode = args.get("update_mode", "upsert")
    if mode not in _MODES:
        raise Refused("the update mode is not known")
    condition = filter_of(args.get("update_filter"))
    for part in _slices(args["points"]):
        ids = [validation.point_id(point["id"]) for point in part]
        payloads = [validation.payload(point.get("payload")) for point in part]
        vectors = _vectors(schema, [point.get("vector") or {} for point in part])
        points = [edge.Point(*point) for point in zip(ids, vectors, payloads, strict=True)]
        yield _applied(ids, _U.upsert_points(points, condition, _MODES[mode]))


def _update_vectors(schema: Schema, args: Plain) -> Iterator[Step]:
    condition = filter_of(args.get("update_filter"))
    for part in _slices(args["points"]):
        ids = [validation.point_id(point["id"]) for point in part]
        vectors = _vectors(schema, [point["vector"] for point in part])
        pairs = dict(zip(ids, vectors, strict=True))

        def operation(
            there: list[PointId], pairs: dict[PointId, Any] = pairs
        ) -> edge.UpdateOperation:
            return _U.update_vectors([edge.PointVectors(i, pairs[i]) for i in there], condition)

        yield _on_existing(_listed(ids), operation)


def _delete_vectors(schema: Schema, args: Plain) -> Iterator[Step]:
    names = args["vector"]
    if not all(name in schema.vectors or name in schema.sparse_vectors for name in names):
        raise Refused("a vector is named that the collection does not have")
    yield _on_existing(_selected(args), lambda ids: _U.delete_vectors(ids, names))


def _set_payload(_: Schema, args: Plain) -> Iterator[Step]:
    payload, key = validation.payload(args["payload"]), args.get("key")
    inside = None if key is None else validation.path(key)
    yield _on_existing(_selected(args), lambda ids: _U.set_payload(ids, payload, inside))


def _overwrite_payload(_: Schema, args: Plain) -> Iterator[Step]:
    if args.get("key") is not None:
        raise Refused("overwrite_payload with a key is not supported")
    payload = validation.payload(args["payload"])
    yield _on_existing(_selected(args), lambda ids: _U.overwrite_payload(ids, payload))


def _delete_payload(_: Schema, args: Plain) -> Iterator[Step]:
    keys = [validation.path(key) for key in args["keys"]]
    yield _on_existing(_selected(args), lambda ids: _U.delete_payload(ids, keys))


def _clear_payload(_: Schema, args: Plain) -> Iterator[Step]:
    yield _on_existing(_selected(args), _U.clear_payload)


def _delete(_: Schema, args: Plain) -> Iterator[Step]:
    selected = _selected(args)

    def step(collection: Collection) -> Iterator[None]:
        for ids in _slices(selected(collection)):
            collection.update(ids, len(ids), _U.delete_points(ids))
            yield

    yield step


def _batch(schema: Schema, args: Plain) -> Iterator[Step]:
    for method, arguments in args["operations"]:
        if method == "batch":
            raise Refused("a batch cannot hold a batch")
        yield from PLANS[method](schema, arguments)


PLANS: dict[str, Plan] = {
    "upsert": _upsert,
    "update_vectors": _update_vectors,
    "delete_vectors": _delete_vectors,
    "set_payload": _set_payload,
    "overwrite_payload": _overwrite_payload,
    "delete_payload": _delete_payload,
    "clear_payload": _clear_payload,
    "delete": _delete,
    "batch": _batch,
}


def _slices(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), SLICE):
        yield items[start : start + SLICE]


def _vectors(schema: Schema, points: list[Plain]) -> list[dict[str, Any]]:
    """The vectors of several points, checked by name: one matrix for all vectors of a name."""
    rows: list[dict[str, Any]] = [{} for _ in points]
    known = schema.vectors.keys() | schema.sparse_vectors.keys()
    if any(not point.keys() <= known for point in points):
        raise Refused("a point has a vector that the collection does not have")
    for name, params in schema.vectors.items():
        having = [i for i, point in enumerate(points) if name in point]
        values = validation.dense_rows(
            [points[i][name] for i in having], params["size"], unit=params["distance"] == "Cosine"
        )
        for i, value in zip(having, values, strict=True):
            rows[i][name] = value
    for name in schema.sparse_vectors:
        for row, point in zip(rows, points, strict=True):
            if name in point:
                row[name] = edge.SparseVector(*validation.sparse(point[name]))
    return rows


def _listed(ids: list[PointId]) -> Selected:
    return lambda _: ids


def _selected(args: Plain) -> Selected:
    """The points that a write names, by id or by filter."""
    if args.get("points") is not None:
        return _listed(validation.point_ids(args["points"]))
    if args.get("filter") is None:
        raise Refused("a write needs ids or a filter")
    condition = filter_of(args["filter"])
    return lambda collection: collection.ids_matching(condition)


def _applied(ids: list[PointId], operation: edge.UpdateOperation) -> Step:
    def step(collection: Collection) -> Iterator[None]:
        collection.update(ids, len(ids), operation)
        yield

    return step


def _on_existing(
    selected: Selected, operation: Callable[[list[PointId]], edge.UpdateOperation]
) -> Step:
    """Change points that are there; the engine would stop half way at the first that is not."""

    def step(collection: Collection) -> Iterator[None]:
        missing = False
        for ids in _slices(selected(collection)):
            there = collection.existing(ids)
            missing |= len(there) < len(set(ids))
            if there:
                collection.update(there, len(there), operation(there))
            yield
        if missing:
            raise Missing

    return step
