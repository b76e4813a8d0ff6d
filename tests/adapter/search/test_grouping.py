"""The grouped answer is the flat ranking with every image left out whose product came before."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.adapter.engines.base import Engine
from lookalike.adapter.engines.server.engine import ServerEngine
from lookalike.adapter.filters.operators.membership import MAX_EQUALITIES
from lookalike.adapter.search.grouping import MAX_PRODUCTS_NAMED, Grouping, Groups, group_keys
from lookalike.adapter.search.ranking import Hit
from lookalike.adapter.search.vectors import weighted_sum
from tests.adapter.search.conftest import Run
from tests.shelf import Ranked, Record, Shelf, images

N = 300
MISSING = object()

products: list[Any] = [
    *("p1", "p2", "p3", "1", "true", ""),
    *(1, 1.0, 2, 2.5, -0.0, 0, 2**53, 2**53 + 1, float(2**53), True, False, None),
    *(["p1"], ["p1", "p2"], ["p9", 1], [], [["p1"]], [None], {"a": 1}, MISSING),
]

FILTERS: list[Any] = [
    None,
    {"colour": "red"},
    {"price": {"$mod": [3, 1]}},
    {"colour": {"$regex": "^(r|b)"}},
    {"product": {"$ne": "p1"}},
]


def key(value: Any) -> Any:
    """By the book: 1 is 1.0, but not true."""
    return (isinstance(value, bool), isinstance(value, str), value)


def ids_of(product: Any) -> list[Any]:
    values = product if isinstance(product, list) else [product]
    return [key(v) for v in values if isinstance(v, str | int | float)]


def deduplicated(flat: Ranked, records: dict[str, Record], field: str, size: int) -> list[Ranked]:
    """The definition, as slow and plain as it can be."""
    groups: list[tuple[list[Any], Ranked]] = []
    for id_, distance in flat:
        mine = ids_of(records[id_].get(field))
        known = next((hits for ids, hits in groups if set(ids) & set(mine)), None)
        if known is None:
            groups.append((mine, [(id_, distance)]))
        elif len(known) < size:
            known.append((id_, distance))
    return [hits for _, hits in groups]


async def _shelf(shared_engine: Any, n: int = N) -> Shelf:
    random = np.random.default_rng(5)
    records = []
    for number in range(n):
        colour = ["red", "green", "blue"][number % 3]
        record = {"_id": f"r{number}", "colour": colour, "price": number % 97, "few": number % 7}
        product = products[random.integers(0, len(products))]
        if random.random() < 0.6:
            product = f"q{random.integers(0, 60)}"
        if product is not MISSING:
            record["product"] = product
        record["tags"] = [f"t{t}" for t in random.integers(0, 5, number % 3)]
        records.append(record)
    return await Shelf.of(
        shared_engine, records, images(n), fields_to_index=["colour"], product_id_field="product"
    )


@pytest.fixture(scope="module")
def shelf(shared_engine: Any, run: Run[Shelf]) -> Shelf:
    return run(_shelf(shared_engine))


@pytest.fixture(scope="module")
def in_memory(memory: ServerEngine, run: Run[Shelf]) -> Shelf:
    return run(_shelf(memory, 120))


def query(shelf: Shelf, way: str, number: int) -> dict[str, Any]:
    row = shelf.vectors[f"r{number}"]
    if way == "record":
        return {"record_id": f"r{number}"}
    if way == "own tags":
        return {"record_id": f"r{number}", "tag_weight": 0.5}
    if way == "tags":
        return {"vectors": (row.tolist(),), "tags": {"t1": 1.0}, "tag_weight": 0.25}
    if way == "several":
        return {"vectors": (row.tolist(), (-row).tolist())}
    return {"vectors": ((row + 0.01).tolist(),)}


ways = st.sampled_from(["record", "vector", "several", "tags", "own tags"])


async def check(
    shelf: Shelf, asked: dict[str, Any], filter_: Any, field: str, size: int, offset: int, k: int
) -> None:
    flat = await shelf.ranked(filter_, k=2 * N, **asked)
    groups = deduplicated(flat, shelf.records, field, size)
    found = await shelf.ranked(filter_, k=k, offset=offset, grouping=Grouping(field, size), **asked)
    assert found == [hit for hits in groups[offset : offset + k] for hit in hits]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    way=ways,
    number=st.integers(0, N - 1),
    filter_=st.sampled_from(FILTERS),
    field=st.sampled_from(["product", "product", "few", "colour", "nowhere"]),
    size=st.sampled_from([1, 1, 2, 5]),
    offset=st.sampled_from([0, 0, 1, 5, 40, 200]),
    k=st.sampled_from([1, 2, 3, 10, 60, 400]),
    more=st.sampled_from([{}, {}, {"radius": 0.5}]),
)
def test_grouped_is_the_flat_ranking_deduplicated(
    shelf: Shelf,
    run: Run[Any],
    way: str,
    number: int,
    filter_: Any,
    field: str,
    size: int,
    offset: int,
    k: int,
    more: Any,
) -> None:
    run(check(shelf, query(shelf, way, number) | more, filter_, field, size, offset, k))


@settings(max_examples=25, deadline=None)
@given(
    way=st.sampled_from(["record", "vector", "several"]),
    number=st.integers(0, 119),
    filter_=st.sampled_from(FILTERS),
    size=st.sampled_from([1, 3]),
    offset=st.sampled_from([0, 3]),
    k=st.sampled_from([1, 10, 100]),
)
def test_on_the_client_in_memory_too(
    in_memory: Shelf,
    run: Run[Any],
    way: str,
    number: int,
    filter_: Any,
    size: int,
    offset: int,
    k: int,
) -> None:
    asked = query(in_memory, way, number)
    run(check(in_memory, asked, filter_, "product", size, offset, k))


def test_own_product_first(shelf: Shelf, run: Run[Any]) -> None:
    for number in range(0, N, 17):
        grouping = Grouping("product")
        found = run(shelf.ranked(record_id=f"r{number}", k=5, grouping=grouping))
        assert found[0] == (f"r{number}", 0.0)


def test_weighted_images_are_grouped(shelf: Shelf, run: Run[Any]) -> None:
    rows = [shelf.vectors[f"r{i}"].tolist() for i in range(3)]
    total, length = weighted_sum(rows, [1.0, 2.0, 3.0])
    asked = {"vectors": (total,), "length": length}
    run(check(shelf, asked, None, "product", 1, 0, 50))


def test_product_count_is_that_of_the_matching_images(shelf: Shelf, run: Run[Any]) -> None:
    filter_ = {"colour": "red"}
    hits = run(
        shelf.nearest(
            filter_,
            record_id="r0",
            k=30,
            fields=frozenset({"_id", "_product_count"}),
            grouping=Grouping("product"),
        )
    )
    matching = shelf.matching(filter_)
    for record in hits.records:
        mine = set(ids_of(shelf.records[record["_id"]].get("product")))
        of_product = [i for i in matching if mine & set(ids_of(shelf.records[i].get("product")))]
        assert record["_product_count"] == max(1, len(of_product)), record
        assert set(record) == {"_id", "_product_count"}


@pytest.mark.parametrize("kind", ["string", "number", "list"])
@pytest.mark.parametrize("indexed", [True, False])
def test_one_product_with_thousands_of_images(
    shared_engine: Any, run: Run[Any], kind: str, indexed: bool
) -> None:
    """Nearer than all others: k products are answered all the same, without reading them all."""
    many, others = 6000, 40

    def product(number: int) -> Any:
        alone = f"p{number}" if kind != "number" else number
        return [alone, f"also {number}"] if kind == "list" else alone

    async def check() -> None:
        random = np.random.default_rng(2)
        near = np.array([1.0, 0, 0, 0]) + 0.01 * random.standard_normal((many, 4))
        far = np.array([0.0, 1, 0, 0]) + 0.01 * random.standard_normal((2 * others, 4))
        records = [{"_id": f"n{i}", "sku": product(0)} for i in range(many)]
        records += [{"_id": f"f{i}", "sku": product(2 + i // 2)} for i in range(2 * others)]
        field = "sku" if indexed else None
        shelf = await Shelf.of(
            shared_engine, records, np.vstack([near, far]), product_id_field=field
        )
        asked: dict[str, Any] = {"record_id": "n7", "k": 30}
        counting = CountingEngine(shared_engine)
        shelf.engine = cast(Engine, counting)
        found = await shelf.ranked(**asked, grouping=Grouping("sku"))
        assert len(found) == 30
        assert len({str(shelf.records[id_]["sku"]) for id_, _ in found}) == 30
        twice = await shelf.ranked(**asked, grouping=Grouping("sku", 2))
        assert len(twice) == 60
        assert counting.points < many

    run(check())


class CountingEngine:
    """An engine that counts the points of its answers to searches."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.points = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def query_batch_points(self, *args: Any, **options: Any) -> Any:
        answers = await self._engine.query_batch_points(*args, **options)
        self.points += sum(len(answer.points) for answer in answers)
        return answers


def test_a_filter_for_products_is_decided_by_the_engine() -> None:
    assert MAX_PRODUCTS_NAMED < MAX_EQUALITIES


def test_keys_of_a_product() -> None:
    def keys(product: Any, field: str = "a.b") -> list[Any]:
        return group_keys({"a": {"b": product}}, field)

    assert keys(1) == keys(1.0) == [("number", 1)]
    assert keys(True) == [("bool", True)]
    assert keys("1") == [("string", "1")]
    assert keys(["x", 1, "x", None]) == [("string", "x"), ("number", 1)]
    assert keys(None) == keys({"c": 1}) == keys([]) == []
    assert group_keys({"a": [{"b": 1}, {"b": 2}]}, "a.b") == [("number", 1), ("number", 2)]
    assert group_keys({"a.b": 1}, "a.b") == []


def test_an_image_of_two_products_belongs_to_the_first_that_came() -> None:
    def hit(id_: str, product: Any) -> Hit:
        return Hit(0.0, {"_id": id_, "p": product})

    groups = Groups(Grouping("p", 9))
    groups.add([hit("1", "a"), hit("2", "b"), hit("3", ["b", "a"]), hit("4", "c"), hit("1", "a")])
    groups.add([hit("5", ["d", "c"]), hit("6", "d"), hit("7", None), hit("8", None)])
    ids = [[image.id for image in images_] for images_ in groups.images]
    assert ids == [["1", "3"], ["2"], ["4", "5"], ["6"], ["7"], ["8"]]
