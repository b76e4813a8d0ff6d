"""The ids of a collection in slices: what cuts a long read into exact parts.

A call into the engine cannot be interrupted, and a search with a condition that no index serves
looks at every point of the collection. The condition that an id is one of a few hundred makes the
engine look at those alone, whatever the size of the collection; so the answers for all slices
together are the answer for the collection.

Slices follow the order of the ids: integers, then UUIDs. Each begins at an id and ends before the
next one's. A point keeps its id, so a point that is there all along is in exactly one slice of a
read, whatever is written meanwhile.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable

import qdrant_edge as edge

from lookalike.adapter.engines.embedded.worker.validation import EdgeId

SLICE_IDS = 400
"""A condition without an index takes 3 to 4 us a point: 1.5 ms a slice."""
MOST_KEPT = 2_500
"""Slices whose conditions stay in memory, some 50 bytes an id; others are made anew each time."""

Key = tuple[int, int | str]
FIRST: Key = (0, -1)


def order_of(identity: EdgeId) -> Key:
    """The place of an id in the engine's order."""
    return (0, identity) if isinstance(identity, int) else (1, str(identity))


class IdSlices:
    """The slices of one collection, read when they are needed and kept until an id is new."""

    def __init__(self) -> None:
        self._starts: list[Key] = [FIRST]
        self._conditions: list[edge.HasIdCondition | None] = [None]
        self._kept = 0

    def at(self, begin: Key, shard: edge.EdgeShard) -> tuple[edge.HasIdCondition, Key | None]:
        """The slice in which `begin` lies, and where the next one begins, if there is one."""
        index = bisect.bisect_right(self._starts, begin) - 1
        condition = self._conditions[index]
        if condition is None:
            condition = self._read(index, shard)
            if self._kept < MOST_KEPT:
                self._conditions[index] = condition
                self._kept += 1
        return condition, self._next(index)

    def note_new(self, ids: Iterable[EdgeId]) -> None:
        """Points with these ids may be new."""
        for identity in ids:
            index = bisect.bisect_right(self._starts, order_of(identity)) - 1
            if self._conditions[index] is not None:
                self._conditions[index] = None
                self._kept -= 1

    def _next(self, index: int) -> Key | None:
        return self._starts[index + 1] if index + 1 < len(self._starts) else None

    def _read(self, index: int, shard: edge.EdgeShard) -> edge.HasIdCondition:
        """A slice that has grown to twice its size becomes two."""
        start, end = self._starts[index], self._next(index)
        records, _ = shard.scroll(
            edge.ScrollRequest(
                offset=None if start == FIRST else start[1],
                limit=2 * SLICE_IDS + 1,
                with_payload=False,
                with_vector=False,
            )
        )
        ids = [record.id for record in records]
        beyond = len(ids)
        if end is not None:
            beyond = bisect.bisect_left(ids, end, key=order_of)
        if beyond > 2 * SLICE_IDS:
            beyond = SLICE_IDS
            self._starts.insert(index + 1, order_of(ids[beyond]))
            self._conditions.insert(index + 1, None)
        return edge.HasIdCondition(set(ids[:beyond]))
