"""The embedded engine: `base.Engine`, served by our own worker.

A write returns when it is in the worker's log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
from qdrant_client import models
from qdrant_client.http.models import QueryResponse

from lookalike.adapter.deadline import READ_TIMEOUT_S
from lookalike.adapter.engines.base import (
    AliasedCollection,
    Capabilities,
    PayloadWanted,
    PointId,
    VectorsWanted,
)
from lookalike.adapter.engines.embedded import conversion, messages
from lookalike.adapter.engines.embedded.connection import Connection
from lookalike.adapter.engines.embedded.messages import WorkerRequest
from lookalike.adapter.errors import CollectionNotFound, EngineFailed

WRITE_TIMEOUT_S = 300.0

HITS_AT_ONCE = 1_000
"""Hits that are converted before the event loop may do something else: 4 ms."""

R = TypeVar("R")

_COMPLETED = models.UpdateResult(operation_id=None, status=models.UpdateStatus.COMPLETED)


class EmbeddedEngine:
    """A client of the worker, for one event loop. Reads and writes have a connection each, so that
    a search does not wait behind the bytes of a bulk insert."""

    capabilities = Capabilities(storage_options=False)

    def __init__(self, socket_path: Path) -> None:
        self._reads = Connection(socket_path)
        self._writes = Connection(socket_path)

    @classmethod
    async def connect(cls, socket_path: Path) -> Self:
        """A client; raises EngineUnavailable when nobody listens there.

        Does not wait until the worker has loaded: the first request does.
        """
        engine = cls(socket_path)
        await engine._reads.open()
        return engine

    async def close(self) -> None:
        self._reads.close()
        self._writes.close()

    async def health(self) -> dict[str, Any]:
        """`ready`, the number of `collections`, and the rest of `messages.EngineHealth`."""
        health = await self._read(messages.GetHealth())
        return msgspec.structs.asdict(health)

    async def check_room(self) -> None:
        await self._read(messages.CheckRoom())

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
        """Dense vectors are searched through 4-bit TurboQuant, where the distance allows it."""
        if storage_options:
            raise EngineFailed("the embedded engine takes no storage options")
        request = messages.CreateCollection(
            collection_name,
            {name: conversion.vector_params(params) for name, params in vectors_config.items()},
            conversion.sparse_names(sparse_vectors_config),
            metadata or {},
        )
        await self._write(request)
        return True

    async def delete_collection(self, collection_name: str) -> bool:
        try:
            await self._write(messages.DeleteCollection(collection_name))
        except CollectionNotFound:
            return False
        return True

    async def restore_collection(self, name: str) -> None:
        """Serves a damaged collection again, of whose manifest there is a copy."""
        await self._write(messages.RestoreCollection(name))

    async def update_collection(
        self,
        collection_name: str,
        *,
        metadata: dict[str, Any] | None = None,
        vectors_config: dict[str, models.VectorParamsDiff] | None = None,
    ) -> bool:
        if vectors_config:
            raise EngineFailed("the embedded engine takes no storage options")
        await self._write(messages.UpdateCollection(collection_name, metadata or {}))
        return True

    async def collection_exists(self, collection_name: str) -> bool:
        try:
            await self._read(messages.GetCollection(collection_name))
        except CollectionNotFound:
            return False
        return True

    async def get_collections(self) -> models.CollectionsResponse:
        names = await self._read(messages.GetCollections())
        return models.CollectionsResponse(
            collections=[models.CollectionDescription(name=name) for name in names]
        )

    async def get_collection(self, collection_name: str) -> models.CollectionInfo:
        return conversion.collection_info(await self._read(messages.GetCollection(collection_name)))

    async def update_collection_aliases(
        self, change_aliases_operations: Sequence[models.CreateAliasOperation]
    ) -> bool:
        made = [operation.create_alias for operation in change_aliases_operations]
        targets = {alias.alias_name: alias.collection_name for alias in made}
        await self._write(messages.PointAliases(targets))
        return True

    async def get_aliases(self) -> models.CollectionsAliasesResponse:
        aliases = await self._read(messages.GetAliases())
        return models.CollectionsAliasesResponse(
            aliases=[
                models.AliasDescription(alias_name=alias, collection_name=name)
                for alias, name in aliases.items()
            ]
        )

    async def get_aliased(self) -> list[AliasedCollection]:
        found = await self._read(messages.GetAliased())
        return [AliasedCollection(alias, *collection) for alias, collection in found.items()]

    async def create_vector_name(
        self,
        collection_name: str,
        vector_name: str,
        vector_name_config: models.DenseVectorNameConfig,
    ) -> models.UpdateResult:
        params = conversion.vector_params(vector_name_config.dense)
        return await self._write(messages.CreateVectorName(collection_name, vector_name, params))

    async def delete_vector_name(
        self, collection_name: str, vector_name: str
    ) -> models.UpdateResult:
        return await self._write(messages.DeleteVectorName(collection_name, vector_name))

    async def create_payload_index(
        self, collection_name: str, field_name: str, field_schema: models.PayloadSchemaType
    ) -> models.UpdateResult:
        kind: Any = field_schema
        return await self._write(messages.CreatePayloadIndex(collection_name, field_name, kind))

    async def delete_payload_index(
        self, collection_name: str, field_name: str
    ) -> models.UpdateResult:
        return await self._write(messages.DeletePayloadIndex(collection_name, field_name))

    # Points

    async def upsert(
        self,
        collection_name: str,
        points: Sequence[models.PointStruct],
        *,
        update_mode: models.UpdateMode | None = None,
        update_filter: models.Filter | None = None,
    ) -> models.UpdateResult:
        modes = (None, models.UpdateMode.INSERT_ONLY, models.UpdateMode.UPDATE_ONLY)
        filtered = update_filter is not None
        if update_mode not in modes or filtered != (update_mode is models.UpdateMode.UPDATE_ONLY):
            raise EngineFailed("the update mode is not known")
        request = messages.UpsertPoints(
            collection_name,
            conversion.new_points(points),
            update_mode is models.UpdateMode.INSERT_ONLY,
            conversion.condition_filter(update_filter),
        )
        return await self._write(request)

    async def delete(
        self, collection_name: str, points_selector: Sequence[PointId]
    ) -> models.UpdateResult:
        ids = conversion.ids(points_selector)
        return await self._write(messages.DeletePoints(collection_name, ids))

    async def batch_update_points(
        self, collection_name: str, update_operations: Sequence[models.UpdateOperation]
    ) -> list[models.UpdateResult]:
        """All operations in order; they are checked together before the first is applied."""
        changes = [conversion.point_change(operation) for operation in update_operations]
        result = await self._write(messages.ChangePoints(collection_name, changes))
        return [result] * len(changes)

    # Reads

    async def retrieve(
        self,
        collection_name: str,
        ids: Sequence[PointId],
        *,
        with_payload: PayloadWanted = True,
        with_vectors: VectorsWanted = False,
    ) -> list[models.Record]:
        request = messages.RetrievePoints(
            collection_name,
            conversion.ids(ids),
            conversion.payload_selection(with_payload),
            conversion.vector_selection(with_vectors),
        )
        return [conversion.record(point) for point in await self._read(request)]

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
        request = messages.ScrollPoints(
            collection_name,
            conversion.condition_filter(scroll_filter),
            limit,
            None if offset is None else conversion.plain_point_id(offset),
            conversion.payload_selection(with_payload),
            conversion.vector_selection(with_vectors),
        )
        page = await self._read(request)
        return [conversion.record(point) for point in page.points], page.next

    async def count(
        self,
        collection_name: str,
        *,
        count_filter: models.Filter | None = None,
    ) -> models.CountResult:
        condition = conversion.condition_filter(count_filter)
        count = await self._read(messages.CountPoints(collection_name, condition))
        return models.CountResult(count=count)

    async def facet(
        self,
        collection_name: str,
        key: str,
        *,
        facet_filter: models.Filter | None = None,
        limit: int,
    ) -> models.FacetResponse:
        condition = conversion.condition_filter(facet_filter)
        hits = await self._read(messages.CountValues(collection_name, key, condition, limit))
        return models.FacetResponse(
            hits=[models.FacetValueHit(value=hit.value, count=hit.count) for hit in hits]
        )

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
        request = models.QueryRequest.model_construct(
            query=query, using=using, filter=query_filter, limit=limit, with_payload=with_payload
        )
        (answer,) = await self.query_batch_points(collection_name, [request])
        return answer

    async def query_batch_points(
        self, collection_name: str, requests: Sequence[models.QueryRequest]
    ) -> list[QueryResponse]:
        queries = [conversion.point_query(request) for request in requests]
        answers = await self._read(messages.QueryPoints(collection_name, queries))
        converted: list[QueryResponse] = []
        for hits in answers:
            points: list[models.ScoredPoint] = []
            for begin in range(0, len(hits), HITS_AT_ONCE):
                if begin:
                    await asyncio.sleep(0)
                points += map(conversion.scored_point, hits[begin : begin + HITS_AT_ONCE])
            converted.append(QueryResponse.model_construct(points=points))
        return converted

    async def _read(self, request: WorkerRequest[R]) -> R:
        return await self._reads.request(request, READ_TIMEOUT_S)

    async def _write(self, request: WorkerRequest[None]) -> models.UpdateResult:
        await self._writes.request(request, WRITE_TIMEOUT_S)
        return _COMPLETED
