"""Notes that all processes share and no collection owns: who has a name, where a reader is.

A note is a point without a vector, in a collection of the engine that has no alias and so is none
of ours. So whatever an engine does with points in one step it does with notes: a new note never
replaces one that is there, and a change is applied only to the state that was read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from qdrant_client import models

from lookalike.adapter.collections.side_collections import put_points
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import CollectionNotFound

LEDGER = "lookalike-ledger"
"""The name in the engine. It is made by the first note."""
TOKEN = "token"
"""The field of a note that tells its states apart."""
TOPIC, SEEN = "topic", "seen"
"""Fields by which notes are found: what they are about, and when they were written."""

_INDEXES = {TOPIC: models.PayloadSchemaType.KEYWORD, SEEN: models.PayloadSchemaType.FLOAT}

Note = dict[str, Any]


async def put_note(engine: Engine, id_: str, note: Note, *, only_new: bool = False) -> None:
    """Writes a note, or with `only_new` leaves one that has this id."""
    mode = models.UpdateMode.INSERT_ONLY if only_new else None
    points = [models.PointStruct(id=id_, vector={}, payload=note)]
    await put_points(engine, LEDGER, points, _INDEXES, mode=mode)


async def replace_note(engine: Engine, id_: str, token: object, note: Note) -> None:
    """Replaces a note as long as it has this token; otherwise it stays."""
    change = models.SetPayload(payload=note, filter=_with_token(id_, token))
    operation = models.OverwritePayloadOperation(overwrite_payload=change)
    await engine.batch_update_points(LEDGER, update_operations=[operation])


async def delete_note(engine: Engine, id_: str, token: object) -> None:
    """Deletes a note as long as it has this token; otherwise it stays."""
    selector = models.FilterSelector(filter=_with_token(id_, token))
    operation = models.DeleteOperation(delete=selector)
    # There is no ledger where there is no note.
    with contextlib.suppress(CollectionNotFound):
        await engine.batch_update_points(LEDGER, update_operations=[operation])


async def read_note(engine: Engine, id_: str) -> Note | None:
    try:
        found = await engine.retrieve(LEDGER, [id_])
    except CollectionNotFound:
        return None
    return found[0].payload if found else None


async def find_notes(
    engine: Engine, conditions: Sequence[models.FieldCondition], most: int
) -> Mapping[str, Note]:
    """Up to `most` notes that meet all conditions, by id."""
    try:
        found, _ = await engine.scroll(
            LEDGER, scroll_filter=models.Filter(must=list(conditions)), limit=most
        )
    except CollectionNotFound:
        return {}
    return {str(point.id): point.payload or {} for point in found}


async def delete_notes(engine: Engine, ids: Sequence[str]) -> None:
    if ids:
        await engine.delete(LEDGER, list(ids))


def _with_token(id_: str, token: object) -> models.Filter:
    return models.Filter(must=[models.HasIdCondition(has_id=[id_]), equals(TOKEN, str(token))])


def equals(field: str, value: str) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))
