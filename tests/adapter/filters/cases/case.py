"""What a query case is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """`empty`: no record may be found. Otherwise one must be, or the case proves nothing."""

    name: str
    filter: dict[str, Any]
    empty: bool = False


def named(group: str, cases: dict[str, dict[str, Any]], empty: str = "") -> list[Case]:
    """The cases of one group; `empty` names those that find nothing."""
    unknown = set(empty.split()) - cases.keys()
    assert not unknown, unknown
    return [Case(f"{group}/{name}", f, name in empty.split()) for name, f in cases.items()]
