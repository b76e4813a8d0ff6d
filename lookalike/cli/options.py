"""Settings for a command: the environment, with the command's own options laid over it."""

from __future__ import annotations

import os

import click

from lookalike.api.settings import PREFIX, Settings, SettingsError, from_environment

data_option = click.option("--data", help="Data folder.  [LOOKALIKE_DATA, default ./data]")


def settings_with(**options: str | int | None) -> Settings:
    """Puts the options that were given into the environment too, where API processes find them."""
    for name, value in options.items():
        if value is not None:
            os.environ[PREFIX + name.upper()] = str(value)
    try:
        return from_environment()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
