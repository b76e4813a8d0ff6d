"""A record on its way in, from what was sent to the point that is written."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import msgspec
from qdrant_client import models

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.errors import DuplicateRecord, RecordRefused
from lookalike.adapter.point_layout import TAGS_VECTOR
from lookalike.adapter.records.bookkeeping import (
    CROP,
    IMAGE,
    UNDECIDED,
    WRITE_TOKEN,
    stored_payload,
)
from lookalike.adapter.records.image_sources import Embed, Embedded, ImageSource
from lookalike.adapter.records.point_writes import NamedVectors, usable_id
from lookalike.adapter.records.points import Record, metadata, point_id
from lookalike.adapter.records.record_changes import UNSET
from lookalike.adapter.records.record_tags import check_tags, tag_vector, tags_of


class Incoming(msgspec.Struct, eq=False):
    """A record on its way in. `refusal` is set as soon as something speaks against it."""

    record: Record
    id: str = ""
    point_id: str = ""
    payload: Record = {}
    source: ImageSource | None = None
    embedded: Embedded | None = None
    vectors: NamedVectors = {}
    refusal: RecordRefused | None = None
    token: str = ""
    """Of the write that it is in."""
    undecided: str | None = None
    """See `undecided`."""

    @classmethod
    def of(cls, record: Record) -> Incoming:
        candidate = cls(record)
        try:
            if UNSET in record:
                raise RecordRefused(400, f"{UNSET} removes fields of stored records, in an update")
            candidate.id = str(uuid.uuid4()) if record.get("_id") is None else usable_id(record)
            candidate.payload = metadata({"_id": candidate.id} | record | {"_id": candidate.id})
            check_tags(record)
            candidate.point_id = point_id(candidate.id)
            candidate.source = ImageSource.of(record)
            if candidate.source is None:
                raise RecordRefused(400, "the record has neither _url nor _base64")
        except RecordRefused as refusal:
            candidate.refusal = refusal
        return candidate

    def stored(self) -> Record:
        """The payload of its point."""
        assert self.embedded is not None
        bookkeeping: Record = {WRITE_TOKEN: self.token, IMAGE: self.embedded.content_hash}
        if self.source is not None and self.source.crop is not None:
            bookkeeping[CROP] = self.source.crop
        if self.undecided is not None:
            bookkeeping[UNDECIDED] = self.undecided
        return stored_payload(self.payload, bookkeeping)

    def point(self, collection: Collection) -> models.PointStruct:
        vectors = dict(self.vectors)
        tags = tag_vector(tags_of(self.payload), by_rarity=collection.tag_idf)
        if tags is not None:
            vectors[TAGS_VECTOR] = tags
        # Built without validation: 1280 floats that were checked when they were computed.
        return models.PointStruct.model_construct(
            id=self.point_id, vector=vectors, payload=self.stored()
        )


async def embed_incoming(candidates: Iterable[Incoming], embed: Embed) -> None:
    waiting = [c for c in candidates if c.refusal is None]
    if not waiting:
        return
    results = await embed([c.source for c in waiting if c.source is not None])
    for candidate, result in zip(waiting, results, strict=True):
        if isinstance(result, RecordRefused):
            candidate.refusal = result
        else:
            candidate.embedded = result
            if result.dominant_colors is not None:
                candidate.payload["_dominant_colors"] = result.dominant_colors


def refuse_repeated(candidates: Iterable[Incoming]) -> None:
    seen: set[str] = set()
    for candidate in candidates:
        if candidate.refusal is None:
            if candidate.point_id in seen:
                candidate.refusal = DuplicateRecord()
            seen.add(candidate.point_id)
