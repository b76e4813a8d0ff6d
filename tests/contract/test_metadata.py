"""Metadata is kept exactly, or refused with its place."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service import Service

pytestmark = pytest.mark.usefixtures("healthy_afterwards")


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def insert_text(service: Service, collection: str, fields: str, image: str) -> httpx.Response:
    """One record with these fields, as text, and a good one behind it."""
    first = f'{{"_id":"odd","_base64":"{image}",{fields}}}'
    second = f'{{"_id":"good","_base64":"{image}"}}'
    return service.send("insert", collection, f'{{"records":[{first},{second}]}}')


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(f'"deep":{deep(32)}', id="33 levels"),
        pytest.param(f'"deep":{deep(200)}', id="200 levels"),
        pytest.param('"deep":' + "[" * 127 + "]" * 127, id="127 lists"),
        pytest.param('"large":"' + "x" * 300_000 + '"', id="300 kB"),
        pytest.param('"large":[' + "1," * 200_000 + "1]", id="200,000 numbers"),
        pytest.param('"n":[{"m":1' + "0" * 400 + "}]", id="10**400"),
        pytest.param('"_lookalike":{"write":"mine"}', id="our key"),
        pytest.param('"_lookalike":null', id="our key, null"),
    ],
)
def test_metadata_that_cannot_be_kept(
    fields: str, service: Service, collection: str, image: str
) -> None:
    answer = insert_text(service, collection, fields, image).json()
    assert answer["status"]["code"] == 211
    (skipped,) = answer["skipped_records"]
    assert skipped["_id"] == "odd"
    assert skipped["_reason"]["status"]["code"] == 400
    assert service.ids(collection) == ["good"]
    body = f'{{"records":[{{"_id":"good",{fields}}}]}}'
    answer = service.send("update", collection, body).json()
    assert answer["answer_records"] == []
    assert answer["skipped_records"][0]["_reason"]["status"]["code"] == 400
    assert service.stored(collection, "good") == {"_id": "good"}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(f'"deep":{deep(5000)}', id="5,000 levels"),
        pytest.param('"deep":' + "[" * 100_000 + "]" * 100_000, id="100,000 lists"),
        pytest.param('"n":1' + "0" * 5000, id="10**5000"),
        pytest.param('"n":1e400', id="1e400"),
        pytest.param('"n":NaN', id="NaN"),
        pytest.param('"n":-Infinity', id="-Infinity"),
        pytest.param('"text":"\\ud800"', id="half a surrogate pair"),
        pytest.param('"text":"\\udc00\\ud800"', id="a pair the wrong way round"),
        pytest.param('"\\ud800":1', id="half a pair as a key"),
    ],
)
def test_metadata_that_is_no_json(
    fields: str, service: Service, collection: str, image: str
) -> None:
    assert insert_text(service, collection, fields, image).status_code == 400
    assert service.ids(collection) == []


ODD_FIELDS: dict[str, Any] = {
    'a"b': 1,
    "a\\b": 2,
    "a'b": 3,
    "": 4,
    ".": 5,
    "a.b": 6,
    "a[]": 7,
    "$set": 8,
    "\x00": 9,
    "line\nbreak": 10,
    "__proto__": 11,
    "🦊": "🦊\x00end",
    "x" * 1000: 12,
    "nested": {'q"': {"\\": [None, True, {"": []}]}},
    "max": 2**63 - 1,
    "min": -(2**63),
    "integer": -123456789012345678901234567890,
    "long": 0.40159101448507484,
    "sum": 0.1 + 0.2,
    "tiny": 5e-324,
    "huge": 1.7976931348623157e308,
    "whole": 3.0,
    "zero": -0.0,
    "empty": {"list": [], "object": {}, "text": "", "null": None},
    "tags": ["x", 1, {"name": "y", "prob": 0.1, "a": [None]}, "\x00"],
    "list": ["x", 1, None, {"a": 1}, "\x00"],
    "deep": json.loads(deep(30)),
    "collection": "x",
    "status": {"code": 500},
    "id": 7,
    "vector": {"visual": [1, 2]},
}


def test_odd_metadata_is_kept_exactly(service: Service, collection: str, image: str) -> None:
    service.load(collection, [{"_id": "odd", "_base64": image, **ODD_FIELDS}])
    kept = service.stored(collection, "odd")
    assert same(kept, {"_id": "odd", **ODD_FIELDS})
    answer = service.answer(
        "visualKNN", collection, {"query_record": {"_id": "odd"}, "fields_to_return": ["*"]}
    )
    assert answer["answer_records"] == [kept]
    change = {"_id": "odd", 'a"b': None, "\x00": {"\x00": "\x00"}}
    answer = service.answer("update", collection, {"records": [change]})
    assert answer["answer_records"] == [kept | change]
    assert service.stored(collection, "odd") == kept | change


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(key=st.text(st.characters(exclude_categories=["Cs"]), max_size=12), value=JSON)
def test_any_json_is_kept_exactly_or_refused(
    key: str, value: object, service: Service, fuzzed: str
) -> None:
    if key in ("_id", "_lookalike"):
        return
    before = service.stored(fuzzed, "1")
    body = {"records": [{"_id": "1", key: value}], "fields_to_return": ["_id"]}
    answer = service.answer("update", fuzzed, body)
    if "skipped_records" in answer:
        assert answer["skipped_records"][0]["_reason"]["status"]["code"] == 400
        assert service.stored(fuzzed, "1") == before
    else:
        kept = service.stored(fuzzed, "1").get(key)
        assert same(kept, None if key in NOT_STORED else value)


def same(kept: object, sent: object) -> bool:
    """As texts: with the order of keys, the types of numbers and the sign of zero."""
    return json.dumps(kept) == json.dumps(sent)


NOT_STORED = {
    *("_base64", "_img_data", "_color_space", "_crop", "noresize", "_text_data"),
    *("_descriptor", "_distance", "_reason", "_status"),
}
"""What docs/compatibility.md says: images, how to read them, and fields of answers."""


@pytest.fixture(scope="module")
def fuzzed(service: Service, image: str) -> str:
    collection = service.collection(fields_to_index=["a"])
    service.load(collection, [{"_id": "1", "_base64": image}])
    return collection
