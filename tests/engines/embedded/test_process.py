"""The worker's life: crashes, restarts, orphans, supervisors, and clients of all manners."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from qdrant_client import models

from lookalike.adapter.engines.embedded import messages, wire
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.supervisor import (
    DataFolderLocked,
    Supervisor,
    running_socket,
)
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings
from lookalike.adapter.errors import EngineFailed, EngineUnavailable
from tests.engines.embedded.supervisors import (
    FaultySupervisor,
    alive,
    children,
    kill,
    killable,
    running,
    wait_ready,
)
from tests.engines.points import (
    make_collection,
    numbers,
    overwriting,
    point_id,
    points,
    search,
    vectors,
)
from tests.waiting import until


def processor_seconds(pid: int) -> float:
    """What a process has used of the processor since it began."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def framed(request: object) -> bytes:
    return wire.frame(1, msgspec.msgpack.encode(request))


async def test_it_starts_quickly_and_ends_in_order(data: Path) -> None:
    start = time.process_time()
    supervisor = Supervisor(data)
    supervisor.start()
    # In seconds of the processor, and ten times what a start takes: other work lengthens it little.
    assert time.process_time() - start < 2.0
    health = wait_ready(supervisor)
    assert health.ready
    assert health.broken == {}
    assert running_socket(data) == supervisor.socket_path
    worker = supervisor.worker_pid
    assert worker is not None
    assert processor_seconds(worker) < 15.0
    supervisor.stop()
    supervisor.stop()
    assert not alive(worker)
    assert running_socket(data) is None
    assert not supervisor.socket_path.parent.exists()


async def test_everything_is_there_after_a_restart(data: Path) -> None:
    with running(data) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        await engine.upsert(name, points(300))
        await engine.update_collection(name, metadata={"version": 2})
        alias = models.CreateAlias(collection_name=name, alias_name="photos")
        await engine.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])
        before = await engine.get_collection(name)
        await engine.close()
    with running(data) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        after = await engine.get_collection("photos")
        assert after == before
        answer = await engine.query_points("photos", query=point_id(7), using="visual", limit=299)
        assert len(answer.points) == 299
        await engine.close()


async def test_a_second_supervisor_is_told_who_the_first_is(data: Path) -> None:
    with running(data):
        with pytest.raises(DataFolderLocked, match=str(os.getpid())) as refusal:
            Supervisor(data).start()
        assert refusal.value.pid == os.getpid()
    with running(data):
        pass


def test_a_worker_that_outlives_its_supervisor_is_named(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the lock until it has closed; stopped, it does not."""
    monkeypatch.setattr("lookalike.adapter.engines.embedded.supervisor.LOCK_WAIT_SECONDS", 0.2)
    with killable(data, WorkerSettings()) as process:
        gone, worker = map(int, (data / "lock").read_text().split())
        assert gone == process.pid
        os.kill(worker, signal.SIGSTOP)
        try:
            kill(process.pid)
            process.wait()
            with pytest.raises(DataFolderLocked) as refusal:
                Supervisor(data).start()
            assert refusal.value.pid == worker
            assert f"in use by process {worker}" in str(refusal.value)
            assert f"process {gone}, which is gone" in str(refusal.value)
        finally:
            os.kill(worker, signal.SIGCONT)
    monkeypatch.undo()
    with running(data):  # It has ended in order meanwhile, or is waited for.
        pass


async def test_a_killed_worker_fails_only_what_was_in_flight(data: Path) -> None:
    with running(data) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        other = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        await engine.upsert(name, points(200))
        row = vectors(1)[0].tolist()
        in_flight = [
            asyncio.create_task(engine.query_points(name, query=row, using="visual", limit=10))
            for _ in range(2000)
        ]
        await asyncio.sleep(0)
        kill(supervisor.worker_pid)
        results = await asyncio.gather(*in_flight, return_exceptions=True)
        failed = [result for result in results if isinstance(result, BaseException)]
        assert failed
        assert {type(error) for error in failed} == {EngineUnavailable}
        assert EngineUnavailable.retry
        # What comes next waits for the next worker, in this client and in one that was idle.
        for client in (engine, other):
            assert (await client.count(name)).count == 200
            await client.close()


@pytest.mark.parametrize("write", [True, False])
async def test_a_panic_is_answered_and_cured_by_a_restart(
    data: Path, monkeypatch: pytest.MonkeyPatch, write: bool
) -> None:
    """A real panic of the engine. One in a write leaves a log that panics again when it is read:
    it is put aside, and what was flushed before is there, and can be changed."""
    monkeypatch.setenv("FAULT", "unchecked")
    bad = models.SparseVector.model_construct(indices=[5, 6], values=[1.0])
    with running(data) as supervisor:  # Its end flushes.
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        await engine.upsert(name, points(20))
        await engine.close()
    with running(data, kind=FaultySupervisor) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        worker = supervisor.worker_pid
        poison = points(1, start=20)[0]
        poison.vector = {"tags": bad}
        call: Awaitable[Any] = (
            engine.upsert(name, [poison]) if write else search(engine, name, bad, using="tags")
        )
        with pytest.raises(EngineUnavailable):
            await call
        await until(lambda: supervisor.worker_pid != worker, "there is another worker")
        assert (await engine.count(name)).count == 20
        assert (name in (await engine.health())["logs_aside"]) is write
        await engine.batch_update_points(name, [overwriting({"n": -1}, 3)])
        await engine.delete(name, [point_id(4)])
        await engine.upsert(name, points(1, start=5))
        records = await engine.retrieve(name, [point_id(n) for n in (3, 4, 5)])
        assert numbers(records) == [-1, 5]
        await engine.close()


async def test_a_fault_of_the_worker_is_told_as_its_own(
    data: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAULT", "bug")
    with running(data, kind=FaultySupervisor) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        with pytest.raises(EngineFailed, match="the engine's worker has a fault"):
            await engine.count(name)
        await engine.upsert(name, points(2))
        assert len((await engine.scroll(name, limit=10))[0]) == 2
        await engine.close()
    logged = capfd.readouterr().err
    assert "Traceback" in logged
    assert "KeyError" in logged


async def test_a_worker_without_a_supervisor_ends(data: Path) -> None:
    with killable(data, WorkerSettings()) as supervisor:
        path = running_socket(data)
        assert path is not None
        [worker] = children(supervisor.pid)
        engine = await EmbeddedEngine.connect(path)
        name = await make_collection(engine)
        await engine.upsert(name, points(50))
        kill(supervisor.pid)
        try:
            await until(lambda: not alive(worker), "the worker has ended")
        finally:
            kill(worker)
        with pytest.raises(EngineUnavailable):
            await engine.count(name)
        await engine.close()
        assert running_socket(data) is None
    # Its lock and its temporary folder do not stand in the way.
    with running(data) as successor:
        assert not path.parent.exists()
        engine = await EmbeddedEngine.connect(successor.socket_path)
        assert (await engine.count(name)).count == 50
        await engine.close()


async def test_searches_go_before_bulk_writes_and_both_go_on(
    supervisor: Supervisor, engine: EmbeddedEngine
) -> None:
    name = await make_collection(engine)
    await engine.upsert(name, points(1000))
    row = vectors(1)[0].tolist()
    begun = time.perf_counter()
    bulk = asyncio.create_task(engine.upsert(name, points(8000)))
    waits: list[float] = []

    async def go_on_searching() -> None:
        while not bulk.done():
            start = time.perf_counter()
            await engine.query_points(name, query=row, using="visual", limit=10, with_payload=False)
            waits.append(time.perf_counter() - start)

    # More searches than the worker can answer: the write must get its turns nevertheless.
    await asyncio.gather(*[go_on_searching() for _ in range(8)], bulk)
    taken = time.perf_counter() - begun
    assert len(waits) > 20
    assert sorted(waits)[len(waits) // 2] < taken / 10
    assert max(waits) < taken / 2
    assert (await engine.count(name)).count == 8000


async def test_writes_of_a_collection_keep_their_order(engine: EmbeddedEngine) -> None:
    name = await make_collection(engine)
    await asyncio.gather(
        engine.upsert(name, points(2000)),
        engine.batch_update_points(name, [overwriting({"n": -1}, 1999)]),
        engine.delete(name, [point_id(0)]),
        engine.upsert(name, points(1)),
    )
    records = await engine.retrieve(name, [point_id(0), point_id(1999)])
    assert set(numbers(records)) == {0, -1}


async def test_a_client_that_does_not_read_stops_nobody(
    supervisor: Supervisor, engine: EmbeddedEngine
) -> None:
    name = await make_collection(engine)
    await engine.upsert(name, points(1000))
    ask = framed(messages.ScrollPoints(name, None, 1000, None, True, False))
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(supervisor.socket_path))
        deaf.settimeout(0.2)
        with pytest.raises(OSError, match=r"timed out|Broken pipe|reset"):
            deaf.sendall(ask * 20_000)
        assert (await engine.count(name)).count == 1000


@pytest.mark.parametrize(
    "data_sent",
    [
        wire.HEADER.pack(wire.MAX_FRAME_BYTES + 1, 1),
        wire.frame(1, b"\xc1"),
        framed(["count"]),
        framed(["no_such_method", "c"]),
        framed(["count", 7, None]),
        framed(["upsert", "c", 1, False]),
        framed(["query", "c", [None]]),
        framed(["scroll", "c", None, 2**40, None, True, False]),
        framed(None),
        framed(["count", "c", None]).replace(b"\xa1c", b"\xa1\xff"),
        wire.frame(1, b"\x91" * 100_000),
    ],
)
async def test_nonsense_on_the_wire_is_answered_or_cut_off(
    supervisor: Supervisor, engine: EmbeddedEngine, data_sent: bytes
) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(supervisor.socket_path))
        client.settimeout(60)
        client.sendall(data_sent)
        answer = client.recv(1 << 16)
    if answer:
        [(number, body)] = wire.Frames().feed(answer)
        assert number == 1
        failed = messages.decode_answer(messages.CountPoints, body)
        assert failed == messages.Failed("EngineFailed", "the request is malformed")
    else:
        assert data_sent[: wire.HEADER.size] == data_sent, "only what is no frame is cut off"
    assert (await engine.health())["ready"]


async def test_several_processes_share_one_worker(
    supervisor: Supervisor, engine: EmbeddedEngine
) -> None:
    name = await make_collection(engine)
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from lookalike.adapter.engines.embedded.client import EmbeddedEngine\n"
        "from tests.engines.points import make_collection, points\n"
        "async def main():\n"
        "    engine = await EmbeddedEngine.connect(Path(sys.argv[1]))\n"
        "    await engine.upsert(sys.argv[2], points(100, start=int(sys.argv[3])))\n"
        "    await engine.close()\n"
        "asyncio.run(main())\n"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, str(supervisor.socket_path), name, str(start))
        )
        for start in (0, 100, 200)
    ]
    assert [await asyncio.wait_for(child.wait(), 120) for child in processes] == [0, 0, 0]
    assert (await engine.count(name)).count == 300


def test_the_worker_does_not_import_the_client() -> None:
    script = (
        "import sys, lookalike.adapter.engines.embedded.worker.main\n"
        "assert not {'qdrant_client', 'pydantic', 'httpx'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
