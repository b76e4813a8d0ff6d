"""What a search is asked, in the provider's words and without HTTP.

Fields that a request has not are ignored, and named in the answer; null stands for "not given".
Clients send both.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from lookalike.adapter.collections.collection_settings import Collection, Share
from lookalike.adapter.errors import InvalidRequest, RecordRefused
from lookalike.adapter.limits import Limits
from lookalike.adapter.records.image_sources import ImageSource
from lookalike.adapter.records.points import Record, record_id
from lookalike.adapter.records.record_tags import TAG_FIELDS

Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0)]
Radius = Annotated[float, Meta(ge=0)]

DEFAULT_K = 30
DEFAULT_FACET_VALUES = 100

QUERY_RECORD = "$.query_record"


class SearchRequest(msgspec.Struct, kw_only=True):
    """What is looked for: one of `query_record`, `query_records`, `positive` (with `negative`)."""

    query_record: Record | None = None
    """`_id` of a stored record, or `_url`, or `_base64`, or `_text_data`."""
    query_records: list[Record] | None = None
    """Several images: the distance is that from the nearest, or with `weights` the mean."""
    weights: list[Annotated[float, Meta(gt=0)]] | None = None
    positive: list[Record] | None = None
    """Examples of what is wanted; stored ones are left out of the answer."""
    negative: list[Record] | None = None
    k: Count | None = None
    from_: Count | None = msgspec.field(name="from", default=None)
    radius: Radius | None = None
    filter: Record | None = None
    fields_to_return: list[str] | None = None
    group_by: str | None = None
    """Field to group by, instead of the collection's product field; an empty one for none."""
    group_size: Annotated[int, Meta(ge=1, le=100)] | None = None
    """Records of each group in the answer; `k` and `from` count groups."""
    diversity: Share | None = None
    """How much a record's difference from those before it counts, beside its nearness."""
    timeout_s: Seconds | None = None
    """The longest that a `_url` of the request is fetched, up to the setting of the service."""


class TagSearchRequest(SearchRequest, kw_only=True):
    """As `SearchRequest`; tags of the records that are looked for count too.

    A `query_record` beside `query_records` or `positive` may have tags, and nothing to look for:
    these are then the tags of the whole query.
    """

    tag_weight: Share | None = None
    """Share of the tags in the distance, instead of the collection's."""


class RankRequest(msgspec.Struct, kw_only=True):
    """Given records are ordered by their distance from `query_record`."""

    query_record: Record
    records: list[Record]
    k: Count | None = None
    radius: Radius | None = None
    filter: Record | None = None
    """Which of the given records are ranked, by their own fields and those stored of them."""
    fields_to_return: list[str] | None = None
    timeout_s: Seconds | None = None


class DescriptorRequest(msgspec.Struct, kw_only=True):
    """The vectors of the records' images are asked for."""

    records: list[Record]
    timeout_s: Seconds | None = None


class FacetRequest(msgspec.Struct, kw_only=True):
    """How many of the matching records have each value of `field`?"""

    field: Annotated[str, Meta(min_length=1)]
    filter: Record | None = None
    limit: Annotated[int, Meta(ge=1)] | None = None


def check_tags_wanted(request: TagSearchRequest) -> None:
    """Raises InvalidRequest for tags of what is not wanted: there is no distance from these."""
    for number, record in enumerate(request.negative or ()):
        if any(record.get(field) is not None for field in TAG_FIELDS):
            text = "tags of what is not wanted cannot be looked for"
            raise InvalidRequest(text, place=f"$.negative[{number}]")


def named_tag_fields(request: TagSearchRequest) -> list[str]:
    """The fields of a request that say something of tags, by their paths."""
    records = {
        "query_record": [request.query_record or {}],
        "query_records": request.query_records or [],
        "positive": request.positive or [],
    }
    named = [
        f"{name}.{field}"
        for name, given in records.items()
        for field in TAG_FIELDS
        if any(record.get(field) is not None for record in given)
    ]
    return named if request.tag_weight is None else [*named, "tag_weight"]


def check_looked_for(request: SearchRequest, collection: Collection, limits: Limits) -> None:
    """Raises InvalidRequest for what names nothing to look for, or two queries, or too much."""
    several = [name for name in ("query_records", "positive") if getattr(request, name)]
    if request.negative and not request.positive:
        raise InvalidRequest("negative examples need positive ones", place="$.positive")
    if len(several) == 2:
        raise InvalidRequest("query_records and positive are two queries", place="$.positive")
    if not several and request.query_record is None:
        raise InvalidRequest("query_record is needed", place="$")
    if several and _names_something(request.query_record or {}):
        text = f"query_record and {several[0]} are two queries; put the record into the list"
        raise InvalidRequest(text, place=QUERY_RECORD)
    for name in (*several, "negative"):
        limits.check_batch(len(getattr(request, name) or ()), f"$.{name}")
    _check_weights(request, collection)


def _names_something(record: Record) -> bool:
    return record.get("_id") is not None or has_content(record, QUERY_RECORD)


def _check_weights(request: SearchRequest, collection: Collection) -> None:
    if request.weights is None:
        return
    if len(request.weights) != len(request.query_records or ()):
        raise InvalidRequest("there must be one weight for each query record", place="$.weights")
    if collection.distance != "cosine":
        raise InvalidRequest("weights need a collection with cosine distance", place="$.weights")


def check_radius(radius: float | None, greatest: float | None) -> None:
    """Raises InvalidRequest for a radius on another scale than the distances, which are at most
    `greatest`: a number of bits would make everything a near duplicate under cosine."""
    if radius is not None and greatest is not None and radius > greatest:
        text = f"the distances of this collection are from 0 to {greatest:g}"
        raise InvalidRequest(text, place="$.radius")


class LookedFor(msgspec.Struct):
    """What makes two requests the same query. Pages of one answer differ in everything else."""

    query_record: Record | None = None
    query_records: list[Record] | None = None
    weights: list[float] | None = None
    positive: list[Record] | None = None
    negative: list[Record] | None = None


def looked_for(request: SearchRequest | RankRequest | DescriptorRequest) -> bytes:
    """`LookedFor` of a request, as bytes that are equal for the same query."""
    parts = [getattr(request, name, None) for name in LookedFor.__struct_fields__]
    return msgspec.json.encode(LookedFor(*parts), order="deterministic")


def id_of(record: Record, place: str) -> str | None:
    """The `_id` whose stored vector is looked for; None where only a part of an image is."""
    if record.get("_id") is None or record.get("_crop") is not None:
        return None
    return record_id(record["_id"], f"{place}._id")


def source_of(record: Record, place: str) -> ImageSource | None:
    """Where the image of a record comes from; None where it names none."""
    try:
        return ImageSource.of(record)
    except RecordRefused as refusal:
        raise InvalidRequest(refusal.text, place=place) from None


def text_of(record: Record, place: str) -> str | None:
    """The text of a record. Raises InvalidRequest for one that is empty or no text."""
    text: Any = record.get("_text_data")
    if text is not None and (not isinstance(text, str) or not text.strip()):
        raise InvalidRequest("_text_data must be a text", place=f"{place}._text_data")
    return text


def has_content(record: Record, place: str) -> bool:
    """Whether a record names an image or a text, beside its `_id`."""
    return source_of(record, place) is not None or text_of(record, place) is not None
