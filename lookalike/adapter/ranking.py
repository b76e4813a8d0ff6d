"""Rankings of a collection: by one vector, by the nearest of several, by vector and tags.

A search by `_id` answers the record itself first. On every engine a search by id leaves the point
itself out, so it is asked for beside the search, in the same exchange.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from qdrant_client import models

from lookalike.adapter.collection import Collection
from lookalike.adapter.engine import Engine
from lookalike.adapter.records import TAGS_VECTOR, VISUAL_VECTOR, Record, point_id, tag_vector
from lookalike.adapter.selection import Selection

ROUNDING = 1e-6
DISTANCE_DECIMALS = 6
"""Distances are rounded to what 32-bit vectors can tell apart, so that equal pictures are at 0."""

MIN_CANDIDATES = 300
"""Candidates of each signal of a mixed search: recall 1.000 at k = 10 over 20,000 records."""

Vector = list[float]


class Hit(msgspec.Struct, frozen=True):
    distance: float
    payload: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.payload["_id"])


class Ranking(Protocol):
    async def fetch(self, offset: int, limit: int) -> tuple[list[Hit], list[Hit]]:
        """The query record itself (if it is stored and the engine's filter takes it), and of the
        others those at the ranks `offset` to `offset + limit`, fewer only at the end."""
        ...


class Scope(msgspec.Struct, frozen=True):
    """Where is searched, and what of a record is needed."""

    engine: Engine
    collection: Collection
    selection: Selection
    radius: float | None
    payload: Any
    excluded: frozenset[str] = frozenset()
    """`_id`s of stored records that are left out: the examples of a query."""

    @property
    def filter(self) -> models.Filter | None:
        if not self.excluded:
            return self.selection.filter
        ids = models.HasIdCondition(has_id=[point_id(id_) for id_ in sorted(self.excluded)])
        must: list[Any] = [] if self.selection.filter is None else [self.selection.filter]
        return models.Filter(must=must or None, must_not=[ids])

    def own_filter(self, id_: str) -> models.Filter:
        must: list[Any] = [models.HasIdCondition(has_id=[id_])]
        if self.selection.filter is not None:
            must.append(self.selection.filter)
        return models.Filter(must=must)

    def hits(self, points: Sequence[models.ScoredPoint], scale: float = 1.0) -> list[Hit]:
        """`scale`: the length that the query vector had before the engine made it 1."""
        distance = self.collection.distance
        hits = [
            Hit(distance_of(point.score * scale, distance), point.payload or {}) for point in points
        ]
        return hits if self.radius is None else [h for h in hits if h.distance <= self.radius]


class ByRecord:
    """By distance from a stored record. Unknown ids raise RecordsNotFound."""

    def __init__(self, scope: Scope, record_id: str) -> None:
        self._scope = scope
        self._point_id = point_id(record_id)

    async def fetch(self, offset: int, limit: int) -> tuple[list[Hit], list[Hit]]:
        own_request = models.QueryRequest(
            filter=self._scope.own_filter(self._point_id),
            limit=1,
            with_payload=self._scope.payload,
        )
        own, others = await self._scope.engine.query_batch_points(
            self._scope.collection.id,
            requests=[own_request, _request(self._scope, self._point_id, offset, limit)],
        )
        hits = [Hit(0.0, point.payload or {}) for point in own.points]
        return hits, self._scope.hits(others.points)


class ByVector:
    """By distance from a vector.

    Under cosine a vector of another length than 1 stands for a weighted sum of vectors of length
    1, and the distance is the weighted sum of the distances from each.
    """

    def __init__(self, scope: Scope, vector: Vector, length: float = 1.0) -> None:
        self._scope = scope
        self._vector = vector
        self._length = length

    async def fetch(self, offset: int, limit: int) -> tuple[list[Hit], list[Hit]]:
        (answer,) = await self._scope.engine.query_batch_points(
            self._scope.collection.id,
            requests=[_request(self._scope, self._vector, offset, limit, self._length)],
        )
        return [], self._scope.hits(answer.points, self._length)


class ByNearestOf:
    """By distance from the nearest of several vectors."""

    def __init__(self, scope: Scope, vectors: Sequence[Vector]) -> None:
        self._scope = scope
        self._rankings = [ByVector(scope, vector) for vector in vectors]

    async def fetch(self, offset: int, limit: int) -> tuple[list[Hit], list[Hit]]:
        # The first n of the merged ranking are among the first n of each: exact.
        answers = await asyncio.gather(*(r.fetch(0, offset + limit) for r in self._rankings))
        nearest: dict[str, Hit] = {}
        for _, hits in answers:
            for hit in hits:
                if hit.id not in nearest or hit.distance < nearest[hit.id].distance:
                    nearest[hit.id] = hit
        merged = sorted(nearest.values(), key=lambda hit: (hit.distance, hit.id))
        return [], merged[offset : offset + limit]


class ByVectorAndTags:
    """By the fused distance of visual vector and tags, exact over the candidates of both.

    Each candidate of either signal gets its exact score of both: the two prefetches rescore the
    union of the candidates, and the formula adds the scores up. A rank fusion of two truncated
    lists would give nothing for the other signal to a record that only one of them found.
    `own` is the stored query record, already read.
    """

    def __init__(
        self,
        scope: Scope,
        vector: Vector,
        tags: frozenset[str],
        weight: float,
        own: Record | None = None,
    ) -> None:
        self._scope = scope
        self._vector = vector
        self._tags = tag_vector(tags)
        self._weight = weight
        self._own = own

    async def fetch(self, offset: int, limit: int) -> tuple[list[Hit], list[Hit]]:
        scope = self._scope
        if self._own is not None:
            excluded = scope.excluded | {str(self._own["_id"])}
            scope = msgspec.structs.replace(scope, excluded=excluded)
        answer = await scope.engine.query_points(
            scope.collection.id,
            query=models.FormulaQuery(formula=self._formula(), defaults={"$score": 0.0}),
            prefetch=self._prefetch(max(MIN_CANDIDATES, 3 * (offset + limit))),
            query_filter=scope.filter,
            score_threshold=score_threshold(scope.radius, "cosine"),
            limit=limit,
            offset=offset,
            with_payload=scope.payload,
        )
        return await self._own_hit(), scope.hits(answer.points)

    async def _own_hit(self) -> list[Hit]:
        if self._own is None:
            return []
        if self._scope.selection.filter is not None:
            own_filter = self._scope.own_filter(point_id(str(self._own["_id"])))
            count = await self._scope.engine.count(
                self._scope.collection.id, count_filter=own_filter, exact=True
            )
            if count.count == 0:
                return []
        return [Hit(0.0, self._own)]

    def _formula(self) -> models.SumExpression:
        return models.SumExpression(
            sum=[
                models.MultExpression(mult=[1.0 - self._weight, "$score[0]"]),
                models.MultExpression(mult=[self._weight, "$score[1]"]),
            ]
        )

    def _prefetch(self, candidates: int) -> list[models.Prefetch]:
        legs = [
            models.Prefetch(query=self._vector, using=VISUAL_VECTOR, limit=candidates),
            models.Prefetch(query=self._tags, using=TAGS_VECTOR, limit=candidates),
        ]
        exact = models.SearchParams(
            exact=True, quantization=models.QuantizationSearchParams(ignore=True)
        )
        both = 2 * candidates
        return [
            models.Prefetch(
                query=self._vector, using=VISUAL_VECTOR, prefetch=legs, limit=both, params=exact
            ),
            models.Prefetch(query=self._tags, using=TAGS_VECTOR, prefetch=legs, limit=both),
        ]


def _request(
    scope: Scope, query: Vector | str, offset: int, limit: int, length: float = 1.0
) -> models.QueryRequest:
    threshold = score_threshold(scope.radius, scope.collection.distance)
    # Built without validation: the vector is ours and long.
    return models.QueryRequest.model_construct(
        query=query,
        using=VISUAL_VECTOR,
        filter=scope.filter,
        score_threshold=None if threshold is None else threshold / length,
        limit=limit,
        offset=offset,
        with_payload=scope.payload,
    )


def distance_of(score: float, distance: str) -> float:
    """The engine's score as a distance: smaller is nearer, 0 is the same.

    Qdrant scores cosine and dot by similarity, the metrics by the distance itself.
    """
    value = 1.0 - score if distance in ("cosine", "dot") else score
    return max(0.0, round(value, DISTANCE_DECIMALS))


def score_threshold(radius: float | None, distance: str) -> float | None:
    """A little wider than the radius: the reported, rounded distance decides."""
    if radius is None:
        return None
    wider = radius + ROUNDING
    return 1.0 - wider if distance in ("cosine", "dot") else wider
