"""Insert only what has no near duplicate, whoever inserts the same picture at the same time.

To look and then to write would be two steps, between which others write. So each record is written
*undecided*, with the rank of its call, and then its neighbours are looked at again. Everybody
writes before the look that counts, so of two near duplicates at least one sees the other:

- A decided neighbour stays. The record is taken back and refused.
- An undecided one of an earlier call goes first. The record is taken back, and tried again once the
  other is settled.
- An undecided one of a later call will see this record and step back, unless it looked before this
  one was there; then it becomes a decided one. Either way it is waited for.
- Without neighbours the record is decided. Only then its insert is answered.

Example: A and B insert one picture, A first. Both write; B sees A, deletes its own point and waits;
A sees B, waits until it is gone, sees nobody, and is decided; B sees that, and is a near duplicate.

Nobody deletes a record that was answered, on any engine, with any number of API processes, and
nothing is locked. A process that is killed leaves an undecided record that was never answered;
whoever has waited for it for `ABANDONED_S` takes it back. Should its process be alive after all, it
finds its record gone, and begins again.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from qdrant_client import models

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.errors import DuplicateRecord, NearDuplicate
from lookalike.adapter.records.bookkeeping import (
    UNDECIDED_PATH,
    WRITE_TOKEN_PATH,
    in_state,
    rank_of,
    token_of,
)
from lookalike.adapter.records.image_sources import Vector
from lookalike.adapter.records.incoming import Incoming
from lookalike.adapter.records.point_writes import PointWrites
from lookalike.adapter.records.points import point_id

ABANDONED_S = 10.0
"""A living process decides within milliseconds. Taking back too early costs a repetition."""
POLL_S = 0.02

Near = list[tuple[str, float]]
"""`_id`s and distances of what is as good as the same, the nearest first."""


class FindNearDuplicates(Protocol):
    async def find_stored(self, vectors: Sequence[Vector]) -> list[Near]:
        """The stored near duplicates of each, in one exchange."""
        ...

    def find_among(self, vector: Vector, others: Mapping[str, Vector]) -> Near:
        """Those among vectors by `_id`."""
        ...


WriteIncoming = Callable[[list[Incoming]], Awaitable[None]]
"""Inserts them; those whose `_id` exists are refused."""


class _Neighbours(msgspec.Struct):
    """The near duplicates of a record, but for those of its own call that are undecided."""

    decided: list[tuple[str, float]]
    ranks: dict[str, str]
    """`_id` -> rank, of the undecided ones."""

    def go_first(self, rank: str) -> bool:
        """Whether one of them is of an earlier call."""
        return any(other < rank for other in self.ranks.values())


class NearDuplicateDecision:
    """One insert that refuses near duplicates, stored or before them in the batch."""

    def __init__(
        self,
        writes: PointWrites,
        collection: Collection,
        find: FindNearDuplicates,
        write: WriteIncoming,
    ) -> None:
        self._writes = writes
        self._engine = writes.engine
        self._collection = collection
        self._find = find
        self._write = write
        # Earlier calls have lower ranks. Clocks that differ are unfair, and do no other harm.
        self._rank = f"{time.time_ns():016x}-{uuid.uuid4().hex}"
        self._first_seen: dict[tuple[str, str], float] = {}

    async def run(self, candidates: list[Incoming]) -> None:
        """Inserts what has no near duplicate, and refuses the others."""
        waiting = [c for c in candidates if c.refusal is None]
        while waiting:
            chosen = await self._choose(waiting)
            written_s = time.monotonic()
            await self._write(chosen)
            settled = await self._settle([c for c in chosen if c.refusal is None], written_s)
            waiting = [c for c in waiting if c.refusal is None and c not in settled]
            if waiting and not chosen:
                await asyncio.sleep(POLL_S)

    async def _choose(self, waiting: list[Incoming]) -> list[Incoming]:
        """Those that nothing stored speaks against, and nothing before them in the batch. The rest
        is refused, or waits until it is known what becomes of the others."""
        chosen: list[Incoming] = []
        taken: dict[str, Vector] = {}
        for candidate, found in zip(waiting, await self._look_around(waiting), strict=True):
            vector = vector_of_incoming(candidate)
            if any(id_ == candidate.id for id_, _ in found.decided):
                candidate.refusal = DuplicateRecord()
            elif found.decided:
                candidate.refusal = NearDuplicate(found.decided)
            elif (
                not self._find.find_among(vector, taken)
                and candidate.id not in taken
                and candidate.id not in found.ranks
                and not found.go_first(self._rank)
            ):
                taken[candidate.id] = vector
                candidate.undecided = self._rank
                chosen.append(candidate)
        return chosen

    async def _settle(self, held: list[Incoming], written_s: float) -> set[Incoming]:
        """Decides about what was written. Those that are in; others are refused, or taken back."""
        settled: set[Incoming] = set()
        while held:
            clear: list[Incoming] = []
            back: list[Incoming] = []
            waits: list[Incoming] = []
            around = await self._look_around(held, but_themselves=True)
            for candidate, found in zip(held, around, strict=True):
                if found.decided:
                    candidate.refusal = NearDuplicate(found.decided)
                    back.append(candidate)
                elif found.go_first(self._rank):
                    back.append(candidate)
                else:
                    (waits if found.ranks else clear).append(candidate)
            await self._take_back({c.point_id: c.token for c in back})
            settled |= await self._decide(clear, written_s)
            held = waits
            if held:
                await asyncio.sleep(POLL_S)
        return settled

    async def _look_around(
        self, candidates: list[Incoming], *, but_themselves: bool = False
    ) -> list[_Neighbours]:
        """What is known of the stored near duplicates of each; some may be gone by now."""
        near = await self._find.find_stored([vector_of_incoming(c) for c in candidates])
        if but_themselves:
            near = [
                [pair for pair in pairs if pair[0] != candidate.id]
                for candidate, pairs in zip(candidates, near, strict=True)
            ]
        keys = {id_: point_id(id_) for pairs in near for id_, _ in pairs}
        payloads: dict[str, Any] = {}
        if keys:
            points = await self._engine.retrieve(
                self._collection.physical,
                list(keys.values()),
                with_payload=[WRITE_TOKEN_PATH, UNDECIDED_PATH],
            )
            payloads = {str(point.id): point.payload for point in points}
        there = {id_: payloads[key] for id_, key in keys.items() if key in payloads}
        await self._take_back_abandoned(there)
        return [self._neighbours(each, there) for each in near]

    def _neighbours(self, near: Near, there: Mapping[str, Any]) -> _Neighbours:
        found = _Neighbours([], {})
        for id_, distance in near:
            if id_ not in there:
                continue
            rank = rank_of(there[id_])
            if rank is None:
                found.decided.append((id_, distance))
            elif rank != self._rank:
                found.ranks[id_] = rank
        return found

    async def _take_back_abandoned(self, there: Mapping[str, Any]) -> None:
        abandoned: dict[str, str] = {}
        for id_, payload in there.items():
            if rank_of(payload) in (None, self._rank):
                continue
            key, token = point_id(id_), token_of(payload)
            first_seen = self._first_seen.setdefault((key, token), time.monotonic())
            if time.monotonic() - first_seen > ABANDONED_S:
                abandoned[key] = token
        await self._take_back(abandoned)

    async def _take_back(self, tokens: dict[str, str]) -> None:
        """Deletes points that nobody has changed since they were written."""
        operations: list[models.UpdateOperation] = [
            models.DeleteOperation(delete=models.FilterSelector(filter=in_state(id_, token)))
            for id_, token in tokens.items()
        ]
        if operations:
            await self._engine.batch_update_points(
                self._collection.physical, update_operations=operations
            )

    async def _decide(self, clear: list[Incoming], written_s: float) -> set[Incoming]:
        """Makes them records as all others; those that are in."""
        if not clear:
            return set()
        token = uuid.uuid4().hex
        operations: list[models.UpdateOperation] = []
        for candidate in clear:
            state = in_state(candidate.point_id, candidate.token)
            candidate.token, candidate.undecided = token, None
            operations.append(
                models.OverwritePayloadOperation(
                    overwrite_payload=models.SetPayload(payload=candidate.stored(), filter=state)
                )
            )
        await self._engine.batch_update_points(
            self._collection.physical, update_operations=operations
        )
        tokens = await self._writes.read_tokens(self._collection, [c.point_id for c in clear])
        # One that somebody has changed or deleted meanwhile was in, unless it was so late that it
        # may have been taken for abandoned.
        late = time.monotonic() - written_s > ABANDONED_S
        return {c for c in clear if tokens.get(c.point_id) == token or not late}


def vector_of_incoming(candidate: Incoming) -> Vector:
    assert candidate.embedded is not None, "only what was embedded can be looked for"
    return candidate.embedded.vector
