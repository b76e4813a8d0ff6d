"""Rankings of a collection: by one vector, by the nearest of several.

A search by `_id` answers the record itself first. On every engine a search by id leaves the point
itself out, so it is asked for beside the search, in the same exchange.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from qdrant_client import models

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.collections.storage import search_params
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.engines.engine_facts import MAX_LIMIT
from lookalike.adapter.errors import InvalidRequest
from lookalike.adapter.records.image_sources import Vector
from lookalike.adapter.records.listing import RECORDS_AT_ONCE, read_records
from lookalike.adapter.records.points import Record, point_id, stored_record
from lookalike.adapter.records.selection import Selection

ROUNDING = 1e-6
DISTANCE_DECIMALS = 6
"""Distances are rounded to what 32-bit vectors can tell apart, so that equal images are at 0."""

RANKINGS = 3
"""How often a long ranking is tried whose records are deleted before they are read."""

RANKS_SIDE_BY_SIDE = 1_000
"""Of one search by several pictures. More at once would be so much work for the event loop that
others wait between any two of their steps."""
MAX_RANKS = 250_000
"""Ranks that one search by several pictures may look at, of all of them together."""
TOO_MANY_RANKS = (
    f"a search by several pictures looks at {MAX_RANKS} ranks at the most, of all of them "
    "together: name fewer pictures, or make k, from or radius smaller"
)

TIE_MARGIN, TIE_GROWTH = 4, 8
"""How far beyond a page ties are looked for, and how much farther if they go on."""


class Hit(msgspec.Struct, frozen=True):
    value: float
    """The distance; of dot products, which may exceed 1, before it is cut off at 0."""
    record: Record

    @property
    def distance(self) -> float:
        return max(0.0, self.value)

    @property
    def id(self) -> str:
        return str(self.record["_id"])


RankedPage = tuple[list[Hit], list[Hit]]
"""The query record itself (if it is stored and the engine's filter takes it), and the others."""


class Ranking(Protocol):
    async def fetch(self, offset: int, limit: int) -> RankedPage:
        """Of the others those at the ranks `offset` to `offset + limit`, fewer only at the end."""
        ...


class SearchScope(msgspec.Struct, frozen=True):
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

    @property
    def only_ids(self) -> SearchScope:
        """The same without the records, but for their `_id`s."""
        return msgspec.structs.replace(self, payload=["_id"])

    async def read(self, points: Sequence[str]) -> dict[str, Record]:
        """What is needed of the records of these points, if they are there."""
        return await read_records(self.engine, self.collection, points, self.payload)

    async def rank(
        self, request: models.QueryRequest, *, own: Sequence[models.QueryRequest] = (), scale: float
    ) -> tuple[list[Hit], list[Hit]]:
        """What `own` and `request` find, in one exchange unless there are very many.

        `scale`: the length that the query vector had before the engine made it 1.
        """
        whole = bool(request.with_payload)
        for attempt in range(1, RANKINGS + 1):
            *of_own, answer = await self.engine.query_batch_points(
                self.collection.physical, requests=[*own, request]
            )
            points = answer.points
            if whole:
                records = {str(point.id): stored_record(point.payload) for point in points}
            else:
                records = await self.read([str(point.id) for point in points])
            if len(records) == len(points) or attempt == RANKINGS:
                break
        first = [Hit(0.0, stored_record(p.payload)) for answered in of_own for p in answered.points]
        return first, self._hits(points, records, scale)

    async def rank_each(self, requests: Sequence[models.QueryRequest]) -> list[list[Hit]]:
        """What each of several requests finds, in one exchange."""
        if not requests:
            return []
        answers = await self.engine.query_batch_points(self.collection.physical, requests=requests)
        return [
            self._hits(a.points, {str(p.id): stored_record(p.payload) for p in a.points})
            for a in answers
        ]

    def _hits(
        self,
        points: Sequence[models.ScoredPoint],
        records: Mapping[str, Record],
        scale: float = 1.0,
    ) -> list[Hit]:
        hits = [
            Hit(value_of(point.score * scale, self.collection.distance), record)
            for point in points
            if (record := records.get(str(point.id))) is not None
        ]
        return hits if self.radius is None else [h for h in hits if h.value <= self.radius]


Order = Callable[[Hit], Any]
"""What a ranking is sorted by."""


def by_id(hit: Hit) -> tuple[float, str]:
    """By distance, equal ones by `_id`."""
    return hit.value, hit.id


class InOrder:
    """A ranking with equal distances in the order of the `_id`s.

    Engines leave that order open, and it changes with offset and limit: in answers that are read in
    pages, some of several equal images would come twice and others never. So what is fetched
    begins before and ends behind every run of equal distances that the page has a part of.
    """

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking

    async def fetch(self, offset: int, limit: int) -> RankedPage:
        before, after = min(offset, TIE_MARGIN), TIE_MARGIN
        while True:
            start, wanted = offset - before, min(before + limit + after, MAX_LIMIT)
            own, hits = await self._ranking.fetch(start, wanted)
            begins = start == 0 or len(hits) <= before or hits[0].value < hits[before].value
            ends = len(hits) < wanted or hits[before + limit - 1].value < hits[-1].value
            if (begins and ends) or wanted == MAX_LIMIT:
                in_order = sorted(hits, key=by_id)
                return own, in_order[before : before + limit]
            before = before if begins else min(offset, TIE_GROWTH * before)
            after = after if ends else TIE_GROWTH * after


class ByRecord:
    """By distance from a stored record. Unknown ids raise RecordsNotFound."""

    def __init__(self, scope: SearchScope, record_id: str) -> None:
        self._scope = scope
        self._point_id = point_id(record_id)

    async def fetch(self, offset: int, limit: int) -> RankedPage:
        own_request = models.QueryRequest(
            filter=self._scope.own_filter(self._point_id),
            limit=1,
            with_payload=self._scope.payload,
        )
        request = vector_request(self._scope, self._point_id, offset, limit)
        return await self._scope.rank(request, own=[own_request], scale=1.0)


class ByVector:
    """By distance from a vector.

    Under cosine a vector of another length than 1 stands for a weighted sum of vectors of length
    1, and the distance is the weighted sum of the distances from each.
    """

    def __init__(self, scope: SearchScope, vector: Vector, length: float = 1.0) -> None:
        self._scope = scope
        self._vector = vector
        self._length = length

    async def fetch(self, offset: int, limit: int) -> RankedPage:
        request = vector_request(self._scope, self._vector, offset, limit, self._length)
        return await self._scope.rank(request, scale=self._length)


class ByNearestOf:
    """Several rankings of the same records in one: a record has its smallest distance of them.

    All of them are in the same order, so that the first n together are among the first n of each.
    They are of `scope.only_ids`: the records are read of those alone that are the nearest.
    """

    def __init__(self, scope: SearchScope, rankings: Sequence[Ranking], order: Order) -> None:
        self._scope = scope
        self._rankings = rankings
        self._order = order

    async def fetch(self, offset: int, limit: int) -> RankedPage:
        for _ in range(RANKINGS):
            merged = (await self._merge(offset + limit))[offset:]
            records = await self._scope.read([point_id(hit.id) for hit in merged])
            hits = [
                Hit(hit.value, records[key])
                for hit in merged
                if (key := point_id(hit.id)) in records
            ]
            if len(hits) == len(merged):
                break
        return [], hits

    async def _merge(self, most: int) -> list[Hit]:
        nearest: dict[str, Hit] = {}
        ranks = 0
        at_once = max(1, RANKS_SIDE_BY_SIDE // most)
        for begin in range(0, len(self._rankings), at_once):
            some = self._rankings[begin : begin + at_once]
            for _, hits in await asyncio.gather(*(r.fetch(0, most) for r in some)):
                ranks += len(hits)
                for hit in hits:
                    if hit.id not in nearest or hit.value < nearest[hit.id].value:
                        nearest[hit.id] = hit
            if ranks > MAX_RANKS:
                raise InvalidRequest(TOO_MANY_RANKS, place="$.query_records")
        return sorted(nearest.values(), key=self._order)[:most]


def vector_request(
    scope: SearchScope, query: Vector | str, offset: int, limit: int, length: float = 1.0
) -> models.QueryRequest:
    threshold = score_threshold(scope.radius, scope.collection.distance)
    # Built without validation: the vector is ours and long.
    return models.QueryRequest.model_construct(
        query=query,
        using=scope.collection.vector,
        filter=scope.filter,
        params=search_params(scope.collection),
        score_threshold=None if threshold is None else threshold / length,
        limit=limit,
        offset=offset,
        with_payload=scope.payload if limit <= RECORDS_AT_ONCE else False,
    )


def value_of(score: float, distance: str) -> float:
    """The engine's score as a distance: smaller is nearer, 0 is the same.

    Qdrant scores cosine and dot by similarity, the metrics by the distance itself.
    """
    return round(1.0 - score if distance in ("cosine", "dot") else score, DISTANCE_DECIMALS)


def score_threshold(radius: float | None, distance: str) -> float | None:
    """A little wider than the radius: the reported, rounded distance decides.

    The engine excludes the bound itself, so the margin exceeds the rounding error of 32-bit
    numbers.
    """
    if radius is None:
        return None
    wider = radius + ROUNDING * (1.0 + radius)
    return 1.0 - wider if distance in ("cosine", "dot") else wider
