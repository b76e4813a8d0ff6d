"""What a search is asked, in the provider's words and without HTTP.

Unknown fields are ignored and null stands for "not given": clients send both.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from lookalike.adapter.collections.collection_settings import Share
from lookalike.adapter.errors import InvalidRequest, RecordRefused
from lookalike.adapter.records.image_sources import ImageSource
from lookalike.adapter.records.points import Record, record_id

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
    tag_weight: Share | None = None
    """`visualTagsKNN`: share of the tags in the distance, instead of the collection's."""
    timeout_s: Seconds | None = None
    """The longest that a `_url` of the request is fetched, up to the setting of the service."""


class RankRequest(msgspec.Struct, kw_only=True):
    """Given records are ordered by their distance from `query_record`."""

    query_record: Record
    records: list[Record]
    k: Count | None = None
    radius: Radius | None = None
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
    return text_of(record, place) is not None or source_of(record, place) is not None
