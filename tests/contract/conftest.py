"""What the contract tests share: a loaded collection, and a service with tokens and two workers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lookalike.demo_photos import DemoPhoto
from tests.conftest import Service
from tests.contract.images import base64_of, batches, jpeg, record
from tests.live import LiveServer, live_server

ADMIN_TOKEN = "an-admin-token"
READ_TOKEN = "a-token-that-reads"
WRITE_TOKEN = "a-token-that-reads-and-writes"
LONG_TOKEN = "eyJhbGciOiJIUzI1NiJ9." + "x" * 59
FILE_TOKEN = "a-token-of-the-file"


class Clean(Service):
    """Plain HTTP that checks of every answer what must hold for all of them."""

    def __init__(self, url: str, token: str | None = None) -> None:
        super().__init__(url)
        if token is not None:
            self.http.headers["Authorization"] = f"Token {token}"
        self.http.event_hooks["response"].append(check_answer)

    def healthy(self) -> bool:
        return self.http.get("/readyz").status_code == 200

    def ids(self, collection: str) -> list[str]:
        return [r["_id"] for r in self.answer("allIDs", collection)["answer_records"]]

    def load(self, collection: str, records: list[dict[str, Any]]) -> None:
        for batch in batches(records, 10):
            answer = self.answer("insert", collection, {"records": batch})
            assert answer["status"]["code"] == 210, answer


def check_answer(response: httpx.Response) -> None:
    """Never a redirect, never a traceback, always JSON; and what the envelope promises."""
    assert not response.is_redirect, response.headers
    response.read()
    assert "Traceback" not in response.text
    assert 'File "' not in response.text
    if response.status_code == 204:
        return
    assert response.headers["content-type"].partition(";")[0] in (
        "application/json",
        "application/problem+json",
        "application/vnd.oai.openapi+json",
    )
    body = response.json()
    assert isinstance(body, dict)
    if "answer_records" not in body:
        assert response.status_code < 400 or isinstance(body["detail"], str)
    else:
        assert body["answer_count"] == len(body["answer_records"])
        assert all(isinstance(r["_id"], str) and r["_id"] for r in body["answer_records"])
        assert "OperationTime" in body["statistics"]
    if "answer_distances" in body:
        distances = body["answer_distances"]
        assert len(distances) == len(body["answer_records"])
        assert distances == sorted(distances)
        assert all(distance >= 0 for distance in distances)
    if "status" in body:
        assert body.get("next", "") is not None


@pytest.fixture(scope="session")
def clean(server: LiveServer) -> Iterator[Clean]:
    client = Clean(server.url)
    yield client
    client.http.close()


@pytest.fixture(scope="session")
def thumbnails(products: list[DemoPhoto]) -> dict[str, bytes]:
    """Small JPEG copies of the product photos, by their id."""
    return {photo.id: jpeg(photo.image) for photo in products}


@pytest.fixture(scope="session")
def image(thumbnails: dict[str, bytes]) -> str:
    """An image in base64, where it does not matter which."""
    return base64_of(thumbnails["1"])


@pytest.fixture(scope="session")
def shop(clean: Clean, products: list[DemoPhoto], thumbnails: dict[str, bytes]) -> str:
    """A collection of all product photos. Tests that share it do not write to it."""
    collection = clean.collection(name="shop", fields_to_index=["category", "price"])
    clean.load(collection, [record(photo, thumbnails[photo.id]) for photo in products])
    return collection


@pytest.fixture
def collection(clean: Clean) -> str:
    """An empty collection of this test's own."""
    return clean.collection()


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Tokens inline and in a file, two API processes, and no private host to fetch from."""
    folder: Path = tmp_path_factory.mktemp("guarded")
    digest = hashlib.sha256(FILE_TOKEN.encode()).hexdigest()
    (folder / "tokens").write_text(f"# the shop's own\n\n{digest} read,write\n")
    inline = [ADMIN_TOKEN, LONG_TOKEN, f"{READ_TOKEN}:read", f"{WRITE_TOKEN}:read+write"]
    environment = {
        "LOOKALIKE_TOKENS": ",".join(inline),
        "LOOKALIKE_TOKENS_FILE": str(folder / "tokens"),
        "LOOKALIKE_WORKERS": "2",
    }
    with live_server(folder / "data", environment) as running:
        yield running


@pytest.fixture(scope="session")
def admin(guarded: LiveServer) -> Iterator[Clean]:
    client = Clean(guarded.url, ADMIN_TOKEN)
    yield client
    client.http.close()
