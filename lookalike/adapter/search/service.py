"""What a search request looks for, turned into vectors or a stored record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs

from lookalike.adapter.collections.store import Collection
from lookalike.adapter.errors import InvalidRequest, RecordRefused, RecordsNotFound
from lookalike.adapter.records import listing
from lookalike.adapter.records.images import Embed, Embedded, ImageSource
from lookalike.adapter.records.points import UNSTORED_FIELDS, record_id, shown_fields
from lookalike.adapter.records.selection import select
from lookalike.adapter.search.grouping import Grouping
from lookalike.adapter.search.nearest import (
    Hits,
    Query,
    nearest,
    recommended,
    stored_vectors,
    weighted_sum,
)
from lookalike.adapter.search.ranking import Vector
from lookalike.api.schemas import DEFAULT_K, Record, Search
from lookalike.api.services import Services
from lookalike.embedders.batching import BatchedEmbedder

QUERY_RECORD = "$.query_record"

CANCELLED = "the pictures cancel each other out, which leaves nothing to look for"

MAX_FROM = 50_000
"""The deepest page: what the engine ranks before it is thrown away."""


async def answer(data: Search, query: Query, collection: Collection, services: Services) -> Hits:
    """Raises InvalidRequest for a query without content or with an image that cannot be read, and
    RecordsNotFound for an unknown `_id` without an image."""
    engine = services.engine
    if data.positive or data.negative:
        query = await _by_examples(data, query, collection, services)
    elif data.query_records:
        query = await _by_several(data, query, collection, services)
    elif data.query_record is not None:
        id_ = id_of(data.query_record, QUERY_RECORD)
        if id_ is not None:
            try:
                return await nearest(engine, collection, structs.replace(query, record_id=id_))
            except RecordsNotFound:
                if not has_content(data.query_record, QUERY_RECORD):
                    raise
        vector = await embed_query(data.query_record, QUERY_RECORD, collection, services)
        query = structs.replace(query, vectors=(vector,))
    else:
        raise InvalidRequest("query_record is needed", place="$")
    return await nearest(engine, collection, query)


async def query_of(
    data: Search, collection: Collection, services: Services, *, k: int = DEFAULT_K
) -> Query:
    """All of the request but what it looks for; `k` is the default. Raises InvalidFilter."""
    grouping = grouping_of(data, collection)
    if grouping is not None and data.diversity is not None:
        raise InvalidRequest("diversity cannot be combined with grouping", place="$.diversity")
    if data.from_ is not None and data.from_ > MAX_FROM:
        raise InvalidRequest(f"from must not be larger than {MAX_FROM}", place="$.from")
    return Query(
        k=min(k if data.k is None else data.k, services.settings.max_results),
        offset=data.from_ or 0,
        radius=data.radius,
        selection=await select(services.engine, collection, data.filter),
        fields=shown_fields(data.fields_to_return),
        grouping=grouping,
        diversity=data.diversity,
    )


def grouping_of(data: Search, collection: Collection) -> Grouping | None:
    """By the request's field, else by the collection's product field; an empty name for none."""
    if data.group_by is None and data.diversity is not None and data.group_size is None:
        return None
    field = collection.product_id_field if data.group_by is None else data.group_by
    if field:
        return Grouping(field, data.group_size or 1)
    if data.group_size is not None:
        raise InvalidRequest("group_size needs a field to group by", place="$.group_by")
    return None


async def _by_examples(
    data: Search, query: Query, collection: Collection, services: Services
) -> Query:
    if not data.positive:
        raise InvalidRequest("negative examples need positive ones", place="$.positive")
    positive = await examples(data.positive, "$.positive", collection, services)
    negative = await examples(data.negative or [], "$.negative", collection, services)
    stored = frozenset(id_ for _, id_ in positive + negative if id_ is not None)
    vector = recommended([v for v, _ in positive], [v for v, _ in negative])
    if collection.distance == "cosine" and not any(vector):
        raise InvalidRequest(CANCELLED, place="$.negative")
    return structs.replace(query, vectors=(vector,), excluded=stored)


async def _by_several(
    data: Search, query: Query, collection: Collection, services: Services
) -> Query:
    found = await examples(data.query_records or [], "$.query_records", collection, services)
    vectors = [vector for vector, _ in found]
    if data.weights is None:
        return structs.replace(query, vectors=tuple(vectors))
    if len(data.weights) != len(vectors):
        raise InvalidRequest("there must be one weight for each query record", place="$.weights")
    if collection.distance != "cosine":
        raise InvalidRequest("weights need a collection with cosine distance", place="$.weights")
    total, length = weighted_sum(vectors, data.weights)
    if length == 0:
        raise InvalidRequest(CANCELLED, place="$.query_records")
    return structs.replace(query, vectors=(total,), length=length)


async def examples(
    records: Sequence[Record], place: str, collection: Collection, services: Services
) -> list[tuple[Vector, str | None]]:
    """A vector for each, and its `_id` where it is stored. Raises as `answer` does."""
    most = services.settings.effective_max_records
    if len(records) > most:
        raise InvalidRequest(f"A request has at most {most} records", place=place)
    ids = [id_of(record, f"{place}[{number}]") for number, record in enumerate(records)]
    wanted = [id_ for id_ in ids if id_ is not None]
    stored = await stored_vectors(services.engine, collection, wanted)
    found: list[tuple[Vector, str | None]] = []
    for number, (record, id_) in enumerate(zip(records, ids, strict=True)):
        here = f"{place}[{number}]"
        if id_ is not None and id_ in stored:
            found.append((stored[id_], id_))
        elif id_ is not None and not has_content(record, here):
            raise RecordsNotFound
        else:
            found.append((await embed_query(record, here, collection, services), None))
    return found


def id_of(record: Record, place: str) -> str | None:
    """The `_id` whose stored vector is looked for; None where only a part of an image is."""
    if record.get("_id") is None or record.get("_crop") is not None:
        return None
    return record_id(record["_id"], f"{place}._id")


def has_content(record: Record, place: str) -> bool:
    return text_of(record, place) is not None or source_of(record, place) is not None


async def embed_query(
    record: Record, place: str, collection: Collection, services: Services
) -> Vector:
    """The vector of an image or a text that is not stored."""
    source = source_of(record, place)
    if source is not None:
        (embedded,) = await services.embed(collection, [source], query=True)
        if isinstance(embedded, RecordRefused):
            raise InvalidRequest(embedded.text, place=place)
        return embedded.vector
    text = text_of(record, place)
    if text is None:
        raise InvalidRequest("_id, _url, _base64 or _text_data is needed", place=place)
    return await services.embed_text(collection, text, f"{place}._text_data")


def source_of(record: Record, place: str) -> ImageSource | None:
    try:
        return ImageSource.of(record)
    except RecordRefused as refusal:
        raise InvalidRequest(refusal.text, place=place) from None


def text_of(record: Record, place: str) -> str | None:
    text: Any = record.get("_text_data")
    if text is not None and (not isinstance(text, str) or not text.strip()):
        raise InvalidRequest("_text_data must be a text", place=f"{place}._text_data")
    return text


class Described(Struct):
    """A record of a request, as it was given and as it is answered, and its vector."""

    given: Record
    record: Record
    vector: Vector | RecordRefused

    @property
    def status(self) -> Record:
        """For the envelope of the provider's model services."""
        if isinstance(self.vector, RecordRefused):
            return {"code": self.vector.code, "text": self.vector.text}
        return {"code": 200, "text": "OK"}


async def described(
    records: Sequence[Record], collection: Collection, services: Services, *, query: bool = False
) -> list[Described]:
    """The records in their order. What is stored of one stands behind what is given.

    `query`: they are part of a search, and go before the images of inserts.
    """
    ids = [_id_or_refusal(record) for record in records]
    wanted = [id_ for id_ in ids if isinstance(id_, str)]
    vectors = await stored_vectors(services.engine, collection, wanted)
    found = await listing.get(services.engine, collection, list(vectors), shown_fields(["*"]))
    stored = {record["_id"]: record for record in found}
    items: list[tuple[Record, Vector | ImageSource | RecordRefused]] = []
    for record, id_ in zip(records, ids, strict=True):
        given = without_pixels(record)
        if isinstance(id_, RecordRefused):
            items.append((given, id_))
        elif id_ is not None and id_ in stored:
            items.append((stored[id_] | given | {"_id": id_}, vectors[id_]))
        else:
            items.append((given, _source_or_refusal(record)))
    return await _embedded(
        items, records, lambda sources: services.embed(collection, sources, query=query)
    )


async def described_by(
    embedder: BatchedEmbedder, records: Sequence[Record], services: Services
) -> list[Described]:
    """The records in their order, by their images, whatever is stored."""
    items = [(without_pixels(record), _source_or_refusal(record)) for record in records]
    return await _embedded(items, records, lambda sources: services.embed_with(embedder, sources))


async def _embedded(
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


def split(
    records: Sequence[Described],
) -> tuple[list[tuple[Record, Vector]], list[tuple[Record, RecordRefused]]]:
    """Those with a vector, and the others as they were given, with the reason."""
    known = [(r.record, r.vector) for r in records if not isinstance(r.vector, RecordRefused)]
    refused = [(r.given, r.vector) for r in records if isinstance(r.vector, RecordRefused)]
    return known, refused


def _id_or_refusal(record: Record) -> str | RecordRefused | None:
    try:
        return id_of(record, "$")
    except InvalidRequest as error:
        return RecordRefused(error.code, error.text)


def _source_or_refusal(record: Record) -> ImageSource | RecordRefused:
    try:
        source = ImageSource.of(record)
    except RecordRefused as refusal:
        return refusal
    return source or RecordRefused(404, "no stored record has this _id, and there is no picture")


def without_pixels(record: Record) -> Record:
    return {name: value for name, value in record.items() if name not in UNSTORED_FIELDS}
