"""Settings -> a connected engine."""

from __future__ import annotations

from pathlib import Path

from lookalike.adapter.engines.base import Engine
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.server.engine import ServerEngine
from lookalike.adapter.engines.server.server_settings import ServerSettings
from lookalike.api.settings import Settings


async def connect(settings: Settings, engine_socket: Path | None) -> Engine:
    """The Qdrant server where one is set, else the embedded engine at `engine_socket`.

    Raises EngineUnavailable when nobody listens at the socket.
    """
    if settings.qdrant_url:
        return ServerEngine.connect(server_settings(settings))
    assert engine_socket is not None, "the command that starts the engine hands its socket over"
    return await EmbeddedEngine.connect(engine_socket)


def server_settings(settings: Settings) -> ServerSettings:
    return ServerSettings(
        url=settings.qdrant_url,
        api_key=settings.qdrant_api_key,
        read_timeout_s=settings.qdrant_timeout_s,
    )
