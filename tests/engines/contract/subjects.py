"""The engines that the behaviour suite runs on, and how a Qdrant server is found for it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from lookalike.adapter.engines.base import Engine
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.supervisor import Supervisor
from lookalike.adapter.engines.server.engine import ServerEngine
from lookalike.adapter.engines.server.server_settings import ServerSettings
from tests.engines.server.rest import RestServer

QDRANT_IMAGE = os.environ.get("LOOKALIKE_TEST_QDRANT_IMAGE", "qdrant/qdrant:v1.20.0")
"""Pinned: another version is tried on purpose, never by the passing of time."""

HOW = (
    "needs a Qdrant server: set LOOKALIKE_TEST_QDRANT_URL (and LOOKALIKE_TEST_QDRANT_API_KEY), "
    "or install `lookalike[server-tests]` where Docker runs"
)


class Subject:
    """One engine; `connect` makes as many clients of it as a test wants API processes."""

    def __init__(
        self, name: str, server: ServerSettings | None = None, socket: Path | None = None
    ) -> None:
        self.name = name
        self.server = server
        self._socket = socket

    async def connect(self) -> Engine:
        if self.server is not None:
            return ServerEngine.connect(self.server)
        assert self._socket is not None
        return await EmbeddedEngine.connect(self._socket)


@contextlib.contextmanager
def embedded(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """The embedded engine that all tests share."""
    supervisor: Supervisor = request.getfixturevalue("supervisor")
    yield Subject("embedded", socket=supervisor.socket_path)


@contextlib.contextmanager
def memory(_: pytest.FixtureRequest) -> Iterator[Subject]:
    """A witness: the server engine over REST, in front of the client's local mode."""
    with RestServer() as started:
        yield Subject("memory", ServerSettings(url=started.url))


@contextlib.contextmanager
def server(_: pytest.FixtureRequest) -> Iterator[Subject]:
    """The server that the environment names, or one in a container."""
    url = os.environ.get("LOOKALIKE_TEST_QDRANT_URL")
    if url:
        key = os.environ.get("LOOKALIKE_TEST_QDRANT_API_KEY", "")
        yield Subject("server", ServerSettings(url=url, api_key=key))
        return
    with _container() as started:
        yield Subject("server", started)


@contextlib.contextmanager
def _container() -> Iterator[ServerSettings]:
    try:
        from testcontainers.community.qdrant import QdrantContainer
    except ImportError:
        _missing()
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "info"], capture_output=True).returncode:
        _missing()
    with QdrantContainer(image=QDRANT_IMAGE, api_key="test-key") as container:
        yield ServerSettings(url=f"http://{container.rest_host_address}", api_key="test-key")


def _missing() -> NoReturn:
    if os.environ.get("LOOKALIKE_TEST_SERVER_REQUIRED"):
        pytest.fail(HOW)
    pytest.skip(HOW)


SUBJECTS = {"embedded": embedded, "memory": memory, "server": server}


def run_on_each(metafunc: pytest.Metafunc) -> None:
    """For `pytest_generate_tests` of a folder: its tests run on every engine."""
    if "subject" in metafunc.fixturenames:
        metafunc.parametrize("subject", SUBJECTS, indirect=True, scope="session")
