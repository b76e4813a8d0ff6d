"""Image matching without a collection: hashes, duplicates, ranks of the images of a request."""

from __future__ import annotations

import numpy as np
from litestar import Controller, post

from lookalike.adapter.errors import InvalidRequest
from lookalike.adapter.records.image_sources import Vector
from lookalike.adapter.search.image_matching import ImageMatchingService
from lookalike.api import envelopes
from lookalike.api.bodies import JsonBody
from lookalike.api.dependencies import READ
from lookalike.api.envelopes import Clock
from lookalike.api.request_paths import METHODS_ROOT
from lookalike.api.schemas import Answer, Hash, ModelAnswer, RankImages, RemoveDuplicates

HASH_TYPE = "bmh1"
"""The provider's name of a hash, under which that of `embedders.phash` is answered."""


class ImageMatching(Controller):
    path = METHODS_ROOT
    tags = ("image matching",)

    @post("/visual_hash", dto=JsonBody[Hash], **READ)
    async def visual_hash(self, data: Hash, matching: ImageMatchingService) -> ModelAnswer:
        """The perceptual hash of each image, 128 bits in hex, under `_visual_hash`."""
        clock = Clock()
        check_hash_type(data.hash_type)
        hashed = await matching.hash_images(data.records)
        records = envelopes.described(
            hashed, lambda bits: {"_visual_hash": {HASH_TYPE: as_hex(bits)}}
        )
        return envelopes.of_model(records, clock)

    @post("/remove_duplicates", dto=JsonBody[RemoveDuplicates], **READ)
    async def remove_duplicates(
        self, data: RemoveDuplicates, matching: ImageMatchingService
    ) -> Answer:
        """The first of each set of equal images, with the `_ids` and `_indices` of all of it."""
        clock = Clock()
        check_hash_type(data.hash_type)
        kept = await matching.remove_duplicates(data.records, data.radius)
        return envelopes.answer(envelopes.OK, kept.records, clock, refused=kept.refused)

    @post("/rank_images", dto=JsonBody[RankImages], **READ)
    async def rank_images(self, data: RankImages, matching: ImageMatchingService) -> Answer:
        """The given images by Hamming distance of their hashes from the query's."""
        clock = Clock()
        check_hash_type(data.hash_type)
        ranked = await matching.rank_images(data.query_record, data.records, data.fields_to_return)
        body = envelopes.answer(envelopes.OK, ranked.records, clock, refused=ranked.refused)
        body.answer_distances = ranked.distances
        return body


def check_hash_type(asked: str | list[str] | None) -> None:
    """Raises InvalidRequest for a kind of hash that is not computed here."""
    for number, name in enumerate([asked] if isinstance(asked, str) else asked or ()):
        if name != HASH_TYPE:
            place = "$.hash_type" if isinstance(asked, str) else f"$.hash_type[{number}]"
            raise InvalidRequest(f"{HASH_TYPE} is the only kind of hash here", place=place)


def as_hex(bits: Vector) -> str:
    return np.packbits(np.asarray(bits, dtype=np.uint8)).tobytes().hex()
