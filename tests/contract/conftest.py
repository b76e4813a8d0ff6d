"""What the contract tests share: loaded collections, services of their own, and a guarded one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lookalike.demo_photos import DemoPhoto
from tests.contract.images import base64_of, jpeg, record
from tests.contract.palette import filled
from tests.live import LiveServer, live_server
from tests.service import Service

ADMIN_TOKEN = "an-admin-token"
READ_TOKEN = "a-token-that-reads"
WRITE_TOKEN = "a-token-that-reads-and-writes"
LONG_TOKEN = "eyJhbGciOiJIUzI1NiJ9." + "x" * 59
FILE_TOKEN = "a-token-of-the-file"

PREFIXES = [
    "similarity/photos",
    "photo/search",
    "similarity/products-new",
    "similarity/products",
    "similarity/fashion-new",
    "similarity/fashion",
    "similarity/fashion-simple",
    "similarity/products_tags",
    "similarity/homedecor-new",
    "similarity/homedeco-newr",
    "similarity/homedecor",
    "similarity/custom",
    "similarity/colors",
    "image_matching",
]
"""Every path that a client of the provider has had before its `/v2/`."""

Connect = Callable[..., Service]
NewServer = Callable[..., LiveServer]


@pytest.fixture(scope="session")
def thumbnails(products: list[DemoPhoto]) -> dict[str, bytes]:
    """Small JPEG copies of the product images, by their id."""
    return {product.id: jpeg(product.image) for product in products}


@pytest.fixture(scope="session")
def image(thumbnails: dict[str, bytes]) -> str:
    """An image in base64, where it does not matter which."""
    return base64_of(thumbnails["1"])


@pytest.fixture(scope="session")
def shop(service: Service, products: list[DemoPhoto], thumbnails: dict[str, bytes]) -> str:
    """A collection of all product images. Tests that share it do not write to it."""
    collection = service.collection(name="shop", fields_to_index=["category", "price"])
    service.load(collection, [record(product, thumbnails[product.id]) for product in products])
    return collection


@pytest.fixture(scope="session")
def paints(service: Service) -> str:
    """A collection whose distances can be told by hand. Tests that share it do not write to it."""
    return filled(service, fields_to_index=["hex"])


@pytest.fixture
def collection(service: Service) -> str:
    """An empty collection of this test's own."""
    return service.collection()


@pytest.fixture
def healthy_afterwards(service: Service) -> Iterator[None]:
    """Whatever a test has sent, the service answers as before."""
    yield
    assert service.healthy()


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Clients with connections of their own: the URL of a service, and a token if there is one."""
    clients: list[Service] = []

    def make(url: str, token: str | None = None) -> Service:
        clients.append(Service(url, token))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[NewServer]:
    """Services on folders of this test's own, ended when it ends."""
    servers: list[LiveServer] = []

    def make(folder: str = "data", **environment: str) -> LiveServer:
        servers.append(LiveServer(tmp_path / folder, environment))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


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
