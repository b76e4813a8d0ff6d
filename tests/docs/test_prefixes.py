"""README.md and docs/api.md name the service prefixes that there are, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from lookalike.api.request_paths import PREFIX_TYPES, UNSUPPORTED

ROOT = Path(__file__).parents[2]
API_PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def test_the_table_has_every_prefix_beside_its_type() -> None:
    table = API_PAGE.partition("| type of the collection | prefixes |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (?:`(\w+)`|any) \| (.+) \|$", table, re.MULTILINE)
    shown = [
        (prefix, type_ or None) for type_, row in rows for prefix in re.findall("`(.*?)`", row)
    ]
    assert len(shown) == len(PREFIX_TYPES)
    assert dict(shown) == PREFIX_TYPES


def test_the_readme_has_every_prefix() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("Every service prefix of the provider is answered")[2]
    shown = re.findall("`([^`]+)/v2/`", section.partition("\n\n")[0])
    assert sorted(shown) == sorted(PREFIX_TYPES)


def test_every_method_that_is_refused_is_named() -> None:
    assert [name for name in UNSUPPORTED if f"`{name}`" not in API_PAGE] == []
