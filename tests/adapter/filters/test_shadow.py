"""Shadow tokens: what they say, and what they cost."""

from __future__ import annotations

import json
import time

from hypothesis import given

from lookalike.adapter.filters import shadow, shadow_tokens
from tests.adapter.filters.vocabulary import Record, records


def test_a_flat_record_has_a_token_for_each_field() -> None:
    record = {"brand": "Acme", "price": 9.5, "stock": 3, "sale": True, "note": None}
    assert shadow_tokens(record) == ["Tsale", "fprice", "istock", "nnote", "sbrand"]


def test_arrays_have_a_type_a_size_and_the_types_of_their_elements() -> None:
    assert shadow_tokens({"a": ["x", "y"]}) == ["#2 a", "Aa", "sa"]
    assert shadow_tokens({"a": []}) == ["#0 a", "Aa"]
    assert shadow_tokens({"a": [None, [], [1]]}) == ["#3 a", "Aa", "Ea", "Na", "na"]


def test_paths_go_through_arrays_of_objects() -> None:
    record = {"v": [{"size": "M"}, {"size": None, "n": 1}]}
    assert shadow_tokens(record) == ["#2 v", "av", "iv.n", "nv.size", "ov", "sv.size", "uv.n"]


def test_the_types_that_the_engine_confuses_have_tokens_of_their_own() -> None:
    record = {"a": 1, "b": 1.0, "c": 2**40, "d": {}, "e": {"x": ""}, "f": "2024-01-05"}
    assert shadow_tokens(record) == ["Od", "fb", "ia", "lc", "oe", "se.x", "tf"]


def test_what_no_path_reaches_and_what_is_ours_has_none() -> None:
    assert shadow_tokens({"a.b": 1, "_lookalike": {"shadow": []}}) == []
    assert shadow_tokens({"a": {"b.c": 1, "0": 1}}) == ["oa"]


def test_long_paths_are_hashed_and_cannot_be_forged() -> None:
    long = "k" * 100
    (token,) = shadow_tokens({long: 1})
    assert token.startswith("i~")
    assert len(token) == 34
    assert shadow_tokens({token[1:]: 1}) != [token]


@given(records)
def test_the_list_is_sorted_bounded_and_without_duplicates(record: Record) -> None:
    tokens = shadow_tokens(record)
    assert tokens == sorted(set(tokens))
    assert shadow.TRUNCATED not in tokens


def test_too_many_tokens_are_cut_by_whole_fields_and_marked() -> None:
    record: Record = {"many": {f"k{i}": i for i in range(1000)}, "few": 1}
    assert shadow_tokens(record) == ["!", "ifew"]
    record = {f"k{i}": i for i in range(1000)}
    tokens = shadow_tokens(record)
    assert len(tokens) == shadow.MAX_TOKENS
    assert tokens[0] == shadow.TRUNCATED
    record = {f"{i:03}" + "k" * 60: {f"x{j}" * 20: 1 for j in range(2)} for i in range(80)}
    tokens = shadow_tokens(record)
    assert shadow.TRUNCATED in tokens
    assert sum(len(token.encode()) for token in tokens) <= shadow.MAX_BYTES + 1


def test_no_record_costs_much() -> None:
    wide: Record = {"a": [{f"k{i}": 1} for i in range(20_000)]}
    narrow: Record = {"a": [{"k": 1, "l": [1, 2]} for i in range(13_000)]}
    deep: Record = {}
    for _ in range(500):
        deep = {"a": deep}
    scalars: Record = {"a": ["x"] * 60_000}
    empty: Record = {"a": [{}] * 60_000}
    for record in (wide, narrow, deep, scalars, empty):
        # Of the processor, so that other work does not count; anything quadratic takes minutes.
        start = time.process_time()
        shadow_tokens(record)
        assert time.process_time() - start < 5


PRODUCT: Record = {
    "_id": "SKU-0048213",
    "_url": "https://cdn.example.com/catalog/0048213/front.jpg",
    "product_id": "0048213",
    "title": "Low sneaker in washed canvas with rubber sole",
    "brand": "Northwind",
    "category": "shoes",
    "subcategory": "sneakers",
    "gender": "women",
    "price": 59.9,
    "currency": "EUR",
    "in_stock": True,
    "rating": 4.5,
    "reviews": 132,
    "colors": ["white", "sand"],
    "tags": ["new", "summer", "canvas"],
    "sizes": [{"eu": "38", "stock": 3}, {"eu": "39", "stock": 0}],
    "created_at": "2024-04-18T09:30:00Z",
}


def test_the_tokens_of_a_product_are_small() -> None:
    tokens = shadow_tokens(PRODUCT)
    assert len(tokens) <= 30
    cost = len(json.dumps(tokens, separators=(",", ":")))
    assert cost < 0.6 * len(json.dumps(PRODUCT, separators=(",", ":")))


ISO = [
    *("2024-01-05", "2024-02-29", "2024-01-05T10:00:00", "2024-01-05T10:00:00Z"),
    *("2024-01-05T10:00:00.5Z", "2024-01-05T10:00:00.123456+05:30", "2024-01-05T23:59:59-23:59"),
]
NOT_ISO = [
    *("2024-1-5", "2023-02-29", "2024-13-01", "2024-01-05 10:00:00", "2024-01-05T10:00", "x", ""),
    *("2024-01-05T25:00:00", "0001-01-01", "2024-01-05\n", "2024-01-05T10:00:00.1234567Z", "2024"),
    "\u0662\u0660\u0662\u0664-01-05",
]


def test_what_is_a_date() -> None:
    assert [text for text in ISO if not shadow.is_iso(text)] == []
    assert [text for text in NOT_ISO if shadow.is_iso(text)] == []


def test_the_first_day_of_a_text() -> None:
    days = {
        "2024": "2024-01-01",
        "2024-06": "2024-06-01",
        "2024-06-15": "2024-06-15",
        "2024-06-15T10:00:00Z": "2024-06-15",
        "2024-06-15x": "2024-06-15",
    }
    for text, day in days.items():
        found = shadow.first_day(text)
        assert found is not None
        assert found.date().isoformat() == day
    for text in ("", "x", "202", "2024-", "2024-6", "2024-06-3", "2024-13", "0001-01-01", "2024x"):
        assert shadow.first_day(text) is None
