"""No call waits for the worker longer than the request at hand has left."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lookalike.adapter import deadline
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.errors import EngineUnavailable
from tests.engines.embedded.supervisors import children, running
from tests.engines.points import make_collection, numbers, overwriting, point_id, points, search
from tests.live import live_server
from tests.service import Service

LEFT_S = 0.2
LONG_S = 20.0
"""Less than a read waits without a deadline, and more than a busy machine delays one."""


@contextlib.contextmanager
def standing(pid: int | None) -> Iterator[None]:
    """A worker that does not get on with its work."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def within(seconds: float, call: Callable[[], Awaitable[Any]]) -> Any:
    """The result of a call as of a request that has so many seconds left."""

    async def request() -> Any:
        deadline.start(seconds)
        return await call()

    return await asyncio.create_task(request(), context=contextvars.copy_context())


CALLS: dict[str, Callable[[EmbeddedEngine, str], Awaitable[Any]]] = {
    "count": lambda engine, name: engine.count(name),
    "search": lambda engine, name: search(engine, name, point_id(0)),
    "health": lambda engine, _: engine.health(),
    "upsert": lambda engine, name: engine.upsert(name, points(3)),
    "change": lambda engine, name: engine.batch_update_points(name, [overwriting({"n": 0}, 0)]),
    "update_collection": lambda engine, name: engine.update_collection(name, metadata={"a": 1}),
}


@pytest.mark.parametrize("kind", CALLS)
async def test_a_call_ends_at_its_deadline(data: Path, kind: str) -> None:
    with running(data) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        await engine.upsert(name, points(2))
        with standing(supervisor.worker_pid):
            began = time.monotonic()
            with pytest.raises(EngineUnavailable, match=r"The engine did not answer in time\."):
                await within(LEFT_S, lambda: CALLS[kind](engine, name))
            assert LEFT_S <= time.monotonic() - began < LONG_S
            with pytest.raises(EngineUnavailable, match=r"The engine did not answer in time\."):
                await within(0.0, lambda: CALLS[kind](engine, name))
        # The late answer disturbs nobody, and whoever has time gets his own.
        await CALLS[kind](engine, name)
        records, _ = await engine.scroll(name, limit=10)
        assert {0, 1} <= set(numbers(records))
        await engine.close()


async def test_what_was_acknowledged_stays_beside_writes_that_were_given_up(data: Path) -> None:
    with running(data) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        name = await make_collection(engine)
        acknowledged = set()
        for number in range(0, 60, 3):
            await engine.upsert(name, points(2, start=number))
            acknowledged |= {number, number + 1}
            given_up = points(1, start=number + 2)
            write = functools.partial(engine.upsert, name, given_up)
            with standing(supervisor.worker_pid), pytest.raises(EngineUnavailable):
                await within(0.01, write)
        await engine.close()
    with running(data) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        found = set(numbers((await engine.scroll(name, limit=100))[0]))
        assert acknowledged <= found <= set(range(60))
        await engine.close()


def worker_of(data: Path) -> int:
    """The worker of a running service."""
    pid = msgspec.json.decode((data / "engine.json").read_bytes())["pid"]
    [worker] = [
        child
        for child in children(pid)
        if b"embedded.worker.main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    return worker


def test_a_request_over_http_ends_at_its_timeout(tmp_path: Path) -> None:
    with live_server(tmp_path, {"LOOKALIKE_REQUEST_TIMEOUT_S": "3"}) as live:
        client = Service(live.url)
        collection = client.collection()
        assert client.call("allRecords", collection, {}).status_code == 200
        with standing(worker_of(live.data)):
            began = time.monotonic()
            answer = client.call("allRecords", collection, {})
            assert time.monotonic() - began < LONG_S
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert client.call("allRecords", collection, {}).status_code == 200
        client.http.close()
