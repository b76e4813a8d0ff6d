"""The engine of production: a Qdrant server or cluster, through the official client.

What is added to the client: a deadline for every call, retries with back-off where a repetition is
harmless, our own errors, and writes in one order on all replicas.

REST only. gRPC would halve the client's work for a bulk write (0.34 ms instead of 0.60 ms a vector
of 1280 floats, measured with qdrant-client 1.20), which is little beside making that vector (10 ms
and more); REST answers searches faster and needs one open port.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self, TypeVar

import httpx
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.models import QueryResponse

from lookalike.adapter import deadline
from lookalike.adapter.engines.base import (
    AliasedCollection,
    Capabilities,
    PayloadWanted,
    PointId,
    VectorsWanted,
)
from lookalike.adapter.engines.server.attempts import attempt
from lookalike.adapter.engines.server.catalogue import list_aliased
from lookalike.adapter.engines.server.server_settings import ServerSettings
from lookalike.adapter.errors import EngineFailed, EngineUnavailable

MIN_VERSION = (1, 20)
"""`update_mode` (an `_id` is inserted once) came with 1.17, the match of a substring with 1.20."""

WRITE_TIMEOUT_S = 120.0
KEEPALIVE_SECONDS = 4.0
"""Less than the 5 s after which the server closes an idle connection: no race with its closing."""

# A replica may see two weakly ordered writes in another order than the next replica does, and then
# "insert only" would have another winner there. "medium" sends them through one leader, which
# changes when its node is lost. https://qdrant.tech/documentation/guides/distributed_deployment/
ORDERING = models.WriteOrdering.MEDIUM

POINTS_IN_A_WRITE = 32
"""27 MB of our largest payloads, below the 32 MB that a server takes in one request."""

T = TypeVar("T")


class ServerEngine:
    """`base.Engine` by the calls of one client."""

    capabilities = Capabilities(storage_options=True)

    def __init__(self, client: AsyncQdrantClient, settings: ServerSettings | None = None) -> None:
        self._client = client
        self._settings = settings or ServerSettings()

    @classmethod
    def connect(cls, settings: ServerSettings) -> Self:
        """A client of the server at `settings.url`. Nothing is sent yet."""
        client = AsyncQdrantClient(
            url=settings.url,
            # As a header and no `api_key`, which warns of http:// even inside a private network.
            headers={"api-key": settings.api_key} if settings.api_key else None,
            timeout=math.ceil(max(settings.read_timeout_s, WRITE_TIMEOUT_S)),
            check_compatibility=False,
            # Without limits of ours the client opens a connection for every request to localhost.
            limits=httpx.Limits(
                max_connections=settings.max_connections,
                max_keepalive_connections=settings.max_connections,
                keepalive_expiry=KEEPALIVE_SECONDS,
            ),
            # We send vectors, never images to embed: saves a search through all of them.
            cloud_inference=True,
        )
        return cls(client, settings)

    async def close(self) -> None:
        await self._client.close()

    async def read_version(self) -> str:
        """The server's version. Raises EngineFailed where it is too old."""
        version = (await self._read(self._client.info)).version
        numbers = tuple(int(part) for part in version.split("-")[0].split(".")[:2])
        if numbers < MIN_VERSION:
            wanted = ".".join(map(str, MIN_VERSION))
            raise EngineFailed(f"The Qdrant server is {version}; {wanted} or newer is needed.")
        return version

    async def health(self) -> dict[str, Any]:
        """`ready`, the server's `version` and its number of `collections`."""
        version = await self.read_version()
        count = len((await self.get_collections()).collections)
        return {"ready": True, "version": version, "collections": count}

    async def check_room(self) -> None:
        """The server tells with each write."""

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
        return await self._write_once(
            self._client.create_collection,
            collection_name,
            vectors_config=vectors_config,
            sparse_vectors_config=sparse_vectors_config,
            metadata=metadata,
            **storage_options,
        )

    async def delete_collection(self, collection_name: str) -> bool:
        """False when there is no such collection. An alias is not followed."""
        return await self._write(self._client.delete_collection, collection_name)

    async def update_collection(
        self,
        collection_name: str,
        *,
        metadata: dict[str, Any] | None = None,
        vectors_config: dict[str, models.VectorParamsDiff] | None = None,
    ) -> bool:
        return await self._write(
            self._client.update_collection,
            collection_name,
            metadata=metadata,
            vectors_config=vectors_config,
        )

    async def collection_exists(self, collection_name: str) -> bool:
        return await self._read(self._client.collection_exists, collection_name)

    async def get_collections(self) -> models.CollectionsResponse:
        return await self._read(self._client.get_collections)

    async def get_collection(self, collection_name: str) -> models.CollectionInfo:
        return await self._read(self._client.get_collection, collection_name)

    async def update_collection_aliases(
        self, change_aliases_operations: Sequence[models.CreateAliasOperation]
    ) -> bool:
        return await self._write_once(
            self._client.update_collection_aliases, change_aliases_operations
        )

    async def get_aliases(self) -> models.CollectionsAliasesResponse:
        return await self._read(self._client.get_aliases)

    async def get_aliased(self) -> list[AliasedCollection]:
        return await list_aliased(self)

    async def create_vector_name(
        self,
        collection_name: str,
        vector_name: str,
        vector_name_config: models.DenseVectorNameConfig,
    ) -> models.UpdateResult:
        return await self._write(
            self._client.create_vector_name, collection_name, vector_name, vector_name_config
        )

    async def delete_vector_name(
        self, collection_name: str, vector_name: str
    ) -> models.UpdateResult:
        return await self._write(self._client.delete_vector_name, collection_name, vector_name)

    async def create_payload_index(
        self, collection_name: str, field_name: str, field_schema: models.PayloadSchemaType
    ) -> models.UpdateResult:
        return await self._write(
            self._client.create_payload_index, collection_name, field_name, field_schema
        )

    async def delete_payload_index(
        self, collection_name: str, field_name: str
    ) -> models.UpdateResult:
        return await self._write(self._client.delete_payload_index, collection_name, field_name)

    # Points. Repeating any of these leaves what the first attempt left, or nothing: they name
    # points by id or by a state (`update_mode`, filters on the write token) that they change.

    async def upsert(
        self,
        collection_name: str,
        points: Sequence[models.PointStruct],
        *,
        update_mode: models.UpdateMode | None = None,
        update_filter: models.Filter | None = None,
    ) -> models.UpdateResult:
        upsert = partial(self._client.upsert, update_mode=update_mode, update_filter=update_filter)
        parts = _parts(points)
        return [await self._write_points(upsert, collection_name, part) for part in parts][-1]

    async def delete(
        self, collection_name: str, points_selector: Sequence[PointId]
    ) -> models.UpdateResult:
        return await self._write_points(self._client.delete, collection_name, list(points_selector))

    async def batch_update_points(
        self, collection_name: str, update_operations: Sequence[models.UpdateOperation]
    ) -> list[models.UpdateResult]:
        results: list[models.UpdateResult] = []
        for part in _parts(update_operations):
            results += await self._write_points(
                self._client.batch_update_points, collection_name, part
            )
        return results

    # Reads

    async def retrieve(
        self,
        collection_name: str,
        ids: Sequence[PointId],
        *,
        with_payload: PayloadWanted = True,
        with_vectors: VectorsWanted = False,
    ) -> list[models.Record]:
        return await self._search(
            self._client.retrieve,
            collection_name,
            ids,
            with_payload=with_payload,
            with_vectors=with_vectors,
        )

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
        return await self._search(
            self._client.scroll,
            collection_name,
            scroll_filter=scroll_filter,
            limit=limit,
            offset=offset,
            with_payload=with_payload,
            with_vectors=with_vectors,
        )

    async def count(
        self,
        collection_name: str,
        *,
        count_filter: models.Filter | None = None,
    ) -> models.CountResult:
        return await self._search(
            self._client.count, collection_name, count_filter=count_filter, exact=True
        )

    async def facet(
        self,
        collection_name: str,
        key: str,
        *,
        facet_filter: models.Filter | None = None,
        limit: int,
    ) -> models.FacetResponse:
        return await self._search(
            self._client.facet,
            collection_name,
            key,
            facet_filter=facet_filter,
            limit=limit,
            exact=True,
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
        return await self._search(
            self._client.query_points,
            collection_name,
            query=query,
            using=using,
            query_filter=query_filter,
            limit=limit,
            with_payload=with_payload,
        )

    async def query_batch_points(
        self, collection_name: str, requests: Sequence[models.QueryRequest]
    ) -> list[QueryResponse]:
        return await self._search(self._client.query_batch_points, collection_name, requests)

    # Calls

    async def _search(self, call: Callable[..., Awaitable[T]], *args: Any, **options: Any) -> T:
        """A read that the server itself gives up at the deadline."""
        timeout = math.ceil(deadline.left(self._settings.read_timeout_s)) or 1
        return await self._read(call, *args, timeout=timeout, **options)

    async def _read(self, call: Callable[..., Awaitable[T]], *args: Any, **options: Any) -> T:
        seconds = self._settings.read_timeout_s
        return await attempt(seconds, True, lambda: call(*args, **options))

    async def _write_points(
        self, call: Callable[..., Awaitable[T]], *args: Any, **options: Any
    ) -> T:
        return await self._write(call, *args, ordering=ORDERING, **options)

    async def _write(self, call: Callable[..., Awaitable[T]], *args: Any, **options: Any) -> T:
        return await attempt(WRITE_TIMEOUT_S, True, lambda: call(*args, **options))

    async def _write_once(self, call: Callable[..., Awaitable[T]], *args: Any, **options: Any) -> T:
        """Repeated only where the first attempt cannot have reached the server."""
        return await attempt(WRITE_TIMEOUT_S, False, lambda: call(*args, **options))


def _parts(items: Sequence[T]) -> list[Sequence[T]]:
    starts = range(0, max(len(items), 1), POINTS_IN_A_WRITE)
    return [items[start : start + POINTS_IN_A_WRITE] for start in starts]


async def wait_for_server(
    engine: ServerEngine, seconds: float, say: Callable[[str], object]
) -> str:
    """Waits until the server answers, and says so; its version.

    Raises EngineUnavailable after `seconds`, EngineFailed for a refused API key or an old server.
    """
    ends = time.monotonic() + seconds
    waiting = False
    while True:
        try:
            version = await engine.read_version()
            await engine.get_collections()  # Unlike the version, this needs the API key.
            return version
        except EngineUnavailable:
            if not waiting:
                say(f"Waiting for the Qdrant server, {seconds:g} s at most ...")
                waiting = True
            if time.monotonic() >= ends:
                raise
            await asyncio.sleep(0.2)
