"""The application: the one place where everything is put together."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated, Any, cast

from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.params import HeaderParameter
from litestar.types import (
    HTTPScope,
    LifeSpanReceive,
    LifeSpanScope,
    LifeSpanSend,
    Receive,
    Scope,
    Send,
)

from lookalike import __version__
from lookalike.adapter import deadline
from lookalike.adapter.collections import defaults
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.store import Collection
from lookalike.adapter.errors import InvalidRequest, LookalikeError
from lookalike.api import error_responses, paths, vectors
from lookalike.api.auth import Grant
from lookalike.api.engine_connection import connect
from lookalike.api.routes.account import Account
from lookalike.api.routes.collection_methods import Collections
from lookalike.api.routes.health import healthz, readyz
from lookalike.api.routes.image_matching import ImageMatching
from lookalike.api.routes.record_methods import RecordMethods
from lookalike.api.routes.search_methods import Searches
from lookalike.api.services import Services
from lookalike.api.settings import Settings, from_environment

log = logging.getLogger("lookalike")

ENGINE_SOCKET = "LOOKALIKE_INTERNAL_ENGINE_SOCKET"
MAIN_PID = "LOOKALIKE_INTERNAL_MAIN_PID"

CACHE_REFRESH_SECONDS = 2.0
MAIN_PROCESS_SECONDS = 0.5

AnyRequest = Request[Any, Any, Any]


class JsonRequest(Request[Any, Any, Any]):
    """An empty body is read as `{}`: Litestar would not even ask the handler's DTO about it."""

    async def body(self) -> bytes:
        return await super().body() or b"{}"


class LookalikeApp(Litestar):
    """Litestar, with the provider's many paths mapped to ours before routing."""

    any_prefix = False
    request_timeout_s = 300.0

    async def __call__(
        self,
        scope: Scope | LifeSpanScope,
        receive: Receive | LifeSpanReceive,
        send: Send | LifeSpanSend,
    ) -> None:
        if scope["type"] == ScopeType.HTTP:
            deadline.start(self.request_timeout_s)
            request = cast(HTTPScope, scope)
            asked = request["path"]
            request["path"], prefix = paths.canonical(asked, self.any_prefix)
            request.setdefault("state", {}).update(asked_path=asked, prefix=prefix)
        await super().__call__(scope, receive, send)


def create_app(settings: Settings, engine_socket: Path | None = None) -> LookalikeApp:
    """An application on the Qdrant server that the settings name, or else on the embedded engine
    whose worker listens at `engine_socket`."""

    app = LookalikeApp(
        route_handlers=[
            RecordMethods,
            Searches,
            ImageMatching,
            Collections,
            Account,
            healthz,
            readyz,
        ],
        dependencies={
            "services": Provide(provide_services, sync_to_thread=False),
            "grant": Provide(provide_grant, sync_to_thread=False),
            "collection": Provide(provide_collection),
        },
        guards=[check_token],
        exception_handlers={
            LookalikeError: error_responses.on_error,
            HTTPException: error_responses.on_http_exception,
            Exception: error_responses.on_exception,
        },
        lifespan=[lifespan_of(settings, engine_socket)],
        request_class=JsonRequest,
        request_max_body_size=settings.max_body_bytes,
        openapi_config=OpenAPIConfig(
            title="Lookalike", version=__version__, use_handler_docstrings=True
        ),
        logging_config=None,
    )
    app.any_prefix = settings.any_prefix
    app.request_timeout_s = settings.request_timeout_s
    return app


def lifespan_of(
    settings: Settings, engine_socket: Path | None
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """What lives as long as the application: the services, and what looks after them."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        engine = await connect(settings, engine_socket)
        services = Services(settings, engine)
        app.state.services = services
        readiness = app.state.readiness = Readiness(services)
        tasks = [
            asyncio.create_task(readiness.prepare()),
            asyncio.create_task(keep_refreshing(services.cache)),
            asyncio.create_task(end_with_main_process()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await services.close()

    return lifespan


def create_app_from_environment() -> LookalikeApp:
    """What an API process starts with; the main process has put the engine's socket there."""
    socket = os.environ.get(ENGINE_SOCKET)
    return create_app(from_environment(), Path(socket) if socket else None)


class Readiness:
    """Ready means that the engine answers and the default embedders are loaded."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._embedder = "loading"

    async def prepare(self) -> None:
        try:
            for name in defaults.embedders_at_start(self._services.settings.embedder):
                await self._services.embedders.get(name)
        except Exception as error:
            self._embedder = f"failed: {error}"
            log.exception("a default embedder cannot be loaded")
        else:
            self._embedder = "ready"

    async def report(self) -> tuple[bool, dict[str, Any]]:
        try:
            engine = await self._services.engine.health()
        except LookalikeError as error:
            return False, {"engine": error.text, "embedder": self._embedder}
        ready = self._embedder == "ready"
        return ready, {"engine": engine, "embedder": self._embedder}


async def keep_refreshing(cache: CollectionCache) -> None:
    """Other processes and the command line change collections too."""
    while True:
        with contextlib.suppress(LookalikeError):
            await cache.refresh()
        await asyncio.sleep(CACHE_REFRESH_SECONDS)


async def end_with_main_process() -> None:
    """Ends an API process whose main process was killed, so that the port is free for the next."""
    main = int(os.environ.get(MAIN_PID, os.getpid()))
    # A process gets no event from the end of its parent, only another parent.
    while main in (os.getpid(), os.getppid()):  # noqa: ASYNC110
        await asyncio.sleep(MAIN_PROCESS_SECONDS)
    log.error("the main process is gone")
    os.kill(os.getpid(), signal.SIGTERM)


async def check_token(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Every handler says in `opt["scope"]` what it needs; one that says nothing needs admin.

    Asynchronous although it waits for nothing: Litestar runs other guards in a thread.
    """
    scope = handler.opt.get("scope", "admin")
    if scope == "public" or connection.scope["path"].startswith("/schema"):
        return
    grant = connection.app.state.services.tokens.grant(connection.headers.get("authorization"))
    if scope is not None:
        grant.require(scope)
    connection.scope["state"]["grant"] = grant


def provide_services(request: AnyRequest) -> Services:
    services: Services = request.app.state.services
    return services


def provide_grant(request: AnyRequest) -> Grant:
    grant: Grant = request.scope["state"]["grant"]
    return grant


async def provide_collection(
    request: AnyRequest,
    services: Services,
    collection_id: Annotated[
        str | None, HeaderParameter(name="collection-id", description="Id of the collection")
    ] = None,
    vector: Annotated[
        str | None,
        HeaderParameter(
            name=vectors.HEADER, description="Name of the vector to search, where there are two"
        ),
    ] = None,
) -> Collection:
    """Raises InvalidRequest for a missing header, CollectionNotFound and Forbidden.

    A search gets the collection as seen by the vector that answers it; see `vectors.chosen`.
    """
    wanted = services.collection_named_by(request.headers)
    if wanted is None:
        raise InvalidRequest("The header collection-id is missing")
    collection = await services.collection(wanted, request.scope["state"]["grant"])
    _check_prefix(request, collection, services.settings.strict)
    if request.route_handler.opt.get("searches"):
        collection = vectors.chosen(collection, vector, await request.body())
    return collection


def _check_prefix(request: AnyRequest, collection: Collection, strict: bool) -> None:
    expected = paths.PREFIX_TYPES.get(request.scope["state"]["prefix"] or "")
    if expected is None or expected == collection.type:
        return
    text = f"The prefix is for {expected} collections; this is a {collection.type} collection"
    if strict:
        raise InvalidRequest(text)
    _warn_once(collection.id, text)


@functools.lru_cache(maxsize=1024)
def _warn_once(collection_id: str, text: str) -> None:
    """A client with the wrong prefix has it in every request."""
    log.warning("collection %s: %s", collection_id, text)
