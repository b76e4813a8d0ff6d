"""Shadow tokens: what a record's values are, in words that an index can serve.

The engine cannot tell `[]` from a missing field, and scans every record for `is_empty` and for
booleans without an index. So each record carries, in one keyword-indexed list, a token for each
type of value that each of its paths leads to: `sbrand` (a string at `brand`), `Tin_stock`
(true at `in_stock`), `#3 tags` (an array of three). A flat record has one token per field.

The letters:

    s string        t string that is an ISO 8601 date or date and time     n null
    i int32         l int64, beyond int32      f double                    T true   F false
    o object        O empty object
    a array         A array that no path leads through: it has no objects in it
    N array in an array                        E empty array in an array
    u no value, beside a value in another element of an array of objects
    # size of an array, then a space

Paths go through arrays as MongoDB's do: `svariants.size` is a string at `size` of any element of
`variants`. Keys with a dot in them cannot be reached by a path, and steps of digits are never
decided by tokens: both get none, and so does the record's reserved key.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from lookalike.adapter.filters.field_paths import is_index
from lookalike.adapter.filters.json_values import MISSING, type_name
from lookalike.adapter.filters.tree import Path
from lookalike.adapter.point_layout import RESERVED_KEY

SHADOW_KEY: Final = "shadow"
SHADOW_PATH: Final = f"{RESERVED_KEY}.{SHADOW_KEY}"
"""Where the tokens are kept in a payload. The field needs a keyword index."""

TRUNCATED: Final = "!"
"""The token of a record with more tokens than are kept: an absent one says nothing there."""

MAX_TOKENS: Final = 256
MAX_BYTES: Final = 8192
MAX_PATH_BYTES: Final = 64
"""Longer paths are replaced by their hash."""
MAX_LOOKUPS: Final = 65_536
"""Bounds the work on an array of many objects with many different keys."""

PRESENT: Final = "stnilfTFoOaANE"
"""A path that exists has at least one of these letters."""

_LETTERS: Final = {"int": "i", "long": "l", "double": "f", "null": "n", "missing": "u"}

_ISO: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII
)
_DAY: Final = re.compile(r"(\d{4})(?:\Z|-(\d\d)(?:\Z|-(\d\d)))", re.ASCII)


def token(letter: str, path: Path) -> str:
    return letter + path_name(path)


def size_token(size: int, path: Path) -> str:
    return f"#{size} {path_name(path)}"


def path_name(path: Path) -> str:
    """The path in a token. `~` begins a hash, and only a hash."""
    name = ".".join(path)
    data = name.encode("utf-8", "replace")
    if len(data) <= MAX_PATH_BYTES and not name.startswith("~"):
        return name
    return "~" + hashlib.blake2b(data, digest_size=16).hexdigest()


def is_iso(text: str) -> bool:
    """A calendar date, or date, time and zone, in the one form where text order follows time.

    The engine reads these forms as instants; every other string is none for our purposes.
    """
    if not _ISO.fullmatch(text):
        return False
    try:
        return datetime.datetime.fromisoformat(text).year > 1
    except ValueError:
        return False


def first_day(text: str) -> datetime.datetime | None:
    """The day that a text begins with, or the first of the month or year; None if with none.

    A text of the form of `is_iso` that is not smaller than `text` is not of an earlier day, and one
    that is not greater is not of a later one.
    """
    found = _DAY.match(text)
    if found is None:
        return None
    year, month, day = (int(part or 1) for part in found.groups())
    try:
        # Years at the ends of the calendar leave no room for the zones.
        return datetime.datetime(year, month, day, tzinfo=datetime.UTC) if 1 < year < 9999 else None
    except ValueError:
        return None


def letter(value: object) -> str:
    """The letter of a value at the end of a path. Of an array in an array: `N` or `E`."""
    if isinstance(value, str):
        return "t" if is_iso(value) else "s"
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, list):
        return "N" if value else "E"
    if isinstance(value, dict):
        return "o" if value else "O"
    return _LETTERS[type_name(value)]


def shadow_tokens(record: Mapping[str, object]) -> list[str]:
    """The tokens of a record, sorted, without duplicates, within `MAX_TOKENS` and `MAX_BYTES`.

    A top-level field is in with all of its tokens or with none, in which case the list holds
    `TRUNCATED`. `record` is what is stored: the user's fields, with or without our own.
    """
    kept: set[str] = set()
    size_bytes = 0
    truncated = False
    for key, value in record.items():
        if key == RESERVED_KEY or "." in key:
            continue
        room = MAX_TOKENS - 1 - len(kept)
        tokens = _field_tokens(key, value, room) if room > 0 else None
        field_bytes = sum(len(t.encode("utf-8", "replace")) for t in tokens or ())
        if tokens is None or size_bytes + field_bytes > MAX_BYTES:
            truncated = True
            continue
        kept |= tokens
        size_bytes += field_bytes
    if truncated:
        kept.add(TRUNCATED)
    return sorted(kept)


def _field_tokens(key: str, value: object, room: int) -> set[str] | None:
    """All tokens of one top-level field; None if they are more than `room`."""
    if not isinstance(value, (list, dict)):
        return {token(letter(value), (key,))}
    found: set[str] = set()
    lookups = 0
    pending: list[tuple[Path, list[object]]] = [((key,), [value])]
    while pending:
        path, values = pending.pop()
        found |= _path_tokens(path, values)
        objects, dead_end = _branches(values)
        keys = _steps(objects)
        lookups += len(keys) * len(objects)
        if len(found) + len(keys) > room or lookups > MAX_LOOKUPS:
            return None
        rest: list[object] = [MISSING] if dead_end else []
        pending.extend(
            ((*path, step), [each.get(step, MISSING) for each in objects] + rest) for step in keys
        )
    return found


def _path_tokens(path: Path, values: Iterable[object]) -> set[str]:
    """The tokens of one path, given the values that it leads to, arrays not yet opened."""
    letters: set[str] = set()
    found: set[str] = set()
    closed = all(isinstance(v, list) and not any(isinstance(i, dict) for i in v) for v in values)
    for value in values:
        if isinstance(value, list):
            letters.add("A" if closed else "a")
            letters.update(letter(item) for item in value)
            found.add(size_token(len(value), path))
        else:
            letters.add(letter(value))
    name = path_name(path)
    return found | {each + name for each in letters}


def _branches(values: Iterable[object]) -> tuple[list[dict[str, object]], bool]:
    """The objects that a path goes on through, and whether it also ends at a value without fields.

    An element of an array that is no object is not an end: paths do not see it.
    """
    objects: list[dict[str, object]] = []
    dead_end = False
    for value in values:
        if isinstance(value, dict):
            objects.append(value)
        elif isinstance(value, list):
            objects.extend(item for item in value if isinstance(item, dict))
        else:
            dead_end = True
    return objects, dead_end


def _steps(objects: Iterable[Mapping[str, object]]) -> list[str]:
    keys = dict.fromkeys(key for each in objects for key in each)
    return [key for key in keys if "." not in key and not is_index(key)]
