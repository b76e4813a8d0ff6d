"""A collection that a token may not use, and one that is not there: the same answers everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from lookalike.api.request_paths import METHODS
from tests.contract.conftest import Bound
from tests.service import Service

UNKNOWN_ID = "11111111-2222-3333-4444-555555555555"
RECORD = {"_id": "1"}
BODY: dict[str, Any] = {
    "records": [RECORD],
    "query_record": RECORD,
    "filter": {"a": 1},
    "field": "a",
    "_text_data": "a chair",
}
WITHOUT_COLLECTION = {"visual_hash", "remove_duplicates", "rank_images"}


@pytest.fixture(scope="module")
def foreign(admin: Service) -> Iterator[str]:
    collection = admin.collection(name="of somebody else")
    yield collection
    admin.http.delete(f"/similarity/v2/collection/{collection}")


@pytest.fixture(scope="module", params=["reader", "administrator"])
def tenant(request: pytest.FixtureRequest, admin: Service, bound: Bound) -> Iterator[Service]:
    client = Service(admin.url, getattr(bound, request.param))
    yield client
    client.close()


def seen(answer: httpx.Response, named: str) -> tuple[int, str]:
    return answer.status_code, answer.text.replace(named, "…")


@pytest.mark.parametrize("method", sorted(METHODS - WITHOUT_COLLECTION))
def test_methods(method: str, tenant: Service, foreign: str) -> None:
    path = f"/similarity/photos/v2/{method}"
    ways: list[Any] = [
        lambda named: {"headers": {"collection-id": named}, "json": BODY},
        lambda named: {"headers": {"collection": named}, "json": BODY},
        lambda named: {"json": BODY | {"collection_id": named}},
        lambda named: {"headers": {"collection-id": named}, "content": b"{"},
        lambda named: {"headers": {"collection-id": named}, "json": {"records": "none"}},
    ]
    for way in ways:
        answers = {
            seen(tenant.http.post(path, **way(named)), named) for named in (foreign, UNKNOWN_ID)
        }
        assert len(answers) == 1
        assert answers.pop()[0] in (400, 403, 404)


@pytest.mark.parametrize("method", ["visualKNN", "insert", "allIDs"])
def test_names(method: str, tenant: Service, foreign: str) -> None:
    answers = {
        seen(tenant.http.post(f"/photo/search/v2/{method}", headers={"collection": name}), name)
        for name in (foreign, "of somebody else", "of nobody")
    }
    assert len(answers) == 1


@pytest.mark.parametrize("verb", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("body", [{}, {"name": "of somebody else"}, {"capacity": 1}])
def test_collections(verb: str, body: dict[str, Any], tenant: Service, foreign: str) -> None:
    answers = {
        seen(tenant.http.request(verb, f"/similarity/v2/collection/{named}", json=body), named)
        for named in (foreign, UNKNOWN_ID, "of%20somebody%20else", "of%20nobody")
    }
    assert len(answers) == 1
    assert answers.pop()[0] in (403, 404)


def test_run_logs(tenant: Service, admin: Service, foreign: str) -> None:
    made = admin.http.post("/similarity/v2/run-log", json={"collection": foreign, "data": {}})
    log = made.json()["id"]
    for named in (log, UNKNOWN_ID):
        for verb in ("GET", "PUT", "DELETE"):
            path = f"/similarity/v2/run-log/{named}"
            answer = tenant.http.request(verb, path, json={"data": {}})
            unknown = tenant.http.request(
                verb, f"/similarity/v2/run-log/{UNKNOWN_ID}", json={"data": {}}
            )
            assert seen(answer, named) == seen(unknown, UNKNOWN_ID)
    path = "/similarity/v2/run-log"

    def asked(named: str) -> list[tuple[int, str]]:
        body = {"collection": named, "data": {}}
        answers = [
            tenant.http.get(path, params={"collection": named}),
            tenant.http.post(path, json=body),
        ]
        return [seen(answer, named) for answer in answers]

    assert asked(foreign) == asked("of somebody else") == asked(UNKNOWN_ID)
    assert admin.http.get(f"/similarity/v2/run-log/{log}").status_code == 200
