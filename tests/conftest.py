"""What the whole suite shares: real images, an engine, a running service, a server of images."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lookalike.adapter.engines.base import Engine
from lookalike.adapter.engines.embedded.supervisor import Supervisor
from lookalike.cli.demo_images import DOWNLOAD, WHEEL, DemoImage, read_demo_images
from tests.engines.contract.subjects import SUBJECTS, Subject
from tests.engines.embedded.supervisors import running
from tests.file_server import FileServer
from tests.live import LiveServer, live_server
from tests.service import Service

ROOT = Path(__file__).parent.parent
PLUGIN = Path(__file__).parent / "contract" / "plugin"


@pytest.fixture(scope="session")
def demo_wheel() -> Path:
    """The wheel with the product images; `make test` has downloaded it."""
    wheel = Path(os.environ.get("SALEOR_WHEEL", ROOT / ".demo" / WHEEL))
    if not wheel.exists():
        pytest.fail(f"the product images are missing; run: {DOWNLOAD}")
    return wheel


@pytest.fixture(scope="session")
def products(demo_wheel: Path) -> list[DemoImage]:
    return read_demo_images(demo_wheel)


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where embedders keep what they have built."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def supervisor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    """One embedded engine for all tests that do not need their own."""
    with running(tmp_path_factory.mktemp("engine")) as started:
        yield started


@pytest.fixture(scope="session")
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """The engine at hand: embedded, unless the tests of a folder run on each (`SUBJECTS`)."""
    with SUBJECTS[getattr(request, "param", "embedded")](request) as found:
        yield found


@pytest.fixture
async def engine(subject: Subject) -> AsyncIterator[Engine]:
    """A client of the engine at hand, in the event loop of the test."""
    client = await subject.connect()
    yield client
    await client.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One service for all tests that do not need their own. Its image hosts are on loopback.

    It has one embedder more than those of the package: `palette`, of the contract tests.
    """
    environment = {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1", "PYTHONPATH": str(PLUGIN)}
    with live_server(tmp_path_factory.mktemp("data"), environment) as started:
        yield started


@pytest.fixture(scope="session")
def file_server() -> Iterator[FileServer]:
    files = FileServer()
    yield files
    files.close()


@pytest.fixture(scope="session")
def service(server: LiveServer) -> Iterator[Service]:
    client = Service(server.url)
    yield client
    client.close()
