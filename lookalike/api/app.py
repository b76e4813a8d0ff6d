"""The application: the one place where routes, dependencies and the lifespan come together."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, cast

from litestar import Litestar, Request
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
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
from lookalike.adapter.callers import SharedPlaces
from lookalike.adapter.errors import LookalikeError
from lookalike.api import error_responses, ignored_fields, request_paths
from lookalike.api.allowed_verbs import AllowedVerbs
from lookalike.api.arriving_bodies import ArrivingBodies
from lookalike.api.auth import tokens_from
from lookalike.api.dependencies import DEPENDENCIES, check_token
from lookalike.api.envelopes import mirror_status
from lookalike.api.lifespan import lifespan_of
from lookalike.api.openapi_document import ContractDocument, document_router
from lookalike.api.routes.account import Account
from lookalike.api.routes.collection_methods import CollectionMethods
from lookalike.api.routes.health import healthz, readyz
from lookalike.api.routes.image_methods import ImageMatching
from lookalike.api.routes.old_methods import OldMethods
from lookalike.api.routes.record_methods import RecordMethods
from lookalike.api.routes.run_log_methods import RunLogMethods
from lookalike.api.routes.search_methods import SearchMethods
from lookalike.api.settings import ENGINE_SOCKET, HttpSettings, Settings, from_environment
from lookalike.api.time_limit import TimeLimit

REQUEST_PLACES = 128
"""Requests under way in one process, of which one of several tokens has a share. More are taken:
each token has its own."""


ROUTES = (
    *(RecordMethods, SearchMethods, ImageMatching, OldMethods),
    *(CollectionMethods, RunLogMethods, Account, healthz, readyz),
)
DOCUMENT = OpenAPIConfig(
    title="Lookalike",
    version=__version__,
    use_handler_docstrings=True,
    render_plugins=[ContractDocument()],
    openapi_router=document_router(),
)


class JsonRequest(Request[Any, Any, Any]):
    """An empty body is read as `{}`: Litestar would not even ask the handler's DTO about it."""

    async def body(self) -> bytes:
        return await super().body() or b"{}"


class LookalikeApp(Litestar):
    """Litestar, with the provider's many paths mapped to ours before routing."""

    http_settings = HttpSettings()
    own_prefixes: frozenset[str] = frozenset()
    bodies = ArrivingBodies(http_settings.max_body_bytes)

    async def __call__(
        self,
        scope: Scope | LifeSpanScope,
        receive: Receive | LifeSpanReceive,
        send: Send | LifeSpanSend,
    ) -> None:
        if scope["type"] == ScopeType.HTTP:
            deadline.start(self.http_settings.request_timeout_s)
            ignored_fields.forget()
            request = cast(HTTPScope, scope)
            asked = request["path"]
            request["path"], prefix = request_paths.canonical(
                asked, self.http_settings.any_prefix, self.own_prefixes
            )
            with contextlib.ExitStack() as held:
                request.setdefault("state", {}).update(asked_path=asked, prefix=prefix, held=held)
                watched = self.bodies.watched(request, receive, held)
                await super().__call__(scope, watched, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings, engine_socket: Path | None = None) -> LookalikeApp:
    """An application on the Qdrant server that the settings name, or else on the embedded engine
    whose worker listens at `engine_socket`."""
    collections_by_prefix = request_paths.collections_by_prefix(settings.http)
    app = LookalikeApp(
        route_handlers=ROUTES,
        dependencies=DEPENDENCIES,
        guards=[check_token],
        exception_handlers={
            LookalikeError: error_responses.on_error,
            HTTPException: error_responses.on_http_exception,
            Exception: error_responses.on_exception,
        },
        lifespan=[lifespan_of(settings, engine_socket)],
        after_request=mirror_status if settings.http.mirror_status else None,
        middleware=[AllowedVerbs(), TimeLimit(settings.http.request_timeout_s)],
        request_class=JsonRequest,
        request_max_body_size=settings.http.max_body_bytes,
        openapi_config=DOCUMENT,
        logging_config=None,
        state=State(
            {
                "settings": settings,
                "tokens": tokens_from(settings.access),
                "request_places": SharedPlaces(REQUEST_PLACES, settings.access.token_share),
                "collections_by_prefix": collections_by_prefix,
            }
        ),
    )
    app.http_settings, app.own_prefixes = settings.http, frozenset(collections_by_prefix)
    app.bodies = ArrivingBodies(settings.http.max_body_bytes)
    return app


def create_app_from_environment() -> LookalikeApp:
    """What an API process starts with; the main process has put the engine's socket there."""
    socket = os.environ.get(ENGINE_SOCKET)
    return create_app(from_environment(), Path(socket) if socket else None)
