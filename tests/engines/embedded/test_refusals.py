"""What must never reach the engine is refused at the boundary, and everything works afterwards.

Each of these, sent to the engine, makes it panic, lose writes, answer wrongly or refuse to load.
"""

from __future__ import annotations

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
from tests.engines.points import (
    DIMENSION,
    having,
    make_collection,
    numbers,
    overwriting,
    payload,
    point_id,
    points,
    search,
    setting_vectors,
    vectors,
)

Call = Callable[[EmbeddedEngine, str], Awaitable[Any]]
ROW = vectors(1)[0].tolist()
PREFETCH = models.Prefetch(query=ROW, using="visual", limit=10)
KEYWORD = models.PayloadSchemaType.KEYWORD


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


def of_range(bound: float) -> models.Filter:
    made = models.FieldCondition(key="n", range=models.Range.model_construct(gte=bound))
    return models.Filter(must=[made])


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


def query(sought: Any = ROW, **fields: Any) -> Call:
    return lambda engine, name: search(engine, name, sought, **fields)


def condition(key: str = "n", **operators: Any) -> Call:
    made = models.FieldCondition.model_construct(key=key, **operators)
    return counted(models.Filter.model_construct(must=[made]))


def counted(condition: Any) -> Call:
    return lambda engine, name: engine.count(name, count_filter=condition)


def overwrite(content: Any, condition: Any) -> Call:
    change = models.OverwritePayloadOperation.model_construct(
        overwrite_payload=models.SetPayload.model_construct(payload=content, filter=condition)
    )
    return changed(change)


def changed(*operations: Any) -> Call:
    """After a change that could be applied."""
    good = overwriting({"n": -1}, 0)
    return lambda engine, name: engine.batch_update_points(name, [good, *operations])


def set_vector(name: str, vector: Any, number: int = 0, condition: Any = None) -> Call:
    point = models.PointVectors.model_construct(id=point_id(number), vector={name: vector})
    vectors = models.UpdateVectors.model_construct(points=[point], update_filter=condition)
    return changed(models.UpdateVectorsOperation.model_construct(update_vectors=vectors))


def create(**params: Any) -> Call:
    fields: dict[str, Any] = {"size": 4, "distance": models.Distance.COSINE} | params
    dense = models.VectorParams.model_construct(**fields)
    return lambda engine, name: engine.create_collection(
        f"{name}-new", vectors_config={"visual": dense}
    )


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
        models.SparseVector.model_construct(indices=[1, 2], values=[1.0]), using="tags"
    ),
    "dense query for a sparse vector": query(using="tags"),
    "sparse query for a dense vector": query(models.SparseVector(indices=[1], values=[1])),
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
    "query: too short": query(ROW[1:]),
    "query: NaN": query(np.full(DIMENSION, np.nan)),
    "query: zero": query([0.0] * DIMENSION),
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
    "overwrite_payload: 200 deep": overwrite(nested(200), having([0])),
    "overwrite_payload: NaN": overwrite({"a": math.nan}, having([0])),
    "overwrite_payload: everywhere": overwrite({"a": 1}, None),
    "overwrite_payload: a range of NaN": overwrite({"a": 1}, of_range(math.nan)),
    "update_vectors: too short": set_vector("visual", ROW[1:]),
    "update_vectors: dense for sparse": set_vector("tags", ROW),
    "update_vectors: sparse for dense": set_vector(
        "visual", models.SparseVector(indices=[1], values=[1])
    ),
    "update_vectors: a range of NaN": set_vector("visual", ROW, condition=of_range(math.nan)),
    "delete: by id": changed(
        models.DeleteOperation(delete=models.PointIdsList(points=[point_id(0)]))
    ),
    "change: another operation": changed(
        models.ClearPayloadOperation(clear_payload=models.PointIdsList(points=[1]))
    ),
    "change: by id": changed(
        models.OverwritePayloadOperation(
            overwrite_payload=models.SetPayload(payload={"a": 1}, points=[point_id(0)])
        )
    ),
    "upsert: another mode": lambda e, c: e.upsert(
        c, points(1), update_mode=models.UpdateMode.UPDATE_ONLY
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
    "filter: 40 deep": counted(nested_filter(40)),
    "filter: 400 deep": counted(nested_filter(400)),
    "filter: 5000 deep": counted(nested_filter(5000)),
    "filter: 5000 conditions": counted(
        models.Filter(should=[models.HasIdCondition(has_id=[])] * 5000)
    ),
    "filter: two operators": condition(match=models.MatchValue(value=1), range=models.Range(gte=1)),
    "filter: no operator": condition(),
    "filter: float match": condition(match=models.MatchValue.model_construct(value=1.5)),
    "filter: mixed any": condition(match=models.MatchAny.model_construct(any=[1, "a"])),
    "filter: boolean any": condition(match=models.MatchAny.model_construct(any=[True])),
    "filter: 65-bit match": condition(match=models.MatchValue.model_construct(value=2**64 - 1)),
    "filter: bad path": condition(key="x y", match=models.MatchValue(value=1)),
    "filter: empty path": condition(key="", match=models.MatchValue(value=1)),
    "filter: negative index": condition(key="a[-1]", match=models.MatchValue(value=1)),
    "filter: another operator": condition(values_count=models.ValuesCount(gte=1)),
    "filter: another condition": counted(
        models.Filter(must=[models.IsEmptyCondition(is_empty=models.PayloadField(key="n"))])
    ),
    "filter: another clause": counted(
        models.Filter(min_should=models.MinShould(conditions=[], min_count=1))
    ),
    "filter: not a date": condition(range=models.DatetimeRange.model_construct(gte="yesterday")),
    "filter: no filter": counted({"must": []}),
    "query: another kind": query(models.FusionQuery(fusion=models.Fusion.RRF), prefetch=[PREFETCH]),
    "query: another parameter": query(params=models.SearchParams(hnsw_ef=10)),
    "query: without rescoring": query(
        params=models.SearchParams(quantization=models.QuantizationSearchParams(rescore=False))
    ),
    "query: oversampling NaN": query(
        params=models.SearchParams(
            quantization=models.QuantizationSearchParams.model_construct(oversampling=math.nan)
        )
    ),
    "query: another payload selector": query(
        with_payload=models.PayloadSelectorInclude(include=["n"])
    ),
    "prefetch without a query": query(None, prefetch=[PREFETCH]),
    "prefetch: no query of its own": query(prefetch=[PREFETCH.model_copy(update={"query": None})]),
    "prefetch within a prefetch": query(
        prefetch=[PREFETCH.model_copy(update={"prefetch": [PREFETCH]})]
    ),
    "prefetches: 65": query(prefetch=[PREFETCH] * 65),
    "queries: 5000": lambda e, c: e.query_batch_points(c, [models.QueryRequest(limit=1)] * 5000),
    "limit: 2**40": query(limit=2**40),
    "limit: negative": query(limit=-1),
    "offset: 2**40": query(offset=2**40),
    "scroll: limit 2**40": lambda e, c: e.scroll(c, limit=2**40),
    "score threshold: NaN": query(score_threshold=math.nan),
    "facet without an index": lambda e, c: e.facet(c, "n", limit=10),
    "create: size 0": create(size=0),
    "create: size 2**40": create(size=2**40),
    "create: unknown distance": create(distance="Hamming"),
    "create: multivectors": create(
        multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    ),
    "create: another option of a vector": create(on_disk=True),
    "create: a storage option": lambda e, c: e.create_collection(
        f"{c}-new", vectors_config={}, shard_number=2
    ),
    "create: an option of tags": lambda e, c: e.create_collection(
        f"{c}-new",
        vectors_config={},
        sparse_vectors_config={"tags": models.SparseVectorParams(modifier=models.Modifier.IDF)},
    ),
    "update: a storage option": lambda e, c: e.update_collection(
        c, vectors_config={"visual": models.VectorParamsDiff(on_disk=True)}
    ),
    "create: name taken": lambda e, c: e.create_collection(c, vectors_config={}),
    "index: another type": lambda e, c: e.create_payload_index(
        c, "x", models.PayloadSchemaType.INTEGER
    ),
    "index: unknown type": lambda e, c: e.create_payload_index(c, "x", "colour"),  # type: ignore[arg-type]
    "index: bad path": lambda e, c: e.create_payload_index(c, "x y", KEYWORD),
}


@pytest.fixture
async def filled(engine: EmbeddedEngine) -> str:
    """One collection for all these tests: none of them is to change it."""
    name = "refusals"
    if not await engine.collection_exists(name):
        await make_collection(engine, name)
    await engine.delete(name, [point_id(number) for number in range(100)])
    await engine.upsert(name, points(3))
    return name


@pytest.mark.parametrize("name", REFUSED)
async def test_it_is_refused_and_nothing_is_changed(
    supervisor: Any, engine: EmbeddedEngine, filled: str, name: str
) -> None:
    worker = supervisor.worker_pid
    with pytest.raises(EngineFailed) as refusal:
        await REFUSED[name](engine, filled)
    for value in ("abc", "x y", "yesterday", "colour"):
        assert value not in str(refusal.value)
    assert "has a fault" not in str(refusal.value), "of the request, not of the worker"
    # The good half of the batch was not applied, and the next writes and reads work.
    records, _ = await engine.scroll(filled, limit=10)
    assert sorted(numbers(records)) == [0, 1, 2]
    assert records[0].payload == payload(records[0].payload["n"])  # type: ignore[index]
    await engine.upsert(filled, points(5))
    answer = await engine.query_points(filled, query=ROW, using="visual", limit=10)
    assert len(answer.points) == 5
    assert supervisor.worker_pid == worker


MISSING: dict[str, tuple[type[LookalikeError], Call]] = {
    "count in no collection": (CollectionNotFound, lambda e, _: e.count("none")),
    "upsert in no collection": (CollectionNotFound, lambda e, _: e.upsert("none", points(1))),
    "index of no collection": (
        CollectionNotFound,
        lambda e, _: e.create_payload_index("none", "x", KEYWORD),
    ),
    "query by a missing id": (RecordsNotFound, query(point_id(99))),
    "query by an id without the vector": (RecordsNotFound, query(point_id(50), using="tags")),
    "vector of a missing point": (RecordsNotFound, set_vector("visual", ROW, number=99)),
}


@pytest.mark.parametrize("name", MISSING)
async def test_what_is_missing_is_named(engine: EmbeddedEngine, filled: str, name: str) -> None:
    kind, call = MISSING[name]
    with pytest.raises(kind):
        await call(engine, filled)


async def test_a_change_reaches_the_points_that_are_there(
    engine: EmbeddedEngine, filled: str
) -> None:
    row = vectors(1, seed=9)[0].tolist()
    with pytest.raises(RecordsNotFound):
        await engine.batch_update_points(
            filled,
            [setting_vectors("visual", {99: row, 2: row}), overwriting({"n": 2, "a": 1}, 2)],
        )
    [record] = await engine.retrieve(filled, [point_id(2)], with_vectors=["visual"])
    assert record.payload == {"n": 2, "a": 1}
    kept: Any = record.vector
    assert kept["visual"] == pytest.approx(row, abs=1e-6)


async def test_what_is_just_within_the_bounds_is_kept(engine: EmbeddedEngine, filled: str) -> None:
    content = {
        "deep": nested(30),
        "large": "x" * ((1 << 20) - 10_000),
        "numbers": [2**63 - 1, -(2**63), 1e308, -0.0, 3.0],
        "text": ["", "\x00", "größe 🙂", "a" * 1000],
        'odd " key \\ $.[]': {"": None},
    }
    await engine.upsert(
        filled,
        [models.PointStruct(id=point_id(50), vector={"visual": ROW}, payload=content)],
    )
    [record] = await engine.retrieve(filled, [point_id(50)])
    assert record.payload == content
    assert await engine.count(filled, count_filter=nested_filter(28))
