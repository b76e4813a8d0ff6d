"""Rankings by image and tags, fused into one distance.

`(1 - weight) * visual + weight * tags`, both exact for every candidate. Candidates are the nearest
of each signal. A record beyond both lists is at least as far as the last of each: where that is
not beyond the ranks that are asked for, there may be better ones (Fagin, Lotem and Naor, "Optimal
aggregation algorithms for middleware", 2003, whose threshold this is). Those are fetched by what
they must have: so many tags in common that their image, less near than the last candidate by
image, leaves them near enough, and so near an image that their tags do. A rank fusion of two
truncated lists would give nothing for the other signal to a record that only one has found.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter.point_layout import TAGS_VECTOR
from lookalike.adapter.records.points import Record, point_id
from lookalike.adapter.search.ranking import DISTANCE_DECIMALS, Hit, Page, Scope, Vector

MIN_IMAGES, MIN_TAGGED = 200, 100
"""Candidates of each signal. Images are the cheaper ones, and settle more."""
MARGIN = 1e-5
"""By so much more than distances err, which are made of 32-bit numbers."""
EQUAL = 0.5 * 10**-DISTANCE_DECIMALS
"""Nearer to one another than this, distances are the same number."""
CANDIDATES_PER_RANK = 2
MAX_CANDIDATES = 2_000
"""Of each signal, and of what may be better."""
TAGGED = (2_000, 20_000)
"""Records whose images are compared because of their tags. Where that many do not settle the
order, it is that of the candidates: when one tag is on very many records and weighs nearly all."""

CANDIDATES = models.SearchParams(
    quantization=models.QuantizationSearchParams(rescore=True, oversampling=1.5)
)
"""Those beyond the ranks that are asked for only set the threshold: less accuracy will do."""

EXACT = models.SearchParams(exact=True, quantization=models.QuantizationSearchParams(ignore=True))


class Candidate(msgspec.Struct, frozen=True):
    id: str
    visual: float
    tags: float
    """Both as similarities: the cosine of the images, and the product of the tag vectors."""


class Unseen(msgspec.Struct, frozen=True):
    """The largest similarities that a record can have which is no candidate yet."""

    visual: float
    tags: float


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

    async def fetch(self, offset: int, limit: int) -> Page:
        end = offset + limit
        if self._fused.settled < end and not self._fused.complete:
            self._fused = await self._fuse(end)
        page = self._fused.ranked[offset : min(end, self._fused.settled)]
        return await self._own_hit(), await self._hits(page)

    async def _fuse(self, end: int) -> Fused:
        """The first `end` ranks at least, in one exchange or two."""
        most = max(MAX_CANDIDATES, end)
        images = min(max(MIN_IMAGES, CANDIDATES_PER_RANK * end), most)
        tags = min(max(MIN_TAGGED, CANDIDATES_PER_RANK * end), most)
        imaged, tagged = await self._query([self._by_image(images), self._by_tags(tags, tags)])
        known = {c.id: c for c in imaged + tagged}
        if len(imaged) < images:
            return self._settle(known, None)
        # Where fewer have any of the tags than were asked for, all of those are known.
        last_tags = min(c.tags for c in tagged) if len(tagged) >= tags else 0.0
        unseen = Unseen(min(c.visual for c in imaged), last_tags)
        fused = self._settle(known, self._distance(unseen.visual, unseen.tags))
        if fused.settled >= end or fused.complete:
            return fused
        last = fused.ranked[end - 1][0] if len(fused.ranked) >= end else self._scope.radius
        assert last is not None, "more candidates were fetched than ranks are asked for"
        more, all_of_them = await self._not_beyond(last, unseen, most)
        known |= {c.id: c for c in more}
        return self._settle(known, last + EQUAL if all_of_them else None)

    async def _not_beyond(
        self, distance: float, unseen: Unseen, most: int
    ) -> tuple[list[Candidate], bool]:
        """What can be within the distance and is no candidate yet, and whether that is all of it.

        A search by tags takes as long as the number of those it is to find, however few there are,
        so many are looked for only where few do not do.
        """
        visual = self._least_visual(distance + MARGIN, unseen.tags)
        tags = self._least_tags(distance + MARGIN, unseen.visual)
        if tags <= 0:  # An image may do without a tag in common.
            (found,) = await self._query([self._by_image(most, visual)])
            return found, len(found) < most
        for tagged in TAGGED:
            found, beyond = await self._query(
                [self._by_tags(tagged, most, tags, visual), self._first_after(tagged, tags)]
            )
            if not beyond:
                return found, len(found) < most
        return found, False

    async def _query(self, requests: list[models.QueryRequest]) -> list[list[Candidate]]:
        answers = await self._scope.engine.query_batch_points(
            self._scope.collection.physical, requests=requests
        )
        return [[self._scored(point) for point in answer.points] for answer in answers]

    def _by_image(self, limit: int, least: float | None = None) -> models.QueryRequest:
        return self._request(
            filter=self._scope.filter, params=CANDIDATES, limit=limit, score_threshold=least
        )

    def _by_tags(
        self,
        tagged: int,
        limit: int,
        least_tags: float | None = None,
        least_visual: float | None = None,
    ) -> models.QueryRequest:
        """Of the `tagged` records with most tags in common those with the nearest images."""
        return self._request(
            prefetch=[
                models.Prefetch(
                    query=self._tags,
                    using=TAGS_VECTOR,
                    filter=self._scope.filter,
                    limit=tagged,
                    score_threshold=least_tags,
                )
            ],
            params=EXACT,
            limit=limit,
            score_threshold=least_visual,
        )

    def _first_after(self, tagged: int, least_tags: float) -> models.QueryRequest:
        """The record that comes next by tags after so many."""
        return models.QueryRequest.model_construct(
            query=self._tags,
            using=TAGS_VECTOR,
            filter=self._scope.filter,
            offset=tagged,
            limit=1,
            score_threshold=least_tags,
        )

    def _request(self, **fields: Any) -> models.QueryRequest:
        # Built without validation: the vector is ours and long.
        return models.QueryRequest.model_construct(
            query=self._vector,
            using=self._scope.collection.vector,
            with_payload=False,
            with_vector=[TAGS_VECTOR],
            **fields,
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

    def _settle(self, known: dict[str, Candidate], nearest_unseen: float | None) -> Fused:
        """`nearest_unseen`: no other record is nearer; None where no other one counts."""
        radius = self._scope.radius
        ranked = sorted((self._distance(c.visual, c.tags), c.id) for c in known.values())
        within = [entry for entry in ranked if radius is None or entry[0] <= radius]
        if nearest_unseen is None or (radius is not None and nearest_unseen > radius):
            return Fused(within, len(within), complete=True)
        settled = sum(distance < nearest_unseen for distance, _ in within)
        return Fused(within, settled, complete=False)

    def _least_tags(self, distance: float, visual: float) -> float:
        """What a record whose image is no more similar than this must have in common in tags, to
        be within the distance."""
        if self._weight == 0:
            return 0.0
        return 1.0 - (distance - (1.0 - self._weight) * (1.0 - visual)) / self._weight

    def _least_visual(self, distance: float, tags: float) -> float | None:
        """How similar the image of a record must be that has no more tags in common than this."""
        if self._weight == 1:
            return None
        return 1.0 - (distance - self._weight * (1.0 - tags)) / (1.0 - self._weight)

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
