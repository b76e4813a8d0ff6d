"""docs/configuration.md says what the settings are, word by word."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import msgspec

from lookalike.api import settings
from lookalike.api.settings import PREFIX, Settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
ROW = re.compile(r"^\| `(LOOKALIKE_\w+)` \| (?:`(.*)`)? ?\| (.*) \|$", re.MULTILINE)


def documented_in_code() -> dict[str, tuple[str, str]]:
    tree = ast.parse(Path(settings.__file__).read_text())
    (struct,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Settings")
    docstrings = {
        field.target.id: line.value.value
        for field, line in zip(struct.body, struct.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(line, ast.Expr)
        and isinstance(line.value, ast.Constant)
    }
    return {
        PREFIX + field.name.upper(): (as_text(field.default), str(docstrings[field.name]))
        for field in msgspec.structs.fields(Settings)
    }


def as_text(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default == () else str(default)


def test_every_setting_has_its_row_with_the_default_and_the_docstring() -> None:
    rows = {name: (default, text) for name, default, text in ROW.findall(PAGE.read_text())}
    assert rows == documented_in_code()
