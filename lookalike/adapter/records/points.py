"""A user's record and the point that keeps it: ids, payload, and what an answer shows.

A point keeps the record, less what carries image bytes, twice: as its own JSON text under our key
(`RESERVED_KEY`), from which it is read, and field by field at the top level of its payload, for
filters, indexes and whoever looks at it in Qdrant's console. Engines do not give every number back
as it was sent, nor keys in their order; a text they do. The id of a point is derived from the
record's `_id`, so there is no table of ids, writes are idempotent, and a search by id costs one
exchange.
"""

from __future__ import annotations

import math
import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lookalike.adapter.collections.collection_settings import RECORD_TEXT_SINCE, Collection
from lookalike.adapter.errors import InvalidRequest, RecordRefused
from lookalike.adapter.filters import RESERVED, is_reserved
from lookalike.adapter.point_layout import RESERVED_KEY

POINT_ID_NAMESPACE = uuid.UUID("6f3b1c1e-9a55-5d0e-8d2b-0c6f3e1f7a44")
"""Fixed for ever: another namespace would make every stored record unreachable by its `_id`."""

UNSTORED_FIELDS = frozenset(
    {
        # Pixels and their description: images are never kept.
        "_base64",
        "_img_data",
        "_color_space",
        "_crop",
        "noresize",
        # A text query, and fields of an answer that come back when an answer is sent again.
        "_text_data",
        "_descriptor",
        "_distance",
        "_reason",
        "_status",
    }
)

MAX_RECORD_ID_CHARACTERS = 1024
MAX_METADATA_DEPTH = 32
MAX_METADATA_BYTES = 256 * 1024
LARGEST_DOUBLE = int(sys.float_info.max)
_DATA_URL = re.compile(r"\s*data:", re.IGNORECASE)

Record = dict[str, Any]

RECORD_TEXT = "record"
RECORD_TEXT_PATH = f"{RESERVED_KEY}.{RECORD_TEXT}"
"""The record's own JSON text, in the payload."""

_DECODER = msgspec.json.Decoder(Record)


def point_id(record_id: str) -> str:
    """The id of the point that keeps the record: UUIDv5 of its `_id`, as a string."""
    return str(uuid.uuid5(POINT_ID_NAMESPACE, record_id))


def record_id(value: object, place: str) -> str:
    """A record's `_id` as we keep it: a string; integers become their decimal form.

    Raises InvalidRequest at `place` for anything else, for an empty string and for one that is
    longer than `MAX_RECORD_ID_CHARACTERS`.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise InvalidRequest("_id must be a string or an integer", place=place)
    if not value:
        raise InvalidRequest("_id must not be empty", place=place)
    if len(value) > MAX_RECORD_ID_CHARACTERS:
        raise InvalidRequest(
            f"_id must not be longer than {MAX_RECORD_ID_CHARACTERS} characters", place=place
        )
    return value


def without_pixels(record: Mapping[str, Any]) -> Record:
    """A record as it may be kept and answered: less `UNSTORED_FIELDS`, and less a `_url` that is
    the picture itself (a data URL)."""
    kept = {name: value for name, value in record.items() if name not in UNSTORED_FIELDS}
    url = kept.get("_url")
    if isinstance(url, str) and _DATA_URL.match(url):
        del kept["_url"]
    return kept


def metadata(record: Mapping[str, Any]) -> Record:
    """What is kept of a record: every field but those `without_pixels` leaves out.

    Raises RecordRefused (400), with the place, for nesting beyond `MAX_METADATA_DEPTH`, for numbers
    that no filter could compare (beyond all doubles), for our reserved key, and for more than
    `MAX_METADATA_BYTES` of JSON.
    """
    kept = without_pixels(record)
    if RESERVED_KEY in kept:
        raise RecordRefused(400, RESERVED)
    _check_values(kept)
    if len(msgspec.json.encode(kept)) > MAX_METADATA_BYTES:
        raise RecordRefused(400, f"the metadata is larger than {MAX_METADATA_BYTES} bytes")
    return kept


def _check_values(root: Record) -> None:
    """A loop, not a recursion: the input may be as deep as its sender likes."""
    stack: list[tuple[Any, _Place]] = [(root, _Place())]
    while stack:
        value, place = stack.pop()
        if isinstance(value, dict | list):
            if place.depth == MAX_METADATA_DEPTH:
                raise RecordRefused(
                    400, f"the metadata is nested deeper than {MAX_METADATA_DEPTH} levels: {place}"
                )
            children = value.items() if isinstance(value, dict) else enumerate(value)
            stack.extend((child, _Place(step, place)) for step, child in children)
        elif isinstance(value, int) and abs(value) > LARGEST_DOUBLE:
            raise RecordRefused(400, f"an integer is larger than any double: {place}")
        elif isinstance(value, float) and not math.isfinite(value):
            raise RecordRefused(400, f"a number is not finite: {place}")


class _Place:
    """Where a value is in a record; spelled only for those that are refused."""

    __slots__ = ("depth", "outer", "step")

    def __init__(self, step: str | int = "$", outer: _Place | None = None) -> None:
        self.step = step
        self.outer = outer
        self.depth: int = 0 if outer is None else outer.depth + 1

    def __str__(self) -> str:
        if self.outer is None:
            return "$"
        own = f"[{self.step}]" if isinstance(self.step, int) else f".{self.step[:100]}"
        return f"{self.outer}{own}"


def shown_fields(fields_to_return: Sequence[str] | None) -> frozenset[str] | None:
    """The fields that an answer shows; None stands for all of them (`*`).

    Raises InvalidRequest for our reserved field.
    """
    if fields_to_return is None:
        return frozenset({"_id"})
    for number, field in enumerate(fields_to_return):
        if is_reserved(field):
            raise InvalidRequest(RESERVED, place=f"$.fields_to_return[{number}]")
    return None if "*" in fields_to_return else frozenset(fields_to_return) | {"_id"}


def stored_record(payload: Mapping[str, Any] | None) -> Record:
    """The record that a payload keeps, as it was sent.

    Points of before layout 2 have no text; their fields are the record, as far as the engine gave
    them back exactly.
    """
    payload = payload or {}
    text = (payload.get(RESERVED_KEY) or {}).get(RECORD_TEXT)
    if text is not None:
        record: Record = _DECODER.decode(text)
        return record
    return {name: value for name, value in payload.items() if name != RESERVED_KEY}


PayloadSelector = bool | list[str]


def payload_selector(collection: Collection, fields: frozenset[str] | None) -> PayloadSelector:
    """What to ask the engine for so that `stored_record` has these fields, and `_id`."""
    if fields == frozenset({"_id"}):
        return ["_id"]
    return [RECORD_TEXT_PATH] if collection.schema_version >= RECORD_TEXT_SINCE else True


def shown(record: Mapping[str, Any], fields: frozenset[str] | None) -> Record:
    """The record as an answer shows it: `_id` first, then the asked fields that it has."""
    answer: Record = {"_id": record["_id"]} if "_id" in record else {}
    for name, value in record.items():
        if fields is None or name in fields:
            answer[name] = value
    return answer
