"""Ranked searches: a plan is made of the request and the collection, then executed.

A search by `_id` answers the record itself first. On every engine a search by id leaves the point
itself out, so it is asked for beside the search, in the same exchange.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from qdrant_client import models

from lookalike.adapter.collection import Collection
from lookalike.adapter.engine import Engine
from lookalike.adapter.errors import InvalidRequest, RecordsNotFound
from lookalike.adapter.records import (
    RESERVED_KEY,
    TAGS_VECTOR,
    VISUAL_VECTOR,
    Record,
    point_id,
    shown,
    tag_vector,
    tags_of,
)
from lookalike.adapter.selection import EVERYTHING, Selection, Work

RESIDUAL_MARGIN = 16

DISTANCE_DECIMALS = 6
"""Distances are rounded to what 32-bit vectors can tell apart, so that equal pictures are at 0."""

ROUNDING = 1e-6

MIN_CANDIDATES = 300
"""Candidates of each signal of a mixed search: recall 1.000 at k = 10 over 20,000 records."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One search. Exactly one of `record_id` and `vector` is given."""

    record_id: str | None = None
    vector: list[float] | None = None
    tags: frozenset[str] | None = None
    """Tags of a mixed search; None takes those of the stored record."""
    k: int = 30
    offset: int = 0
    radius: float | None = None
    selection: Selection = EVERYTHING
    fields: frozenset[str] | None = frozenset({"_id"})


class Hits(msgspec.Struct):
    """Records by rising distance. `residual_records` were looked at for the filter's residual."""

    records: list[Record]
    distances: list[float]
    residual_records: int = 0


class Hit(msgspec.Struct, frozen=True):
    distance: float
    payload: dict[str, Any]


class Ranking(Protocol):
    """Something that ranks a collection: by a vector, or by vector and tags."""

    async def fetch(self, offset: int, limit: int) -> tuple[list[Hit], list[Hit]]:
        """The query record itself (if it is stored and the engine's filter takes it), and of the
        others those at the ranks `offset` to `offset + limit`, fewer only at the end."""
        ...


async def nearest(engine: Engine, collection: Collection, query: Query) -> Hits:
    """The k records nearest to a stored record or to a vector, by rising distance.

    Raises RecordsNotFound for a `record_id` that is not stored.
    """
    return await _page(VisualRanking(engine, collection, query), query)


async def nearest_with_tags(
    engine: Engine, collection: Collection, query: Query, tag_weight: float
) -> Hits:
    """As `nearest`, with the distance `(1 - tag_weight) * visual + tag_weight * tags`.

    The distance of two sets of tags is one minus their cosine. Without tags in the query this is
    `nearest`. Raises RecordsNotFound for a `record_id` that is not stored.
    """
    own: Record | None = None
    tags, vector = query.tags, query.vector
    if query.record_id is not None:
        own, vector = await _stored(engine, collection, query.record_id)
        tags = tags_of(own) if tags is None else tags
    if not tags:
        return await nearest(engine, collection, query)
    if collection.distance != "cosine":
        raise InvalidRequest("Tags are mixed with the distances of cosine collections only")
    mixed = msgspec.structs.replace(query, vector=vector, tags=tags)
    return await _page(MixedRanking(engine, collection, mixed, own, tag_weight), mixed)


async def _page(ranking: Ranking, query: Query) -> Hits:
    if query.k == 0:
        return Hits([], [])
    work = Work()
    if query.selection.residual is None:
        hits = await _exact(ranking, query.offset, query.k)
    else:
        hits = await _decided(ranking, query, work)
    return Hits(
        records=[shown(hit.payload, query.fields) for hit in hits],
        distances=[hit.distance for hit in hits],
        residual_records=work.residual_records,
    )


async def _exact(ranking: Ranking, offset: int, k: int) -> list[Hit]:
    if offset == 0:
        own, others = await ranking.fetch(0, k)
        return (own + others)[:k]
    # The query record, if it is there, has taken the first of the places before this page.
    own, others = await ranking.fetch(offset - 1, k + 1)
    return others[:k] if own else others[1:]


async def _decided(ranking: Ranking, query: Query, work: Work) -> list[Hit]:
    """Pages of growing size, each decided by the residual, until there are enough."""
    kept: list[Hit] = []
    wanted = query.offset + query.k
    # The engine's part of a filter is often nearly all of it, so little more than is wanted may do.
    seen, limit = 0, wanted + RESIDUAL_MARGIN
    while True:
        own, others = await ranking.fetch(seen, limit)
        candidates = own + others if seen == 0 else others
        work.add(len(candidates))
        kept += [hit for hit in candidates if query.selection.matches(hit.payload)]
        if len(kept) >= wanted or len(others) < limit:
            return kept[query.offset : wanted]
        seen += limit
        limit *= 2


class VisualRanking:
    """By distance of the visual vectors."""

    def __init__(self, engine: Engine, collection: Collection, query: Query) -> None:
        self._engine = engine
        self._collection = collection
        self._query = query
        self._with_payload = query.selection.payload(query.fields)

    async def fetch(self, offset: int, limit: int) -> tuple[list[Hit], list[Hit]]:
        if self._query.record_id is None:
            (others,) = await self._ask(self._others(self._query.vector, offset, limit))
            return [], self._hits(others)
        id_ = point_id(self._query.record_id)
        own, others = await self._ask(self._own(id_), self._others(id_, offset, limit))
        return [Hit(0.0, point.payload or {}) for point in own], self._hits(others)

    async def _ask(self, *requests: models.QueryRequest) -> list[list[models.ScoredPoint]]:
        answers = await self._engine.query_batch_points(self._collection.id, requests=requests)
        return [answer.points for answer in answers]

    def _own(self, id_: str) -> models.QueryRequest:
        must: list[Any] = [models.HasIdCondition(has_id=[id_])]
        if self._query.selection.filter is not None:
            must.append(self._query.selection.filter)
        return models.QueryRequest(
            filter=models.Filter(must=must), limit=1, with_payload=self._with_payload
        )

    def _others(
        self, query: list[float] | str | None, offset: int, limit: int
    ) -> models.QueryRequest:
        # Built without validation: the vector is ours and long.
        return models.QueryRequest.model_construct(
            query=query,
            using=VISUAL_VECTOR,
            filter=self._query.selection.filter,
            score_threshold=score_threshold(self._query.radius, self._collection.distance),
            limit=limit,
            offset=offset,
            with_payload=self._with_payload,
        )

    def _hits(self, points: Sequence[models.ScoredPoint]) -> list[Hit]:
        return hits_within(points, self._query.radius, self._collection.distance)


class MixedRanking:
    """By the fused distance of visual vector and tags, exact over the candidates of both.

    Each candidate of either signal gets its exact score of both: the two prefetches rescore the
    union of the candidates, and the formula adds the scores up. A rank fusion of two truncated
    lists would give a record that only one signal found nothing for the other.
    """

    def __init__(
        self,
        engine: Engine,
        collection: Collection,
        query: Query,
        own: Record | None,
        tag_weight: float,
    ) -> None:
        self._engine = engine
        self._collection = collection
        self._query = query
        self._own = own
        self._weight = tag_weight
        self._tags = tag_vector(query.tags or ())

    async def fetch(self, offset: int, limit: int) -> tuple[list[Hit], list[Hit]]:
        filter_, own_id = self._query.selection.filter, None
        if self._query.record_id is not None:
            own_id = models.HasIdCondition(has_id=[point_id(self._query.record_id)])
            filter_ = models.Filter(must=[filter_] if filter_ else None, must_not=[own_id])
        answer = await self._engine.query_points(
            self._collection.id,
            query=models.FormulaQuery(formula=self._formula(), defaults={"$score": 0.0}),
            prefetch=self._prefetch(max(MIN_CANDIDATES, 3 * (offset + limit))),
            query_filter=filter_,
            score_threshold=score_threshold(self._query.radius, "cosine"),
            limit=limit,
            offset=offset,
            with_payload=self._query.selection.payload(self._query.fields),
        )
        others = hits_within(answer.points, self._query.radius, "cosine")
        return await self._own_hit(own_id), others

    async def _own_hit(self, own_id: models.HasIdCondition | None) -> list[Hit]:
        if self._own is None or own_id is None:
            return []
        if self._query.selection.filter is not None:
            must: list[Any] = [own_id, self._query.selection.filter]
            count = await self._engine.count(
                self._collection.id, count_filter=models.Filter(must=must), exact=True
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
        vector = self._query.vector
        legs = [
            models.Prefetch(query=vector, using=VISUAL_VECTOR, limit=candidates),
            models.Prefetch(query=self._tags, using=TAGS_VECTOR, limit=candidates),
        ]
        exact = models.SearchParams(
            exact=True, quantization=models.QuantizationSearchParams(ignore=True)
        )
        return [
            models.Prefetch(
                query=vector,
                using=VISUAL_VECTOR,
                prefetch=legs,
                limit=2 * candidates,
                params=exact,
            ),
            models.Prefetch(
                query=self._tags, using=TAGS_VECTOR, prefetch=legs, limit=2 * candidates
            ),
        ]


async def _stored(
    engine: Engine, collection: Collection, record_id: str
) -> tuple[Record, list[float]]:
    found = await engine.retrieve(
        collection.id,
        [point_id(record_id)],
        with_payload=models.PayloadSelectorExclude(exclude=[RESERVED_KEY]),
        with_vectors=[VISUAL_VECTOR],
    )
    if not found:
        raise RecordsNotFound("records not found")
    vectors: Any = found[0].vector
    return found[0].payload or {}, vectors[VISUAL_VECTOR]


def hits_within(
    points: Sequence[models.ScoredPoint], radius: float | None, distance: str
) -> list[Hit]:
    hits = [Hit(distance_of(point.score, distance), point.payload or {}) for point in points]
    return hits if radius is None else [hit for hit in hits if hit.distance <= radius]


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
