"""Options of a command, made of the fields of a settings struct: a new setting is a new option."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click
import msgspec
from msgspec import NODEFAULT, inspect

NAMES = {
    "fields_to_index": "--index",
    "shard_number": "--shards",
    "replication_factor": "--replicas",
}
"""Options whose name is not that of the field, with dashes."""


def option_fields(struct: type[msgspec.Struct]) -> Iterator[inspect.Field]:
    """The fields with options, those of inner structs in place of them."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    for field in info.fields:
        if isinstance(field.type, inspect.StructType):
            yield from option_fields(field.type.cls)
        else:
            yield field


def setting_options(
    struct: type[msgspec.Struct], *, without: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that gives a click command one option for each field of `struct`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for field in reversed(list(option_fields(struct))):
            if field.name not in without:
                command = _option(field)(command)
        return command

    return decorate


def settings_given(struct: type[msgspec.Struct], values: dict[str, Any]) -> dict[str, Any]:
    """The values of options as the body of a request: inner structs are objects again.

    An option that was not given is left out.
    """
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    given: dict[str, Any] = {}
    for field in info.fields:
        if isinstance(field.type, inspect.StructType):
            given[field.encode_name] = settings_given(field.type.cls, values)
        elif values.get(field.name) not in (None, ()):
            given[field.encode_name] = values[field.name]
    return given


def _option(field: inspect.Field) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    kind, help_text = _unwrapped(field.type)
    name = NAMES.get(field.name, "--" + field.name.replace("_", "-"))
    options: dict[str, Any] = {"help": help_text}
    if isinstance(kind, inspect.BoolType):
        # A flag that is not given is left to the default of the field, whatever that is.
        name = f"{name}/{name.replace('--', '--no-', 1)}"
        options["default"] = None
    elif isinstance(kind, inspect.VarTupleType):
        options |= {"multiple": True, "type": _click_type(_item_type(kind))}
    else:
        options["type"] = _click_type(kind)
        if field.default not in (NODEFAULT, None):
            options |= {"default": field.default, "show_default": True}
    return click.option(name, field.name, **options)


def _unwrapped(kind: inspect.Type) -> tuple[inspect.Type, str]:
    """The type of a value that is given, and the description of the field."""
    help_text = ""
    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        if isinstance(kind, inspect.Metadata):
            help_text = help_text or (kind.extra_json_schema or {}).get("description", "")
            kind = kind.type
        else:
            (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
    return kind, help_text


def _item_type(kind: inspect.VarTupleType) -> inspect.Type:
    """The type of an item as it is written on the command line: of a union, the one that is no
    struct."""
    item = kind.item_type
    if isinstance(item, inspect.UnionType):
        (item,) = (one for one in item.types if not isinstance(one, inspect.StructType))
    return _unwrapped(item)[0]


def _click_type(kind: inspect.Type) -> click.ParamType[Any]:
    if isinstance(kind, inspect.LiteralType):
        return click.Choice([str(value) for value in kind.values])
    if isinstance(kind, inspect.IntType):
        return click.IntRange(min=kind.ge, max=kind.le)
    if isinstance(kind, inspect.FloatType):
        return click.FloatRange(min=kind.ge, max=kind.le)
    return click.STRING
