"""Queries in steps: a ranking that would take long in one call is made slice by slice.

The nearest points of a collection are among the nearest of each slice of its ids. Those of a slice
that are no nearer than the last one kept so far are not even answered.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
import qdrant_edge as edge

from lookalike.adapter.engines.embedded import messages
from lookalike.adapter.engines.embedded.condition_messages import (
    Filter,
    PlainPointId,
)
from lookalike.adapter.engines.embedded.worker.conditions import edge_filter
from lookalike.adapter.engines.embedded.worker.id_slices import SLICE_IDS
from lookalike.adapter.engines.embedded.worker.query_conversion import (
    edge_payload_selector,
    edge_request,
    edge_vector_selector,
)
from lookalike.adapter.engines.embedded.worker.shard import (
    Shard,
    Steps,
    plain_id,
    retrieve,
    scored_hit,
)
from lookalike.adapter.engines.embedded.worker.validation import EdgeId, Refused

MAX_QUERIES = 4_000
"""In one request."""
ELEMENTS_AT_ONCE = 100_000_000
"""Numbers of vectors that one call may look at, 7 ms; several queries in one call share a scan,
which takes half the time for each."""
ELEMENTS_OF_GRAPH = 10_000_000
"""A search through a graph takes as long as a scan of so many."""
ELEMENTS_OF_RANK = 50_000
"""And each rank of the answer as long as so many: its candidates are compared once more."""
RANKS_AT_ONCE = 1_100
"""Ranks that one call may answer: 8 ms. A thousand, and what is fetched around them for ties."""
CANDIDATES_AT_ONCE = 2_000
"""Candidates that one call may find for another: 10 ms."""
SAMPLE, SAMPLES = 400, 8
"""Random points whose filter is decided in one step, and how often that is tried."""

Hits = list[messages.ScoredHit]


def query_points(shard: Shard, request: messages.QueryPoints) -> Steps[list[Hits]]:
    """The answers to several queries. Those that take little time share a call."""
    if len(request.queries) > MAX_QUERIES:
        raise Refused("a batch has too many queries")
    answers: list[Hits] = []
    together: list[messages.PointQuery] = []
    elements = 0
    for query in request.queries:
        long, cost = _is_long(shard, query), _elements(shard, query)
        if together and (long or elements + cost > ELEMENTS_AT_ONCE):
            answers += _ask(shard, together)
            together, elements = [], 0
            yield
        if long:
            answers.append((yield from _answer_in_steps(shard, query)))
        else:
            together.append(query)
            elements += cost
    return answers + _ask(shard, together)


def _elements(shard: Shard, query: messages.PointQuery) -> int:
    """How many numbers of vectors a query looks at."""
    params = shard.schema.vectors.get(query.using)
    if params is None or not isinstance(query.query, messages.ByDenseVector | messages.ByPoint):
        return 0
    scanned = ELEMENTS_OF_GRAPH if shard.has_graph else shard.points_count * params.size
    return scanned + (query.limit + query.offset) * ELEMENTS_OF_RANK


def _is_long(shard: Shard, query: messages.PointQuery) -> bool:
    """Whether one call would take too long, whatever it shares the call with."""
    if query.prefetch:
        if max(prefetch.limit for prefetch in query.prefetch) > CANDIDATES_AT_ONCE:
            return True
        filters = [query.filter, *(prefetch.filter for prefetch in query.prefetch)]
        return any(shard.is_long(filter_) for filter_ in filters)
    dense = query.using in shard.schema.vectors and not isinstance(
        query.query, messages.RandomSample | None
    )
    # Rankings by a sparse vector take little time, but much if each slice looks through its lists.
    if dense or query.query is None:
        ranks = min(query.limit + query.offset, shard.points_count)
        if ranks > RANKS_AT_ONCE:
            return True
    return shard.is_long(query.filter, graph=dense and shard.has_graph)


def _ask(shard: Shard, queries: list[messages.PointQuery]) -> list[Hits]:
    """The answers of one call."""
    asked = [edge_request(query, shard.schema, shard.vector) for query in queries]
    if not asked:
        return []
    answers = shard.edge_shard.query_batch(edge.QueryBatchRequest([each for each, _ in asked]))
    return [
        _page([scored_hit(hit) for hit in hits], query, asked_with)
        for hits, query, (_, asked_with) in zip(answers, queries, asked, strict=True)
    ]


def _page(hits: Hits, query: messages.PointQuery, asked_with: EdgeId | None) -> Hits:
    """`edge_request` asks from the first rank on where it asks with a point, and for that too."""
    if asked_with is None:
        return hits
    others = [hit for hit in hits if hit.id != asked_with]
    return others[query.offset : query.offset + query.limit]


def _answer_in_steps(shard: Shard, query: messages.PointQuery) -> Steps[Hits]:
    if query.query is None:
        return _list(shard, query)
    if isinstance(query.query, messages.RandomSample):
        return _sample(shard, query)
    if query.prefetch:
        return _query_candidates(shard, query)
    return _rank(shard, query, shard.parts(query.filter))


def _rank(shard: Shard, query: messages.PointQuery, parts: Iterable[edge.Filter]) -> Steps[Hits]:
    """The nearest of the parts, of which no two have a point in common."""
    asked, asked_with = edge_request(query, shard.schema, shard.vector)
    best = Best(asked.limit + asked.offset, shard.schema.less_is_nearer(query.using))
    nearest, params, payload, vectors = (
        *(asked.query, asked.params),
        *(asked.with_payload, asked.with_vector),
    )
    for part in parts:
        request = edge.QueryRequest(
            limit=min(best.most, 2 * SLICE_IDS),
            query=nearest,
            filter=part,
            params=params,
            score_threshold=best.threshold(asked.score_threshold),
            with_payload=payload,
            with_vector=vectors,
        )
        best.add([scored_hit(hit) for hit in shard.edge_shard.query(request)])
        yield
    hits = best.ranked()
    return _page(hits, query, asked_with) if asked_with is not None else hits[query.offset :]


class Best:
    """The nearest hits of those that are added."""

    def __init__(self, most: int, less_is_nearer: bool) -> None:
        self.most = most
        self._sign = 1.0 if less_is_nearer else -1.0
        self._hits: Hits = []
        self._worst: float | None = None

    def add(self, hits: Hits) -> None:
        self._hits += hits
        # Not after each slice: ten thousand hits are sorted in 1 ms.
        if (len(self._hits) - self.most) * 4 >= self.most:
            self._hits = self.ranked()
            self._worst = self._hits[-1].score

    def threshold(self, asked: float | None) -> float | None:
        """What the score of a hit must pass to be among the nearest."""
        return asked if self._worst is None else self._worst

    def ranked(self) -> Hits:
        keys = self._sign * np.array([hit.score for hit in self._hits])
        return [self._hits[index] for index in np.argsort(keys, kind="stable")[: self.most]]


def _query_candidates(shard: Shard, query: messages.PointQuery) -> Steps[Hits]:
    """A search among the answers to others: those are found first."""
    found: dict[PlainPointId, None] = {}
    for each in query.prefetch:
        alone = messages.PointQuery(
            *(each.query, each.using, [], each.filter, each.params, each.limit, 0),
            *(each.score_threshold, False, False),
        )
        (hits,) = yield from query_points(shard, messages.QueryPoints("", [alone]))
        found |= dict.fromkeys(hit.id for hit in hits)
        yield
    among = msgspec.structs.replace(query, prefetch=[])
    return (yield from _rank(shard, among, _parts_of(list(found), query.filter)))


def _parts_of(ids: list[PlainPointId], filter_: Filter | None) -> Iterator[edge.Filter]:
    """The filter for some of the ids after the other."""
    condition = edge_filter(filter_)
    for begin in range(0, len(ids), SLICE_IDS):
        some = edge.HasIdCondition(set(ids[begin : begin + SLICE_IDS]))
        yield edge.Filter(must=[some, *([condition] if condition else [])])


def _hits_of(shard: Shard, ids: list[EdgeId], query: messages.PointQuery) -> Steps[Hits]:
    """The points of these ids, in this order, with what the query wants of them."""
    payload = edge_payload_selector(query.with_payload)
    vectors = edge_vector_selector(query.with_vectors, shard.schema)
    found = yield from retrieve(shard, ids, payload, vectors)
    points = {point.id: point for point in found}
    there = [points[plain_id(identity)] for identity in ids if plain_id(identity) in points]
    return [messages.ScoredHit(p.id, 1.0, p.payload, p.vectors) for p in there]


def _list(shard: Shard, query: messages.PointQuery) -> Steps[Hits]:
    """Points in the order of their ids, from a position on."""
    ids: list[EdgeId] = []
    passed = 0
    for page in shard.pages(query.filter, most=query.offset + query.limit):
        ids += [plain_id(record.id) for record in page][max(0, query.offset - passed) :]
        passed += len(page)
        yield
    return (yield from _hits_of(shard, ids, query))


def _sample(shard: Shard, query: messages.PointQuery) -> Steps[Hits]:
    """Random points that match a filter which is long to decide for all.

    Random ones of the collection are drawn, and those of them that match are kept: they come in an
    order that is as random. Where few match, all matching ones are found and drawn from.
    """
    condition = edge_filter(query.filter)
    conditions = [] if condition is None else [condition]
    ids: dict[EdgeId, None] = {}
    for _ in range(SAMPLES):
        drawn = shard.edge_shard.query(
            edge.QueryRequest(limit=SAMPLE, query=edge.Sample.Random, with_payload=False)
        )
        among = edge.HasIdCondition({hit.id for hit in drawn})
        records, _ = shard.edge_shard.scroll(
            edge.ScrollRequest(
                limit=SAMPLE,
                filter=edge.Filter(must=[among, *conditions]),
                with_payload=False,
                with_vector=False,
            )
        )
        matching = {record.id for record in records}
        ids |= dict.fromkeys(plain_id(hit.id) for hit in drawn if hit.id in matching)
        yield
        if len(ids) >= query.limit:
            return (yield from _hits_of(shard, list(ids)[: query.limit], query))
    everything: list[EdgeId] = []
    for page in shard.pages(query.filter):
        everything += [plain_id(record.id) for record in page]
        yield
    chosen = random.sample(everything, min(query.limit, len(everything)))
    return (yield from _hits_of(shard, chosen, query))
