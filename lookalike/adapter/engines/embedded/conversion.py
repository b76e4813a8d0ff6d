"""The client's models -> the plain form of the wire, and answers -> the client's models.

Dense vectors become float32 bytes where they stand at the root of a query or in a point; inside
other models they stay lists, and the worker takes both.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from pydantic import BaseModel
from qdrant_client import models

from lookalike.adapter.errors import EngineFailed

Plain = dict[str, Any]

_scored_point = models.ScoredPoint.model_construct
_record = models.Record.model_construct


def arguments(collection: str, args: Plain) -> Plain:
    """The arguments that are set, as the models leave out what is not."""
    return {"collection": collection} | {k: v for k, v in args.items() if v is not None}


def _plain(value: Any) -> Any:
    """What msgpack does not know: models become dicts of the fields that are set."""
    if isinstance(value, BaseModel):
        return {
            "except" if name == "except_" else name: field
            for name, field in value.__dict__.items()
            if field is not None
        }
    if isinstance(value, np.ndarray):
        return dense(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(type(value).__name__)


encode = msgspec.msgpack.Encoder(enc_hook=_plain).encode


def dense(vector: Any) -> bytes:
    """float32 bytes, the wire's form of a dense vector; raises EngineFailed."""
    try:
        if isinstance(vector, np.ndarray):
            return vector.astype("<f4", copy=False).tobytes()
        return array("f", vector).tobytes()
    except (TypeError, ValueError, OverflowError):
        raise EngineFailed("a vector is not a list of numbers") from None


def points(points: Sequence[models.PointStruct | models.PointVectors]) -> list[Plain]:
    return [
        {
            "id": point.id,
            "vector": _vectors(point.vector),
            "payload": getattr(point, "payload", None),
        }
        for point in points
    ]


def _vectors(vectors: Any) -> Plain:
    named = vectors if isinstance(vectors, dict) else {"": vectors}
    return {
        name: vector if isinstance(vector, BaseModel) else dense(vector)
        for name, vector in named.items()
    }


def selected(selector: Any) -> Plain:
    if isinstance(selector, models.Filter):
        return {"filter": selector}
    if isinstance(selector, models.FilterSelector):
        return {"filter": selector.filter}
    if isinstance(selector, models.PointIdsList):
        return {"points": selector.points}
    return {"points": list(selector) if isinstance(selector, list | tuple | set) else [selector]}


def operation(operation: Any) -> tuple[str, Plain]:
    """An operation of a batch: its one field is the name of the method."""
    ((method, params),) = operation.__dict__.items()
    if method == "delete":
        return method, selected(params)
    if method == "clear_payload":
        return method, selected(params)
    args = _plain(params)
    if method in ("upsert", "update_vectors"):
        args["points"] = points(params.points)
    return method, args


def _to_vectors(vectors: Any) -> Any:
    if not isinstance(vectors, dict):
        return vectors
    return {
        name: models.SparseVector.model_construct(**vector) if isinstance(vector, dict) else vector
        for name, vector in vectors.items()
    }


def record(row: Any) -> models.Record:
    identity, payload, vectors, order_value = row
    return _record(
        id=identity,
        payload=payload,
        vector=_to_vectors(vectors),
        shard_key=None,
        order_value=order_value,
    )


def scored_point(row: Any) -> models.ScoredPoint:
    identity, version, score, payload, vectors, order_value = row
    return _scored_point(
        id=identity,
        version=version,
        score=score,
        payload=payload,
        vector=_to_vectors(vectors),
        shard_key=None,
        order_value=order_value,
    )


def collection_info(plain: Plain) -> models.CollectionInfo:
    indexes = {
        path: _index_info(index["params"] or "keyword", index["points"])
        for path, index in plain["payload_schema"].items()
    }
    vectors = {name: models.VectorParams(**params) for name, params in plain["vectors"].items()}
    sparse = {
        n: models.SparseVectorParams(**params) for n, params in plain["sparse_vectors"].items()
    }
    return models.CollectionInfo.model_construct(
        status=models.CollectionStatus.GREEN,
        optimizer_status=models.OptimizersStatusOneOf.OK,
        points_count=plain["points_count"],
        indexed_vectors_count=plain["indexed_vectors_count"],
        segments_count=plain["segments_count"],
        payload_schema=indexes,
        config=models.CollectionConfig.model_construct(
            params=models.CollectionParams.model_construct(
                vectors=vectors, sparse_vectors=sparse or None
            ),
            metadata=plain["metadata"],
        ),
    )


def _index_info(params: str | Plain, points: int) -> models.PayloadIndexInfo:
    kind = params if isinstance(params, str) else params["type"]
    return models.PayloadIndexInfo.model_validate(
        {"data_type": kind, "params": None if kind == params else params, "points": points}
    )
