"""docs/configuration.md says what the settings are, word by word."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import msgspec

from lookalike.api.settings import PREFIX, setting_fields, setting_groups

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
ROW = re.compile(r"^\| `(LOOKALIKE_\w+)` \| (?:`(.*)`)? ?\| (.*) \|$", re.MULTILINE)


def documented_in_code() -> dict[str, tuple[str, str]]:
    return {
        PREFIX + field.encode_name.upper(): (as_text(field.default), docstrings[field.name])
        for group in setting_groups().values()
        for docstrings in [docstrings_of(group)]
        for field in setting_fields(group)
    }


def docstrings_of(group: type[msgspec.Struct]) -> dict[str, str]:
    """The text under each field of a struct."""
    (struct,) = ast.parse(inspect.getsource(group)).body
    assert isinstance(struct, ast.ClassDef)
    return {
        field.target.id: str(line.value.value)
        for field, line in zip(struct.body, struct.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(line, ast.Expr)
        and isinstance(line.value, ast.Constant)
    }


def as_text(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default == () else str(default)


def test_every_setting_has_its_row_with_the_default_and_the_docstring() -> None:
    rows = {name: (default, text) for name, default, text in ROW.findall(PAGE.read_text())}
    assert rows == documented_in_code()
