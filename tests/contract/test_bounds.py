"""Bounds of the engine, and names that are ours: refused with their place, before any work."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.images import base64_of
from tests.service import Service

LONG, DEEP = "a" * 5_000, ".".join("a" * 40)
RESERVED = ("_lookalike", "_lookalike.text", "_lookalike.tokens.0")
QUERY = {"query_record": {"_id": "1"}}


@pytest.fixture(scope="module")
def collection(service: Service, thumbnails: dict[str, bytes]) -> str:
    made = service.collection()
    service.load(made, [{"_id": "1", "_base64": base64_of(thumbnails["1"])}])
    return made


@pytest.mark.parametrize("path", [*RESERVED, LONG, DEEP], ids=lambda path: path[:20])
def test_paths(path: str, service: Service, collection: str) -> None:
    for method, body, place in (
        ("facets", {"field": path}, "$.field"),
        ("visualKNN", QUERY | {"group_by": path}, "$.group_by"),
        ("allRecords", {"filter": {path: 1}}, "$.filter"),
        ("deleteByFilter", {"filter": {"$or": [{"a": 1}, {path: 1}]}}, "$.filter.$or[1]"),
    ):
        refused = service.call(method, collection, body)
        assert refused.status_code == 400, (method, refused.text)
        assert refused.json()["status"]["place"].startswith(place)
    for settings, place in (
        ({"fields_to_index": ["good", path]}, "$.fields_to_index[1]"),
        ({"product_id_field": path}, "$.product_id_field"),
    ):
        for refused in (
            service.http.post("/similarity/v2/collection", json={"name": "x"} | settings),
            service.change(collection, **settings),
        ):
            assert refused.status_code == 400
            assert refused.json()["place"] == place


@pytest.mark.parametrize("name", RESERVED)
def test_the_reserved_field_is_not_shown(name: str, service: Service, collection: str) -> None:
    fields = {"fields_to_return": ["good", name]}
    records = [{"_id": "1"}]
    for method, body in (
        ("get", {"records": records}),
        ("delete", {"records": [{"_id": "none"}]}),
        ("update", {"records": records}),
        ("random", {}),
        ("allRecords", {}),
        ("visualKNN", QUERY),
        ("visualRankRecords", QUERY | {"records": records}),
        ("nearDuplicates", QUERY),
    ):
        refused = service.call(method, collection, body | fields)
        assert refused.status_code == 400, (method, refused.text)
        assert "the field _lookalike is reserved" in refused.json()["detail"]
        assert refused.json()["status"]["place"] == "$.fields_to_return[1]"


def test_the_reserved_field_is_neither_set_nor_removed(service: Service, collection: str) -> None:
    for record in ({"_id": "1", "_lookalike": {}}, {"_id": "1", "$unset": ["_lookalike"]}):
        answer = service.answer("update", collection, {"records": [record]})
        (refused,) = answer["skipped_records"]
        assert refused["_reason"]["status"]["text"] == "the field _lookalike is reserved"


@pytest.mark.parametrize("number", ["1e23", "-1e23", str(2**70), str(2**63), "1.5", "-1"])
def test_numbers_of_settings(number: str, service: Service) -> None:
    for field in ("capacity", "tag_weight", "storage.shard_number"):
        group, _, inner = field.rpartition(".")
        setting = f'"{inner}": {number}'
        setting = f'"{group}": {{{setting}}}' if group else setting
        refused = service.http.post(
            "/similarity/v2/collection", content=f'{{"name": "x", {setting}}}'
        )
        assert refused.status_code == 400, refused.text
        assert refused.json()["place"] == f"$.{field}"


@pytest.mark.parametrize("embedder", ["remote", "clip", "no such embedder"])
def test_an_embedder_that_cannot_be_had(embedder: str, service: Service) -> None:
    refused = service.http.post(
        "/similarity/v2/collection", json={"name": "x", "embedder": embedder}
    )
    assert refused.status_code == 400, refused.text
    assert refused.json()["place"] == "$.embedder"


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "similarity/v2/collection?nmae=x"),
        ("GET", "similarity/v2/collection?name=x&page=2"),
        ("POST", "similarity/v2/collection?dry_run=true"),
        ("DELETE", "similarity/v2/collection/x?force=1"),
        ("GET", "similarity/v2/run-log?colection=x"),
        ("GET", "account/v2/user?id=7"),
        ("GET", "account/v2/workspace?page=2"),
        ("GET", "account/v2/config/x?versoin=2"),
    ],
)
def test_parameters_that_are_misspelt(verb: str, path: str, service: Service) -> None:
    answer: Any = service.http.request(verb, f"/{path}")
    assert answer.status_code == 400
    body = answer.json()
    place = body["place"] if path.startswith("similarity") else body["status"]["place"]
    assert place.startswith("?")
    for known in ("similarity/v2/collection?workspace=Default", "account/v2/config/x?version=2"):
        assert service.http.get(f"/{known}").status_code == 200
