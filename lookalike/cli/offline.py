"""Components for a command: on the running service's engine, or on one of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import click

from lookalike.adapter.engines.embedded.supervisor import is_data_folder, running_socket
from lookalike.adapter.errors import LookalikeError
from lookalike.api.components import Components, connect_engine
from lookalike.api.settings import Settings
from lookalike.cli.options import SettingsRefused
from lookalike.cli.own_engine import own_engine

T = TypeVar("T")


def run_with_components(
    settings: Settings,
    action: Callable[[Components], Awaitable[T]],
    *,
    makes_folder: bool = False,
) -> T:
    """Runs `action`; errors are shown as one line, without a traceback.

    `makes_folder`: a data folder that is missing is made. Whoever only reads or changes what is
    there is told that nothing is.
    """

    async def run() -> T:
        async with open_components(settings, makes_folder) as components:
            return await action(components)

    try:
        return asyncio.run(run())
    except (LookalikeError, OSError) as error:
        raise click.ClickException(str(error)) from None


@contextlib.asynccontextmanager
async def open_components(settings: Settings, makes_folder: bool) -> AsyncIterator[Components]:
    with engine_socket(settings, makes_folder) as socket:
        components = Components(settings, await connect_engine(settings, socket))
        try:
            await components.cache.refresh()
            yield components
        finally:
            await components.close()


@contextlib.contextmanager
def engine_socket(settings: Settings, makes_folder: bool) -> Iterator[Path | None]:
    """The socket of the running service's engine, or of one that is started for the command; None
    with a Qdrant server."""
    if settings.qdrant.url:
        yield None
        return
    folder = Path(settings.data.folder)
    running = running_socket(folder)
    if running is not None:
        yield running
        return
    if not makes_folder and not is_data_folder(folder):
        raise SettingsRefused(f"LOOKALIKE_DATA: no service has stored anything in {folder}")
    with own_engine(settings) as socket:
        yield socket
