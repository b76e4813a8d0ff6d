"""What a collection is: one struct, from which request bodies, views and CLI options derive.

A setting is typed once, as a field of `CollectionSettings`: its type holds its bounds, its default
stands beside it, and its `description` is the help of the command line and of the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lookalike.adapter.collections.fetch_headers import FetchHeaders
from lookalike.adapter.point_layout import VISUAL_VECTOR

CollectionType = Literal[
    "photos", "products", "fashion", "homedecor", "custom", "colors", "matching"
]
IndexType = Literal["keyword", "number"]
Distance = Literal["cosine", "euclid", "dot", "manhattan"]
Share = Annotated[float, Meta(ge=0, le=1)]
Capacity = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""Engines keep no larger integer."""

SCHEMA_VERSION = 2
"""The layout of records that new collections have; see `migrations.layout`."""
RECORD_TEXT_SINCE = 2
"""From this layout on every point keeps the text of its record."""


class IndexedField(msgspec.Struct, frozen=True):
    """A metadata field with a payload index.

    `field` is a dotted path. `type` is None until the first record with a value in the field shows
    whether it holds numbers or strings. An index changes how fast a filter is, never its answer.
    """

    field: str
    type: IndexType | None = None


Quantization = Literal["none", "scalar", "binary", "turbo"]
Copies = Annotated[int, Meta(ge=1, le=1000)]


class Storage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a Qdrant server keeps a collection; None leaves a choice to its own configuration.

    The embedded engine keeps these settings, so that they take effect where the collection is
    imported into a server, and otherwise does what suits one machine.
    """

    shard_number: Annotated[Copies | None, Meta(description="Parts, on a Qdrant server.")] = None
    """The server takes one for each of its nodes; more let a cluster grow without re-sharding."""
    replication_factor: Annotated[
        Copies | None, Meta(description="Copies, on a Qdrant cluster.")
    ] = None
    """Copies of each shard, on different nodes; 2 survives the loss of a node."""
    write_consistency_factor: Annotated[
        Copies | None, Meta(description="Copies that must have a write before it is answered.")
    ] = None
    """The others follow or are replaced."""
    quantization: Annotated[Quantization, Meta(description="What a Qdrant server scans.")] = "turbo"
    """4-bit TurboQuant, 8-bit scalars or bits; the originals decide the order."""
    on_disk: Annotated[bool, Meta(description="Vectors stay on the disk of a Qdrant server.")] = (
        False
    )
    """The quantized ones stay in memory."""


class CollectionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What whoever makes a collection chooses; the body of the request that makes one."""

    name: Annotated[str, Meta(min_length=1, max_length=200, description="Name of the collection.")]
    type: Annotated[CollectionType, Meta(description="What the images show.")] = "photos"
    fields_to_index: Annotated[
        tuple[str | IndexedField, ...], Meta(description="Field to index; may be repeated.")
    ] = ()
    product_id_field: Annotated[
        str | None, Meta(description="Field that holds the product id.")
    ] = None
    embedder: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="Embedder; default: by type and settings."),
    ] = None
    capacity: Annotated[Capacity | None, Meta(description="Most records.")] = None
    tag_weight: Annotated[
        Share, Meta(description="Share of the tags in the distance of visualTagsKNN.")
    ] = 0.25
    tag_idf: Annotated[bool, Meta(description="Rare tags count more; cannot be changed later.")] = (
        False
    )
    """Fixed for ever: the vectors of the tags depend on it."""
    update_vectors: Annotated[
        bool, Meta(description="An update with another picture reads it, and changes the vector.")
    ] = True
    """Without, an update sets fields only, as at the provider."""
    storage: Storage = Storage()
    fetch_headers: Annotated[
        FetchHeaders,
        Meta(
            description="Headers for the origins of pictures, by origin; never shown.",
            extra_json_schema={"writeOnly": True},
        ),
    ] = {}
    """See `fetch_headers`."""

    def __repr__(self) -> str:
        """Without secrets: it may come into a log."""
        return f"{type(self).__name__}({self.name!r})"


CHANGEABLE = (
    *("name", "fields_to_index", "product_id_field", "capacity", "tag_weight"),
    *("update_vectors", "fetch_headers"),
)
"""The settings that may change; vectors or stored tags depend on the others."""

SECRET = ("fetch_headers",)
"""The settings that are taken and never shown: no view, no export and no option has them, for
command lines can be read by others."""


class EmbedderIdentity(msgspec.Struct, frozen=True):
    """What is known of the embedder that makes a vector.

    `Collection` repeats these fields: a struct has one base only.
    """

    embedder: str
    """Its name."""
    revision: str
    dimension: int
    distance: Distance


class SecondVector(EmbedderIdentity, frozen=True, kw_only=True):
    """The second vector of a collection, and the embedder that makes it."""

    vector: str
    """Its name in Qdrant."""
    complete: bool = False
    """Whether every record has it whose image can be read."""
    share: Share = 0.0
    """The fraction of distinct queries that it answers."""


VECTOR_FIELDS = ("vector", *EmbedderIdentity.__struct_fields__)
"""What a collection and its second vector both say of a vector."""


class Collection(CollectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """A collection: its settings, and what was made of them. `id` is its alias in Qdrant."""

    id: str
    physical: str
    """The name of the collection in Qdrant that holds the records."""
    fields_to_index: tuple[IndexedField, ...] = ()
    embedder: str
    revision: str
    """Fingerprint of the embedder that made the vectors; another one must not add to them."""
    dimension: int
    distance: Distance
    vector: str = VISUAL_VECTOR
    """The vector that is searched, by its name in Qdrant."""
    second_vector: SecondVector | None = msgspec.field(default=None, name="alternative")
    created: str
    schema_version: int = SCHEMA_VERSION

    @property
    def indexes(self) -> dict[str, str]:
        """Path -> "keyword" or "number", for the payload indexes that exist."""
        return {index.field: index.type for index in self.fields_to_index if index.type}


def _derived(
    name: str, source: type[msgspec.Struct], fields: tuple[str, ...], *, optional: bool
) -> Any:
    """A struct with some fields of another, each of which may be left out if `optional`."""
    hints = get_type_hints(source, include_extras=True)
    encoded = {field.name: field.encode_name for field in msgspec.structs.fields(source)}
    return msgspec.defstruct(
        name,
        [
            (field, hints[field] | UnsetType, msgspec.field(default=UNSET, name=encoded[field]))
            if optional
            else (field, hints[field], msgspec.field(name=encoded[field]))
            for field in fields
        ],
        frozen=True,
        kw_only=True,
    )


_SHOWN = (
    "id",
    *(
        field
        for field in Collection.__struct_fields__
        if field not in ("id", "physical", "schema_version", *SECRET)
    ),
)

if TYPE_CHECKING:
    # mypy cannot follow `defstruct`, so it does not check the derived fields: for it the two are
    # empty structs. Requests that are decoded into them, and views of them, are tested instead.
    from msgspec import Struct as _Change
    from msgspec import Struct as _View
else:
    _Change = _derived("_Change", CollectionSettings, CHANGEABLE, optional=True)
    _View = _derived("_View", Collection, _SHOWN, optional=False)


class CollectionChange(_Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings that are not given stay as they are. Others than these cannot change."""

    FIXED: ClassVar[Mapping[str, str]] = {
        name: "it is fixed when a collection is made" for name in _SHOWN if name not in CHANGEABLE
    } | {
        "embedder": "it is changed by `lookalike migrate up`",
        "alternative": "it is changed by `lookalike migrate`",
        "records_count": "it is counted",
    }
    """What else a view shows, and why it cannot be set."""

    second_vector_share: Share | UnsetType = msgspec.field(default=UNSET, name="alternative_share")
    """The fraction of distinct queries that the second vector answers."""

    def __repr__(self) -> str:
        """Without secrets, and so without any value."""
        return f"{type(self).__name__}({', '.join(self.given)})"

    @property
    def given(self) -> dict[str, Any]:
        """The settings that the change names, by name."""
        values = {name: getattr(self, name) for name in CHANGEABLE}
        return {name: value for name, value in values.items() if value is not UNSET}


class CollectionView(_View, frozen=True, kw_only=True):
    """A collection as its users see it."""

    records_count: int
    workspace: str = "Default"

    @classmethod
    def of(cls, collection: Collection, records_count: int) -> CollectionView:
        shown = {name: getattr(collection, name) for name in _SHOWN}
        return cls(**shown, records_count=records_count)
