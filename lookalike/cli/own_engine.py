"""The embedded engine of a command: started for it, and stopped after it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click

from lookalike.adapter.engines.embedded.supervisor import DataFolderLocked, Supervisor
from lookalike.api.settings import Settings
from lookalike.cli.options import SettingsRefused


@contextlib.contextmanager
def own_engine(settings: Settings) -> Iterator[Path]:
    """The socket of an engine on the data folder, which is made where it is missing.

    A folder that cannot be used is a fault of the setting; one that is in use is none.
    """
    engine = Supervisor(Path(settings.data.folder), settings.worker)
    try:
        engine.start()
    except DataFolderLocked as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise SettingsRefused(
            f"LOOKALIKE_DATA: the folder {settings.data.folder} cannot be used: {error.strerror}"
        ) from None
    try:
        yield engine.socket_path
    finally:
        engine.stop()
