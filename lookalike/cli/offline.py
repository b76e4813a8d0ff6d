"""Services for a command: on the running service's engine, or on one of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import click

from lookalike.adapter.engines.embedded.supervisor import (
    DataFolderLocked,
    Supervisor,
    running_socket,
)
from lookalike.adapter.errors import LookalikeError
from lookalike.api.engine_connection import connect
from lookalike.api.services import Services
from lookalike.api.settings import Settings
from lookalike.cli.options import engine_settings

T = TypeVar("T")


def run_with_services(settings: Settings, action: Callable[[Services], Awaitable[T]]) -> T:
    """Runs `action`; errors are shown as one line, without a traceback."""

    async def run() -> T:
        async with open_services(settings) as services:
            return await action(services)

    try:
        return asyncio.run(run())
    except (LookalikeError, DataFolderLocked) as error:
        raise click.ClickException(str(error)) from None


@contextlib.asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    with engine_socket(settings) as socket:
        services = Services(settings, await connect(settings, socket))
        try:
            await services.cache.refresh()
            yield services
        finally:
            await services.close()


@contextlib.contextmanager
def engine_socket(settings: Settings) -> Iterator[Path | None]:
    """The socket of the running service's engine, or of one that is started for the command; None
    with a Qdrant server."""
    if settings.qdrant_url:
        yield None
        return
    folder = Path(settings.data)
    running = running_socket(folder)
    if running is not None:
        yield running
        return
    own = Supervisor(folder, engine_settings(settings))
    own.start()
    try:
        yield own.socket_path
    finally:
        own.stop()
