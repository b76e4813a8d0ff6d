"""What we keep of a record beside the user's fields, and writes that depend on it.

Every write leaves its token. A change that names the token it has read is applied only while
nobody else has written: an optimistic lock on each point, on every engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.filters import SHADOW_KEY, engine_value, shadow_tokens
from lookalike.adapter.point_layout import RESERVED_KEY, TAGS_VECTOR
from lookalike.adapter.records.points import (
    RECORD_TEXT,
    Record,
    stored_record,
    tag_vector,
    tags_of,
)

WRITE_TOKEN = "write"
WRITE_TOKEN_PATH = f"{RESERVED_KEY}.{WRITE_TOKEN}"
IMAGE = "image"
"""The hash of the image that the vectors were made of."""
CROP = "crop"
"""The part of the image that counts, where that is not all of it; see `ImageSource.crop`."""


def stored_payload(record: Record, bookkeeping: Mapping[str, Any]) -> Record:
    """The payload of the point that keeps the record; read back by `points.stored_record`."""
    own = {
        **bookkeeping,
        SHADOW_KEY: shadow_tokens(record),
        RECORD_TEXT: msgspec.json.encode(record).decode(),
    }
    fields: Record = engine_value(record)
    return fields | {RESERVED_KEY: own}


def update_operations(
    collection: Collection, id_: str, old: Record, new: Record, token: str
) -> list[models.UpdateOperation]:
    """Both hold only while the point is in the state that was read, or that the first one wrote."""
    bookkeeping = dict(old.get(RESERVED_KEY) or {})
    read_token = bookkeeping.get(WRITE_TOKEN, "")
    bookkeeping[WRITE_TOKEN] = token
    operations: list[models.UpdateOperation] = [
        models.OverwritePayloadOperation(
            overwrite_payload=models.SetPayload(
                payload=stored_payload(new, bookkeeping), filter=in_state(id_, read_token)
            )
        )
    ]
    old_tags, new_tags = tags_of(stored_record(old)), tags_of(new)
    if old_tags != new_tags:
        vector = tag_vector(new_tags, by_rarity=collection.tag_idf)
        if vector is not None:
            operations.append(
                models.UpdateVectorsOperation(
                    update_vectors=models.UpdateVectors(
                        points=[models.PointVectors(id=id_, vector={TAGS_VECTOR: vector})],
                        update_filter=in_state(id_, token),
                    )
                )
            )
        else:
            operations.append(
                models.DeleteVectorsOperation(
                    delete_vectors=models.DeleteVectors(
                        filter=in_state(id_, token), vector=[TAGS_VECTOR]
                    )
                )
            )
    return operations


def in_state(id_: str | int, token: str) -> models.Filter:
    """Holds while the point is as whoever left this token wrote it."""
    return models.Filter(
        must=[
            models.HasIdCondition(has_id=[id_]),
            models.FieldCondition(key=WRITE_TOKEN_PATH, match=models.MatchValue(value=token)),
        ]
    )


def token_of(payload: Mapping[str, Any] | None) -> str:
    return str(((payload or {}).get(RESERVED_KEY) or {}).get(WRITE_TOKEN, ""))
