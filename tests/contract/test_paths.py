"""Addresses, headers and bodies in every form that a client of some year sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.conftest import PREFIXES
from tests.service import Service


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("before", ["/", "/localhost/"])
def test_every_prefix_slash_or_not(prefix: str, before: str, service: Service, shop: str) -> None:
    bodies: dict[str, Any] = {
        "ping": None,
        "get": {"records": [{"_id": "1"}]},
        "random": {},
        "allRecords?size=2&page=1": {},
        "allIDs": {"something": "value"},
        "visualKNN": {"query_record": {"_id": "1"}},
        "visual_search": {"query_record": {"_id": "1"}},
        "visualTagsKNN": {"query_record": {"_id": "1"}},
        "insert": {"records": []},
        "update": {"records": []},
        "delete": {"records": []},
        "deleteByFilter": {"filter": {"category": "no such"}},
    }
    for method, body in bodies.items():
        name, question, query = method.partition("?")
        for path in (name, f"{name}/"):
            url = f"{before}{prefix}/v2/{path}{question}{query}"
            answer = service.http.post(url, json=body, headers={"collection-id": shop})
            assert answer.status_code == 200, (url, answer.text)
            assert answer.json()["status"]["code"] < 500


def test_the_bare_root(service: Service, shop: str) -> None:
    """The provider's own cleaning tool asks there, unless it is told a prefix."""
    headers = {"collection-id": shop}
    answer = service.http.post("/allRecords?size=1000&page=1", json={}, headers=headers)
    assert answer.json()["answer_count"] == 45


def test_several_slashes(service: Service, shop: str) -> None:
    url = f"{service.url}//similarity//photos/v2//ping//"
    answer = service.http.post(url, headers={"collection-id": shop})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/", 404),
        ("/similarity/photos/v2/", 404),
        ("/similarity/photos/v2/nothing", 404),
        ("/unknown/v2/ping", 404),
        ("/similarity/photos/v1/ping", 404),
        ("/similarity/photos/v2/../../healthz", 404),
        ("/%00", 404),
        ("/healthz", 405),
    ],
)
def test_other_paths_are_refused_in_json(path: str, code: int, service: Service) -> None:
    answer = service.http.post(path, json={})
    assert answer.status_code == code
    assert answer.json()["status"]["code"] == code


def test_a_method_that_changes_is_not_answered_to_get(service: Service, shop: str) -> None:
    answer = service.http.get("/similarity/photos/v2/insert", headers={"collection-id": shop})
    assert answer.status_code == 405


@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize("content_type", [None, "application/json"])
def test_ping(verb: str, content_type: str | None, service: Service, shop: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    url = "/image_matching/v2/ping"
    answer = service.http.request(verb, url, headers=headers).json()
    assert answer["status"] == {"code": 200, "text": "OK"}
    assert answer["_service_info"].keys() == {"_name", "_info"}
    answer = service.http.request(verb, url, headers=headers | {"collection-id": shop}).json()
    assert answer["statistics"]["total_records"] == 45
    assert "45 records" in answer["info"]
    assert not any(name.startswith("answer") for name in answer)


@pytest.mark.parametrize("method", ["allRecords", "allIDs", "random", "ping"])
@pytest.mark.parametrize("body", [b"", b"{}", b" {} "])
def test_an_empty_body_is_an_empty_object(
    method: str, body: bytes, service: Service, shop: str
) -> None:
    url = f"/similarity/photos/v2/{method}"
    headers = {"collection-id": shop, "Content-Type": "application/json"}
    assert service.http.post(url, content=body, headers=headers).status_code == 200


@pytest.mark.parametrize("authorization", ["Token abc", "JWT " + "x" * 80, "abc", None])
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json;charset=UTF-8",
        "application/json; charset=utf-8",
        "text/plain",
        "application/x-www-form-urlencoded",
        None,
    ],
)
def test_header_forms(
    authorization: str | None, content_type: str | None, service: Service, shop: str
) -> None:
    for name in ("collection-id", "Collection-Id", "COLLECTION-ID"):
        headers = {name: shop, "AUTHORIZATION": authorization, "content-type": content_type}
        answer = service.http.post(
            "/similarity/products/v2/visualKNN",
            content=json.dumps({"query_record": {"_id": "1"}, "k": 1}),
            headers={key: value for key, value in headers.items() if value is not None},
        )
        assert answer.json()["answer_records"] == [{"_id": "1"}]


@pytest.mark.parametrize("path", ["/similarity/v2/collection", "/account/v2/workspace"])
def test_page_objects(path: str, service: Service, shop: str) -> None:
    for url in (path, f"{path}/", f"/localhost{path}/"):
        page = service.http.get(url).json()
        assert page["next"] is None
        assert page["previous"] is None
        assert page["count"] == len(page["results"]) > 0
