"""The vectors of given records: those that are stored, and those of their images and texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.engines.base import Engine
from lookalike.adapter.errors import ImageRefused, InvalidRequest, RecordRefused, RecordsNotFound
from lookalike.adapter.records import listing
from lookalike.adapter.records.image_sources import (
    Embed,
    Embedded,
    EmbeddingPort,
    ImageSource,
    Vector,
)
from lookalike.adapter.records.points import Record, record_id, shown_fields, without_pixels
from lookalike.adapter.search.request import has_content, id_of, source_of, text_of
from lookalike.adapter.search.vectors import read_vectors

URL = frozenset({"_url"})


class Described(Struct):
    """A record of a request, as it was given and as it is answered, and its vector."""

    given: Record
    record: Record
    vector: Vector | RecordRefused


class QueryVectors:
    """Reads stored vectors from one engine and has the others embedded."""

    def __init__(self, engine: Engine, embedding: EmbeddingPort) -> None:
        self._engine = engine
        self._embedding = embedding

    async def embed(self, collection: Collection, record: Record, place: str) -> Vector:
        """The vector of an image or a text, whatever is stored under the record's `_id`.

        A `_crop` beside an `_id` alone is a part of the stored `_url`. Raises InvalidRequest where
        there is nothing of these, ImageRefused where the image cannot be had.
        """
        source = source_of(record, place)
        if source is None and (id_ := part_of(record, place)) is not None:
            found = await listing.get_records(self._engine, collection, [id_], URL)
            if not found:
                raise RecordsNotFound
            source = source_of(_cut(found[0], record, f"{place}._crop"), place)
        if source is not None:
            (embedded,) = await self._embedding.embed(collection, [source], query=True)
            if isinstance(embedded, RecordRefused):
                raise ImageRefused(embedded, place=place)
            return embedded.vector
        text = text_of(record, place)
        if text is None:
            raise InvalidRequest("_id, _url, _base64 or _text_data is needed", place=place)
        return await self._embedding.embed_text(collection, text, f"{place}._text_data")

    async def find_examples(
        self, collection: Collection, records: Sequence[Record], place: str
    ) -> list[tuple[Vector, str | None]]:
        """A vector for each record, and its `_id` where it is stored.

        Raises as `embed`, and RecordsNotFound for an unknown `_id` without an image or a text.
        """
        ids = [id_of(record, f"{place}[{number}]") for number, record in enumerate(records)]
        wanted = [id_ for id_ in ids if id_ is not None]
        stored = await read_vectors(self._engine, collection, wanted)
        found: list[tuple[Vector, str | None]] = []
        for number, (record, id_) in enumerate(zip(records, ids, strict=True)):
            here = f"{place}[{number}]"
            if id_ is not None and id_ in stored:
                found.append((stored[id_], id_))
            elif id_ is not None and not has_content(record, here):
                raise RecordsNotFound
            else:
                found.append((await self.embed(collection, record, here), None))
        return found

    async def describe(
        self, collection: Collection, records: Sequence[Record], *, query: bool = False
    ) -> list[Described]:
        """The records in their order. What is stored of one stands behind what is given.

        `query`: they are part of a search, and go before the images of inserts.
        """
        ids = [_id_or_refusal(id_of, record) for record in records]
        parts = [_id_or_refusal(part_of, record) for record in records]
        wanted = [id_ for id_ in ids if isinstance(id_, str)]
        vectors = await read_vectors(self._engine, collection, wanted)
        cut = [id_ for id_ in parts if isinstance(id_, str)]
        found = await listing.get_records(
            self._engine, collection, [*vectors, *cut], shown_fields(["*"])
        )
        stored = {record["_id"]: record for record in found}
        items: list[tuple[Record, Vector | ImageSource | RecordRefused]] = []
        for record, id_, part in zip(records, ids, parts, strict=True):
            given = without_pixels(record)
            if isinstance(id_, RecordRefused):
                items.append((given, id_))
            elif isinstance(part, str) and part in stored:
                known = stored[part] | given | {"_id": part}
                items.append((known, _cut_or_refusal(stored[part], record)))
            elif id_ is not None and id_ in vectors:
                items.append((stored[id_] | given | {"_id": id_}, vectors[id_]))
            else:
                items.append((given, source_or_refusal(record)))
        return await embed_missing(
            items, records, lambda sources: self._embedding.embed(collection, sources, query=query)
        )


async def embed_missing(
    items: Sequence[tuple[Record, Vector | ImageSource | RecordRefused]],
    records: Sequence[Record],
    embed: Embed,
) -> list[Described]:
    """Embeds what is still a source, all together."""
    sources = [item for _, item in items if isinstance(item, ImageSource)]
    vectors = iter(await embed(sources))
    found: list[Described] = []
    for given, (record, item) in zip(records, items, strict=True):
        result = next(vectors) if isinstance(item, ImageSource) else item
        vector = result.vector if isinstance(result, Embedded) else result
        found.append(Described(given, record, vector))
    return found


def split_refused(
    records: Sequence[Described],
) -> tuple[list[tuple[Record, Vector]], list[tuple[Record, RecordRefused]]]:
    """Those with a vector, and the others as they were given, with the reason."""
    known = [(r.record, r.vector) for r in records if not isinstance(r.vector, RecordRefused)]
    refused = [(r.given, r.vector) for r in records if isinstance(r.vector, RecordRefused)]
    return known, refused


def part_of(record: Record, place: str) -> str | None:
    """The `_id` of the stored record of whose image a part is meant; None where none is."""
    if record.get("_id") is None or record.get("_crop") is None or has_content(record, place):
        return None
    return record_id(record["_id"], f"{place}._id")


def _cut(stored: Record, record: Record, place: str) -> Record:
    """A record whose image is the part that `record` names of the stored `_url`."""
    if not stored.get("_url"):
        raise InvalidRequest(
            "the stored record has no _url, and pictures are not kept: there is nothing to cut",
            place=place,
        )
    return {"_url": stored["_url"], "_crop": record["_crop"]}


def _cut_or_refusal(stored: Record, record: Record) -> ImageSource | RecordRefused:
    try:
        return source_or_refusal(_cut(stored, record, "$"))
    except InvalidRequest as error:
        return RecordRefused(error.code, error.text)


def _id_or_refusal(
    read: Callable[[Record, str], str | None], record: Record
) -> str | RecordRefused | None:
    try:
        return read(record, "$")
    except InvalidRequest as error:
        return RecordRefused(error.code, error.text)


def source_or_refusal(record: Record) -> ImageSource | RecordRefused:
    """Where the image comes from, or why there is none."""
    try:
        source = ImageSource.of(record)
    except RecordRefused as refusal:
        return refusal
    return source or RecordRefused(404, "no stored record has this _id, and there is no picture")
