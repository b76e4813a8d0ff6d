"""Images without a collection: hashes, duplicates, and their order by likeness to one of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lookalike.adapter.collections.defaults import SAME_IMAGE_BITS
from lookalike.adapter.errors import ImageRefused, RecordRefused
from lookalike.adapter.limits import Limits
from lookalike.adapter.records.image_sources import EmbeddingPort, Vector
from lookalike.adapter.records.points import Record, shown, shown_fields, without_pixels
from lookalike.adapter.search.distances import distances
from lookalike.adapter.search.query_vectors import (
    Described,
    embed_missing,
    source_or_refusal,
    split_refused,
)
from lookalike.adapter.search.request import QUERY_RECORD

HASH_EMBEDDER = "phash"
HASH_DISTANCE = "manhattan"
"""Of 0 and 1: the number of bits that differ."""


class Matched(msgspec.Struct):
    """Given records, and those whose image cannot be read; `distances` are empty for no order."""

    records: list[Record]
    refused: list[tuple[Record, RecordRefused]]
    distances: list[float] = []


class ImageMatchingService:
    """What is asked of images alone; `limits` bounds the batches."""

    def __init__(self, embedding: EmbeddingPort, limits: Limits) -> None:
        self._embedding = embedding
        self._limits = limits

    async def hash_images(self, records: Sequence[Record]) -> list[Described]:
        """Each record, without pixels, with the 128 bits of its image's hash as 0 and 1."""
        self._limits.check_batch(len(records), "$.records")
        return await self._hash(records)

    async def remove_duplicates(
        self, records: Sequence[Record], radius: float | None = None
    ) -> Matched:
        """The first of each set of equal images, with the `_ids` of all of the set.

        `radius`: bits that may differ in images taken for the same.
        """
        within = SAME_IMAGE_BITS if radius is None else radius
        known, refused = split_refused(await self.hash_images(records))
        kept: list[tuple[Record, Vector]] = []
        for record, bits in known:
            apart = distances(bits, [other for _, other in kept], HASH_DISTANCE)
            same = next((i for i, distance in enumerate(apart) if distance <= within), None)
            if same is None:
                kept.append(({**record, "_ids": []}, bits))
            kept[-1 if same is None else same][0]["_ids"].append(record.get("_id"))
        return Matched([record for record, _ in kept], refused)

    async def rank_images(
        self,
        query_record: Record,
        records: Sequence[Record],
        fields_to_return: Sequence[str] | None = None,
    ) -> Matched:
        """The given images by Hamming distance of their hashes from the query's."""
        self._limits.check_batch(len(records), "$.records")
        query, unreadable = split_refused(await self._hash([query_record]))
        if unreadable:
            raise ImageRefused(unreadable[0][1], place=QUERY_RECORD)
        known, refused = split_refused(await self._hash(records))
        apart = distances(query[0][1], [bits for _, bits in known], HASH_DISTANCE)
        order = sorted(range(len(known)), key=lambda index: (apart[index], index))
        # The given fields without being asked: callers look for their `_url` in the answer.
        fields = shown_fields(fields_to_return or ["*"])
        return Matched(
            [shown(known[index][0], fields) for index in order],
            refused,
            [apart[index] for index in order],
        )

    async def _hash(self, records: Sequence[Record]) -> list[Described]:
        items = [(without_pixels(record), source_or_refusal(record)) for record in records]
        return await embed_missing(
            items, records, lambda sources: self._embedding.embed_with(HASH_EMBEDDER, sources)
        )
