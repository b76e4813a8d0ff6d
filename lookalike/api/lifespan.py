"""What lives as long as an API process: its components, and the tasks that look after them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from litestar import Litestar

from lookalike.adapter.collections import defaults
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.errors import LookalikeError, Unavailable
from lookalike.api.auth import tokens_from
from lookalike.api.components import Components, connect_engine
from lookalike.api.settings import MAIN_PID, AccessSettings, Settings, SettingsError

log = logging.getLogger("lookalike")

CACHE_REFRESH_SECONDS = 2.0
EMBEDDER_RETRY_SECONDS = 2.0
TOKENS_REREAD_SECONDS = 2.0
START_FAILED = signal.SIGUSR1
"""Tells the main process that an API process cannot do its work, nor would the next one."""
MAIN_PROCESS_SECONDS = 0.5


def lifespan_of(
    settings: Settings, engine_socket: Path | None
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Connects the components, and puts into the state what `dependencies` and others take."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        components = Components(settings, await connect_engine(settings, engine_socket))
        readiness = Readiness(components, settings.embedders.embedder)
        app.state.update(
            {
                "collections": components.collections,
                "records": components.records,
                "searches": components.searches,
                "matching": components.matching,
                "run_logs": components.run_logs,
                "readiness": readiness,
            }
        )
        tasks = [
            asyncio.create_task(readiness.prepare()),
            asyncio.create_task(keep_refreshing(components.cache)),
            asyncio.create_task(end_with_main_process()),
            asyncio.create_task(keep_reading_tokens(app, settings.access)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await components.close()

    return lifespan


class Readiness:
    """Ready means that the engine answers and the default embedders are loaded."""

    def __init__(self, components: Components, preferred_embedder: str) -> None:
        self._components = components
        self._preferred_embedder = preferred_embedder
        self._embedder = "loading"

    async def prepare(self) -> None:
        """Ends the service where an embedder cannot be loaded: it would never become ready.

        A server of embeddings that does not answer is asked until it does.
        """
        try:
            for name in defaults.embedders_at_start(self._preferred_embedder):
                await self._load(name)
            self._embedder = "ready"
        except LookalikeError as error:
            self._embedder = f"failed: {error.text}"
            log.error("an embedder of new collections cannot be loaded: %s", error.text)
            if MAIN_PID in os.environ:
                os.kill(int(os.environ[MAIN_PID]), START_FAILED)

    async def _load(self, name: str) -> None:
        while True:
            try:
                return await self._components.embedding.load_embedder(name)
            except Unavailable as error:
                reason = f"waiting: {error.text}"
                if reason != self._embedder:
                    log.warning("the embedder %s: %s", name, reason)
                self._embedder = reason
                await asyncio.sleep(EMBEDDER_RETRY_SECONDS)

    async def report(self) -> tuple[bool, dict[str, Any]]:
        try:
            engine = await self._components.engine.health()
        except LookalikeError as error:
            return False, {"engine": error.text, "embedder": self._embedder}
        ready = self._embedder == "ready"
        return ready, {"engine": engine, "embedder": self._embedder}


async def keep_refreshing(cache: CollectionCache) -> None:
    """Other processes and the command line change collections too."""
    while True:
        with contextlib.suppress(LookalikeError):
            await cache.refresh()
        await asyncio.sleep(CACHE_REFRESH_SECONDS)


async def keep_reading_tokens(app: Litestar, settings: AccessSettings) -> None:
    """The file of tokens may change at any time, and SIGHUP says that it has. What cannot be read
    is logged, and the tokens of before stay."""
    if not settings.tokens_file:
        return
    file = Path(settings.tokens_file)
    asked = asyncio.Event()
    # A process of several gets none: their main process takes it, and starts them anew.
    with contextlib.suppress(ValueError, NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
    seen = _state_of(file)
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asked.wait(), TOKENS_REREAD_SECONDS)
        now = _state_of(file)
        if now == seen and not asked.is_set():
            continue
        asked.clear()
        seen = now
        try:
            app.state.tokens = tokens_from(settings)
            log.warning("the tokens were read again")
        except SettingsError as error:
            log.error("the tokens of before stay: %s", error)


def _state_of(file: Path) -> tuple[int, ...] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


async def end_with_main_process() -> None:
    """Ends an API process whose main process was killed, so that the port is free for the next."""
    main = int(os.environ.get(MAIN_PID, os.getpid()))
    # A process gets no event from the end of its parent, only another parent.
    while main in (os.getpid(), os.getppid()):  # noqa: ASYNC110
        await asyncio.sleep(MAIN_PROCESS_SECONDS)
    log.error("the main process is gone")
    os.kill(os.getpid(), signal.SIGTERM)
