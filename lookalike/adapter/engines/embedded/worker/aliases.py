"""Aliases: id -> collection. Each collection of ours knows its id, so a lost file is made again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from lookalike.adapter.engines.embedded.worker.files import write_file


def read_alias_file(file: Path) -> dict[str, str] | None:
    """None where the file is missing or cannot be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def write_aliases(file: Path, aliases: dict[str, str]) -> None:
    write_file(file, msgspec.json.format(msgspec.json.encode(aliases), indent=1))


def repair_aliases(
    found: Mapping[str, str] | None, ids: Mapping[str, str | None]
) -> dict[str, str]:
    """The aliases as they must have been. `ids`: collection -> the id that its metadata has.

    An alias that names a collection of another id is damaged; so is one without its collection,
    unless the collection was being deleted. Without the file every id stands for a collection that
    has it, the oldest of several: a newer one was being imported, or had not replaced it yet.
    """
    by_id: dict[str, str] = {}
    for name in sorted(ids, key=_age):
        if (id_ := ids[name]) is not None:
            by_id.setdefault(id_, name)
    if found is None:
        return by_id
    kept = {a: name for a, name in found.items() if name in ids and ids[name] in (None, a)}
    for alias, name in found.items():
        if alias in kept:
            continue
        if alias in by_id:
            kept[alias] = by_id[alias]
        elif (id_ := ids.get(name)) is not None:
            kept.setdefault(id_, name)
    return kept


def _age(name: str) -> tuple[int, str]:
    """Collections of one id are numbered, `…-2` after `…-1`."""
    number = name.rpartition("-")[2]
    return (int(number) if number.isdigit() else 0), name
