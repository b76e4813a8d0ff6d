"""Logs of synchronisation runs, which a client keeps beside a collection.

They are points without a vector in a small collection of their own, so that they survive a restart
and any number of API processes see the same ones, on every engine. What a client logs is kept as
its JSON text, and is never looked into.
"""

from __future__ import annotations

import contextlib
import secrets
import time
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter.collections.side_collections import put_points
from lookalike.adapter.collections.store import PHYSICAL_PREFIX, now
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import (
    CollectionNotFound,
    InvalidRequest,
    RunLogNotFound,
)

RUN_LOGS = f"{PHYSICAL_PREFIX}run-logs"
MAX_RUN_LOGS = 1_000
"""Those of one collection. With the next one the oldest goes."""
MAX_RUN_LOG_BYTES = 65_536
SCROLL = 1_000

_OF_COLLECTION = "collection"
_INDEXES = {_OF_COLLECTION: models.PayloadSchemaType.KEYWORD}


class RunLog(msgspec.Struct, frozen=True):
    """One log, as its users see it."""

    id: str
    collection: str
    """The id of the collection."""
    data: msgspec.Raw
    created: str
    updated: str


class RunLogService:
    """The logs of all collections. Who may see which is for the caller to know."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def create(self, collection_id: str, data: dict[str, Any]) -> RunLog:
        """Raises InvalidRequest for too much data."""
        created = now()
        log = RunLog(_new_id(), collection_id, _text_of(data), created, created)
        point = models.PointStruct(id=log.id, vector={}, payload=_payload(log))
        await put_points(self._engine, RUN_LOGS, [point], _INDEXES)
        await self._delete_oldest(collection_id)
        return log

    async def find(self, id_: str) -> RunLog:
        """Raises RunLogNotFound."""
        found = []
        with contextlib.suppress(ValueError, CollectionNotFound):
            found = await self._engine.retrieve(RUN_LOGS, [str(uuid.UUID(id_))])
        if not found:
            raise RunLogNotFound
        return _run_log(found[0])

    async def change(self, log: RunLog, data: dict[str, Any]) -> RunLog:
        """Raises InvalidRequest for too much data. One that is deleted meanwhile stays away."""
        new = msgspec.structs.replace(log, data=_text_of(data), updated=now())
        this_one = models.Filter(must=[models.HasIdCondition(has_id=[log.id])])
        operation = models.OverwritePayloadOperation(
            overwrite_payload=models.SetPayload(payload=_payload(new), filter=this_one)
        )
        await self._engine.batch_update_points(RUN_LOGS, [operation])
        return new

    async def delete(self, log: RunLog) -> None:
        await self._engine.delete(RUN_LOGS, [log.id])

    async def list_page(
        self, collection_ids: Sequence[str], page: int, size: int
    ) -> tuple[int, list[RunLog]]:
        """How many logs these collections have, and those of a page, newest first."""
        ids = await _ids_of(self._engine, collection_ids)
        wanted = ids[::-1][(page - 1) * size : page * size]
        found = await self._engine.retrieve(RUN_LOGS, wanted) if wanted else []
        logs = {str(point.id): _run_log(point) for point in found}
        return len(ids), [logs[id_] for id_ in wanted if id_ in logs]

    async def _delete_oldest(self, collection_id: str) -> None:
        ids = await _ids_of(self._engine, [collection_id])
        if len(ids) > MAX_RUN_LOGS:
            await self._engine.delete(RUN_LOGS, ids[:-MAX_RUN_LOGS])


async def delete_run_logs(engine: Engine, collection_id: str) -> None:
    """Those of a collection, with which they go."""
    if ids := await _ids_of(engine, [collection_id]):
        await engine.delete(RUN_LOGS, ids)


async def _ids_of(engine: Engine, collection_ids: Sequence[str]) -> list[str]:
    """The logs of these collections, oldest first."""
    if not collection_ids:
        return []
    wanted = models.MatchAny(any=sorted(collection_ids))
    these = models.Filter(must=[models.FieldCondition(key=_OF_COLLECTION, match=wanted)])
    found: list[str] = []
    offset = None
    with contextlib.suppress(CollectionNotFound):
        while True:
            points, offset = await engine.scroll(
                RUN_LOGS, scroll_filter=these, limit=SCROLL, offset=offset, with_payload=False
            )
            found += [str(point.id) for point in points]
            if offset is None:
                break
    return found


def _new_id() -> str:
    """A UUID of version 7: the order of ids, which is that of engines, is the order in time."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    value = milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=value))


def _text_of(data: dict[str, Any]) -> msgspec.Raw:
    text = msgspec.json.encode(data)
    if len(text) > MAX_RUN_LOG_BYTES:
        raise InvalidRequest(f"More than {MAX_RUN_LOG_BYTES} bytes of JSON", place="$.data")
    return msgspec.Raw(text)


def _payload(log: RunLog) -> dict[str, Any]:
    kept = msgspec.structs.asdict(log) | {"data": bytes(log.data).decode()}
    del kept["id"]
    return kept


def _run_log(point: models.Record) -> RunLog:
    kept = point.payload or {}
    return RunLog(**kept | {"id": str(point.id), "data": msgspec.Raw(kept["data"])})
