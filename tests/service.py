"""Plain HTTP to a running service, and what must hold for each of its answers."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from tests.openapi_contract import check_described
from tests.waiting import PATIENCE_SECONDS

Record = dict[str, Any]
Answer = dict[str, Any]

MEDIA_TYPES = (
    "application/json",
    "application/problem+json",
    "application/vnd.oai.openapi+json",
)
WITHOUT_IDS = ("visualRankRecords", "rank_images", "remove_duplicates")
"""Methods whose records are those of the request: these need no `_id`."""

HEALTH = ("/healthz", "/readyz")
"""A report and no refusal, whatever its status."""


class Service:
    """A client with one connection, which checks every answer."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self.token = token
        self.http = httpx.Client(
            base_url=url,
            headers={} if token is None else {"Authorization": f"Token {token}"},
            event_hooks={"response": [check_answer]},
            trust_env=False,
            timeout=PATIENCE_SECONDS,
        )

    def close(self) -> None:
        self.http.close()

    def healthy(self) -> bool:
        return self.http.get("/readyz").status_code == 200

    def collection(self, **settings: Any) -> str:
        """A new collection's id."""
        response = self.http.post(
            "/similarity/v2/collection/",
            json={"name": f"test {uuid.uuid4()}", "type": "products"} | settings,
        )
        assert response.status_code == 201, response.text
        id_: str = response.json()["id"]
        return id_

    def view(self, collection: str) -> dict[str, Any]:
        """The collection's settings and state."""
        content: dict[str, Any] = self.http.get(f"/similarity/v2/collection/{collection}").json()
        return content

    def change(self, collection: str, **settings: Any) -> httpx.Response:
        return self.http.patch(f"/similarity/v2/collection/{collection}", json=settings)

    def call(
        self, method: str, collection: str | None, body: object = None, prefix: str = ""
    ) -> httpx.Response:
        headers = {} if collection is None else {"collection-id": collection}
        path = f"/{prefix or 'similarity/products-new'}/v2/{method}"
        return self.http.post(path, json=body, headers=headers)

    def send(self, method: str, collection: str, body: str | bytes) -> httpx.Response:
        """A call whose body is sent as it is, JSON or not."""
        path = f"/similarity/photos/v2/{method}"
        return self.http.post(path, content=body, headers={"collection-id": collection})

    def answer(self, method: str, collection: str, body: object = None) -> Answer:
        response = self.call(method, collection, body)
        assert response.status_code == 200, response.text
        content: Answer = response.json()
        return content

    def ids(self, collection: str) -> list[str]:
        return [r["_id"] for r in self.answer("allIDs", collection)["answer_records"]]

    def stored(self, collection: str, id_: str) -> Record:
        body = {"records": [{"_id": id_}], "fields_to_return": ["*"]}
        (record,) = self.answer("get", collection, body)["answer_records"]
        assert isinstance(record, dict)
        return record

    def load(self, collection: str, records: list[Record]) -> None:
        """Inserts the records ten by ten, as the provider's client does."""
        for begin in range(0, len(records), 10):
            answer = self.answer("insert", collection, {"records": records[begin : begin + 10]})
            assert answer["status"]["code"] == 210, answer


def check_answer(response: httpx.Response) -> None:
    """Never a redirect, never a traceback, always JSON; and what the envelope promises."""
    assert not response.is_redirect, response.headers
    response.read()
    assert "Traceback" not in response.text
    assert 'File "' not in response.text
    check_described(response)
    if response.status_code == 204:
        return
    assert response.headers["content-type"].partition(";")[0] in MEDIA_TYPES
    body = response.json()
    assert isinstance(body, dict)
    if "answer_records" in body:
        _check_records(body, response.request)
    elif response.request.url.path not in HEALTH:
        assert response.status_code < 400 or isinstance(body["detail"], str)
    if "answer_distances" in body:
        _check_distances(body, response.request)
    if "status" in body:
        assert body.get("next", "") is not None


def _check_records(body: Answer, request: httpx.Request) -> None:
    records = body["answer_records"]
    assert body["answer_count"] == len(records)
    if not request.url.path.endswith(WITHOUT_IDS):
        assert all(isinstance(record["_id"], str) and record["_id"] for record in records)
    assert "OperationTime" in body["statistics"]


def _check_distances(body: Answer, request: httpx.Request) -> None:
    distances = body["answer_distances"]
    assert len(distances) == len(body["answer_records"])
    assert all(distance >= 0 for distance in distances)
    # A diverse answer leaves the order of the distances on purpose.
    assert distances == sorted(distances) or b'"diversity"' in request.content
