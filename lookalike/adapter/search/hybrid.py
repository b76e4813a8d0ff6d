"""Hybrid rankings: by image and tags, in one distance.

The distance is `(1 - weight) * (1 - visual) + weight * (1 - tags)`, where `visual` and `tags` are
the similarities of the images and of the tag vectors. Both are exact for every candidate.

The candidates are the nearest records of each signal. A record that is in neither list is at most
as similar as the last record of each, so it has at least the distance that those two similarities
give: the threshold. Candidates nearer than the threshold are settled, for no other record can
precede them. This is the threshold algorithm of Fagin, Lotem and Naor, "Optimal aggregation
algorithms for middleware", 2003. Where it settles too few ranks, the records that may still precede
the last one wanted are fetched by bounds that they must meet (`_fuse` has an example).

A rank fusion of two truncated lists would be simpler and wrong: a record that only one list has
found would get nothing for its other signal.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter.point_layout import TAGS_VECTOR
from lookalike.adapter.records.image_sources import Vector
from lookalike.adapter.records.points import point_id
from lookalike.adapter.search.ranking import DISTANCE_DECIMALS, Hit, RankedPage, SearchScope

MIN_IMAGES, MIN_TAGGED = 200, 100
"""Candidates of each signal, at the least. Those by image cost less and settle more ranks."""
SIMILARITY_ERROR = 1e-5
"""Bounds are widened by this much: similarities are computed in 32 bits and may err."""
EQUAL = 0.5 * 10**-DISTANCE_DECIMALS
"""Two distances nearer to one another than this round to the same number."""
CANDIDATES_PER_RANK = 2
MAX_CANDIDATES = 2_000
"""Of each signal, and of the records that may precede the last rank wanted."""
TAGGED = (2_000, 20_000)
"""How many records that share enough tags have their images compared. The larger number is tried
only if the smaller is exceeded; if both are, the order of the candidates is answered. Both are
exceeded only where very many records have a tag that weighs nearly all."""

CANDIDATES = models.SearchParams(
    quantization=models.QuantizationSearchParams(rescore=True, oversampling=1.5)
)
"""For candidates by image. Those beyond the ranks wanted only set the threshold, for which less
accuracy will do."""

EXACT = models.SearchParams(exact=True, quantization=models.QuantizationSearchParams(ignore=True))


class Candidate(msgspec.Struct, frozen=True):
    id: str
    visual: float
    tags: float
    """Both are similarities: the cosine of the images, and the product of the tag vectors."""


class Unseen(msgspec.Struct, frozen=True):
    """A record that is no candidate yet has similarities of at most these."""

    visual: float
    tags: float


class Fused(msgspec.Struct, frozen=True):
    """The candidates in their order."""

    ranked: list[tuple[float, str]]
    """Distance and id, by rising distance; without `first`."""
    settled: int
    """So many of the first ones cannot be preceded by any other record."""
    complete: bool
    """No more candidates exist, or no more are fetched."""
    first: str | None = None
    """The stored query record, if it is at 0: it comes first also among others that are."""


def by_point(hit: Hit) -> tuple[float, str]:
    """By distance, equal ones by the ids of their points, which are at hand before the records are
    read: of thousands of records with the same tags the first are found without the others."""
    return hit.value, point_id(hit.id)


class ByVectorAndTags:
    """By the fused distance, in the order of `by_point`.

    `length` is that of a weighted sum, see `ranking.ByVector`. `own` is the point of the stored
    query record, if the query is one. Wherever its tags differ from those of the query it is a
    record like others.
    """

    def __init__(
        self,
        scope: SearchScope,
        vector: Vector,
        tags: models.SparseVector,
        weight: float,
        *,
        length: float = 1.0,
        own: str | None = None,
    ) -> None:
        self._own = own
        self._scope = scope
        self._vector = vector
        self._length = length
        self._tags = tags
        self._weights = dict(zip(tags.indices, tags.values, strict=True))
        self._weight = weight
        self._fused = Fused([], 0, complete=False)

    async def fetch(self, offset: int, limit: int) -> RankedPage:
        end = offset + limit
        if self._fused.settled < end and not self._fused.complete:
            self._fused = await self._fuse(end)
        page = self._fused.ranked[offset : min(end, self._fused.settled)]
        if self._fused.first is None:
            return [], await self._read_hits(page)
        hits = await self._read_hits([(0.0, self._fused.first), *page])
        own = [hit for hit in hits[:1] if point_id(hit.id) == self._fused.first]
        return own, hits[len(own) :]

    async def _fuse(self, end: int) -> Fused:
        """At least the first `end` ranks, in one exchange with the engine or in two.

        An example with a weight of 0.5, three candidates of each signal, and similarities as
        (visual, tags):

            by image   A (0.9, 0.5)   B (0.8, 0.0)   C (0.6, 0.0)
            by tags    D (0.3, 1.0)   A (0.9, 0.5)   E (0.1, 0.4)
            distances  A 0.30   D 0.35   B 0.60   C 0.70   E 0.75

        An unseen record has at most C's visual and E's tags: (0.6, 0.4), the threshold is 0.50.
        A and D are below it and settled: two ranks need no second exchange. For three ranks, B is
        the last one wanted. What may precede B is within 0.60, so with at most 0.4 in tags it has
        at least 0.4 in visual, and with at most 0.6 in visual at least 0.2 in tags. The second
        exchange fetches the records that meet both bounds, and then B's rank is certain.
        """
        most = max(MAX_CANDIDATES, end)
        images = min(max(MIN_IMAGES, CANDIDATES_PER_RANK * end), most)
        tags = min(max(MIN_TAGGED, CANDIDATES_PER_RANK * end), most)
        requests = [self._by_image(images), self._by_tags(tags, tags)]
        if self._own is not None:
            requests.append(self._only(self._own))
        by_image, by_tags, *own = await self._query(requests)
        known = {c.id: c for c in chain(by_image, by_tags, *own)}
        if len(by_image) < images:
            return self._settle(known, None)
        # Where fewer have any of the tags than were asked for, all of those are known.
        last_tags = min(c.tags for c in by_tags) if len(by_tags) >= tags else 0.0
        unseen = Unseen(min(c.visual for c in by_image), last_tags)
        fused = self._settle(known, self._distance(unseen.visual, unseen.tags))
        if fused.settled >= end or fused.complete:
            return fused
        last = fused.ranked[end - 1][0] if len(fused.ranked) >= end else self._scope.radius
        assert last is not None, "more candidates were fetched than ranks are asked for"
        more, all_of_them = await self._find_within(last, unseen, most)
        known |= {c.id: c for c in more}
        return self._settle(known, last + EQUAL if all_of_them else None)

    async def _find_within(
        self, distance: float, unseen: Unseen, most: int
    ) -> tuple[list[Candidate], bool]:
        """The records within the distance that are no candidates yet, and whether these are all.

        A search by tags takes the longer the more records it may answer, however few it finds. So
        the larger number of `TAGGED` is used only where the smaller one is exceeded.
        """
        visual = self._least_visual(distance + SIMILARITY_ERROR, unseen.tags)
        tags = self._least_tags(distance + SIMILARITY_ERROR, unseen.visual)
        if tags <= 0:  # A record may have no tag in common, so tags bound nothing.
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

    def _only(self, point: str) -> models.QueryRequest:
        return self._request(filter=self._scope.own_filter(point), params=EXACT, limit=1)

    def _by_image(self, limit: int, least: float | None = None) -> models.QueryRequest:
        return self._request(
            filter=self._scope.filter,
            params=CANDIDATES,
            limit=limit,
            score_threshold=self._score(least),
        )

    def _by_tags(
        self,
        tagged: int,
        limit: int,
        least_tags: float | None = None,
        least_visual: float | None = None,
    ) -> models.QueryRequest:
        """Of the `tagged` records with most tags in common, those with the nearest images."""
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
            score_threshold=self._score(least_visual),
        )

    def _first_after(self, tagged: int, least_tags: float) -> models.QueryRequest:
        """The record that comes by tags after the first `tagged`, if it has enough in common."""
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

    def _score(self, visual: float | None) -> float | None:
        """The engine's score of an image with this similarity."""
        return None if visual is None else visual / self._length

    def _scored(self, point: models.ScoredPoint) -> Candidate:
        vectors: Any = point.vector or {}
        tags: models.SparseVector | None = vectors.get(TAGS_VECTOR)
        common = 0.0
        if tags is not None:
            weights = self._weights
            common = sum(
                weights.get(i, 0.0) * v for i, v in zip(tags.indices, tags.values, strict=True)
            )
        return Candidate(str(point.id), point.score * self._length, common)

    def _settle(self, known: dict[str, Candidate], nearest_unseen: float | None) -> Fused:
        """`nearest_unseen`: every unseen record is at least so far; None where there are none."""
        radius = self._scope.radius
        distances = {c.id: self._distance(c.visual, c.tags) for c in known.values()}
        first = self._own if self._own and distances.get(self._own, 1.0) <= 0 else None
        ranked = sorted((distance, id_) for id_, distance in distances.items() if id_ != first)
        within = [entry for entry in ranked if radius is None or entry[0] <= radius]
        if nearest_unseen is None or (radius is not None and nearest_unseen > radius):
            return Fused(within, len(within), complete=True, first=first)
        settled = sum(distance < nearest_unseen for distance, _ in within)
        return Fused(within, settled, complete=False, first=first)

    def _least_tags(self, distance: float, visual: float) -> float:
        """The tags that a record within the distance has at least in common, if its image is at
        most as similar as `visual`."""
        if self._weight == 0:
            return 0.0
        return 1.0 - (distance - (1.0 - self._weight) * (1.0 - visual)) / self._weight

    def _least_visual(self, distance: float, tags: float) -> float | None:
        """The similarity that the image of a record within the distance has at least, if it has at
        most `tags` in common; None where the image does not count."""
        if self._weight == 1:
            return None
        return 1.0 - (distance - self._weight * (1.0 - tags)) / (1.0 - self._weight)

    def _distance(self, visual: float, tags: float) -> float:
        fused = (1.0 - self._weight) * (1.0 - visual) + self._weight * (1.0 - tags)
        return round(fused, DISTANCE_DECIMALS)

    async def _read_hits(self, page: Iterable[tuple[float, str]]) -> list[Hit]:
        """The records of a page. Those that were deleted meanwhile are left out."""
        distances = {id_: distance for distance, id_ in page}
        if not distances:
            return []
        records = await self._scope.read(list(distances))
        return [Hit(d, records[id_]) for id_, d in distances.items() if id_ in records]
