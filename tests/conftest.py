"""What the whole suite shares: real photos, a running service, a server of images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lookalike.demo_photos import DOWNLOAD, WHEEL, DemoPhoto, read_products
from tests.live import FileServer, LiveServer, live_server

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def demo_wheel() -> Path:
    """The wheel with the product photos; `make test` has downloaded it."""
    wheel = Path(os.environ.get("SALEOR_WHEEL", ROOT / ".demo" / WHEEL))
    if not wheel.exists():
        pytest.fail(f"the product photos are missing; run: {DOWNLOAD}")
    return wheel


@pytest.fixture(scope="session")
def products(demo_wheel: Path) -> list[DemoPhoto]:
    return read_products(demo_wheel)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One service for all tests that do not need their own. Its image hosts are on loopback."""
    environment = {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1"}
    with live_server(tmp_path_factory.mktemp("data"), environment) as running:
        yield running


@pytest.fixture(scope="session")
def file_server() -> Iterator[FileServer]:
    files = FileServer()
    yield files
    files.close()


class Service:
    """Plain HTTP to a running service."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=60)

    def collection(self, **settings: Any) -> str:
        """A new collection's id."""
        response = self.http.post(
            "/similarity/v2/collection/", json={"name": "test", "type": "products"} | settings
        )
        assert response.status_code == 201, response.text
        id_: str = response.json()["id"]
        return id_

    def call(
        self, method: str, collection: str | None, body: object = None, prefix: str = ""
    ) -> httpx.Response:
        headers = {} if collection is None else {"collection-id": collection}
        path = f"/{prefix or 'similarity/products-new'}/v2/{method}"
        return self.http.post(path, json=body, headers=headers)

    def answer(self, method: str, collection: str, body: object = None) -> dict[str, Any]:
        response = self.call(method, collection, body)
        assert response.status_code == 200, response.text
        content: dict[str, Any] = response.json()
        return content


@pytest.fixture(scope="session")
def service(server: LiveServer) -> Iterator[Service]:
    client = Service(server.url)
    yield client
    client.http.close()
