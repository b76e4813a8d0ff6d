"""What the adapter talks to: the methods of `AsyncQdrantClient` that we use, and nothing else.

Their arguments, results and meaning are those of the client (https://python-client.qdrant.tech).
The last write that was answered is seen by every read after it, in any process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
from qdrant_client import models
from qdrant_client.http.models import QueryResponse

PointId = models.ExtendedPointId
PayloadWanted = bool | Sequence[str]
"""All, nothing, or what is at these paths."""
VectorsWanted = bool | Sequence[str]
"""All, none, or those of these names."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine can do beyond what all of them do."""

    storage_options: bool
    """Whether it takes options of where and how vectors are kept: shards, replicas, quantization
    and memory for each vector. An engine without keeps vectors as suits one machine."""


class AliasedCollection(msgspec.Struct, frozen=True):
    """A collection as the catalogue needs it."""

    alias: str
    physical: str
    """The collection that the alias stands for."""
    metadata: dict[str, Any]


class Engine(Protocol):
    """One client of an engine, for one event loop.

    Every method raises CollectionNotFound, RecordsNotFound (a point that a query or a change names
    is not there), EngineFailed (the engine cannot take the request) and EngineUnavailable (try
    again; nothing is known of a write), and waits no longer than `adapter.deadline` leaves. What
    adds raises DiskFull too.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do beyond the others."""
        ...

    async def close(self) -> None:
        """Ends the connections; the engine itself goes on."""
        ...

    async def health(self) -> dict[str, Any]:
        """`ready`, the number of `collections`, and what the engine tells besides."""
        ...

    async def check_room(self) -> None:
        """Raises DiskFull where it is known already that nothing can be added."""
        ...

    # Collections

    async def create_collection(
        self,
        collection_name: str,
        *,
        vectors_config: Mapping[str, models.VectorParams],
        sparse_vectors_config: Mapping[str, models.SparseVectorParams] | None = None,
        metadata: dict[str, Any] | None = None,
        **storage_options: Any,
    ) -> bool:
        """Makes an empty collection. Options only where `capabilities.storage_options` says so."""
        ...

    async def delete_collection(self, collection_name: str) -> bool:
        """Deletes a collection and its aliases; False where there is none of this name."""
        ...

    async def update_collection(
        self,
        collection_name: str,
        *,
        metadata: dict[str, Any] | None = None,
        vectors_config: dict[str, models.VectorParamsDiff] | None = None,
    ) -> bool:
        """Merges metadata, where None removes a key. `vectors_config` is a storage option."""
        ...

    async def collection_exists(self, collection_name: str) -> bool:
        """Whether a collection or an alias has this name."""
        ...

    async def get_collections(self) -> models.CollectionsResponse:
        """The names of all collections."""
        ...

    async def get_collection(self, collection_name: str) -> models.CollectionInfo:
        """Vectors, metadata, payload indexes and number of points of a collection."""
        ...

    async def update_collection_aliases(
        self, change_aliases_operations: Sequence[models.CreateAliasOperation]
    ) -> bool:
        """Lets aliases stand for collections from now on, in one step for everybody."""
        ...

    async def get_aliases(self) -> models.CollectionsAliasesResponse:
        """All aliases with the collections that they stand for."""
        ...

    async def get_aliased(self) -> list[AliasedCollection]:
        """All aliases, with the metadata of the collections that they stand for."""
        ...

    async def create_vector_name(
        self,
        collection_name: str,
        vector_name: str,
        vector_name_config: models.DenseVectorNameConfig,
    ) -> models.UpdateResult:
        """Adds a dense vector that no point has yet; one that is there as asked for is left."""
        ...

    async def delete_vector_name(
        self, collection_name: str, vector_name: str
    ) -> models.UpdateResult:
        """Drops a dense vector of all points, if there is one of this name."""
        ...

    async def create_payload_index(
        self, collection_name: str, field_name: str, field_schema: models.PayloadSchemaType
    ) -> models.UpdateResult:
        """Indexes a payload path as `keyword` or `float`; another kind replaces the index."""
        ...

    async def delete_payload_index(
        self, collection_name: str, field_name: str
    ) -> models.UpdateResult:
        """Drops the index of a payload path, if there is one."""
        ...

    # Points

    async def upsert(
        self,
        collection_name: str,
        points: Sequence[models.PointStruct],
        *,
        update_mode: models.UpdateMode | None = None,
        update_filter: models.Filter | None = None,
    ) -> models.UpdateResult:
        """Replaces whole points. `INSERT_ONLY` leaves those that are there; `UPDATE_ONLY`, which
        comes with a filter, writes only those that are there and match it."""
        ...

    async def delete(
        self, collection_name: str, points_selector: Sequence[PointId]
    ) -> models.UpdateResult:
        """Deletes points by id; those that are not there are passed over."""
        ...

    async def batch_update_points(
        self, collection_name: str, update_operations: Sequence[models.UpdateOperation]
    ) -> list[models.UpdateResult]:
        """Changes points in order. Operations that all engines know: OverwritePayload and Delete
        by filter, UpdateVectors by id and filter."""
        ...

    # Reads

    async def retrieve(
        self,
        collection_name: str,
        ids: Sequence[PointId],
        *,
        with_payload: PayloadWanted = True,
        with_vectors: VectorsWanted = False,
    ) -> list[models.Record]:
        """The points of these ids that are there, in any order."""
        ...

    async def scroll(
        self,
        collection_name: str,
        *,
        scroll_filter: models.Filter | None = None,
        limit: int,
        offset: PointId | None = None,
        with_payload: PayloadWanted = True,
        with_vectors: VectorsWanted = False,
    ) -> tuple[list[models.Record], PointId | None]:
        """Points in the order of their ids, and the id at which the next page begins."""
        ...

    async def count(
        self,
        collection_name: str,
        *,
        count_filter: models.Filter | None = None,
    ) -> models.CountResult:
        """How many points match, exactly."""
        ...

    async def facet(
        self,
        collection_name: str,
        key: str,
        *,
        facet_filter: models.Filter | None = None,
        limit: int,
    ) -> models.FacetResponse:
        """How many matching points, exactly, have each value of a path with a keyword index."""
        ...

    async def query_points(
        self,
        collection_name: str,
        *,
        query: Any = None,
        using: str | None = None,
        query_filter: models.Filter | None = None,
        limit: int,
        with_payload: PayloadWanted = True,
    ) -> QueryResponse:
        """The points nearest to a vector (dense or sparse) or a point, or a random sample."""
        ...

    async def query_batch_points(
        self, collection_name: str, requests: Sequence[models.QueryRequest]
    ) -> list[QueryResponse]:
        """Several queries in one exchange, each with its own filter, prefetch and parameters."""
        ...
