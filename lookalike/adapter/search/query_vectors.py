"""The vectors of given records: those that are stored, and those of their images and texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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
from lookalike.adapter.records.points import (
    Record,
    record_id,
    shown,
    shown_fields,
    without_pixels,
)
from lookalike.adapter.records.record_tags import (
    TAG_FIELDS,
    Tags,
    merge_tags,
    read_tags,
    tags_of,
)
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
                raise ImageRefused.of(embedded, place)
            return embedded.vector
        text = text_of(record, place)
        if text is None:
            raise InvalidRequest("_id, _url, _base64 or _text_data is needed", place=place)
        return await self._embedding.embed_text(collection, text, f"{place}._text_data")

    async def find_example(self, collection: Collection, record: Record, place: str) -> Vector:
        """The vector of one record. Raises as `find_examples`."""
        ((vector, _),) = await self._find(collection, {place: record})
        return vector

    async def find_examples(
        self, collection: Collection, records: Sequence[Record], place: str
    ) -> list[tuple[Vector, str | None]]:
        """A vector for each record, and its `_id` where it is stored.

        Raises as `embed`, and RecordsNotFound for an unknown `_id` without an image or a text.
        """
        return await self._find(collection, _by_place(records, place))

    async def _find(
        self, collection: Collection, by_place: Mapping[str, Record]
    ) -> list[tuple[Vector, str | None]]:
        ids = {place: id_of(record, place) for place, record in by_place.items()}
        wanted = [id_ for id_ in ids.values() if id_ is not None]
        stored = await read_vectors(self._engine, collection, wanted)
        found: list[tuple[Vector, str | None]] = []
        for place, record in by_place.items():
            id_ = ids[place]
            if id_ is not None and id_ in stored:
                found.append((stored[id_], id_))
            elif id_ is not None and not has_content(record, place):
                raise RecordsNotFound
            else:
                found.append((await self.embed(collection, record, place), None))
        return found

    async def find_tags(
        self, collection: Collection, records: Sequence[Record], place: str
    ) -> Tags:
        """The tags of the records together: of each those that it is given with, else its stored
        ones."""
        given: list[Tags] = []
        ids: list[str] = []
        for here, record in _by_place(records, place).items():
            tags, id_ = read_tags(record, here), id_of(record, here)
            if tags is not None:
                given.append(tags)
            elif id_ is not None:
                ids.append(id_)
        fields = frozenset(TAG_FIELDS)
        stored = await listing.get_records(self._engine, collection, ids, fields)
        return merge_tags([*given, *map(tags_of, stored)])

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
        named = as_given(records)
        for given, record, id_, part in zip(named, records, ids, parts, strict=True):
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
            items, named, lambda sources: self._embedding.embed(collection, sources, query=query)
        )


async def embed_missing(
    items: Sequence[tuple[Record, Vector | ImageSource | RecordRefused]],
    given: Sequence[Record],
    embed: Embed,
) -> list[Described]:
    """Embeds what is still a source, all together. `given`: the records `as_given`."""
    sources = [item for _, item in items if isinstance(item, ImageSource)]
    vectors = iter(await embed(sources))
    found: list[Described] = []
    for named, (record, item) in zip(given, items, strict=True):
        result = next(vectors) if isinstance(item, ImageSource) else item
        vector = result.vector if isinstance(result, Embedded) else result
        found.append(Described(named, record, vector))
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


INDEX = "_index"
"""A given record without an `_id` is told by this: its place in the request, from 0."""


def as_given(records: Sequence[Record]) -> list[Record]:
    """The records of a request as an answer repeats them: without pixels, and told apart."""
    return [_as_given(index, record) for index, record in enumerate(records)]


def _as_given(index: int, record: Record) -> Record:
    kept = without_pixels(record)
    id_ = kept.get("_id")
    if id_ is None:
        return {INDEX: index} | kept
    return kept | {"_id": str(id_)} if type(id_) is int else kept


def shown_given(record: Record, fields: frozenset[str] | None) -> Record:
    """As `shown`, of a record of the request."""
    if fields is not None and record.get("_id") is None:
        fields |= {INDEX}
    return shown(record, fields)


def _by_place(records: Sequence[Record], place: str) -> dict[str, Record]:
    return {f"{place}[{number}]": record for number, record in enumerate(records)}
