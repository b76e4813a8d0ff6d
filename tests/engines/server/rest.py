"""Qdrant's REST interface in front of the client's local mode.

What travels is parsed with the client's own models, so that whatever our engine puts on the wire is
valid REST. How Qdrant behaves is for a real server to show: `LOOKALIKE_TEST_QDRANT_URL`.
"""

from __future__ import annotations

import asyncio
import re
import threading
import warnings
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from pydantic_core import to_jsonable_python
from qdrant_client import AsyncQdrantClient
from qdrant_client.http import models as rest

from tests.engines.server.stub import Answer, Request, Stub, fault, ok

Local = AsyncQdrantClient
Call = Callable[..., Awaitable[Any]]
"""Takes the client, the names in the path (an empty one where there is none) and the body."""

UPDATED = {"operation_id": 1, "status": "completed"}


async def create(client: Local, name: str, body: rest.CreateCollection) -> bool:
    return await client.create_collection(
        name,
        vectors_config=body.vectors,
        sparse_vectors_config=body.sparse_vectors,
        metadata=body.metadata,
    )


async def exists(client: Local, name: str, _: Any) -> Any:
    return {"exists": await client.collection_exists(name)}


async def info(client: Local, name: str, _: Any) -> Any:
    found = to_jsonable_python(await client.get_collection(name))
    # The local mode has a configuration that no server would send.
    config = found["config"] | {
        "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000},
        "optimizer_config": {
            "deleted_threshold": 0.2,
            "vacuum_min_vector_number": 1000,
            "default_segment_number": 0,
            "flush_interval_sec": 5,
        },
    }
    return found | {"config": config}


async def upsert(client: Local, name: str, body: rest.PointsList) -> Any:
    await client.upsert(
        name, body.points, update_mode=body.update_mode, update_filter=body.update_filter
    )
    return UPDATED


async def retrieve(client: Local, name: str, body: rest.PointRequest) -> Any:
    return await client.retrieve(
        name,
        body.ids,
        with_payload=body.with_payload or False,
        with_vectors=body.with_vector or False,
    )


async def scroll(client: Local, name: str, body: rest.ScrollRequest) -> Any:
    points, after = await client.scroll(
        name,
        scroll_filter=body.filter,
        limit=body.limit or 10,
        offset=body.offset,
        with_payload=True if body.with_payload is None else body.with_payload,
        with_vectors=body.with_vector or False,
    )
    return {"points": points, "next_page_offset": after}


async def query(client: Local, name: str, body: rest.QueryRequest) -> Any:
    return await client.query_points(
        name,
        query=body.query,
        using=body.using,
        prefetch=body.prefetch,
        query_filter=body.filter,
        limit=body.limit or 10,
        offset=body.offset,
        score_threshold=body.score_threshold,
        with_payload=body.with_payload or False,
        with_vectors=body.with_vector or False,
    )


async def delete(client: Local, name: str, body: Any) -> Any:
    await client.delete(name, body)
    return UPDATED


async def batch(client: Local, name: str, body: rest.UpdateOperations) -> Any:
    await client.batch_update_points(name, body.operations)
    return [UPDATED] * len(body.operations)


async def facet(client: Local, name: str, body: rest.FacetRequest) -> Any:
    return await client.facet(name, body.key, facet_filter=body.filter, limit=body.limit or 10)


ROUTES: list[tuple[str, str, Any, Call]] = [
    ("GET", "/collections", None, lambda c, n, b: c.get_collections()),
    ("GET", "/aliases", None, lambda c, n, b: c.get_aliases()),
    (
        "POST",
        "/collections/aliases",
        rest.ChangeAliasesOperation,
        lambda c, n, b: c.update_collection_aliases(b.actions),
    ),
    ("GET", "/collections/(name)/exists", None, exists),
    ("PUT", "/collections/(name)", rest.CreateCollection, create),
    (
        "PATCH",
        "/collections/(name)",
        rest.UpdateCollection,
        lambda c, n, b: c.update_collection(n, metadata=b.metadata),
    ),
    ("DELETE", "/collections/(name)", None, lambda c, n, b: c.delete_collection(n)),
    ("GET", "/collections/(name)", None, info),
    (
        "PUT",
        "/collections/(name)/index",
        rest.CreateFieldIndex,
        lambda c, n, b: c.create_payload_index(n, b.field_name, b.field_schema),
    ),
    (
        "DELETE",
        "/collections/(name)/index/[^/]+",
        None,
        lambda c, n, b: c.delete_payload_index(n, "any"),
    ),
    (
        "PUT",
        "/collections/(name)/vectors/(name)",
        rest.DenseVectorNameConfig,
        lambda c, n, v, b: c.create_vector_name(n, v, b),
    ),
    (
        "DELETE",
        "/collections/(name)/vectors/(name)",
        None,
        lambda c, n, v, b: c.delete_vector_name(n, v),
    ),
    ("PUT", "/collections/(name)/points", rest.PointsList, upsert),
    ("POST", "/collections/(name)/points", rest.PointRequest, retrieve),
    ("POST", "/collections/(name)/points/scroll", rest.ScrollRequest, scroll),
    (
        "POST",
        "/collections/(name)/points/count",
        rest.CountRequest,
        lambda c, n, b: c.count(n, b.filter),
    ),
    ("POST", "/collections/(name)/points/query", rest.QueryRequest, query),
    (
        "POST",
        "/collections/(name)/points/query/batch",
        rest.QueryRequestBatch,
        lambda c, n, b: asyncio.gather(*(query(c, n, search) for search in b.searches)),
    ),
    ("POST", "/collections/(name)/points/batch", rest.UpdateOperations, batch),
    ("POST", "/collections/(name)/points/delete", rest.PointIdsList, delete),
    ("POST", "/collections/(name)/facet", rest.FacetRequest, facet),
]


class RestServer(Stub):
    """Runs in a thread of its own, so that processes under test can speak to it as well."""

    def __init__(self, version: str = "1.20.0") -> None:
        super().__init__(answer=self._answer)
        self._version = version
        self._client = AsyncQdrantClient(":memory:")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> RestServer:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def away(self) -> None:
        """From now on each connection is broken off."""
        self.answer = lambda _: None

    def back(self) -> None:
        self.answer = self._answer

    async def _answer(self, request: Request) -> Answer:
        self.requests.clear()  # Nobody asks for them here, and they hold vectors.
        if request.path == "/":
            return 200, {}, {"title": "qdrant", "version": self._version}
        for method, pattern, model, call in ROUTES:
            match = re.fullmatch(pattern.replace("(name)", "([^/]+)"), request.path)
            if match and method == request.method:
                names = [unquote(name) for name in match.groups()] or [""]
                body = None if model is None else model.model_validate(request.body)
                return await self._call(call, names, body)
        return fault(404, f"no such path: {request.method} {request.path}")

    async def _call(self, call: Call, names: list[str], body: Any) -> Answer:
        with warnings.catch_warnings():
            # It has no use for payload indexes, and says so.
            warnings.simplefilter("ignore")
            try:
                return ok(to_jsonable_python(await call(self._client, *names, body)))
            except KeyError as error:
                return fault(404, f"No point with id {error} found")
            except ValueError as error:
                status = 404 if "not found" in str(error) else 400
                return fault(status, str(error).replace("Point ", "No point with id "))
