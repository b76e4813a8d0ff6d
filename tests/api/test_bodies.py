"""Request bodies: a struct, or InvalidRequest with the place of the fault; never anything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.adapter.collections.collection_settings import CollectionChange, CollectionSettings
from lookalike.adapter.errors import InvalidRequest
from lookalike.adapter.search import request
from lookalike.adapter.search.request import FacetRequest, RankRequest, SearchRequest
from lookalike.api import schemas
from lookalike.api.bodies import convert_body, decode_body

BODIES: list[type[msgspec.Struct]] = [
    CollectionChange,
    CollectionSettings,
    *(
        kind
        for module in (request, schemas)
        for name, kind in vars(module).items()
        if isinstance(kind, type)
        and issubclass(kind, msgspec.Struct)
        and (issubclass(kind, schemas.Body) or name.endswith("Request"))
        and kind is not schemas.Body
    ),
]
FIELDS = sorted({field.encode_name for kind in BODIES for field in msgspec.structs.fields(kind)})

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def read_or_refusal(read: Callable[[Any, Any], Any], body: object, kind: object) -> Any:
    try:
        return read(body, kind)
    except InvalidRequest as refusal:
        return refusal


def assert_read_or_refused(body: bytes) -> None:
    for kind in BODIES:
        result = read_or_refusal(decode_body, body, kind)
        if isinstance(result, InvalidRequest):
            assert result.text
            assert result.place
            assert result.place.startswith("$")
        else:
            assert isinstance(result, kind)


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    assert_read_or_refused(body)


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
def test_any_json(body: dict[str, Any]) -> None:
    assert_read_or_refused(json.dumps(body).encode())
    for kind in BODIES:
        result = read_or_refusal(convert_body, body, kind)
        assert isinstance(result, kind) or result.place


@given(st.text(max_size=100), st.sampled_from(["utf-8", "utf-16", "utf-32", "latin-1"]))
def test_any_text(text: str, encoding: str) -> None:
    assert_read_or_refused(text.encode(encoding, "replace"))


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"records":[', b'{"filter":{"$and":['])
@pytest.mark.parametrize("depth", [900, 5_000, 200_000])
def test_any_depth(opening: bytes, depth: int) -> None:
    closing = {b"[": b"]", b"{": b"}"}
    ends = b"".join(closing[bytes([c])] for c in reversed(opening) if bytes([c]) in closing)
    assert_read_or_refused(opening * depth)
    assert_read_or_refused(opening * depth + b"1" + ends * depth)


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
def test_an_empty_body_is_an_empty_object(kind: type[schemas.Body]) -> None:
    required = [field for field in msgspec.structs.fields(kind) if field.required]
    for body in (b"", b"{}"):
        if required:
            with pytest.raises(InvalidRequest, match=required[0].encode_name):
                decode_body(body, kind)
        else:
            decode_body(body, kind)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"k": "five"}', "$.k"),
        (b'{"k": "5.5"}', "$.k"),
        (b'{"k": "-1"}', "$.k"),
        (b'{"k": "1' + b"0" * 5000 + b'"}', "$.k"),
        (b'{"k": 1e300}', "$.k"),
        (b'{"k": ""}', "$.k"),
        (b'{"k": true}', "$.k"),
        (b'{"filter": [1]}', "$.filter"),
        (b'{"fields_to_return": {}}', "$.fields_to_return"),
        (b'{"query_record": 1}', "$.query_record"),
        (b'{"fields_to_return": ["a", 1]}', "$.fields_to_return[1]"),
        (b"[]", "$"),
        (b"{", "$"),
        (b"\xff", "$"),
    ],
)
def test_places(body: bytes, place: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        decode_body(body, SearchRequest)
    assert refusal.value.place == place


def test_unknown_and_null_fields() -> None:
    read = decode_body(b'{"query_record": {}, "k": null, "unknown": {"x": 1}}', SearchRequest)
    assert read.k is None
    with pytest.raises(InvalidRequest):
        decode_body(b'{"name": "x", "unknown": 1}', CollectionSettings)


INTEGERS: list[tuple[type[msgspec.Struct], str]] = [
    (SearchRequest, "k"),
    (SearchRequest, "from"),
    (SearchRequest, "group_size"),
    (RankRequest, "k"),
    (FacetRequest, "limit"),
    (schemas.Random, "count"),
    (schemas.Random, "seed"),
    (CollectionChange, "capacity"),
]


@pytest.mark.parametrize("sent", ["5", "5.0", '"5"', "5e0"])
@pytest.mark.parametrize(("kind", "field"), INTEGERS, ids=str)
def test_an_integer_in_the_form_of_other_languages(
    kind: type[msgspec.Struct], field: str, sent: str
) -> None:
    required = '"query_record": {}, "records": [], "field": "x", '
    read = decode_body(
        f'{{{required if kind in (RankRequest, FacetRequest) else ""}"{field}": {sent}}}'.encode(),
        kind,
    )
    value = getattr(read, {"from": "from_"}.get(field, field))
    assert type(value) is int
    assert value == 5


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (SearchRequest, "filter"),
        (schemas.DeleteByFilter, "filter"),
        (SearchRequest, "query_record"),
    ],
    ids=str,
)
def test_an_empty_object_in_the_form_of_php(kind: type[msgspec.Struct], field: str) -> None:
    assert getattr(decode_body(f'{{"{field}": []}}'.encode(), kind), field) == {}
