"""Rankings by picture and tags, fused into one distance.

`(1 - weight) * visual + weight * tags`, both exact for every candidate. Candidates are the nearest
of each signal. A record beyond both lists is at least as far as the last of each: as long as that
is not beyond the ranks that are asked for, more candidates are fetched (Fagin, Lotem and Naor,
"Optimal aggregation algorithms for middleware", 2003, whose threshold this is). A rank fusion of
two truncated lists would give nothing for the other signal to a record that only one has found.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter.ranking import DISTANCE_DECIMALS, Hit, Page, Scope, Vector
from lookalike.adapter.records import TAGS_VECTOR, Record, point_id

MIN_CANDIDATES = 100
CANDIDATES_PER_RANK = 2
MAX_CANDIDATES = 2_000
"""Of each signal. Where that many do not settle the order, it is that of the candidates: when one
tag is on very many records and weighs much."""

CANDIDATES = models.SearchParams(
    quantization=models.QuantizationSearchParams(rescore=True, oversampling=1.5)
)
"""Those beyond the ranks that are asked for only set the threshold: less accuracy will do."""

EXACT = models.SearchParams(exact=True, quantization=models.QuantizationSearchParams(ignore=True))


class Candidate(msgspec.Struct, frozen=True):
    id: str
    visual: float
    tags: float
    """Both as similarities: the cosine of the pictures, and the product of the tag vectors."""


class Fused(msgspec.Struct, frozen=True):
    """The candidates by distance. `settled`: how many of the first no other record can precede."""

    ranked: list[tuple[float, str]]
    settled: int
    complete: bool
    """No more candidates exist, or no more are fetched."""


class ByVectorAndTags:
    """By the fused distance. `own` is the stored query record, already read."""

    def __init__(
        self,
        scope: Scope,
        vector: Vector,
        tags: models.SparseVector,
        weight: float,
        own: Record | None = None,
    ) -> None:
        self._own = own
        self._own_scope = scope
        if own is not None:
            scope = msgspec.structs.replace(scope, excluded=scope.excluded | {str(own["_id"])})
        self._scope = scope
        self._vector = vector
        self._tags = tags
        self._weights = dict(zip(tags.indices, tags.values, strict=True))
        self._weight = weight
        self._fused = Fused([], 0, complete=False)
        self._candidates = 0

    async def fetch(self, offset: int, limit: int) -> Page:
        end = offset + limit
        while self._fused.settled < end and not self._fused.complete:
            self._candidates = max(MIN_CANDIDATES, CANDIDATES_PER_RANK * end, 2 * self._candidates)
            self._fused = await self._fuse(min(self._candidates, max(MAX_CANDIDATES, end)))
        page = self._fused.ranked[offset : min(end, self._fused.settled)]
        return await self._own_hit(), await self._hits(page)

    async def _fuse(self, candidates: int) -> Fused:
        """In one exchange; a candidate's tags come as its vector of them and are scored here."""
        by_picture = self._request(
            query=self._vector,
            using=self._scope.collection.vector,
            filter=self._scope.filter,
            params=CANDIDATES,
            limit=candidates,
        )
        by_tags = self._request(
            query=self._vector,
            using=self._scope.collection.vector,
            prefetch=[
                models.Prefetch(
                    query=self._tags,
                    using=TAGS_VECTOR,
                    filter=self._scope.filter,
                    limit=candidates,
                )
            ],
            params=EXACT,
            limit=candidates,
        )
        answers = await self._scope.engine.query_batch_points(
            self._scope.collection.physical, requests=[by_picture, by_tags]
        )
        pictured, tagged = ([self._scored(p) for p in answer.points] for answer in answers)
        ranked = {c.id: (self._distance(c.visual, c.tags), c.id) for c in pictured + tagged}
        nearest_unseen: float | None = None
        if len(pictured) >= candidates:
            last_tags = min(c.tags for c in tagged) if len(tagged) >= candidates else 0.0
            nearest_unseen = self._distance(min(c.visual for c in pictured), last_tags)
        return self._settle(sorted(ranked.values()), nearest_unseen, candidates >= MAX_CANDIDATES)

    def _request(self, **fields: Any) -> models.QueryRequest:
        # Built without validation: the vector is ours and long.
        return models.QueryRequest.model_construct(
            with_payload=False, with_vector=[TAGS_VECTOR], **fields
        )

    def _scored(self, point: models.ScoredPoint) -> Candidate:
        vectors: Any = point.vector or {}
        tags: models.SparseVector | None = vectors.get(TAGS_VECTOR)
        common = 0.0
        if tags is not None:
            weights = self._weights
            common = sum(
                weights.get(i, 0.0) * v for i, v in zip(tags.indices, tags.values, strict=True)
            )
        return Candidate(str(point.id), point.score, common)

    def _settle(
        self, ranked: list[tuple[float, str]], nearest_unseen: float | None, last: bool
    ) -> Fused:
        radius = self._scope.radius
        within = [entry for entry in ranked if radius is None or entry[0] <= radius]
        if nearest_unseen is None or last or (radius is not None and nearest_unseen > radius):
            return Fused(within, len(within), complete=True)
        settled = sum(distance < nearest_unseen for distance, _ in within)
        return Fused(within, settled, complete=False)

    def _distance(self, visual: float, tags: float) -> float:
        fused = (1.0 - self._weight) * (1.0 - visual) + self._weight * (1.0 - tags)
        return round(fused, DISTANCE_DECIMALS)

    async def _hits(self, page: Iterable[tuple[float, str]]) -> list[Hit]:
        """What is deleted meanwhile is left out."""
        distances = {id_: distance for distance, id_ in page}
        if not distances:
            return []
        found = await self._scope.engine.retrieve(
            self._scope.collection.physical, list(distances), with_payload=self._scope.payload
        )
        payloads = {str(point.id): point.payload or {} for point in found}
        return [Hit(d, payloads[id_]) for id_, d in distances.items() if id_ in payloads]

    async def _own_hit(self) -> list[Hit]:
        if self._own is None:
            return []
        scope = self._own_scope
        if scope.selection.filter is not None:
            own_filter = scope.own_filter(point_id(str(self._own["_id"])))
            count = await scope.engine.count(
                scope.collection.physical, count_filter=own_filter, exact=True
            )
            if count.count == 0:
                return []
        return [Hit(0.0, self._own)]
