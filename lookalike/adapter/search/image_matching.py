"""Images without a collection: hashes, duplicates, and their order by likeness to one of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lookalike.adapter.collections.defaults import SAME_IMAGE_BITS
from lookalike.adapter.errors import ImageRefused, RecordRefused
from lookalike.adapter.limits import Limits
from lookalike.adapter.records.image_sources import EmbeddingPort, Vector
from lookalike.adapter.records.points import Record, shown_fields
from lookalike.adapter.search.distances import HASH_EMBEDDER, distances
from lookalike.adapter.search.query_vectors import (
    Described,
    as_given,
    embed_missing,
    shown_given,
    source_or_refusal,
    split_refused,
)
from lookalike.adapter.search.request import QUERY_RECORD, check_radius

HASH_BITS = 128
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
        """The first of each set of equal images, with the `_ids` and the `_indices` of all of the
        set: the places of its records in the request, from 0.

        `radius`: bits that may differ in images taken for the same.
        """
        check_radius(radius, HASH_BITS)
        within = SAME_IMAGE_BITS if radius is None else radius
        kept: list[tuple[Record, Vector]] = []
        described = await self.hash_images(records)
        for index, one in enumerate(described):
            bits = one.vector
            if isinstance(bits, RecordRefused):
                continue
            apart = distances(bits, [other for _, other in kept], HASH_DISTANCE)
            same = next((i for i, distance in enumerate(apart) if distance <= within), None)
            if same is None:
                same = len(kept)
                kept.append(({**one.record, "_ids": [], "_indices": []}, bits))
            kept[same][0]["_ids"].append(one.record.get("_id"))
            kept[same][0]["_indices"].append(index)
        return Matched([record for record, _ in kept], split_refused(described)[1])

    async def rank_images(
        self,
        query_record: Record,
        records: Sequence[Record],
        fields_to_return: Sequence[str] | None = None,
    ) -> Matched:
        """The given images by Hamming distance of their hashes from the query's."""
        self._limits.check_batch(len(records), "$.records")
        # The given fields without being asked: callers look for their `_url` in the answer.
        fields = shown_fields(["*"] if fields_to_return is None else fields_to_return)
        query, unreadable = split_refused(await self._hash([query_record]))
        if unreadable:
            raise ImageRefused.of(unreadable[0][1], QUERY_RECORD)
        known, refused = split_refused(await self._hash(records))
        apart = distances(query[0][1], [bits for _, bits in known], HASH_DISTANCE)
        order = sorted(range(len(known)), key=lambda index: (apart[index], index))
        return Matched(
            [shown_given(known[index][0], fields) for index in order],
            refused,
            [apart[index] for index in order],
        )

    async def _hash(self, records: Sequence[Record]) -> list[Described]:
        named = as_given(records)
        items = list(zip(named, map(source_or_refusal, records), strict=True))
        return await embed_missing(
            items, named, lambda sources: self._embedding.embed_with(HASH_EMBEDDER, sources)
        )
