"""A record and the point that keeps it: ids, metadata, and what an answer shows."""

from __future__ import annotations

import json
import math
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.adapter.errors import InvalidRequest, RecordRefused
from lookalike.adapter.point_layout import RESERVED_KEY
from lookalike.adapter.records.bookkeeping import stored_payload
from lookalike.adapter.records.points import (
    LARGEST_DOUBLE,
    MAX_METADATA_BYTES,
    MAX_METADATA_DEPTH,
    UNSTORED_FIELDS,
    metadata,
    point_id,
    record_id,
    shown,
    shown_fields,
    stored_record,
)

TEXT = st.text(max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
NAMES = TEXT.filter(lambda name: name != RESERVED_KEY) | st.sampled_from(sorted(UNSTORED_FIELDS))
RECORDS = st.dictionaries(NAMES, JSON, max_size=6)


# Ids


def test_a_point_id_never_changes() -> None:
    """Another one would make every stored record unreachable."""
    assert point_id("a1") == "bf1a14b4-9e9e-591a-9695-200dbd10f63b"
    assert point_id("") != point_id(" ")


@given(TEXT, TEXT)
def test_point_ids_are_uuids_and_differ(one: str, other: str) -> None:
    assert str(uuid.UUID(point_id(one))) == point_id(one)
    assert (point_id(one) == point_id(other)) == (one == other)


@given(st.integers())
def test_integers_become_their_decimal_form(number: int) -> None:
    assert record_id(number, "$._id") == str(number)


@given(st.text(min_size=1, max_size=1024))
def test_texts_stay_as_they_are(text: str) -> None:
    assert record_id(text, "$._id") == text


@pytest.mark.parametrize("value", [None, True, False, 1.0, "", [], {}, b"x", "x" * 1025])
def test_everything_else_is_refused_at_its_place(value: object) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        record_id(value, "$.records[3]._id")
    assert refusal.value.place == "$.records[3]._id"


# Metadata


@given(RECORDS)
def test_metadata_is_the_record_less_what_is_never_stored(record: dict[str, Any]) -> None:
    kept = metadata(record)
    assert kept == {name: value for name, value in record.items() if name not in UNSTORED_FIELDS}
    assert not kept.keys() & UNSTORED_FIELDS


def nested(levels: int, kind: str) -> Any:
    value: Any = 1
    for level in range(levels):
        as_list = kind == "list" or (kind == "both" and level % 2)
        value = [value] if as_list else {"a": value}
    return value


@pytest.mark.parametrize("kind", ["list", "dict", "both"])
def test_depth(kind: str) -> None:
    metadata({"a": nested(MAX_METADATA_DEPTH - 1, kind)})
    for levels in (MAX_METADATA_DEPTH, MAX_METADATA_DEPTH + 1, 100_000):
        with pytest.raises(RecordRefused, match="nested deeper"):
            metadata({"a": nested(levels, kind), "b": [1]})


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 10**22 + 1, LARGEST_DOUBLE])
def test_large_integers_are_kept(number: int) -> None:
    assert metadata({"a": [{"b": number}]}) == {"a": [{"b": number}]}


@pytest.mark.parametrize("number", [LARGEST_DOUBLE + 1, -LARGEST_DOUBLE - 1, 10**400])
def test_integers_beyond_all_doubles_are_refused_at_their_place(number: int) -> None:
    with pytest.raises(RecordRefused, match=r"larger than any double: \$\.a\[1\]\.b"):
        metadata({"c": 1, "a": [0, {"b": number}]})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none(number: float) -> None:
    with pytest.raises(RecordRefused, match=r"not finite: \$\.a\[0\]"):
        metadata({"a": [number]})


@pytest.mark.parametrize("value", [None, {}, "x"])
def test_the_reserved_key(value: object) -> None:
    with pytest.raises(RecordRefused, match=RESERVED_KEY):
        metadata({RESERVED_KEY: value})
    assert metadata({"a": {RESERVED_KEY: value}}) == {"a": {RESERVED_KEY: value}}


def test_size() -> None:
    overhead = len(json.dumps({"a": ""}, separators=(",", ":")))
    metadata({"a": "x" * (MAX_METADATA_BYTES - overhead)})
    with pytest.raises(RecordRefused, match="larger than"):
        metadata({"a": "x" * (MAX_METADATA_BYTES - overhead + 1)})
    with pytest.raises(RecordRefused, match="larger than"):
        metadata({"a": "é" * (MAX_METADATA_BYTES // 2)})
    metadata({"_base64": "x" * 10 * MAX_METADATA_BYTES})


# What is stored, and read back


@given(RECORDS)
def test_a_record_is_read_back_as_it_was_sent(record: dict[str, Any]) -> None:
    kept = metadata(record)
    payload = stored_payload(kept, {"write": "token"})
    assert json.dumps(stored_record(payload)) == json.dumps(kept)  # -0.0 and 1.0, order of keys


@given(RECORDS)
def test_a_point_without_the_text_is_read_from_its_fields(record: dict[str, Any]) -> None:
    kept = metadata(record)
    assert stored_record({**kept, RESERVED_KEY: {"write": "token"}}) == kept
    assert stored_record(None) == {}


# What is shown


@given(st.dictionaries(TEXT, JSON, max_size=6), st.none() | st.lists(TEXT, max_size=4))
def test_shown_fields(record: dict[str, Any], asked: list[str] | None) -> None:
    stored = {"x": 1} | record | {"_id": "7"}
    answer = shown(stored, shown_fields(asked))
    assert next(iter(answer)) == "_id"
    names = {"_id"} | set(asked or ())
    assert answer == {n: stored[n] for n in stored if n in names or "*" in names}
