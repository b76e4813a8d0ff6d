"""The OpenAPI document lists every method with the schema of its body."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from lookalike.api.request_paths import METHODS, METHODS_ROOT
from tests.live import LiveServer


@pytest.fixture(scope="module")
def document(server: LiveServer) -> dict[str, Any]:
    answer = httpx.get(f"{server.url}/schema/openapi.json", trust_env=False)
    assert answer.status_code == 200
    schema: dict[str, Any] = answer.json()
    return schema


BODILESS = {"ping"}


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_is_listed_with_its_body(method: str, document: dict[str, Any]) -> None:
    operation = document["paths"][f"{METHODS_ROOT}/{method}"]["post"]
    assert operation["description"]
    assert "200" in operation["responses"]
    if method in BODILESS:
        return
    content = operation["requestBody"]["content"]["application/json"]["schema"]
    name = content["$ref"].rpartition("/")[2]
    properties = document["components"]["schemas"][name]["properties"]
    expected = {
        "insert": {"records", "fields_to_return"},
        "visualKNN": {"query_record", "k", "from", "radius", "filter", "fields_to_return"},
        "random": {"count", "filter", "fields_to_return"},
        "deleteByFilter": {"filter"},
    }
    assert expected.get(method, set()) <= properties.keys()


def test_the_rest_is_listed(document: dict[str, Any]) -> None:
    listed = set(document["paths"])
    assert {
        "/authorization/v2/authorize",
        "/account/v2/user",
        "/similarity/v2/collection",
        "/similarity/v2/collection/{collection_id}",
        "/healthz",
        "/readyz",
    } <= listed


def test_the_collection_header_is_described(document: dict[str, Any]) -> None:
    operation = document["paths"][f"{METHODS_ROOT}/visualKNN"]["post"]
    headers = {p["name"]: p for p in operation["parameters"] if p["in"] == "header"}
    assert "collection-id" in headers


def test_options_name_every_verb_of_a_path(document: dict[str, Any], server: LiveServer) -> None:
    for path, operations in document["paths"].items():
        asked = re.sub(r"\{\w+\}", "11111111-2222-3333-4444-555555555555", path)
        answer = httpx.options(f"{server.url}{asked}", trust_env=False)
        assert answer.status_code == 204
        allowed = set(answer.headers["Allow"].lower().split(", "))
        assert allowed - {"options"} == operations.keys(), path


def test_nothing_is_loaded_from_elsewhere(server: LiveServer) -> None:
    answer = httpx.get(f"{server.url}/schema", trust_env=False)
    assert answer.json()["openapi"]
    for path in ("swagger", "redoc", "nothing", "openapi.yaml"):
        refused = httpx.get(f"{server.url}/schema/{path}", trust_env=False)
        assert refused.status_code == 404
        assert refused.json()["detail"] == "Not Found"
