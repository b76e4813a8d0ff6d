"""What the contract tests share: loaded collections, services of their own, and a guarded one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lookalike.cli.demo_images import DemoImage
from tests.contract.images import base64_of, jpeg, record
from tests.contract.palette import filled
from tests.live import LiveServer, live_server, lookalike
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
    "smart",
    "visual-search",
]
"""Every path that a client of the provider has had before its `/v2/`."""

Connect = Callable[..., Service]
NewServer = Callable[..., LiveServer]


@pytest.fixture(scope="session")
def thumbnails(products: list[DemoImage]) -> dict[str, bytes]:
    """Small JPEG copies of the product images, by their id."""
    return {product.id: jpeg(product.image) for product in products}


@pytest.fixture(scope="session")
def image(thumbnails: dict[str, bytes]) -> str:
    """An image in base64, where it does not matter which."""
    return base64_of(thumbnails["1"])


@pytest.fixture(scope="session")
def shop(service: Service, products: list[DemoImage], thumbnails: dict[str, bytes]) -> str:
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


class Bound(NamedTuple):
    """A collection, and tokens that are good for this one only."""

    collection: str
    writer: str
    reader: str
    administrator: str
    line: str
    """That of the file of tokens, for the reader."""


@pytest.fixture(scope="session")
def guarded_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guarded")


@pytest.fixture(scope="session")
def bound(guarded_folder: Path) -> Bound:
    """Made on the command line, before the service starts."""
    made = lookalike("collections", "create", "bound", "--data", str(guarded_folder / "data"))
    collection = json.loads(made.stdout)["id"]
    shown = lookalike("tokens", "create", "--scope", "read", "--collection", collection)
    assert shown.returncode == 0
    ((token, line),) = re.findall(r"^.*: (\S+)\n.*\n(.*)$", shown.stdout, re.MULTILINE)
    assert line.split() == [hashlib.sha256(token.encode()).hexdigest(), "read", collection]
    return Bound(collection, "bound-to-write", token, "bound-to-administer", line)


@pytest.fixture(scope="session")
def guarded(guarded_folder: Path, bound: Bound) -> Iterator[LiveServer]:
    """Tokens inline and in a file, two API processes, and no private host to fetch from."""
    folder = guarded_folder
    digest = hashlib.sha256(FILE_TOKEN.encode()).hexdigest()
    lines = ["# the shop's own", "", f"{digest} read,write", bound.line]
    (folder / "tokens").write_text("\n".join(lines) + "\n")
    inline = [ADMIN_TOKEN, LONG_TOKEN, f"{READ_TOKEN}:read", f"{WRITE_TOKEN}:read+write"]
    inline.append(f"{bound.writer}:read+write:{bound.collection}")
    inline.append(f"{bound.administrator}::{bound.collection}")
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
