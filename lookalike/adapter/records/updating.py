"""Update: merges into the newest state, on every engine and with any number of API processes.

It is written on the condition that the point still carries the token that was read, and tried
again when somebody was faster.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence

from qdrant_client import models

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.errors import RecordRefused, RecordsNotFound, Unavailable
from lookalike.adapter.records.batch_outcome import Updated
from lookalike.adapter.records.bookkeeping import update_operations
from lookalike.adapter.records.point_writes import PointWrites, usable_id
from lookalike.adapter.records.points import Record, metadata, point_id, shown, stored_record

UPDATE_ATTEMPTS = 20


class Updater:
    """Updates the records of one engine."""

    def __init__(self, writes: PointWrites) -> None:
        self._writes = writes
        self._engine = writes.engine

    async def update(
        self, collection: Collection, records: Sequence[Record], fields: frozenset[str] | None
    ) -> Updated:
        """As `Writer.update`."""
        changes: dict[str, Record] = {}
        refused: list[tuple[Record, RecordRefused]] = []
        for record in records:
            try:
                id_ = usable_id(record)
                change = metadata(record | {"_id": id_})
            except RecordRefused as refusal:
                refused.append((record, refusal))
                continue
            changes[id_] = changes.get(id_, {}) | change
        unusable = len(refused)
        done: dict[str, Record] = {}
        pending = {point_id(id_): change for id_, change in changes.items()}
        for _ in range(UPDATE_ATTEMPTS):
            if not pending:
                break
            pending = await self._update_once(collection, pending, done, refused)
        if pending:
            raise Unavailable("The records are being changed by others; try again.")
        known = done.keys() | {usable_id(change) for change, _ in refused[unusable:]}
        return Updated(
            done=[shown(done[id_], fields) for id_ in changes if id_ in done],
            refused=refused,
            missing=len(changes.keys() - known),
        )

    async def _update_once(
        self,
        collection: Collection,
        pending: dict[str, Record],
        done: dict[str, Record],
        refused: list[tuple[Record, RecordRefused]],
    ) -> dict[str, Record]:
        """One attempt; returns those that somebody else changed meanwhile."""
        token = uuid.uuid4().hex
        operations: list[models.UpdateOperation] = []
        written: dict[str, Record] = {}
        for point in await self._engine.retrieve(
            collection.physical, list(pending), with_payload=True
        ):
            old = point.payload or {}
            change = pending[str(point.id)]
            try:
                new = metadata(stored_record(old) | change)
            except RecordRefused as refusal:
                refused.append((change, refusal))
                continue
            operations += update_operations(collection, str(point.id), old, new, token)
            written[str(point.id)] = new
        if not operations:
            return {}
        await self._writes.index_new_fields(collection, list(written.values()))
        # One that was deleted meanwhile stops a server's batch: the tokens tell what was written.
        with contextlib.suppress(RecordsNotFound):
            await self._engine.batch_update_points(
                collection.physical, update_operations=operations
            )
        tokens = await self._writes.read_tokens(collection, list(written))
        for id_, new in written.items():
            if tokens.get(id_) == token:
                done[new["_id"]] = new
        # Deleted meanwhile: the next attempt does not find it, which is the truth.
        return {id_: pending[id_] for id_ in written if tokens.get(id_) != token}
