"""CONTRIBUTING.md, docs/architecture.md and docs/decisions/ name what is in the tree.

A path in backticks exists. Names behind an arrow that follows it, as in
`lookalike/adapter/limits.py` → `Limits.max_results`, are defined in that file. So a rename breaks
the page that it concerns.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MAP = ROOT / "CONTRIBUTING.md"
DECISIONS = ROOT / "docs" / "decisions"
PAGES = [MAP, ROOT / "docs" / "architecture.md", *sorted(DECISIONS.glob("*.md"))]

FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
REFERENCE = re.compile(r"`([^`]+)`(?:\s+→\s+(`[^`]+`(?:,\s+`[^`]+`)*))?")
PATH = re.compile(
    r"(?:lookalike|tests|docs|benchmarks|compose|\.ci|\.github)/[\w./-]*"
    r"|[\w./-]+\.(?:py|md|toml|ya?ml)|Makefile"
)
MEMBER = re.compile(r"[A-Z]\w*\.\w+")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def references(page: str) -> Iterator[tuple[str, list[str]]]:
    """What stands in backticks outside of code blocks, each with the names behind its arrow."""
    for found in REFERENCE.finditer(FENCED.sub("", page)):
        yield found[1], re.findall(r"`([^`]+)`", found[2] or "")


def faults(page: str, root: Path = ROOT) -> list[str]:
    """Paths of a page that do not exist, and names that their files do not define.

    A `Class.member` without an arrow is to be in one of the files that the page names.
    """
    wrong: list[str] = []
    files = {root / text for text, _ in references(page) if PATH.fullmatch(text)}
    known = {name for file in files if file.exists() for name in defined(file)}
    for text, names in references(page):
        file = root / text
        if MEMBER.fullmatch(text) and file not in files and text not in known:
            wrong.append(f"no file of the page defines {text}")
        elif PATH.fullmatch(text) is None:
            wrong += [f"{text} is no path, but {names} are to be in it"] if names else []
        elif not file.exists():
            wrong.append(f"{text} does not exist")
        elif names:
            wrong += [f"{text} defines no {name}" for name in names if name not in defined(file)]
    return wrong


def defined(file: Path) -> set[str]:
    """The names of a module, a TOML file (`tool.ruff`) or a Makefile (its targets)."""
    if file.is_dir():
        return set()
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return set(names_in(ast.parse(text).body))
    if file.suffix == ".toml":
        return set(keys_in(tomllib.loads(text)))
    return set(re.findall(r"^([\w-]+):", text, re.MULTILINE))


def names_in(body: Iterable[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Top-level names, and those of classes as `Class.member`."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from names_in(node.body, f"{prefix}{node.name}.")
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            parts = target.elts if isinstance(target, ast.Tuple) else [target]
            yield from (prefix + part.id for part in parts if isinstance(part, ast.Name))


def keys_in(table: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from keys_in(value, f"{prefix}{key}.")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_exist_and_define_the_names_beside_them(page: Path) -> None:
    assert faults(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_answer_to_where_do_i_change_is_one_step_away() -> None:
    section = MAP.read_text(encoding="utf-8").partition("## Where do I change")[2]
    rows = re.findall(r"^\| (?!---|what \|)(.+?) \| (.+) \|$", section, re.MULTILINE)
    assert len(rows) >= 30
    first = [(question, next(references(answer), ("", []))) for question, answer in rows]
    assert [question for question, (_, names) in first if not names] == []


def test_every_room_is_in_the_picture() -> None:
    picture = re.findall(r"^```text\n(.*?)^```", MAP.read_text(encoding="utf-8"), re.M | re.S)[0]
    rooms = {init.parent.name for init in (ROOT / "lookalike").rglob("__init__.py")}
    assert [room for room in sorted(rooms) if f"{room}/" not in picture] == []


def test_every_decision_is_in_the_index_and_on_one_page() -> None:
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    pages = [page for page in DECISIONS.glob("*.md") if page.name != "README.md"]
    assert [page.name for page in pages if f"({page.name})" not in index] == []
    assert [page.name for page in pages if len(page.read_text("utf-8").splitlines()) > 60] == []


def test_what_is_not_in_the_tree_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("X, Y = 1, 2\nclass C:\n    z: int = 0\n    def f(self): ...\n")
    (tmp_path / "p.toml").write_text("[tool.ruff]\nline-length = 100\n")
    (tmp_path / "Makefile").write_text("run: a\n\techo\n")
    names = "`a.py` → `X`, `Y`, `C`, `C.z`,\n`C.f` and `word`, `C.f`\n"
    others = "`p.toml` → `tool.ruff`; `Makefile` → `run`\n\n```\n`b.py`\n```\n"
    assert faults(names + others, tmp_path) == []
    for bad in (
        "`b.py`",
        "`docs/x`",
        "`a.py` → `Z`",
        "`a.py` → `X`,\n`C.g`",
        "`word` → `X`",
        "`C.g`",
    ):
        assert len(faults(bad, tmp_path)) == 1, bad
