"""The embedded engine: the methods of `AsyncQdrantClient` that we use, served by our own worker.

Arguments, results and meaning are those of the client (https://python-client.qdrant.tech); options
that matter to a cluster only (`wait`, `ordering`, `consistency`, ...) are accepted and ignored, for
a write returns when it is in the log. Raises CollectionNotFound, RecordsNotFound (a point that a
query or a change names is not there), EngineFailed (the engine cannot take the request) and
EngineUnavailable (try again).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from qdrant_client import models
from qdrant_client.http.models import QueryResponse

from lookalike.adapter.deadline import READ_TIMEOUT_S
from lookalike.adapter.engines.embedded import conversion
from lookalike.adapter.engines.embedded.connection import Connection
from lookalike.adapter.engines.embedded.conversion import Plain
from lookalike.adapter.errors import CollectionNotFound

READ_TIMEOUT_SECONDS = READ_TIMEOUT_S
WRITE_TIMEOUT_SECONDS = 300.0
Ids = Sequence[models.ExtendedPointId]
Selector = Ids | models.Filter | models.PointIdsList | models.FilterSelector

_COMPLETED = models.UpdateResult(operation_id=None, status=models.UpdateStatus.COMPLETED)


class EmbeddedEngine:
    """A client of the worker, for one event loop. Reads and writes have a connection each, so that
    a search does not wait behind the bytes of a bulk insert."""

    def __init__(self, socket_path: Path) -> None:
        self._reads = Connection(socket_path, conversion.encode)
        self._writes = Connection(socket_path, conversion.encode)

    @classmethod
    async def connect(cls, socket_path: Path) -> Self:
        """A client; raises EngineUnavailable when no owner listens there.

        Does not wait until the worker has loaded: the first request does.
        """
        engine = cls(socket_path)
        await engine._reads.open()
        return engine

    async def close(self, **_: Any) -> None:
        self._reads.close()
        self._writes.close()

    async def health(self) -> Plain:
        """`ready`, the number of `collections`, those `broken` and `rebuilding`, `logs_aside`."""
        health: Plain = await self._reads.request("health", {}, READ_TIMEOUT_SECONDS)
        return health

    # Collections

    async def create_collection(
        self,
        collection_name: str,
        vectors_config: models.VectorParams | Mapping[str, models.VectorParams] | None = None,
        sparse_vectors_config: Mapping[str, models.SparseVectorParams] | None = None,
        hnsw_config: models.HnswConfigDiff | None = None,
        quantization_config: models.QuantizationConfig | None = None,
        metadata: Plain | None = None,
        **_: Any,
    ) -> bool:
        """Without a quantization_config, dense vectors are searched through 4-bit TurboQuant."""
        if isinstance(vectors_config, models.VectorParams):
            vectors_config = {"": vectors_config}
        await self._write(
            "create_collection",
            collection_name,
            vectors=dict(vectors_config or {}),
            sparse_vectors=dict(sparse_vectors_config or {}),
            hnsw_config=hnsw_config,
            quantization_config=quantization_config,
            metadata=metadata,
        )
        return True

    async def delete_collection(self, collection_name: str, **_: Any) -> bool:
        """False when there is no such collection."""
        try:
            await self._write("delete_collection", collection_name)
        except CollectionNotFound:
            return False
        return True

    async def update_collection(
        self, collection_name: str, metadata: Plain | None = None, **_: Any
    ) -> bool:
        """Merge `metadata` into that of the collection; None removes a key."""
        await self._write("update_collection", collection_name, metadata=metadata)
        return True

    async def collection_exists(self, collection_name: str, **_: Any) -> bool:
        try:
            await self._read("get_collection", collection_name)
        except CollectionNotFound:
            return False
        return True

    async def get_collections(self, **_: Any) -> models.CollectionsResponse:
        names = await self._reads.request("get_collections", {}, READ_TIMEOUT_SECONDS)
        return models.CollectionsResponse(
            collections=[models.CollectionDescription(name=name) for name in names]
        )

    async def get_collection(self, collection_name: str, **_: Any) -> models.CollectionInfo:
        return conversion.collection_info(await self._read("get_collection", collection_name))

    async def update_collection_aliases(
        self, change_aliases_operations: Sequence[models.AliasOperations], **_: Any
    ) -> bool:
        await self._write("update_aliases", "", actions=list(change_aliases_operations))
        return True

    async def get_aliases(self, **_: Any) -> models.CollectionsAliasesResponse:
        aliases = await self._reads.request("get_aliases", {}, READ_TIMEOUT_SECONDS)
        return models.CollectionsAliasesResponse(
            aliases=[
                models.AliasDescription(alias_name=alias, collection_name=name)
                for alias, name in aliases.items()
            ]
        )

    async def get_collection_aliases(
        self, collection_name: str, **_: Any
    ) -> models.CollectionsAliasesResponse:
        found = (await self.get_aliases()).aliases
        return models.CollectionsAliasesResponse(
            aliases=[alias for alias in found if alias.collection_name == collection_name]
        )

    async def create_vector_name(
        self,
        collection_name: str,
        vector_name: str,
        vector_name_config: models.DenseVectorNameConfig,
        **_: Any,
    ) -> models.UpdateResult:
        """Another dense vector for the points of a collection; no point has it yet."""
        return await self._write(
            "create_vector_name",
            collection_name,
            vector=vector_name,
            params=vector_name_config.dense,
        )

    async def delete_vector_name(
        self, collection_name: str, vector_name: str, **_: Any
    ) -> models.UpdateResult:
        return await self._write("delete_vector_name", collection_name, vector=vector_name)

    async def create_payload_index(
        self,
        collection_name: str,
        field_name: str,
        field_schema: models.PayloadFieldSchema | str | None = None,
        **_: Any,
    ) -> models.UpdateResult:
        return await self._write(
            "create_payload_index", collection_name, field=field_name, field_schema=field_schema
        )

    async def delete_payload_index(
        self, collection_name: str, field_name: str, **_: Any
    ) -> models.UpdateResult:
        return await self._write("delete_payload_index", collection_name, field=field_name)

    # Points

    async def upsert(
        self,
        collection_name: str,
        points: Sequence[models.PointStruct],
        update_mode: models.UpdateMode | None = None,
        update_filter: models.Filter | None = None,
        **_: Any,
    ) -> models.UpdateResult:
        return await self._write(
            "upsert",
            collection_name,
            points=conversion.points(points),
            update_mode=update_mode,
            update_filter=update_filter,
        )

    async def update_vectors(
        self,
        collection_name: str,
        points: Sequence[models.PointVectors],
        update_filter: models.Filter | None = None,
        **_: Any,
    ) -> models.UpdateResult:
        return await self._write(
            "update_vectors",
            collection_name,
            points=conversion.points(points),
            update_filter=update_filter,
        )

    async def delete_vectors(
        self, collection_name: str, vectors: Sequence[str], points: Selector, **_: Any
    ) -> models.UpdateResult:
        return await self._write(
            "delete_vectors", collection_name, vector=list(vectors), **conversion.selected(points)
        )

    async def set_payload(
        self,
        collection_name: str,
        payload: Plain,
        points: Selector,
        key: str | None = None,
        **_: Any,
    ) -> models.UpdateResult:
        return await self._write(
            "set_payload", collection_name, payload=payload, key=key, **conversion.selected(points)
        )

    async def overwrite_payload(
        self, collection_name: str, payload: Plain, points: Selector, **_: Any
    ) -> models.UpdateResult:
        return await self._write(
            "overwrite_payload", collection_name, payload=payload, **conversion.selected(points)
        )

    async def delete_payload(
        self, collection_name: str, keys: Sequence[str], points: Selector, **_: Any
    ) -> models.UpdateResult:
        return await self._write(
            "delete_payload", collection_name, keys=list(keys), **conversion.selected(points)
        )

    async def clear_payload(
        self, collection_name: str, points_selector: Selector, **_: Any
    ) -> models.UpdateResult:
        return await self._write(
            "clear_payload", collection_name, **conversion.selected(points_selector)
        )

    async def delete(
        self, collection_name: str, points_selector: Selector, **_: Any
    ) -> models.UpdateResult:
        return await self._write("delete", collection_name, **conversion.selected(points_selector))

    async def batch_update_points(
        self, collection_name: str, update_operations: Sequence[models.UpdateOperation], **_: Any
    ) -> list[models.UpdateResult]:
        """All operations in order; they are checked together before the first is applied."""
        operations = [conversion.operation(operation) for operation in update_operations]
        result = await self._write("batch", collection_name, operations=operations)
        return [result] * len(operations)

    # Reads

    async def retrieve(
        self,
        collection_name: str,
        ids: Ids,
        with_payload: models.WithPayloadInterface = True,
        with_vectors: models.WithVector = False,
        **_: Any,
    ) -> list[models.Record]:
        rows = await self._read(
            "retrieve",
            collection_name,
            ids=list(ids),
            with_payload=with_payload,
            with_vector=with_vectors,
        )
        return [conversion.record(row) for row in rows]

    async def scroll(
        self,
        collection_name: str,
        scroll_filter: models.Filter | None = None,
        limit: int = 10,
        order_by: models.OrderByInterface | None = None,
        offset: models.ExtendedPointId | None = None,
        with_payload: models.WithPayloadInterface = True,
        with_vectors: models.WithVector = False,
        **_: Any,
    ) -> tuple[list[models.Record], models.ExtendedPointId | None]:
        rows, after = await self._read(
            "scroll",
            collection_name,
            filter=scroll_filter,
            limit=limit,
            order_by=order_by,
            offset=offset,
            with_payload=with_payload,
            with_vector=with_vectors,
        )
        return [conversion.record(row) for row in rows], after

    async def count(
        self,
        collection_name: str,
        count_filter: models.Filter | None = None,
        exact: bool = True,
        **_: Any,
    ) -> models.CountResult:
        count = await self._read("count", collection_name, filter=count_filter, exact=exact)
        return models.CountResult(count=count)

    async def facet(
        self,
        collection_name: str,
        key: str,
        facet_filter: models.Filter | None = None,
        limit: int = 10,
        exact: bool = False,
        **_: Any,
    ) -> models.FacetResponse:
        hits = await self._read(
            "facet", collection_name, key=key, filter=facet_filter, limit=limit, exact=exact
        )
        return models.FacetResponse(
            hits=[models.FacetValueHit(value=value, count=count) for value, count in hits]
        )

    async def query_points(
        self,
        collection_name: str,
        query: Any = None,
        using: str | None = None,
        prefetch: models.Prefetch | list[models.Prefetch] | None = None,
        query_filter: models.Filter | None = None,
        search_params: models.SearchParams | None = None,
        limit: int = 10,
        offset: int | None = None,
        with_payload: models.WithPayloadInterface = True,
        with_vectors: models.WithVector = False,
        score_threshold: float | None = None,
        lookup_from: models.LookupLocation | None = None,
        **_: Any,
    ) -> QueryResponse:
        rows = await self._read(
            "query",
            collection_name,
            query=conversion.dense(query) if isinstance(query, list | np.ndarray) else query,
            using=using,
            prefetch=prefetch,
            filter=query_filter,
            params=search_params,
            limit=limit,
            offset=offset,
            with_payload=with_payload,
            with_vector=with_vectors,
            score_threshold=score_threshold,
            lookup_from=lookup_from,
        )
        return QueryResponse.model_construct(points=[conversion.scored_point(row) for row in rows])

    async def query_batch_points(
        self, collection_name: str, requests: Sequence[models.QueryRequest], **_: Any
    ) -> list[QueryResponse]:
        answers = await self._read("query_batch", collection_name, requests=list(requests))
        return [
            QueryResponse.model_construct(points=[conversion.scored_point(row) for row in rows])
            for rows in answers
        ]

    async def _read(self, method: str, collection: str, **args: Any) -> Any:
        return await self._reads.request(
            method, conversion.arguments(collection, args), READ_TIMEOUT_SECONDS
        )

    async def _write(self, method: str, collection: str, **args: Any) -> models.UpdateResult:
        await self._writes.request(
            method, conversion.arguments(collection, args), WRITE_TIMEOUT_SECONDS
        )
        return _COMPLETED
