"""Settings for a command: the environment, with the command's own options laid over it."""

from __future__ import annotations

import os

import click

from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings
from lookalike.api.settings import PREFIX, Settings, SettingsError, from_environment


def settings_with(**options: str | int | None) -> Settings:
    """Puts the options that were given into the environment too, where API processes find them."""
    for name, value in options.items():
        if value is not None:
            os.environ[PREFIX + name.upper()] = str(value)
    try:
        return from_environment()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def engine_settings(settings: Settings) -> WorkerSettings:
    return WorkerSettings(hnsw_threshold_elements=settings.hnsw_threshold_elements)
