"""The bodies of requests and answers, in the provider's words.

Unknown fields are ignored and null stands for "not given": clients send both.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lookalike.adapter.collections.storage import Storage
from lookalike.adapter.collections.store import CollectionType, IndexedField, SecondVector

Record = dict[str, Any]
Count = Annotated[int, Meta(ge=0)]
Distance = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]

DEFAULT_K = 30
DEFAULT_RANDOM_COUNT = 10
DEFAULT_FACET_VALUES = 100


class Body(msgspec.Struct, kw_only=True):
    """A request body. An empty body is read as `{}`."""


class Insert(Body):
    records: list[Record]
    """Each with `_url` or `_base64`, usually `_id`, and any other fields."""
    fields_to_return: list[str] | None = None
    extract_colors: bool | None = None
    """Whether each record gets its image's `_dominant_colors`."""


class Update(Body):
    records: list[Record]
    """Each with `_id` and the fields to set."""
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


class Search(Body):
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
    radius: Distance | None = None
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


class RankRecords(Body):
    query_record: Record
    records: list[Record]
    k: Count | None = None
    radius: Distance | None = None
    fields_to_return: list[str] | None = None


class NearDuplicatesInsert(Body):
    records: list[Record]
    radius: Distance | None = None
    cand_set_size: Count | None = None
    """Accepted and not needed: the search for duplicates is exact."""
    fields_to_return: list[str] | None = None


class Descriptor(Body):
    records: list[Record]


class Hash(Body):
    records: list[Record]
    hash_type: str | None = None


class RemoveDuplicates(Body):
    records: list[Record]
    radius: Distance | None = None
    """Bits that may differ in images taken for the same."""
    hash_type: str | None = None


class RankImages(Body):
    query_record: Record
    records: list[Record]
    fields_to_return: list[str] | None = None
    hash_type: str | None = None


class FacetsOf(Body):
    field: Annotated[str, Meta(min_length=1)]
    filter: Record | None = None
    limit: Annotated[int, Meta(ge=1)] | None = None


class Authorize(Body):
    service: str | None = None
    service_name: str | None = None


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


class Pong(msgspec.Struct, kw_only=True):
    status: Status
    info: str
    statistics: dict[str, Any]
    service_info: dict[str, str] = msgspec.field(name="_service_info")


class NewCollection(Body, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    type: CollectionType = "photos"
    fields_to_index: list[str | IndexedField] = []
    product_id_field: str | None = None
    embedder: str | None = None
    capacity: Count | None = None
    tag_weight: Share = 0.25
    tag_idf: bool = False
    storage: Storage = Storage()


class CollectionChange(Body, forbid_unknown_fields=True):
    """Fields that are not given stay as they are. Others than these cannot change."""

    name: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    fields_to_index: list[str | IndexedField] | UnsetType = UNSET
    product_id_field: str | UnsetType | None = UNSET
    capacity: Count | UnsetType | None = UNSET
    tag_weight: Share | UnsetType = UNSET
    second_vector_share: Share | UnsetType = msgspec.field(name="alternative_share", default=UNSET)
    """Of different queries the part that the other vector answers, where there are two."""


class CollectionView(msgspec.Struct, kw_only=True):
    id: str
    name: str
    type: CollectionType
    embedder: str
    revision: str
    dimension: int
    distance: str
    vector: str
    """The one that is searched, by its name in Qdrant."""
    second_vector: SecondVector | None = msgspec.field(name="alternative")
    fields_to_index: tuple[IndexedField, ...]
    product_id_field: str | None
    capacity: int | None
    tag_weight: float
    tag_idf: bool
    storage: Storage
    records_count: int
    created: str
    workspace: str = "Default"


class CollectionPage(msgspec.Struct):
    """A page object as the provider's account side answers lists: `next` is null at the end."""

    count: int
    next: str | None
    previous: str | None
    results: list[CollectionView]
