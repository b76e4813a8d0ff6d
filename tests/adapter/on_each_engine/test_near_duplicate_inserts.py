"""The same picture from many callers at once: it is stored once, and every answer stays true."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest
from qdrant_client import models

from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import NearDuplicate, RecordRefused
from lookalike.adapter.point_layout import RESERVED_KEY
from lookalike.adapter.records import listing
from lookalike.adapter.records.batch_outcome import Outcome
from lookalike.adapter.records.bookkeeping import UNDECIDED
from lookalike.adapter.records.image_sources import Embedded, ImageSource
from lookalike.adapter.records.points import point_id
from lookalike.adapter.records.writer import Writer
from lookalike.adapter.search.near_duplicates import NearDuplicateCheck
from tests.engines.contract.subjects import Subject
from tests.shelf import DIMENSION

RADIUS = 0.05
PROCESSES = 4
NEIGHBOURING_DEGREES = 16.0
"""Turned by so much, a picture is a near duplicate; turned by twice as much, it is none."""


async def embed_turned(sources: Sequence[ImageSource]) -> list[Embedded | RecordRefused]:
    """`<picture>:<degrees>` is a picture, and by how much it differs from itself."""
    found: list[Embedded | RecordRefused] = []
    for source in sources:
        picture, _, degrees = (source.base64 or "").partition(":")
        angle = np.radians(float(degrees or 0))
        row = np.zeros(DIMENSION)
        row[2 * int(picture)], row[2 * int(picture) + 1] = np.cos(angle), np.sin(angle)
        found.append(Embedded(row.tolist(), source.base64 or ""))
    return found


class Process:
    """One of several API processes, as far as the engine is concerned."""

    def __init__(self, engine: Engine, collection: Collection) -> None:
        self.engine = engine
        self.collection = collection
        self.writer = Writer(engine, CollectionCache(engine))

    async def insert(self, **pictures: str) -> Outcome[dict[str, Any]]:
        """Pictures by `_id`."""
        return await self.writer.insert(
            self.collection,
            [{"_id": id_, "_base64": picture} for id_, picture in pictures.items()],
            embed_turned,
            frozenset({"_id"}),
            near_duplicates=NearDuplicateCheck(self.engine, self.collection, RADIUS),
        )

    async def stored(self, ids: Sequence[str]) -> list[str]:
        found = await listing.get_records(self.engine, self.collection, ids, None)
        return [record["_id"] for record in found]


@pytest.fixture
async def processes(subject: Subject, collection: Collection) -> AsyncIterator[list[Process]]:
    engines = [await subject.connect() for _ in range(PROCESSES)]
    yield [Process(engine, collection) for engine in engines]
    for engine in engines:
        await engine.close()


def done(outcomes: Sequence[Outcome[dict[str, Any]]]) -> list[str]:
    return [record["_id"] for outcome in outcomes for record in outcome.done]


async def test_eight_at_once_are_stored_once(processes: list[Process]) -> None:
    for round_ in range(6):
        ids = [f"{round_}-{number}" for number in range(8)]
        outcomes = await asyncio.gather(
            *(
                processes[number % PROCESSES].insert(**{id_: str(round_)})
                for number, id_ in enumerate(ids)
            )
        )
        (winner,) = done(outcomes)
        assert await processes[0].stored(ids) == [winner]
        for outcome in outcomes:
            for _, why in outcome.refused:
                assert isinstance(why, NearDuplicate)
                assert [id_ for id_, _ in why.near] == [winner]


async def test_batches_in_different_orders_do_not_wait_for_one_another(
    processes: list[Process],
) -> None:
    orders = [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2), (2, 0, 3, 1)]
    outcomes = await asyncio.gather(
        *(
            process.insert(**{f"{picture} of {number}": str(picture) for picture in order})
            for number, (process, order) in enumerate(zip(processes, orders, strict=True))
        )
    )
    inserted = done(outcomes)
    assert sorted(id_[0] for id_ in inserted) == ["0", "1", "2", "3"]
    everything = [f"{picture} of {number}" for picture in range(4) for number in range(4)]
    assert sorted(await processes[0].stored(everything)) == sorted(inserted)


async def test_each_refusal_has_a_stored_reason(processes: list[Process]) -> None:
    """A chain: each picture is as good as the next one, and no other. Whatever comes first, nobody
    is refused for a record that was itself refused."""
    for round_ in range(5):
        chain = {f"{round_}-{n}": f"{round_}:{n * NEIGHBOURING_DEGREES}" for n in range(5)}
        outcomes = await asyncio.gather(
            *(
                processes[number % PROCESSES].insert(**{id_: picture})
                for number, (id_, picture) in enumerate(chain.items())
            )
        )
        stored = await processes[0].stored(list(chain))
        assert sorted(stored) == sorted(done(outcomes))
        for outcome in outcomes:
            for _, why in outcome.refused:
                assert isinstance(why, NearDuplicate)
                assert {id_ for id_, _ in why.near} <= set(stored)
        numbers = sorted(int(id_.partition("-")[2]) for id_ in stored)
        assert all(b - a in (2, 3) for a, b in itertools.pairwise(numbers))


async def test_of_one_batch_the_first_that_goes_in_counts(processes: list[Process]) -> None:
    """The second is refused for the first, which is refused itself: then it goes in after all."""
    process = processes[0]
    await process.insert(stored="0:0")
    outcome = await process.insert(
        a=f"0:{NEIGHBOURING_DEGREES}", b=f"0:{2 * NEIGHBOURING_DEGREES}", c="1", d="1"
    )
    assert done([outcome]) == ["b", "c"]
    reasons = [why.near[0][0] for _, why in outcome.refused if isinstance(why, NearDuplicate)]
    assert reasons == ["stored", "c"]


async def test_the_same_record_from_all_sides(processes: list[Process]) -> None:
    for round_ in range(5):
        outcomes = await asyncio.gather(
            *(process.insert(**{f"same {round_}": str(round_)}) for process in processes)
        )
        assert done(outcomes) == [f"same {round_}"]
        assert all(why.code == 211 for outcome in outcomes for _, why in outcome.refused)


async def leave_undecided(process: Process, id_: str) -> None:
    """A stored record as a process has left it that was killed before it could decide."""
    physical = process.collection.physical
    (point,) = await process.engine.retrieve(physical, [point_id(id_)])
    assert point.payload is not None
    assert UNDECIDED not in point.payload[RESERVED_KEY]
    point.payload[RESERVED_KEY][UNDECIDED] = "0"
    change = models.SetPayload(
        payload=point.payload,
        filter=models.Filter(must=[models.HasIdCondition(has_id=[point_id(id_)])]),
    )
    await process.engine.batch_update_points(
        physical, [models.OverwritePayloadOperation(overwrite_payload=change)]
    )


async def test_what_a_killed_process_has_left_is_in_nobodys_way(processes: list[Process]) -> None:
    """It was never answered. Another insert of the picture takes its place."""
    first, second, third, _ = processes
    await first.insert(a="0")
    await leave_undecided(first, "a")
    assert done([await second.insert(b="1")]) == ["b"]
    assert done([await second.insert(c="0")]) == ["c"]
    assert await third.stored(["a", "b", "c"]) == ["b", "c"]


async def test_whoever_changes_an_undecided_record_decides_that_it_stays(
    processes: list[Process],
) -> None:
    first, second, third, _ = processes
    await first.insert(a="0")
    await leave_undecided(first, "a")
    await second.writer.update(second.collection, [{"_id": "a", "n": 1}], None)
    outcome = await third.insert(b="0")
    ((_, why),) = outcome.refused
    assert isinstance(why, NearDuplicate)
    assert await third.stored(["a", "b"]) == ["a"]
