"""Settings for a command: the environment, with the command's own options laid over it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from lookalike.api.setting_checks import check_settings
from lookalike.api.settings import PREFIX, DataSettings, Settings, SettingsError, from_environment

Command = TypeVar("Command", bound=Callable[..., Any])


class SettingsRefused(click.ClickException):
    """One line that names the setting, and the exit code of a command that was called wrongly."""

    exit_code = 2


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
    """Puts the options that were given into the environment too, where API processes find them.

    All settings are checked here, so that no command starts with one that is of no use.
    """
    for name, value in options.items():
        if value is not None:
            os.environ[PREFIX + name.upper()] = str(value)
    try:
        settings = from_environment()
        check_settings(settings)
    except SettingsError as error:
        raise SettingsRefused(str(error)) from None
    return settings
