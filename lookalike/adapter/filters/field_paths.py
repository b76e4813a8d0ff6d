"""Dotted paths: which values of a record a path means, and how the engine spells the path.

The two differ. MongoDB goes through an array wherever it meets one on the way, and a step of
digits is a key or an index. The engine goes through an array only where the path says `[]`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Final

from lookalike.adapter.errors import InvalidRequest
from lookalike.adapter.filters.json_values import MISSING
from lookalike.adapter.filters.tree import Path
from lookalike.adapter.point_layout import RESERVED_KEY

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_INDEX: Final = re.compile(r"[0-9]+")

RESERVED: Final = f"the field {RESERVED_KEY} is reserved"
MAX_PATH_CHARS: Final = 512
MAX_STEPS: Final = 32
MAX_VARIANTS: Final = 16
"""A path of n steps has 2**(n - 1) spellings. Deeper paths are left to `match`."""


def split_path(dotted: str) -> Path:
    return tuple(dotted.split("."))


def fault_of_path(dotted: str) -> str | None:
    """Why no request may name the field at this path, or None."""
    if len(dotted) > MAX_PATH_CHARS:
        return f"a path of more than {MAX_PATH_CHARS} characters"
    if dotted.count(".") >= MAX_STEPS:
        return f"a path of more than {MAX_STEPS} steps"
    return RESERVED if is_reserved(dotted) else None


def is_reserved(dotted: str) -> bool:
    """Whether a field, or the one at a path, is our own."""
    return dotted.partition(".")[0] == RESERVED_KEY


def check_field(dotted: str, place: str) -> None:
    """Raises InvalidRequest for a field that no request may name."""
    if (fault := fault_of_path(dotted)) is not None:
        raise InvalidRequest(fault, place=place)


def is_index(step: str) -> bool:
    return _INDEX.fullmatch(step) is not None


def ambiguous(path: Path) -> bool:
    """True if a step may be an array index. The first never is: a record is an object."""
    return any(is_index(step) for step in path[1:])


def candidates(value: object, path: Path, *, leaf: bool) -> Iterator[object]:
    """The values of `path` that a test may be satisfied by; `MISSING` where the path ends early.

    `leaf`: an array at the end of the path stands for its elements as well as for itself. The
    order of the rules is that of MongoDB's `BSONElementIterator`
    (https://github.com/mongodb/mongo/blob/master/src/mongo/db/matcher/path.cpp).
    """
    if not path:
        yield value
    elif isinstance(value, Mapping):
        yield from _in_object(value, path, 0, leaf)
    elif isinstance(value, list):  # an array as the document of $elemMatch
        yield from _in_object({str(i): item for i, item in enumerate(value)}, path, 0, leaf)


def _in_object(value: Mapping[str, object], path: Path, at: int, leaf: bool) -> Iterator[object]:
    last = len(path) - 1
    found = value.get(path[at], MISSING)
    while at < last and isinstance(found, dict):
        at += 1
        found = found.get(path[at], MISSING)
    if isinstance(found, list):
        if at < last:
            yield from _in_array(found, path, at + 1, leaf)
            return
        if leaf:
            yield from found
        yield found
    else:
        yield found if at == last else MISSING


def _in_array(items: list[object], path: Path, at: int, leaf: bool) -> Iterator[object]:
    step = path[at]
    indexed = is_index(step)
    for index, item in enumerate(items):
        if isinstance(item, dict):
            yield from _in_object(item, path, at, leaf)
        if indexed and str(index) == step:
            if at == len(path) - 1:
                yield item  # itself only: an index does not look into what it finds
            elif isinstance(item, dict):
                yield from _in_object(item, path, at + 1, leaf)
            elif isinstance(item, list):
                yield from _in_array(item, path, at + 1, leaf)


def engine_key(path: Path) -> str | None:
    """The path as the engine spells it, through objects only; None if the engine cannot say it."""
    steps = [_quoted(step) for step in path]
    return None if None in steps else ".".join(step for step in steps if step is not None)


def _quoted(step: str) -> str | None:
    if _PLAIN_KEY.fullmatch(step):
        return step
    return f'"{step}"' if step and '"' not in step and "\\" not in step else None


def array_spellings(path: Path) -> list[tuple[str, tuple[Path, ...]]]:
    """Every spelling of `path` that goes through at least one array on the way.

    Each comes with the prefixes that must be arrays for it to mean anything. Empty if the path
    has one step; the caller checks `MAX_VARIANTS` and that every step can be spelled.
    """
    steps = [_quoted(step) or "" for step in path]
    found = []
    for marks in itertools.product(("", "[]"), repeat=len(path) - 1):
        if any(marks):
            marked = [step + mark for step, mark in zip(steps, (*marks, ""), strict=True)]
            arrays = tuple(path[: i + 1] for i, mark in enumerate(marks) if mark)
            found.append((".".join(marked), arrays))
    return found


def index_spellings(path: Path) -> list[str]:
    """Every spelling of an ambiguous path: steps through arrays or not, as keys or indices."""
    choices: list[list[str]] = [[_quoted(path[0]) or ""]]
    for step in path[1:]:
        spelled = [f".{_quoted(step) or ''}", f"[].{_quoted(step) or ''}"]
        # The engine reads indices as machine integers; a longer one names no element.
        choices.append([*spelled, f"[{step}]"] if is_index(step) and len(step) < 10 else spelled)
    return ["".join(parts) for parts in itertools.product(*choices)]
