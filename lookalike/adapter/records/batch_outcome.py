"""What became of a batch in which one bad record never sinks the others."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from lookalike.adapter.errors import RecordRefused
from lookalike.adapter.records.points import Record

T = TypeVar("T")


class Outcome(msgspec.Struct, Generic[T]):
    """What became of a batch: `done` in the order of the request, `refused` with the reasons."""

    done: list[T]
    refused: list[tuple[Record, RecordRefused]]


class Updated(Outcome[Record]):
    """What became of an update."""

    missing: int = 0
    """How many different records are not there."""
    unread: list[str] = []
    """`_id`s of records whose new image was not read: their vectors are of the former one."""
