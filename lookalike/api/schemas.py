"""Bodies in the provider's words; those of searches are in `adapter.search.request`.

Unknown fields are ignored, and named in the answer (`ignored_fields`); null stands for "not given".
Clients send both.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lookalike.adapter.collections.collection_settings import CollectionView
from lookalike.adapter.collections.run_logs import RunLog
from lookalike.adapter.records.points import Record
from lookalike.adapter.search.facets import ValueCount
from lookalike.adapter.search.request import Count, Radius, Seconds


class Body(msgspec.Struct, kw_only=True):
    """A request body. An empty body is read as `{}`."""


class OfCollection(Body):
    """What a body may say of its collection, where no header does."""

    collection_id: str | None = None
    collection: str | None = None
    """Its name; an id is taken too, as in the headers."""


class Fetching(Body, kw_only=True):
    """A request whose records may name pictures to be fetched."""

    timeout_s: Seconds | None = None
    """The longest that a `_url` is fetched, up to the setting of the service."""


class Insert(Fetching, kw_only=True):
    records: list[Record]
    """Each with `_url` or `_base64`, usually `_id`, and any other fields."""
    fields_to_return: list[str] | None = None
    extract_colors: bool | None = None
    """Whether each record gets its image's `_dominant_colors`."""


class Update(Body):
    records: list[Record]
    """Each with `_id`, the fields to set, and in `$unset` the names of those to remove."""
    fields_to_return: list[str] | None = None


class Delete(Body):
    records: list[Record]
    fields_to_return: list[str] | None = None


class Get(Body):
    records: list[Record]
    fields_to_return: list[str] | None = None


class DeleteByFilter(Body):
    filter: Record


class Random(Body):
    count: Count | None = None
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    """The same seed and collection answer the same records."""
    filter: Record | None = None
    fields_to_return: list[str] | None = None


class AllRecords(Body):
    filter: Record | None = None
    fields_to_return: list[str] | None = None


class AllIds(Body):
    filter: Record | None = None


class NearDuplicatesInsert(Fetching, kw_only=True):
    records: list[Record]
    radius: Radius | None = None
    fields_to_return: list[str] | None = None


class Hash(Fetching, kw_only=True):
    records: list[Record]
    hash_type: str | list[str] | None = None
    """The kind or the kinds of hash."""


class RemoveDuplicates(Fetching, kw_only=True):
    records: list[Record]
    radius: Radius | None = None
    """Bits that may differ in images taken for the same."""
    hash_type: str | list[str] | None = None


class RankImages(Fetching, kw_only=True):
    query_record: Record
    records: list[Record]
    fields_to_return: list[str] | None = None
    hash_type: str | list[str] | None = None


class ProductSearch(Fetching, kw_only=True):
    """The search of clients until 2021. Its query is the one record of `records`."""

    records: Annotated[list[Record], Meta(min_length=1, max_length=1)]
    k: Count | None = None
    filter: Record | None = None
    fields_to_return: list[str] | None = None


class Authorize(Body):
    service: str | None = None
    service_name: str | None = None
    call_type: str | None = None
    """What clients say that the call is for; there is only one answer."""


class AsynchronousRequest(Body):
    """Asked for with the body of a service beside it, which is not looked at."""

    type: str


class NewRunLog(Body, forbid_unknown_fields=True):
    collection: str
    """Its id or its name."""
    data: dict[str, Any]


class RunLogChange(Body, forbid_unknown_fields=True):
    data: dict[str, Any]


class Status(msgspec.Struct):
    code: int
    text: str


class Answer(msgspec.Struct, kw_only=True):
    """The envelope of the search engine. `answer_count` is the length of `answer_records`."""

    status: Status
    statistics: dict[str, Any]
    answer_records: list[Record] | UnsetType = UNSET
    answer_distances: list[float] | UnsetType = UNSET
    answer_count: int | UnsetType = UNSET
    skipped_records: list[Record] | UnsetType = UNSET
    next: str | UnsetType = UNSET
    """Only where another page exists; its presence alone is what clients test."""


class ModelAnswer(msgspec.Struct, kw_only=True):
    """The envelope of the provider's model services, which have no collection. Each record has a
    `_status` of its own."""

    records: list[Record]
    status: Status
    statistics: dict[str, Any]


class FacetAnswer(msgspec.Struct, kw_only=True):
    """Values of a field, and how many records have each."""

    status: Status
    statistics: dict[str, Any]
    facets: list[ValueCount]


class Pong(msgspec.Struct, kw_only=True):
    status: Status
    info: str
    statistics: dict[str, Any]
    service_info: dict[str, str] = msgspec.field(name="_service_info")


class CollectionPage(msgspec.Struct):
    """A page object as the provider's account side answers lists: `next` is null at the end."""

    count: int
    next: str | None
    previous: str | None
    results: list[CollectionView]


class RunLogPage(msgspec.Struct):
    """As `CollectionPage`."""

    count: int
    next: str | None
    previous: str | None
    results: list[RunLog]
