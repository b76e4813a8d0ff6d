"""The client's models -> messages to the worker, and its results -> the client's models.

What a message cannot say is refused here with the name of the model, and never left out. Values are
not checked: the worker decodes by the types of the messages, and checks the rest.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
from qdrant_client import models

from lookalike.adapter.engines.base import (
    PayloadWanted,
    PointId,
    VectorsWanted,
)
from lookalike.adapter.engines.embedded import condition_messages, messages
from lookalike.adapter.errors import EngineFailed

_DEFAULT_LIMIT = 10
"""Qdrant's, for a query or a prefetch that has none."""

_record = models.Record.model_construct
_scored_point = models.ScoredPoint.model_construct


def _unsupported(what: object) -> EngineFailed:
    return EngineFailed(f"{type(what).__name__} is not supported here")


def _only(model: Any, known: frozenset[str]) -> None:
    """Refuses a model that says more than its message can."""
    for name, value in model.__dict__.items():
        if value is not None and name not in known:
            raise EngineFailed(f"{type(model).__name__} with {name} is not supported")


# Vectors and points


def float32_bytes(vector: Any) -> bytes:
    """The form in which a dense vector travels; raises EngineFailed."""
    try:
        if isinstance(vector, np.ndarray):
            return vector.astype("<f4", copy=False).tobytes()
        return array("f", vector).tobytes()
    except (TypeError, ValueError, OverflowError):
        raise EngineFailed("a vector is not a list of numbers") from None


def _vectors(vectors: Any) -> messages.Vectors:
    if not isinstance(vectors, dict):
        raise EngineFailed("the vectors of a point need names")
    return {
        name: messages.SparseVector(vector.indices, vector.values)
        if isinstance(vector, models.SparseVector)
        else float32_bytes(vector)
        for name, vector in vectors.items()
    }


def new_points(points: Sequence[models.PointStruct]) -> list[messages.NewPoint]:
    return [
        messages.NewPoint(
            plain_point_id(p.id), _vectors(p.vector), {} if p.payload is None else p.payload
        )
        for p in points
    ]


def plain_point_id(identity: PointId) -> condition_messages.PlainPointId:
    return str(identity) if isinstance(identity, UUID) else identity


def ids(identities: Sequence[PointId]) -> list[condition_messages.PlainPointId]:
    return [plain_point_id(identity) for identity in identities]


# Filters


def condition_filter(model: models.Filter | None) -> condition_messages.Filter | None:
    return None if model is None else _whole_filter(model)


def _whole_filter(model: Any) -> condition_messages.Filter:
    try:
        return _filter(model)
    except RecursionError:
        raise EngineFailed("a filter is nested too deep") from None


def _filter(model: Any) -> condition_messages.Filter:
    if not isinstance(model, models.Filter):
        raise _unsupported(model)
    _only(model, _CLAUSES)
    return condition_messages.Filter(
        _conditions(model.must), _conditions(model.should), _conditions(model.must_not)
    )


def _conditions(clause: Any) -> list[condition_messages.Condition]:
    if clause is None:
        return []
    return [_condition(item) for item in (clause if isinstance(clause, list) else [clause])]


def _condition(model: Any) -> condition_messages.Condition:
    convert = _CONDITIONS.get(type(model))
    if convert is None:
        raise _unsupported(model)
    return convert(model)


def _field_condition(model: models.FieldCondition) -> condition_messages.Condition:
    operators = [v for k, v in model.__dict__.items() if v is not None and k != "key"]
    if len(operators) != 1:
        # Two operators in one condition are an OR in one engine and half ignored in another.
        raise EngineFailed("a field condition needs exactly one operator")
    convert = _OPERATORS.get(type(operators[0]))
    if convert is None:
        raise _unsupported(operators[0])
    return convert(model.key, operators[0])


_CLAUSES = frozenset({"must", "should", "must_not"})

_CONDITIONS: dict[type, Callable[[Any], condition_messages.Condition]] = {
    models.FieldCondition: _field_condition,
    models.HasIdCondition: lambda model: condition_messages.HasId(ids(model.has_id)),
    models.HasVectorCondition: lambda model: condition_messages.HasVector(model.has_vector),
    models.Filter: _filter,
}

_OPERATORS: dict[type, Callable[[str, Any], condition_messages.Condition]] = {
    models.MatchValue: lambda key, match: condition_messages.MatchValue(key, match.value),
    models.MatchAny: lambda key, match: condition_messages.MatchAny(key, match.any),
    models.MatchPrefix: lambda key, match: condition_messages.MatchPrefix(key, match.prefix),
    models.MatchSubstring: lambda key, match: condition_messages.MatchSubstring(
        key, match.substring
    ),
    models.Range: lambda key, r: condition_messages.Range(key, r.gt, r.gte, r.lt, r.lte),
    models.DatetimeRange: lambda key, r: condition_messages.DatetimeRange(
        key, r.gt, r.gte, r.lt, r.lte
    ),
}


# Queries


def point_query(request: models.QueryRequest) -> messages.PointQuery:
    _only(request, _REQUEST_FIELDS)
    prefetch = request.prefetch or []
    return messages.PointQuery(
        query=_query(request.query),
        using=request.using or "",
        prefetch=[_prefetch(p) for p in (prefetch if isinstance(prefetch, list) else [prefetch])],
        filter=condition_filter(request.filter),
        params=_search_params(request.params),
        limit=_DEFAULT_LIMIT if request.limit is None else request.limit,
        offset=request.offset or 0,
        score_threshold=request.score_threshold,
        with_payload=payload_selection(request.with_payload or False),
        with_vectors=vector_selection(request.with_vector or False),
    )


def _query(query: Any) -> Any:
    if isinstance(query, list | np.ndarray):
        return messages.ByDenseVector(float32_bytes(query))
    if query is None:
        return None
    if isinstance(query, str | int | UUID):
        return messages.ByPoint(plain_point_id(query))
    if isinstance(query, models.SparseVector):
        return messages.BySparseVector(messages.SparseVector(query.indices, query.values))
    if isinstance(query, models.SampleQuery) and query.sample is models.Sample.RANDOM:
        return messages.RandomSample()
    raise _unsupported(query)


def _prefetch(prefetch: models.Prefetch) -> messages.Prefetch:
    _only(prefetch, _PREFETCH_FIELDS)
    return messages.Prefetch(
        query=_query(prefetch.query),
        using=prefetch.using or "",
        filter=condition_filter(prefetch.filter),
        params=_search_params(prefetch.params),
        limit=_DEFAULT_LIMIT if prefetch.limit is None else prefetch.limit,
        score_threshold=prefetch.score_threshold,
    )


def _search_params(params: models.SearchParams | None) -> messages.SearchParams | None:
    if params is None:
        return None
    quantization = params.quantization
    # The defaults of the models: `indexed_only` is false and not None.
    if params.hnsw_ef is not None or params.indexed_only or params.acorn or params.idf:
        raise _unsupported(params)
    if quantization is None:
        return messages.SearchParams(bool(params.exact), False, None)
    if quantization.rescore is False:
        raise EngineFailed("a search without rescoring is not supported")
    return messages.SearchParams(
        bool(params.exact), bool(quantization.ignore), quantization.oversampling
    )


_REQUEST_FIELDS = frozenset(
    {"query", "using", "prefetch", "filter", "params", "limit", "offset", "score_threshold"}
    | {"with_payload", "with_vector"}
)
_PREFETCH_FIELDS = frozenset({"query", "using", "filter", "params", "limit", "score_threshold"})


def payload_selection(wanted: PayloadWanted | Any) -> messages.PayloadSelection:
    if isinstance(wanted, bool):
        return wanted
    if isinstance(wanted, Sequence):
        return list(wanted)
    raise _unsupported(wanted)


def vector_selection(wanted: VectorsWanted) -> messages.VectorSelection:
    return wanted if isinstance(wanted, bool) else list(wanted)


# Changes of points


def point_change(operation: models.UpdateOperation) -> messages.PointChange:
    convert = _CHANGES.get(type(operation))
    if convert is None:
        raise _unsupported(operation)
    return convert(operation)


def _update_vectors(operation: models.UpdateVectorsOperation) -> messages.UpdateVectors:
    change = operation.update_vectors
    _only(change, frozenset({"points", "update_filter"}))
    points = [messages.NewVectors(plain_point_id(p.id), _vectors(p.vector)) for p in change.points]
    return messages.UpdateVectors(points, condition_filter(change.update_filter))


def _delete(operation: models.DeleteOperation) -> messages.DeleteMatching:
    change: Any = operation.delete
    _only(change, frozenset({"filter"}))
    return messages.DeleteMatching(_whole_filter(change.filter))


def _overwrite_payload(operation: models.OverwritePayloadOperation) -> messages.OverwritePayload:
    change = operation.overwrite_payload
    _only(change, frozenset({"payload", "filter"}))
    return messages.OverwritePayload(change.payload, _whole_filter(change.filter))


_CHANGES: dict[type, Callable[[Any], messages.PointChange]] = {
    models.UpdateVectorsOperation: _update_vectors,
    models.DeleteOperation: _delete,
    models.OverwritePayloadOperation: _overwrite_payload,
}


# Collections


def vector_params(params: Any) -> messages.VectorParams:
    """From `VectorParams`, or the `DenseVectorConfig` of a vector that is added."""
    _only(params, frozenset({"size", "distance"}))
    return messages.VectorParams(params.size, params.distance)


def sparse_names(config: Mapping[str, models.SparseVectorParams] | None) -> list[str]:
    for params in (config or {}).values():
        _only(params, frozenset())
    return list(config or {})


def collection_info(state: messages.CollectionState) -> models.CollectionInfo:
    vectors = {
        name: models.VectorParams(size=params.size, distance=models.Distance(params.distance))
        for name, params in state.vectors.items()
    }
    sparse = {name: models.SparseVectorParams() for name in state.sparse_vectors}
    return models.CollectionInfo.model_construct(
        status=models.CollectionStatus.GREEN,
        optimizer_status=models.OptimizersStatusOneOf.OK,
        points_count=state.points_count,
        indexed_vectors_count=state.indexed_vectors_count,
        segments_count=state.segments_count,
        payload_schema={
            path: models.PayloadIndexInfo(
                data_type=models.PayloadSchemaType(index.kind), points=index.points
            )
            for path, index in state.payload_indexes.items()
        },
        config=models.CollectionConfig.model_construct(
            params=models.CollectionParams.model_construct(
                vectors=vectors, sparse_vectors=sparse or None
            ),
            metadata=state.metadata,
        ),
    )


# Results


def _model_vectors(vectors: messages.Vectors | None) -> Any:
    if vectors is None:
        return None
    return {
        name: np.frombuffer(vector, "<f4").tolist()
        if isinstance(vector, bytes)
        else models.SparseVector.model_construct(indices=vector.indices, values=vector.values)
        for name, vector in vectors.items()
    }


def record(point: messages.FoundPoint) -> models.Record:
    return _record(
        id=point.id,
        payload=point.payload,
        vector=_model_vectors(point.vectors),
        shard_key=None,
        order_value=None,
    )


def scored_point(hit: messages.ScoredHit) -> models.ScoredPoint:
    return _scored_point(
        id=hit.id,
        version=0,
        score=hit.score,
        payload=hit.payload,
        vector=_model_vectors(hit.vectors),
        shard_key=None,
        order_value=None,
    )
