"""Queries: the plain REST form -> `qdrant_edge`, checked on the way.

https://qdrant.tech/documentation/concepts/hybrid-queries/ defines the form. The engine knows only
vectors, so ids in queries are looked up first; as on the server, a point that is asked with is not
among its own neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import qdrant_edge as edge

from lookalike.adapter.engines.embedded.worker import validation
from lookalike.adapter.engines.embedded.worker.conditions import (
    Plain,
    condition_of,
    date,
    filter_of,
    geo_point,
)
from lookalike.adapter.engines.embedded.worker.schema import Schema, member
from lookalike.adapter.engines.embedded.worker.validation import PointId, Refused
from lookalike.adapter.engines.embedded.worker_settings import TURBO_OVERSAMPLING

MAX_PREFETCH_DEPTH = 8
MAX_PREFETCHES = 64
MAX_EXPRESSION_DEPTH = 32
MAX_EXPRESSIONS = 1000

HNSW_EF = 256
RRF_K = 2
"""The server's default: https://github.com/qdrant/qdrant, `DEFAULT_RRF_K`."""
MMR_CANDIDATES = 100

Lookup = Callable[[PointId, str], Any]
"""(id, vector name) -> the stored vector; raises validation.Missing."""


class Conversion:
    """One query on its way to the engine; `asked_with` are the ids looked up at its root."""

    def __init__(self, schema: Schema, lookup: Lookup) -> None:
        self._schema = schema
        self._lookup = lookup
        self._prefetches_left = MAX_PREFETCHES
        self.asked_with: set[PointId] = set()

    def request(self, plain: Plain) -> edge.QueryRequest:
        """The request, without the ids that were asked with: fetch them too and drop them.

        A flat search with a `must_not has_id` takes twice the time of one with a larger limit.
        """
        if plain.get("lookup_from") is not None:
            raise Refused("lookup_from is not supported")
        prefetches = self._prefetches(plain.get("prefetch"), MAX_PREFETCH_DEPTH)
        query, asked_with = self._query(plain.get("query"), plain.get("using"), bool(prefetches))
        condition = filter_of(plain.get("filter"))
        limit = validation.limit(plain.get("limit"))
        offset = validation.limit(plain.get("offset"), default=0)
        if isinstance(query, edge.Mmr):
            condition = _without(condition, asked_with)
        elif asked_with:
            self.asked_with = asked_with
            limit, offset = limit + offset + len(asked_with), 0
        return edge.QueryRequest(
            limit=limit,
            offset=offset,
            query=query,
            prefetches=prefetches,
            filter=condition,
            params=search_params(plain.get("params")),
            score_threshold=_threshold(plain),
            with_payload=payload_selector(plain.get("with_payload"), default=False),
            with_vector=vector_selector(plain.get("with_vector"), self._schema),
        )

    def _prefetches(self, plain: Any, depth: int) -> list[edge.Prefetch]:
        if plain is None:
            return []
        if depth == 0:
            raise Refused("prefetches are nested too deep")
        return [
            self._prefetch(item, depth) for item in (plain if isinstance(plain, list) else [plain])
        ]

    def _prefetch(self, plain: Plain, depth: int) -> edge.Prefetch:
        self._prefetches_left -= 1
        if self._prefetches_left < 0:
            raise Refused("a query has too many prefetches")
        if plain.get("lookup_from") is not None:
            raise Refused("lookup_from is not supported")
        inner = self._prefetches(plain.get("prefetch"), depth - 1)
        query, asked_with = self._query(plain.get("query"), plain.get("using"), bool(inner))
        return edge.Prefetch(
            limit=validation.limit(plain.get("limit")),
            query=query,
            prefetches=inner,
            filter=_without(filter_of(plain.get("filter")), asked_with),
            params=search_params(plain.get("params")),
            score_threshold=_threshold(plain),
        )

    def _query(self, plain: Any, using: Any, prefetched: bool) -> tuple[Any, set[PointId]]:
        """The engine's query and the ids that it was asked with."""
        if plain is None:
            if prefetched:
                raise Refused("a query with prefetches needs a query of its own")
            return None, set()
        vectors = _Vectors(self._schema, self._lookup, using)
        if not isinstance(plain, dict) or "indices" in plain:
            return edge.Query.Nearest(vectors.vector(plain), using), vectors.ids
        for name, convert in _QUERIES.items():
            if name in plain:
                return convert(plain[name], plain, vectors, using), vectors.ids
        raise Refused("the kind of query is not supported")


class _Vectors:
    """The vectors of one query: given, or looked up by id."""

    def __init__(self, schema: Schema, lookup: Lookup, using: Any) -> None:
        self.using = "" if using is None else validation.text(using)
        self._schema = schema
        self._lookup = lookup
        self.ids: set[PointId] = set()

    def vector(self, plain: Any) -> Any:
        params = self._schema.vectors.get(self.using)
        if params is None and self.using not in self._schema.sparse_vectors:
            raise Refused("a query names a vector that the collection does not have")
        if isinstance(plain, PointId):
            identity = validation.point_id(plain)
            self.ids.add(identity)
            return self._lookup(identity, self.using)
        if params is None:
            if not isinstance(plain, dict):
                raise Refused("the query needs a sparse vector")
            return edge.SparseVector(*validation.sparse(plain))
        if not isinstance(plain, bytes | list):
            raise Refused("the query needs a dense vector")
        return validation.dense(plain, params["size"], unit=params["distance"] == "Cosine")

    def several(self, plain: Any) -> list[Any]:
        items = plain if isinstance(plain, list) else []
        if len(items) > validation.MAX_CONDITIONS:
            raise Refused("a query has too many examples")
        return [self.vector(item) for item in items]


def _nearest(plain: Any, outer: Plain, vectors: _Vectors, using: Any) -> Any:
    mmr = outer.get("mmr")
    if mmr is None:
        return edge.Query.Nearest(vectors.vector(plain), using)
    diversity = validation.number(mmr.get("diversity", 0.5))
    if not 0 <= diversity <= 1:
        raise Refused("diversity lies between 0 and 1")
    candidates = validation.limit(mmr.get("candidates_limit"), default=MMR_CANDIDATES)
    return edge.Mmr(vectors.vector(plain), 1.0 - diversity, candidates, using)


def _recommend(plain: Plain, _outer: Plain, vectors: _Vectors, using: Any) -> Any:
    positives = vectors.several(plain.get("positive"))
    negatives = vectors.several(plain.get("negative"))
    strategy = plain.get("strategy", "average_vector")
    if strategy == "best_score":
        return edge.Query.RecommendBestScore(edge.RecommendQuery(positives, negatives), using)
    if strategy == "sum_scores":
        return edge.Query.RecommendSumScores(edge.RecommendQuery(positives, negatives), using)
    if not positives or any(isinstance(v, edge.SparseVector) for v in positives + negatives):
        raise Refused("an average needs dense positive examples")
    # https://qdrant.tech/documentation/concepts/explore/#average-vector-strategy
    average = np.mean(np.asarray(positives, np.float32), axis=0)
    if negatives:
        average = 2 * average - np.mean(np.asarray(negatives, np.float32), axis=0)
    return edge.Query.Nearest(vectors.vector(average.tolist()), using)


def _pairs(plain: Any, vectors: _Vectors) -> list[edge.ContextPair]:
    items = plain if isinstance(plain, list) else [] if plain is None else [plain]
    return [
        edge.ContextPair(vectors.vector(item["positive"]), vectors.vector(item["negative"]))
        for item in items
    ]


def _discover(plain: Plain, _outer: Plain, vectors: _Vectors, using: Any) -> Any:
    target, pairs = vectors.vector(plain.get("target")), _pairs(plain.get("context"), vectors)
    return edge.Query.Discover(edge.DiscoverQuery(target, pairs), using)


def _context(plain: Any, _outer: Plain, vectors: _Vectors, using: Any) -> Any:
    return edge.Query.Context(edge.ContextQuery(_pairs(plain, vectors)), using)


def _rrf(plain: Plain, *_: Any) -> Any:
    weights = plain.get("weights")
    return edge.Fusion.Rrf(
        # k = 0 gives infinite scores.
        validation.integer(plain.get("k", RRF_K), low=1, high=1_000_000),
        None if weights is None else [validation.number(weight) for weight in weights],
    )


def _fusion(plain: Any, *_: Any) -> Any:
    if plain not in ("rrf", "dbsf"):
        raise Refused("the kind of fusion is not known")
    return edge.Fusion.Rrf(RRF_K) if plain == "rrf" else edge.Fusion.Dbsf()


def _sample(plain: Any, *_: Any) -> Any:
    if plain != "random":
        raise Refused("the kind of sample is not known")
    return edge.Sample.Random


def _formula(plain: Any, outer: Plain, *_: Any) -> Any:
    defaults = validation.payload(outer.get("defaults"))
    return edge.Formula(_Expressions().expression(plain, MAX_EXPRESSION_DEPTH), defaults)


def order_by(plain: Any, *_: Any) -> edge.OrderBy:
    """An order by a payload field with a range index."""
    if isinstance(plain, str):
        return edge.OrderBy(validation.path(plain))
    start = plain.get("start_from")
    return edge.OrderBy(
        validation.path(plain.get("key")),
        direction=member(edge.Direction, plain.get("direction")),
        start_from=start
        if isinstance(start, int) and start in validation.INT64
        else validation.number(start)
        if isinstance(start, float)
        else None
        if start is None
        else date(start),
    )


_QUERIES: dict[str, Callable[..., Any]] = {
    "nearest": _nearest,
    "recommend": _recommend,
    "discover": _discover,
    "context": _context,
    "rrf": _rrf,
    "fusion": _fusion,
    "sample": _sample,
    "formula": _formula,
    "order_by": order_by,
}


class _Expressions:
    """One formula; counts its parts."""

    def __init__(self) -> None:
        self._left = MAX_EXPRESSIONS

    def expression(self, plain: Any, depth: int) -> Any:
        self._left -= 1
        if depth == 0 or self._left < 0:
            raise Refused("a formula is too large or nested too deep")
        if isinstance(plain, str):
            return edge.Expression.Variable(plain)
        if not isinstance(plain, dict):
            return edge.Expression.Constant(validation.number(plain))
        if len(plain) == 1:
            ((name, value),) = plain.items()
            if name in _UNARY:
                return _UNARY[name](self.expression(value, depth - 1))
            if name in _MANY:
                return _MANY[name]([self.expression(item, depth - 1) for item in value])
            if name in _OTHER_EXPRESSIONS:
                return _OTHER_EXPRESSIONS[name](self, value, depth - 1)
        return edge.Expression.Condition(condition_of(plain))

    def div(self, plain: Plain, depth: int) -> Any:
        default = plain.get("by_zero_default")
        return edge.Expression.Div(
            self.expression(plain["left"], depth),
            self.expression(plain["right"], depth),
            None if default is None else validation.number(default),
        )

    def pow(self, plain: Plain, depth: int) -> Any:
        return edge.Expression.Pow(
            self.expression(plain["base"], depth), self.expression(plain["exponent"], depth)
        )

    def decay(self, kind: edge.DecayKind, plain: Plain, depth: int) -> Any:
        target, midpoint, scale = (plain.get(n) for n in ("target", "midpoint", "scale"))
        return edge.Expression.Decay(
            kind,
            self.expression(plain["x"], depth),
            None if target is None else self.expression(target, depth),
            None if midpoint is None else validation.number(midpoint),
            None if scale is None else validation.number(scale),
        )


_UNARY: dict[str, Callable[[Any], Any]] = {
    "neg": edge.Expression.Neg,
    "abs": edge.Expression.Abs,
    "sqrt": edge.Expression.Sqrt,
    "exp": edge.Expression.Exp,
    "log10": edge.Expression.Log10,
    "ln": edge.Expression.Ln,
    "acosh": edge.Expression.Acosh,
}
_MANY: dict[str, Callable[[list[Any]], Any]] = {
    "mult": edge.Expression.Mult,
    "sum": edge.Expression.Sum,
    "max": edge.Expression.Max,
    "min": edge.Expression.Min,
}
_OTHER_EXPRESSIONS: dict[str, Callable[[_Expressions, Any, int], Any]] = {
    "div": _Expressions.div,
    "pow": _Expressions.pow,
    "lin_decay": lambda e, plain, depth: e.decay(edge.DecayKind.Lin, plain, depth),
    "exp_decay": lambda e, plain, depth: e.decay(edge.DecayKind.Exp, plain, depth),
    "gauss_decay": lambda e, plain, depth: e.decay(edge.DecayKind.Gauss, plain, depth),
    "datetime": lambda _e, plain, _depth: edge.Expression.Datetime(date(plain)),
    "datetime_key": lambda _e, plain, _depth: edge.Expression.DatetimeKey(validation.path(plain)),
    "geo_distance": lambda _e, plain, _depth: edge.Expression.GeoDistance(
        geo_point(plain["origin"]), validation.path(plain["to"])
    ),
}


def search_params(plain: Plain | None) -> edge.SearchParams:
    """How to search; unless the request says otherwise, quantized and rescored.

    With 4-bit TurboQuant, oversampling 4 brings recall@10 from 0.94-0.97 to 1.00.
    """
    plain = plain or {}
    if plain.get("idf") is not None:
        raise Refused("an idf scope is not supported")
    ef, quantization = plain.get("hnsw_ef"), plain.get("quantization") or {}
    acorn = plain.get("acorn")
    return edge.SearchParams(
        hnsw_ef=validation.limit(ef, default=HNSW_EF),
        exact=bool(plain.get("exact", False)),
        indexed_only=bool(plain.get("indexed_only", False)),
        quantization=edge.QuantizationSearchParams(
            ignore=bool(quantization.get("ignore", False)),
            rescore=bool(quantization.get("rescore", True)),
            oversampling=validation.number(quantization.get("oversampling", TURBO_OVERSAMPLING)),
        ),
        acorn=None
        if acorn is None
        else edge.AcornSearchParams(
            enable=bool(acorn.get("enable")), max_selectivity=acorn.get("max_selectivity")
        ),
    )


def payload_selector(plain: Any, *, default: bool) -> Any:
    """True, False, or the paths to include or exclude."""
    if plain is None:
        return default
    if isinstance(plain, bool):
        return plain
    if isinstance(plain, list):
        return [validation.path(item) for item in plain]
    if "include" in plain:
        return edge.PayloadSelector.Include([validation.path(item) for item in plain["include"]])
    return edge.PayloadSelector.Exclude([validation.path(item) for item in plain["exclude"]])


def vector_selector(plain: Any, schema: Schema) -> bool | list[str]:
    """True, False, or the names of vectors."""
    if plain is None or isinstance(plain, bool):
        return bool(plain)
    names: list[str] = plain
    if not all(name in schema.vectors or name in schema.sparse_vectors for name in names):
        raise Refused("a vector is asked for that the collection does not have")
    return names


def _threshold(plain: Plain) -> float | None:
    value = plain.get("score_threshold")
    return None if value is None else validation.number(value)


def _without(condition: edge.Filter | None, ids: set[PointId]) -> edge.Filter | None:
    if not ids:
        return condition
    return edge.Filter(
        must=None if condition is None else [condition], must_not=[edge.HasIdCondition(set(ids))]
    )
