"""One name for one thing: who searches the code for a name finds one answer.

Modules, packages, classes and functions at top level count, unless they begin with an underscore.
A function may have the name of its own module: it is what the module is there for.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Shared(NamedTuple):
    """Why a name may stand in several files. A `*` of the pattern goes across folders."""

    files: str
    reason: str


SHARED = {
    "load": Shared("lookalike/embedders/*", "what the entry point of an embedder names"),
    "service": Shared("lookalike/adapter/*/service.py", "what one room offers to those above"),
    "main": Shared("lookalike/*", "where a process starts"),
}


def test_a_name_stands_for_one_thing() -> None:
    places: dict[str, set[Path]] = defaultdict(set)
    for path in sorted((ROOT / "lookalike").rglob("*.py")):
        for name in names(path):
            places[name].add(path.relative_to(ROOT))
    twice = {
        name: sorted(map(str, paths))
        for name, paths in places.items()
        if len(paths) > 1 and not may_share(name, paths)
    }
    assert twice == {}


def test_what_may_be_shared_is_shared() -> None:
    found = [name for path in (ROOT / "lookalike").rglob("*.py") for name in set(names(path))]
    assert [name for name in SHARED if found.count(name) < 2] == []


def names(path: Path) -> Iterator[str]:
    """The name of a module or package, and those that it defines at top level."""
    yield path.parent.name if path.stem == "__init__" else path.stem
    for node in ast.parse(path.read_text()).body:
        if isinstance(
            node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and not node.name.startswith("_"):
            yield node.name


def may_share(name: str, paths: set[Path]) -> bool:
    allowed = SHARED.get(name)
    return allowed is not None and all(
        fnmatchcase(path.as_posix(), allowed.files) for path in paths
    )
