"""Image matching without a collection: hashes, duplicates, ranks of the images of a request."""

from __future__ import annotations

from typing import Any

import numpy as np
from litestar import Controller, Response, post

from lookalike.adapter.errors import InvalidRequest, RecordRefused
from lookalike.adapter.records.points import shown, shown_fields
from lookalike.adapter.search import service as queries
from lookalike.adapter.search.distances import distances
from lookalike.adapter.search.ranking import Vector
from lookalike.api import envelopes
from lookalike.api.bodies import JsonBody
from lookalike.api.envelopes import Clock, respond
from lookalike.api.paths import METHODS_ROOT
from lookalike.api.routes.record_methods import check_batch
from lookalike.api.schemas import Answer, Hash, RankImages, Record, RemoveDuplicates
from lookalike.api.services import Services

HASH_EMBEDDER = "phash"
HASH_TYPE = "bmh1"
"""The provider's name of a hash, under which that of `embedders.phash` is answered."""

SAME_IMAGE_BITS = 8.0

READ: dict[str, Any] = {"status_code": 200, "opt": {"scope": "read"}}


class ImageMatching(Controller):
    path = METHODS_ROOT
    tags = ("image matching",)

    @post("/visual_hash", dto=JsonBody[Hash], **READ)
    async def visual_hash(self, data: Hash, services: Services) -> dict[str, Any]:
        """The perceptual hash of each image, 128 bits in hex, under `_visual_hash`."""
        clock = Clock()
        check_batch(data.records, services)
        name = data.hash_type or HASH_TYPE
        described = await hashes(data.records, services)
        records = [
            {**one.record, "_status": one.status}
            | (
                {}
                if isinstance(one.vector, RecordRefused)
                else {"_visual_hash": {name: as_hex(one.vector)}}
            )
            for one in described
        ]
        return {
            "records": records,
            "status": _status(*envelopes.OK),
            "statistics": clock.statistics(),
        }

    @post("/remove_duplicates", dto=JsonBody[RemoveDuplicates], **READ)
    async def remove_duplicates(
        self, data: RemoveDuplicates, services: Services
    ) -> Response[Answer]:
        """The first of each set of equal images, with the `_ids` of all of the set."""
        clock = Clock()
        check_batch(data.records, services)
        known, refused = queries.split(await hashes(data.records, services))
        radius = SAME_IMAGE_BITS if data.radius is None else data.radius
        kept: list[tuple[Record, Vector]] = []
        for record, bits in known:
            apart = distances(bits, [other for _, other in kept], "manhattan")
            same = next((i for i, distance in enumerate(apart) if distance <= radius), None)
            if same is None:
                kept.append(({**record, "_ids": []}, bits))
            kept[-1 if same is None else same][0]["_ids"].append(record.get("_id"))
        body = envelopes.answer(envelopes.OK, [r for r, _ in kept], clock, refused=refused)
        return respond(body, services.settings.mirror_status)

    @post("/rank_images", dto=JsonBody[RankImages], **READ)
    async def rank_images(self, data: RankImages, services: Services) -> Response[Answer]:
        """The given images by Hamming distance of their hashes from the query's."""
        clock = Clock()
        check_batch(data.records, services)
        query, unreadable = queries.split(await hashes([data.query_record], services))
        if unreadable:
            raise InvalidRequest(unreadable[0][1].text, place=queries.QUERY_RECORD)
        known, refused = queries.split(await hashes(data.records, services))
        apart = distances(query[0][1], [bits for _, bits in known], "manhattan")
        order = sorted(range(len(known)), key=lambda index: (apart[index], index))
        # The given fields without being asked: callers look for their `_url` in the answer.
        fields = shown_fields(data.fields_to_return or ["*"])
        records = [shown(known[index][0], fields) for index in order]
        body = envelopes.answer(envelopes.OK, records, clock, refused=refused)
        body.answer_distances = [apart[index] for index in order]
        return respond(body, services.settings.mirror_status)


async def hashes(records: list[Record], services: Services) -> list[queries.Described]:
    """Each record, without pixels, with the 128 bits of its image's hash as 0 and 1."""
    embedder = await services.embedder_named(HASH_EMBEDDER, "$")
    return await queries.described_by(embedder, records, services)


def as_hex(bits: Vector) -> str:
    return np.packbits(np.asarray(bits, dtype=np.uint8)).tobytes().hex()


def _status(code: int, text: str) -> dict[str, Any]:
    return {"code": code, "text": text}
