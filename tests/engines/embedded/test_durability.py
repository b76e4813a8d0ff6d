"""Nothing acknowledged is lost, whoever is killed and whenever; and nothing else appears.

Clients insert, update and delete while the worker, or the whole supervisor, is killed again and
again, with thresholds so low that shards are being rebuilt all the time. Afterwards every record is
compared with what was acknowledged. A write in flight when its answer was lost may have happened or
not; until the next acknowledged write both are right.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import models

from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.supervisor import running_socket
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings
from lookalike.adapter.errors import EngineUnavailable
from tests.engines.embedded.supervisors import (
    EagerSupervisor,
    FaultySupervisor,
    kill,
    killable,
    running,
)
from tests.engines.points import (
    DIMENSION,
    make_collection,
    numbers,
    overwriting,
    point_id,
    search,
    vectors,
)
from tests.waiting import until

RESTLESS = WorkerSettings(
    flush_seconds=0.1,
    hnsw_threshold_elements=400 * DIMENSION,
    vacuum_fraction=0.05,
    vacuum_min_points=20,
    build_niceness=0,
)
POINTS = 1500
ROWS = vectors(POINTS).tolist()
GONE = None
"""The content of a point that is not there."""


class Ledger:
    """What each point may hold: one content when all was acknowledged, several when not."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.possible: dict[int, set[Any]] = {n: {GONE} for n in range(POINTS)}
        self.acknowledged = 0
        self._random = random.Random(seed)
        self._version = 0

    async def write(self, engine: EmbeddedEngine, chosen: list[int]) -> None:
        """One random write on some of these points, booked as it is acknowledged."""
        self._version += 1
        kind = self._random.choice([self._insert, self._insert, self._update, self._delete])
        after, call = kind(
            engine, self._random.sample(chosen, self._random.choice([1, 3, 40, 300]))
        )
        for number, content in after.items():
            self.possible[number] |= content
        await call()
        self.acknowledged += 1
        self.possible.update(after)

    def _insert(self, engine: EmbeddedEngine, chosen: list[int]) -> Any:
        version = self._version
        points = [
            models.PointStruct.model_construct(
                id=point_id(n), vector={"visual": ROWS[n]}, payload={"n": n, "version": version}
            )
            for n in chosen
        ]
        return {n: {version} for n in chosen}, lambda: engine.upsert(self.name, points)

    def _update(self, engine: EmbeddedEngine, chosen: list[int]) -> Any:
        certain = [n for n in chosen if GONE not in self.possible[n]]
        changes = [overwriting({"n": n, "version": self._version}, n) for n in certain]
        return {n: {self._version} for n in certain}, lambda: engine.batch_update_points(
            self.name, changes
        )

    def _delete(self, engine: EmbeddedEngine, chosen: list[int]) -> Any:
        ids = [point_id(n) for n in chosen[: len(chosen) // 2]]
        after = {n: {GONE} for n in chosen[: len(chosen) // 2]}
        return after, lambda: engine.delete(self.name, ids)

    async def check(self, engine: EmbeddedEngine) -> None:
        """Compare with every record; then what is there is what is certain."""
        found = await contents(engine, self.name)
        for number, possible in self.possible.items():
            assert found.get(number, GONE) in possible, f"point {number}"
            possible.clear()
            possible.add(found.get(number, GONE))
        assert (await engine.count(self.name)).count == len(found)
        # The index sees what the list sees.
        exact = models.SearchParams(exact=True)
        hits = await search(engine, self.name, ROWS[0], limit=POINTS, params=exact)
        assert set(numbers(hits)) == found.keys()


async def contents(engine: EmbeddedEngine, name: str) -> dict[int, int]:
    found: dict[int, int] = {}
    offset = None
    while True:
        records, offset = await engine.scroll(name, limit=500, offset=offset)
        for record in records:
            assert record.payload is not None
            number = record.payload["n"]
            assert record.id == point_id(number)
            assert number not in found
            found[number] = record.payload["version"]
        if offset is None:
            return found


async def again(call: Callable[[], Awaitable[Any]]) -> Any:
    """The result of a call, repeated while the engine is being restarted."""
    end = time.monotonic() + 120
    while True:
        try:
            return await call()
        except EngineUnavailable:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.05)


async def more_written(ledger: Ledger, count: int) -> None:
    """Wait until so many more writes are acknowledged."""
    enough = ledger.acknowledged + count
    await until(lambda: ledger.acknowledged >= enough, "more is acknowledged")


async def write_until(stop: asyncio.Event, engine: EmbeddedEngine, ledger: Ledger) -> None:
    """Three clients, each on points of its own, so that the order of writes is known."""

    async def client(mine: list[int]) -> None:
        while not stop.is_set():
            with contextlib.suppress(EngineUnavailable):
                await ledger.write(engine, mine)
            await asyncio.sleep(0.02)

    thirds = [list(range(third, POINTS, 3)) for third in range(3)]
    await asyncio.gather(*[client(third) for third in thirds])


async def test_the_worker_is_killed_again_and_again(data: Path) -> None:
    chance = random.Random(1)
    with running(data, RESTLESS, EagerSupervisor) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        ledger = Ledger(name, seed=1)
        for after_a_swap in (False, True, False, True, False, True):
            stop = asyncio.Event()
            writing = asyncio.create_task(write_until(stop, engine, ledger))
            if after_a_swap:
                await more_swaps(data)
            await more_written(ledger, 20)
            await asyncio.sleep(chance.uniform(0.0, 0.6))
            kill(supervisor.worker_pid)
            await asyncio.sleep(chance.uniform(0.0, 0.4))
            stop.set()
            await writing
            await again(lambda: ledger.check(engine))
        await engine.close()


async def test_the_whole_service_is_killed_again_and_again(data: Path) -> None:
    chance = random.Random(2)
    ledger: Ledger | None = None
    for _ in range(5):
        with killable(data, RESTLESS) as supervisor:
            path = running_socket(data)
            assert path is not None
            engine = await EmbeddedEngine.connect(path)
            if ledger is None:
                ledger = Ledger(await make_collection(engine), seed=2)
            await ledger.check(engine)
            stop = asyncio.Event()
            writing = asyncio.create_task(write_until(stop, engine, ledger))
            await asyncio.sleep(chance.uniform(0.3, 3.0))
            kill(supervisor.pid)
            stop.set()
            await writing
            await engine.close()
    assert ledger is not None
    with running(data, RESTLESS) as last:
        engine = await EmbeddedEngine.connect(last.socket_path)
        await ledger.check(engine)
        await engine.close()


@pytest.mark.parametrize(
    "moment",
    [
        "before copying",
        "loaded",
        "catching up",
        "before the swap",
        "before the manifest",
        "after the manifest",
        "after the swap",
    ],
)
async def test_the_worker_is_killed_at_a_moment_of_the_rebuild(
    data: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setenv("FAULT", f"kill:{moment}")
    with running(data, RESTLESS, FaultySupervisor) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        ledger = Ledger(name, seed=3)
        stop = asyncio.Event()
        writing = asyncio.create_task(write_until(stop, engine, ledger))
        await until((data / "killed").exists, "the worker killed itself")
        await more_written(ledger, 5)
        stop.set()
        await writing
        await again(lambda: ledger.check(engine))
        await engine.close()
    assert leftovers(data) == []


async def test_collections_are_made_and_deleted_while_the_worker_is_killed(data: Path) -> None:
    chance = random.Random(4)
    there: set[str] = set()
    doubtful: set[str] = set()
    with running(data, RESTLESS, EagerSupervisor) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        for _ in range(6):
            killer = asyncio.get_running_loop().call_later(
                chance.uniform(0.02, 0.3), lambda: kill(supervisor.worker_pid)
            )
            while not killer.cancelled():
                name = str(uuid.uuid4())
                gone = chance.choice(sorted(there)) if len(there) > 3 else None
                doubtful |= {name} | ({gone} if gone else set())
                try:
                    await make_collection(engine, name)
                    there.add(name)
                    if gone is not None:
                        await engine.delete_collection(gone)
                        there.remove(gone)
                except EngineUnavailable:
                    there -= {gone}
                    break
                doubtful -= {name, gone}
            found = await again(engine.get_collections)
            names = {collection.name for collection in found.collections}
            assert there - doubtful <= names <= there | doubtful
            there, doubtful = names, set()
            for name in names:
                assert (await engine.count(name)).count == 0
        await engine.close()
    assert leftovers(data) == []


async def more_swaps(data: Path) -> None:
    before = swaps(data)
    await until(lambda: swaps(data) > before, "another shard is current")


def swaps(data: Path) -> int:
    """How often the one collection of a folder got a new shard."""
    [manifest] = data.glob("collections/*/manifest.json")
    return int(json.loads(manifest.read_text())["shard"].removeprefix("shard-")) - 1


def leftovers(data: Path) -> list[Path]:
    """Files that no manifest accounts for; at the next start there must be none."""
    with running(data):
        pass
    folders = list((data / "collections").iterdir())
    return [
        path
        for folder in folders
        for path in folder.iterdir()
        if not (folder / "manifest.json").exists() or len(list(folder.glob("shard-*"))) != 1
    ]
