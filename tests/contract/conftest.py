"""What the contract tests share: a loaded collection, and a service with tokens and two workers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.demo_photos import DemoPhoto
from tests.contract.images import base64_of, jpeg, record
from tests.live import LiveServer, live_server
from tests.service import Service

ADMIN_TOKEN = "an-admin-token"
READ_TOKEN = "a-token-that-reads"
WRITE_TOKEN = "a-token-that-reads-and-writes"
LONG_TOKEN = "eyJhbGciOiJIUzI1NiJ9." + "x" * 59
FILE_TOKEN = "a-token-of-the-file"


@pytest.fixture(scope="session")
def thumbnails(products: list[DemoPhoto]) -> dict[str, bytes]:
    """Small JPEG copies of the product photos, by their id."""
    return {photo.id: jpeg(photo.image) for photo in products}


@pytest.fixture(scope="session")
def image(thumbnails: dict[str, bytes]) -> str:
    """An image in base64, where it does not matter which."""
    return base64_of(thumbnails["1"])


@pytest.fixture(scope="session")
def shop(service: Service, products: list[DemoPhoto], thumbnails: dict[str, bytes]) -> str:
    """A collection of all product photos. Tests that share it do not write to it."""
    collection = service.collection(name="shop", fields_to_index=["category", "price"])
    service.load(collection, [record(photo, thumbnails[photo.id]) for photo in products])
    return collection


@pytest.fixture
def collection(service: Service) -> str:
    """An empty collection of this test's own."""
    return service.collection()


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
def admin(guarded: LiveServer) -> Iterator[Service]:
    client = Service(guarded.url, ADMIN_TOKEN)
    yield client
    client.close()
