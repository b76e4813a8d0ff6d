"""What must never reach the engine is refused at the boundary, and everything works afterwards.

Each of these, sent to the engine, makes it panic, lose writes, answer wrongly or refuse to load.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from qdrant_client import models

from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.errors import (
    CollectionNotFound,
    EngineFailed,
    LookalikeError,
    RecordsNotFound,
)
from tests.engines.embedded.conftest import make_collection
from tests.engines.points import DIMENSION, payload, point_id, points, vectors

Call = Callable[[EmbeddedEngine, str], Awaitable[Any]]
ROW = vectors(1)[0].tolist()


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def nested_filter(depth: int) -> models.Filter:
    condition = models.Filter(must=[models.HasIdCondition(has_id=[])])
    for _ in range(depth):
        condition = models.Filter.model_construct(must=[condition])
    return condition


def upsert(vector: Any = None, content: Any = None, identity: Any = None) -> Call:
    """A batch of a good point and one with this vector, payload or id."""
    bad = models.PointStruct.model_construct(
        id=point_id(1) if identity is None else identity,
        vector={"visual": ROW} if vector is None else vector,
        payload=payload(1) if content is None else content,
    )
    return lambda engine, name: engine.upsert(name, [points(1)[0], bad])


def sparse(indices: Any, values: Any) -> Call:
    return upsert({"tags": models.SparseVector.model_construct(indices=indices, values=values)})


def query(**arguments: Any) -> Call:
    arguments = {"query": ROW, "using": "visual"} | arguments
    return lambda engine, name: engine.query_points(name, **arguments)


def condition(key: str = "n", **operators: Any) -> Call:
    made = models.FieldCondition.model_construct(key=key, **operators)
    return lambda engine, name: engine.count(name, models.Filter.model_construct(must=[made]))


def delete_range(bound: float) -> Call:
    made = models.FieldCondition(key="n", range=models.Range.model_construct(gte=bound))
    return lambda engine, name: engine.delete(name, models.Filter(must=[made]))


def create(**params: Any) -> Call:
    fields: dict[str, Any] = {"size": 4, "distance": models.Distance.COSINE} | params
    dense = models.VectorParams.model_construct(**fields)
    return lambda engine, name: engine.create_collection(f"{name}-new", {"visual": dense})


REFUSED: dict[str, Call] = {
    "sparse: fewer values than indices": sparse([5, 6], [1.0]),
    "sparse: more values than indices": sparse([5], [1.0, 2.0]),
    "sparse: an index twice": sparse([5, 5], [1.0, 2.0]),
    "sparse: NaN": sparse([5], [math.nan]),
    "sparse: infinite in float32": sparse([5], [1e39]),
    "sparse: index too large": sparse([2**32], [1.0]),
    "sparse: negative index": sparse([-1], [1.0]),
    "sparse: not a list": sparse("56", [1.0, 2.0]),
    "sparse query: unequal lists": query(
        query=models.SparseVector.model_construct(indices=[1, 2], values=[1.0]), using="tags"
    ),
    "dense query for a sparse vector": query(using="tags"),
    "sparse query for a dense vector": query(query=models.SparseVector(indices=[1], values=[1])),
    "dense: too short": upsert({"visual": ROW[1:]}),
    "dense: too long": upsert({"visual": [*ROW, 1.0]}),
    "dense: empty": upsert({"visual": []}),
    "dense: NaN": upsert({"visual": [math.nan, *ROW[1:]]}),
    "dense: infinite": upsert({"visual": [math.inf, *ROW[1:]]}),
    "dense: infinite in float32": upsert({"visual": [1e39, *ROW[1:]]}),
    "dense: zero": upsert({"visual": [0.0] * DIMENSION}),
    "dense: strings": upsert({"visual": ["1"] * DIMENSION}),
    "dense: a matrix": upsert({"visual": [ROW, ROW]}),
    "dense: unknown name": upsert({"other": ROW}),
    "dense: no name": upsert(ROW),
    "query: too short": query(query=ROW[1:]),
    "query: NaN": query(query=np.full(DIMENSION, np.nan)),
    "query: zero": query(query=[0.0] * DIMENSION),
    "query: unknown vector": query(using="other"),
    "query: no vector name": query(using=None),
    "payload: deeper than 32": upsert(content=nested(33)),
    "payload: deeper than 127": upsert(content=nested(200)),
    "payload: 5000 deep": upsert(content=nested(5000)),
    "payload: too large": upsert(content={"a": "x" * (1 << 20)}),
    "payload: NaN": upsert(content={"a": [math.nan]}),
    "payload: infinite": upsert(content={"a": -math.inf}),
    "payload: more than 64 bits": upsert(content={"a": 2**63}),
    "payload: far more than 64 bits": upsert(content={"a": 2**70}),
    "payload: key is a number": upsert(content={"a": {1: 2}}),
    "payload: bytes": upsert(content={"a": b"bytes"}),
    "payload: lone surrogate": upsert(content={"a": "\ud800"}),
    "payload: lone surrogate in a key": upsert(content={"\ud800": 1}),
    "payload: an object of Python": upsert(content={"a": object()}),
    "payload: a vector": upsert(content={"a": np.zeros(3)}),
    "payload: not an object": upsert(content=["a"]),
    "set_payload: 200 deep": lambda e, c: e.set_payload(c, nested(200), points=[point_id(0)]),
    "set_payload: bad path": lambda e, c: e.set_payload(
        c, {"a": 1}, points=[point_id(0)], key="a b"
    ),
    "overwrite_payload: NaN": lambda e, c: e.overwrite_payload(
        c, {"a": math.nan}, points=[point_id(0)]
    ),
    "id: text": upsert(identity="abc"),
    "id: digits": upsert(identity="42"),
    "id: negative": upsert(identity=-1),
    "id: float": upsert(identity=1.0),
    "id: boolean": upsert(identity=True),
    "id: too large": upsert(identity=2**64),
    "delete: bad id": lambda e, c: e.delete(c, ["abc"]),
    "retrieve: bad id": lambda e, c: e.retrieve(c, ["abc"]),
    "range: NaN": condition(range=models.Range.model_construct(gte=math.nan)),
    "range: infinite": condition(range=models.Range.model_construct(lt=math.inf)),
    "delete by range: NaN": delete_range(math.nan),
    "delete without points": lambda e, c: e.delete(
        c, models.FilterSelector.model_construct(filter=None)
    ),
    "filter: 40 deep": lambda e, c: e.count(c, nested_filter(40)),
    "filter: 400 deep": lambda e, c: e.count(c, nested_filter(400)),
    "filter: 5000 conditions": lambda e, c: e.count(
        c, models.Filter(should=[models.HasIdCondition(has_id=[])] * 5000)
    ),
    "filter: two operators": condition(match=models.MatchValue(value=1), range=models.Range(gte=1)),
    "filter: no operator": condition(),
    "filter: float match": condition(match=models.MatchValue.model_construct(value=1.5)),
    "filter: mixed any": condition(match=models.MatchAny.model_construct(any=[1, "a"])),
    "filter: boolean any": condition(match=models.MatchAny.model_construct(any=[True])),
    "filter: 65-bit match": condition(match=models.MatchValue.model_construct(value=2**64 - 1)),
    "filter: bad path": condition(key="a b", is_empty=True),
    "filter: empty path": condition(key="", is_empty=True),
    "filter: negative index": condition(key="a[-1]", is_empty=True),
    "filter: latitude 500": condition(
        geo_radius=models.GeoRadius(center=models.GeoPoint(lon=0, lat=500), radius=1)
    ),
    "filter: not a date": condition(range={"gte": "yesterday"}),
    "filter: unknown clause": lambda e, c: e.count(c, {"most": []}),  # type: ignore[arg-type]
    "rrf: k = 0": query(
        query=models.RrfQuery(rrf=models.Rrf.model_construct(k=0)),
        prefetch=[models.Prefetch(query=ROW, using="visual")],
    ),
    "prefetch without a query": query(
        query=None, prefetch=[models.Prefetch(query=ROW, using="visual")]
    ),
    "prefetches 20 deep": query(
        prefetch=functools.reduce(
            lambda inner, _: models.Prefetch(query=ROW, using="visual", prefetch=inner),
            range(20),
            models.Prefetch(query=ROW, using="visual"),
        )
    ),
    "mmr: diversity 2": query(
        query=models.NearestQuery(nearest=ROW, mmr=models.Mmr.model_construct(diversity=2.0))
    ),
    "formula: NaN": query(
        query=models.FormulaQuery.model_construct(formula=math.nan),
        prefetch=[models.Prefetch(query=ROW, using="visual")],
    ),
    "limit: 2**40": query(limit=2**40),
    "limit: negative": query(limit=-1),
    "offset: 2**40": query(offset=2**40),
    "scroll: limit 2**40": lambda e, c: e.scroll(c, limit=2**40),
    "score threshold: NaN": query(score_threshold=math.nan),
    "facet without an index": lambda e, c: e.facet(c, "n"),
    "create: size 0": create(size=0),
    "create: size 2**40": create(size=2**40),
    "create: unknown distance": create(distance="Hamming"),
    "create: multivectors": create(
        multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    ),
    "create: name taken": lambda e, c: e.create_collection(c, {}),
    "index: unknown type": lambda e, c: e.create_payload_index(c, "x", "colour"),
    "index: bad path": lambda e, c: e.create_payload_index(c, "a b", "keyword"),
}


@pytest.fixture
async def filled(embedded: EmbeddedEngine) -> str:
    """One collection for all these tests: none of them is to change it."""
    name = "refusals"
    if not await embedded.collection_exists(name):
        await make_collection(embedded, name)
    await embedded.delete(name, models.Filter())
    await embedded.upsert(name, points(3))
    return name


@pytest.mark.parametrize("name", REFUSED)
async def test_it_is_refused_and_nothing_is_changed(
    process: Any, embedded: EmbeddedEngine, filled: str, name: str
) -> None:
    worker = process.worker_pid
    with pytest.raises(EngineFailed) as refusal:
        await REFUSED[name](embedded, filled)
    for value in ("abc", "a b", "yesterday", "colour"):
        assert value not in str(refusal.value)
    # The good half of the batch was not applied, and the next writes and reads work.
    records, _ = await embedded.scroll(filled)
    assert sorted(r.payload["n"] for r in records if r.payload) == [0, 1, 2]
    assert records[0].payload == payload(records[0].payload["n"])  # type: ignore[index]
    await embedded.upsert(filled, points(5))
    answer = await embedded.query_points(filled, query=ROW, using="visual")
    assert len(answer.points) == 5
    assert process.worker_pid == worker


MISSING: dict[str, tuple[type[LookalikeError], Call]] = {
    "count in no collection": (CollectionNotFound, lambda e, _: e.count("none")),
    "upsert in no collection": (CollectionNotFound, lambda e, _: e.upsert("none", points(1))),
    "index of no collection": (
        CollectionNotFound,
        lambda e, _: e.create_payload_index("none", "x", "keyword"),
    ),
    "query by a missing id": (RecordsNotFound, query(query=point_id(99))),
    "recommend by a missing id": (
        RecordsNotFound,
        query(
            query=models.RecommendQuery(
                recommend=models.RecommendInput(positive=[point_id(0), point_id(99)])
            )
        ),
    ),
    "change a missing point": (
        RecordsNotFound,
        lambda e, c: e.set_payload(c, {"a": 1}, points=[point_id(0), point_id(99)]),
    ),
    "vector of a missing point": (
        RecordsNotFound,
        lambda e, c: e.update_vectors(
            c, [models.PointVectors(id=point_id(99), vector={"visual": ROW})]
        ),
    ),
}


@pytest.mark.parametrize("name", MISSING)
async def test_what_is_missing_is_named(embedded: EmbeddedEngine, filled: str, name: str) -> None:
    kind, call = MISSING[name]
    with pytest.raises(kind):
        await call(embedded, filled)


async def test_a_change_reaches_the_points_that_are_there(
    embedded: EmbeddedEngine, filled: str
) -> None:
    with pytest.raises(RecordsNotFound):
        await embedded.set_payload(filled, {"a": 1}, points=[point_id(99), point_id(2)])
    [record] = await embedded.retrieve(filled, [point_id(2)])
    assert record.payload == payload(2) | {"a": 1}


async def test_what_is_just_within_the_bounds_is_kept(
    embedded: EmbeddedEngine, filled: str
) -> None:
    content = {
        "deep": nested(30),
        "large": "x" * ((1 << 20) - 10_000),
        "numbers": [2**63 - 1, -(2**63), 1e308, -0.0, 3.0],
        "text": ["", "\x00", "größe 🙂", "a" * 1000],
        'odd " key \\ $.[]': {"": None},
    }
    await embedded.upsert(
        filled,
        [models.PointStruct(id=point_id(50), vector={"visual": ROW}, payload=content)],
    )
    [record] = await embedded.retrieve(filled, [point_id(50)])
    assert record.payload == content
    assert await embedded.count(filled, nested_filter(28))
