"""What one process is put together from: engine, port to the embedders, and the services.

Nobody but the start of a process and the command line sees the whole; a handler takes the service
that it needs.
"""

from __future__ import annotations

from pathlib import Path

from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.run_logs import RunLogService
from lookalike.adapter.collections.service import CollectionService
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.server.engine import ServerEngine
from lookalike.adapter.records.service import RecordService
from lookalike.adapter.search.image_matching import ImageMatchingService
from lookalike.adapter.search.service import SearchService
from lookalike.api.settings import Settings
from lookalike.embedders.images.reader import ImageReader
from lookalike.embedders.registry import Registry
from lookalike.embedding import Embedding


async def connect_engine(settings: Settings, engine_socket: Path | None) -> Engine:
    """The Qdrant server where one is set, else the embedded engine at `engine_socket`.

    Raises EngineUnavailable when nobody listens at the socket.
    """
    if settings.qdrant.url:
        return ServerEngine.connect(settings.qdrant)
    assert engine_socket is not None, "the command that starts the engine hands its socket over"
    return await EmbeddedEngine.connect(engine_socket)


class Components:
    """Made once in a process, on its event loop, and closed at its end."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.engine = engine
        self.embedding = Embedding(
            Registry(settings.data.models_folder, options=settings.embedder_options),
            ImageReader(settings.images),
            settings.access.token_share,
        )
        self.cache = CollectionCache(engine)
        self.collections = CollectionService(
            engine, self.cache, self.embedding, settings.embedders.embedder
        )
        self.run_logs = RunLogService(engine)
        limits = settings.limits_in_force
        self.records = RecordService(engine, self.cache, self.embedding, limits)
        self.searches = SearchService(engine, self.embedding, limits)
        self.matching = ImageMatchingService(self.embedding, limits)

    async def close(self) -> None:
        await self.embedding.close()
        await self.engine.close()
