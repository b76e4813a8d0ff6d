"""Reads, in steps of a few milliseconds between which other reads and writes take their turns.

A call into the engine cannot be interrupted. What would take long in one call is asked in slices of
the ids (`id_slices`): each answer is exact for its slice, and all together for the collection. A
point that is there from the first step to the last is seen once, whatever is written meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import qdrant_edge as edge

from lookalike.adapter.engines.embedded import messages
from lookalike.adapter.engines.embedded.condition_messages import Condition, Filter, MatchValue
from lookalike.adapter.engines.embedded.worker import validation
from lookalike.adapter.engines.embedded.worker.conditions import edge_filter
from lookalike.adapter.engines.embedded.worker.facet_values import is_top_level, strings_at
from lookalike.adapter.engines.embedded.worker.query_conversion import (
    edge_payload_selector,
    edge_vector_selector,
)
from lookalike.adapter.engines.embedded.worker.query_plans import query_points
from lookalike.adapter.engines.embedded.worker.shard import Shard, Steps, found_point, retrieve

R = TypeVar("R")


def read(shard: Shard, request: messages.WorkerRequest[R]) -> Steps[R]:
    """Raises Refused, PointMissing, and what the engine raises."""
    return READ_PLANS[type(request)](shard, request)


def _state(shard: Shard, _: messages.GetCollection) -> Steps[messages.CollectionState]:
    yield from ()
    return shard.state()


def _retrieve(shard: Shard, request: messages.RetrievePoints) -> Steps[list[messages.FoundPoint]]:
    ids = validation.check_point_ids(request.ids)
    payload = edge_payload_selector(request.with_payload)
    vectors = edge_vector_selector(request.with_vectors, shard.schema)
    return retrieve(shard, ids, payload, vectors)


def _count(shard: Shard, request: messages.CountPoints) -> Steps[int]:
    return _count_matching(shard, request.filter)


def _count_matching(shard: Shard, filter_: Filter | None) -> Steps[int]:
    if filter_ is None:
        points: int = shard.edge_shard.info().points_count
        return points
    if not shard.is_long(filter_):
        return _counted(shard, edge_filter(filter_))
    count = 0
    for part in shard.parts(filter_):
        count += _counted(shard, part)
        yield
    return count


def _counted(shard: Shard, condition: edge.Filter | None) -> int:
    count: int = shard.edge_shard.count(edge.CountRequest(exact=True, filter=condition))
    return count


def _scroll(shard: Shard, request: messages.ScrollPoints) -> Steps[messages.PointPage]:
    pages = shard.pages(
        request.filter,
        begin=None if request.offset is None else validation.check_point_id(request.offset),
        payload=edge_payload_selector(request.with_payload),
        vectors=edge_vector_selector(request.with_vectors, shard.schema),
        # The one after the last begins the next page.
        most=request.limit + 1,
    )
    found: list[messages.FoundPoint] = []
    for page in pages:
        found += map(found_point, page)
        if len(found) > request.limit:
            return messages.PointPage(found[: request.limit], found[request.limit].id)
        yield
    return messages.PointPage(found, None)


def _facet(shard: Shard, request: messages.CountValues) -> Steps[list[messages.FacetCount]]:
    field = validation.check_path(request.key)
    counts: Counter[Any] = Counter()
    if not is_top_level(field):
        # Nobody asks for these: the index does not go through arrays as a filter does.
        facet = edge.FacetRequest(field, request.limit, True, edge_filter(request.filter))
        counts.update({hit.value: hit.count for hit in shard.edge_shard.facet(facet).hits})
    elif (values := shard.facet_values.of(field, shard.edge_shard)) is None or shard.is_long(
        request.filter
    ):
        for page in shard.pages(request.filter, payload=[field]):
            for record in page:
                counts.update(strings_at(record.payload or {}, field))
            yield
    else:
        for value in sorted(values):
            both: list[Condition] = [MatchValue(field, value)]
            if request.filter is not None:
                both.append(request.filter)
            counts[value] = yield from _count_matching(shard, Filter(both, [], []))
            yield
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: request.limit]
    return [messages.FacetCount(value, count) for value, count in ranked if count]


READ_PLANS: dict[type[messages.WorkerRequest[Any]], Callable[[Shard, Any], Steps[Any]]] = {
    messages.GetCollection: _state,
    messages.CountPoints: _count,
    messages.CountValues: _facet,
    messages.RetrievePoints: _retrieve,
    messages.ScrollPoints: _scroll,
    messages.QueryPoints: query_points,
}
"""Each is of the collection that its request names."""
