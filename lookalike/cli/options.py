"""Settings for a command: the environment, with the command's own options laid over it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from lookalike.api.settings import PREFIX, DataSettings, Settings, SettingsError, from_environment

Command = TypeVar("Command", bound=Callable[..., Any])


def variable_option(
    group: type[msgspec.Struct], name: str, help_text: str, **kind: Any
) -> Callable[[Command], Command]:
    """An option for one setting, which the help names with its variable and default."""
    (field,) = (one for one in msgspec.structs.fields(group) if one.encode_name == name)
    variable = PREFIX + name.upper()
    text = f"{help_text}  [{variable}, default {field.default}]"
    return click.option(f"--{name}", help=text, **kind)


data_option = variable_option(DataSettings, "data", "Data folder.")


def settings_with(**options: str | int | None) -> Settings:
    """Puts the options that were given into the environment too, where API processes find them."""
    for name, value in options.items():
        if value is not None:
            os.environ[PREFIX + name.upper()] = str(value)
    try:
        return from_environment()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
