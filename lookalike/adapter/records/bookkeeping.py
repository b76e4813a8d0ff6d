"""What we keep of a record beside the user's fields, and writes that depend on it.

Every write leaves its token. A change that names the token it has read is applied only while
nobody else has written: an optimistic lock on each point, on every engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter.filters import SHADOW_KEY, engine_value, shadow_tokens
from lookalike.adapter.point_layout import RESERVED_KEY
from lookalike.adapter.records.image_sources import Crop
from lookalike.adapter.records.points import RECORD_TEXT, Record
from lookalike.adapter.records.record_tags import TAG_NAMES, unlisted_tags

WRITE_TOKEN = "write"
WRITE_TOKEN_PATH = f"{RESERVED_KEY}.{WRITE_TOKEN}"
IMAGE = "image"
"""The hash of the image that the vectors were made of."""
CROP = "crop"
"""The part of the image that counts, where that is not all of it; see `ImageSource.crop`."""

UNDECIDED = "undecided"
"""The rank of the call that has inserted the record, until it is known that the record stays; see
`undecided`. Whatever else is done to the record decides that it does."""
UNDECIDED_PATH = f"{RESERVED_KEY}.{UNDECIDED}"


def stored_payload(record: Record, bookkeeping: Mapping[str, Any]) -> Record:
    """The payload of the point that keeps the record; read back by `points.stored_record`."""
    own = {
        **bookkeeping,
        SHADOW_KEY: shadow_tokens(record),
        RECORD_TEXT: msgspec.json.encode(record).decode(),
    }
    own.pop(TAG_NAMES, None)
    if names := unlisted_tags(record):
        own[TAG_NAMES] = names
    fields: Record = engine_value(record)
    return fields | {RESERVED_KEY: own}


def renewed(
    payload: Mapping[str, Any] | None, token: str, image: tuple[str, Crop | None] | None = None
) -> dict[str, Any]:
    """The bookkeeping of a point that is written again, by whoever has this token.

    `image`: the hash and the part of the image that its vectors are made of from now on, where that
    is another one than before.
    """
    kept = {**_own(payload), WRITE_TOKEN: token, UNDECIDED: None}
    if image is not None:
        kept[IMAGE], kept[CROP] = image
    return {name: value for name, value in kept.items() if value is not None}


def crop_of_image(payload: Mapping[str, Any] | None) -> Crop | None:
    """The part of the image that the vectors of a point are made of; None for all of it."""
    box = _own(payload).get(CROP)
    return None if box is None else msgspec.convert(box, Crop)


def in_state(id_: str | int, token: str) -> models.Filter:
    """Holds while the point is as whoever left this token wrote it."""
    return models.Filter(
        must=[
            models.HasIdCondition(has_id=[id_]),
            models.FieldCondition(key=WRITE_TOKEN_PATH, match=models.MatchValue(value=token)),
        ]
    )


def token_of(payload: Mapping[str, Any] | None) -> str:
    return str(_own(payload).get(WRITE_TOKEN, ""))


def rank_of(payload: Mapping[str, Any] | None) -> str | None:
    """Of an undecided record; None for all others."""
    rank: str | None = _own(payload).get(UNDECIDED)
    return rank


def decided(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload of a copy: what becomes of the record is decided where it was inserted."""
    if rank_of(payload) is None:
        return dict(payload)
    own = {name: value for name, value in _own(payload).items() if name != UNDECIDED}
    return {**payload, RESERVED_KEY: own}


def _own(payload: Mapping[str, Any] | None) -> dict[str, Any]:
    return (payload or {}).get(RESERVED_KEY) or {}
