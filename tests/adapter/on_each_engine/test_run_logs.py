"""Logs of synchronisation runs, on every engine."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from lookalike.adapter.collections import run_logs
from lookalike.adapter.collections.run_logs import (
    MAX_RUN_LOG_BYTES,
    RUN_LOGS,
    RunLog,
    RunLogService,
    delete_run_logs,
)
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import InvalidRequest, RunLogNotFound
from tests.engines.contract.subjects import Subject


@pytest.fixture
async def logs(engine: Engine) -> AsyncIterator[RunLogService]:
    """With nothing there yet: the engine has no collection for them."""
    await engine.delete_collection(RUN_LOGS)
    yield RunLogService(engine)
    await engine.delete_collection(RUN_LOGS)


def new_collection() -> str:
    return str(uuid.uuid4())


def data_of(log: RunLog) -> Any:
    return msgspec.json.decode(log.data)


async def test_a_log_is_kept_changed_and_deleted(logs: RunLogService) -> None:
    collection = new_collection()
    with pytest.raises(RunLogNotFound):
        await logs.find(str(uuid.uuid4()))
    sent = {"größe": [1, 0.40159101448507484, -0.0, None], "n": 2**80, "a": {"b": "\u2028"}}
    made = await logs.create(collection, sent)
    found = await logs.find(made.id)
    assert found == made
    assert data_of(found) == sent
    assert repr(data_of(found)) == repr(sent)
    changed = await logs.change(found, {"done": True})
    assert await logs.find(made.id) == changed
    assert data_of(changed) == {"done": True}
    assert (changed.id, changed.created) == (made.id, made.created)
    await logs.delete(changed)
    with pytest.raises(RunLogNotFound):
        await logs.find(made.id)
    await logs.change(changed, {"late": True})
    with pytest.raises(RunLogNotFound):
        await logs.find(made.id)


@pytest.mark.parametrize("id_", ["", "x", "1", "../../etc", "0" * 5000])
async def test_what_is_no_id_is_not_found(id_: str, logs: RunLogService) -> None:
    with pytest.raises(RunLogNotFound):
        await logs.find(id_)


async def test_pages_are_of_the_named_collections_newest_first(logs: RunLogService) -> None:
    first, second, third = (new_collection() for _ in range(3))
    assert await logs.list_page([first], 1, 10) == (0, [])
    made = [await logs.create((first, second)[n % 2], {"n": n}) for n in range(7)]
    newest_first = made[::-1]
    assert await logs.list_page([first, second, third], 1, 10) == (7, newest_first)
    assert await logs.list_page([first, second], 2, 3) == (7, newest_first[3:6])
    assert await logs.list_page([first, second], 4, 3) == (7, [])
    assert await logs.list_page([second], 1, 10) == (3, newest_first[1::2])
    assert await logs.list_page([], 1, 10) == (0, [])


async def test_the_oldest_go_and_those_of_a_collection_go_with_it(
    engine: Engine, logs: RunLogService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_logs, "MAX_RUN_LOGS", 4)
    collection, other = new_collection(), new_collection()
    kept = await logs.create(other, {})
    made = [await logs.create(collection, {"n": n}) for n in range(6)]
    assert await logs.list_page([collection], 1, 10) == (4, made[:1:-1])
    await delete_run_logs(engine, collection)
    assert await logs.list_page([collection, other], 1, 10) == (1, [kept])
    await delete_run_logs(engine, new_collection())


async def test_too_much_data_is_refused(logs: RunLogService) -> None:
    room = MAX_RUN_LOG_BYTES - len(b'{"a":""}')
    made = await logs.create(new_collection(), {"a": "x" * room})
    with pytest.raises(InvalidRequest) as refusal:
        await logs.create(made.collection, {"a": "x" * (room + 1)})
    assert refusal.value.place == "$.data"
    with pytest.raises(InvalidRequest):
        await logs.change(made, {"a": "é" * room})
    assert await logs.find(made.id) == made


async def test_many_processes_make_the_first_log_at_once(
    subject: Subject, logs: RunLogService
) -> None:
    engines = [await subject.connect() for _ in range(4)]
    collection = new_collection()
    made = await asyncio.gather(
        *(RunLogService(each).create(collection, {"n": n}) for n, each in enumerate(engines))
    )
    count, listed = await logs.list_page([collection], 1, 10)
    assert count == 4
    assert {log.id for log in listed} == {log.id for log in made}
    for each in engines:
        await each.close()
