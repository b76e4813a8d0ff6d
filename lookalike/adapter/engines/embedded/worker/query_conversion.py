"""Queries: messages -> `qdrant_edge`, checked on the way.

The engine knows only vectors, so an id in a query is looked up first; as on the server, the point
that is asked with is not among its own neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qdrant_edge as edge

from lookalike.adapter.engines.embedded import messages
from lookalike.adapter.engines.embedded.worker import validation
from lookalike.adapter.engines.embedded.worker.conditions import edge_filter
from lookalike.adapter.engines.embedded.worker.schema import Schema
from lookalike.adapter.engines.embedded.worker.validation import EdgeId, Refused
from lookalike.adapter.engines.engine_facts import TURBO_OVERSAMPLING

MAX_PREFETCHES = 64
HNSW_EF = 256

Lookup = Callable[[EdgeId, str], Any]
"""(id, vector name) -> the stored vector; raises validation.PointMissing."""


def edge_request(
    query: messages.PointQuery, schema: Schema, lookup: Lookup
) -> tuple[edge.QueryRequest, EdgeId | None]:
    """The engine's request, and the id that it asks with.

    The point of that id is to be dropped from the answer, for which the request asks from the first
    rank on and for one point more: a flat search with a `must_not has_id` takes twice the time of
    one with a larger limit.
    """
    if len(query.prefetch) > MAX_PREFETCHES:
        raise Refused("a query has too many prefetches")
    if query.prefetch and query.query is None:
        raise Refused("a query with prefetches needs a query of its own")
    limit, offset, asked_with = query.limit, query.offset, None
    if isinstance(query.query, messages.ByPoint):
        asked_with = validation.check_point_id(query.query.id)
        limit, offset = limit + offset + 1, 0
    request = edge.QueryRequest(
        limit=limit,
        offset=offset,
        query=_query(query.query, query.using, schema, lookup),
        prefetches=[_prefetch(prefetch, schema, lookup) for prefetch in query.prefetch],
        filter=edge_filter(query.filter),
        params=edge_search_params(query.params),
        score_threshold=_threshold(query.score_threshold),
        with_payload=edge_payload_selector(query.with_payload),
        with_vector=edge_vector_selector(query.with_vectors, schema),
    )
    return request, asked_with


def _prefetch(prefetch: messages.Prefetch, schema: Schema, lookup: Lookup) -> edge.Prefetch:
    return edge.Prefetch(
        limit=prefetch.limit,
        query=_query(prefetch.query, prefetch.using, schema, lookup),
        prefetches=[],
        filter=edge_filter(prefetch.filter),
        params=edge_search_params(prefetch.params),
        score_threshold=_threshold(prefetch.score_threshold),
    )


def _query(query: Any, using: str, schema: Schema, lookup: Lookup) -> Any:
    if query is None:
        return None
    if isinstance(query, messages.RandomSample):
        return edge.Sample.Random
    return edge.Query.Nearest(_vector(query, using, schema, lookup), using)


def _vector(query: Any, using: str, schema: Schema, lookup: Lookup) -> Any:
    """The vector to search with, which is of the kind of the one that is searched."""
    params = schema.vectors.get(using)
    if params is None and using not in schema.sparse_vectors:
        raise Refused("a query names a vector that the collection does not have")
    if isinstance(query, messages.ByPoint):
        return lookup(validation.check_point_id(query.id), using)
    if isinstance(query, messages.BySparseVector):
        if params is not None:
            raise Refused("the query needs a dense vector")
        return edge.SparseVector(*validation.check_sparse(query.vector))
    if params is None:
        raise Refused("the query needs a sparse vector")
    (row,) = validation.check_dense([query.vector], params.size, unit=params.distance == "Cosine")
    return row


def edge_search_params(params: messages.SearchParams | None) -> edge.SearchParams:
    """How to search; unless the request says otherwise, quantized and rescored."""
    exact, ignore, oversampling = False, False, None
    if params is not None:
        exact, ignore, oversampling = params.exact, params.ignore_quantization, params.oversampling
    return edge.SearchParams(
        hnsw_ef=HNSW_EF,
        exact=exact,
        quantization=edge.QuantizationSearchParams(
            ignore=ignore,
            rescore=True,
            oversampling=TURBO_OVERSAMPLING
            if oversampling is None
            else validation.check_finite(oversampling),
        ),
    )


def edge_payload_selector(wanted: messages.PayloadSelection) -> Any:
    """True, False, or the paths to include."""
    if isinstance(wanted, bool):
        return wanted
    return [validation.check_path(path) for path in wanted]


def edge_vector_selector(wanted: messages.VectorSelection, schema: Schema) -> bool | list[str]:
    """True, False, or the names of vectors."""
    if not isinstance(wanted, bool) and not schema.names.issuperset(wanted):
        raise Refused("a vector is asked for that the collection does not have")
    return wanted


def _threshold(value: float | None) -> float | None:
    return None if value is None else validation.check_finite(value)
