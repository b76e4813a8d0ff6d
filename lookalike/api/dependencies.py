"""What handlers are given: the service that they need, the token's grant, the collection."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Annotated, Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.params import HeaderParameter

from lookalike.adapter import callers
from lookalike.adapter.collections import second_vector
from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.collections.service import CollectionService
from lookalike.adapter.errors import CollectionNotFound, InvalidRequest
from lookalike.api import request_paths
from lookalike.api.auth import Grant
from lookalike.api.bodies import decode_body, named_in_headers
from lookalike.api.ignored_fields import MAX_NAME_CHARACTERS
from lookalike.api.schemas import OfCollection

log = logging.getLogger("lookalike")

AnyRequest = Request[Any, Any, Any]

VECTOR_HEADER = "lookalike-vector"

NO_COLLECTION_OF_PREFIX = (
    "LOOKALIKE_PREFIX_COLLECTIONS names a collection that is not there, or not for this token"
)

# What the handlers of methods say of themselves: the status, and the scope that a token needs.
READ: dict[str, Any] = {"status_code": 200, "opt": {"scope": "read"}}
WRITE: dict[str, Any] = {"status_code": 200, "opt": {"scope": "write"}}
SEARCH: dict[str, Any] = {"status_code": 200, "opt": {"scope": "read", "searches": True}}
"""A search is answered by the vector that the header names."""


async def check_token(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Every handler says in `opt["scope"]` what it needs; one that says nothing needs admin.

    Asynchronous although it waits for nothing: Litestar runs other guards in a thread.
    """
    scope = handler.opt.get("scope", "admin")
    if scope == "public" or connection.scope["path"].startswith("/schema"):
        return
    grant = connection.app.state.tokens.grant(connection.headers.get("authorization"))
    if scope is not None:
        grant.require(scope)
    state = connection.scope["state"]
    state["grant"] = grant
    if connection.app.state.tokens.several:
        callers.begin(grant.digest)
        state["held"].enter_context(
            connection.app.state.request_places.take(1, "the requests under way")
        )


async def check_query(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Raises InvalidRequest for a parameter of the query that the handler does not name in
    `opt["query"]`: a misspelt one would answer something else than was asked.

    Clients of the provider name their `workspace`; there is one only.
    """
    for name in connection.query_params.keys() - handler.opt.get("query", set()) - {"workspace"}:
        raise InvalidRequest("there is no such parameter", place=f"?{name[:MAX_NAME_CHARACTERS]}")


async def find_collection(
    collections: CollectionService, id_or_name: str, grant: Grant
) -> Collection:
    """Raises CollectionNotFound, also for one that the token may not use: for it there is none.
    And AmbiguousName for a name that several have of those that it may use.
    """
    return await collections.find(id_or_name, grant.collections)


async def find_named_collection(
    request: AnyRequest, collections: CollectionService
) -> Collection | None:
    """The collection that a request is about; None where nothing names one.

    A header goes before the body, the body before the prefix of the path, and that before the
    token. Raises CollectionNotFound.
    """
    grant: Grant = request.scope["state"]["grant"]
    prefix: str | None = request.scope["state"]["prefix"]
    if named := named_in_headers(request.headers) or await _named_in_body(request):
        return await find_collection(collections, named, grant)
    if named := request.app.state.collections_by_prefix.get(prefix):
        try:
            return await find_collection(collections, named, grant)
        except CollectionNotFound:
            _warn_once(f"prefix {prefix}", NO_COLLECTION_OF_PREFIX)
            raise
    if named := grant.only_collection:
        return await find_collection(collections, named, grant)
    return None


async def _named_in_body(request: AnyRequest) -> str | None:
    """Reads the body once more, which costs something only to clients that send no header."""
    body = decode_body(await request.body(), OfCollection)
    return body.collection_id or body.collection


async def provide_collection(
    request: AnyRequest,
    collections: CollectionService,
    collection_id: Annotated[
        str | None, HeaderParameter(name="collection-id", description="Id of the collection")
    ] = None,
    vector: Annotated[
        str | None,
        HeaderParameter(
            name=VECTOR_HEADER, description="Name of the vector to search, where there are two"
        ),
    ] = None,
) -> Collection:
    """Raises InvalidRequest where nothing names a collection, and CollectionNotFound.

    A search gets the collection as seen by the vector that the header names.
    """
    collection = await find_named_collection(request, collections)
    if collection is None:
        raise InvalidRequest("The header collection-id is missing")
    _check_prefix(request, collection, request.app.state.settings.http.strict)
    if vector is not None and request.route_handler.opt.get("searches"):
        collection = second_vector.searched_by(collection, vector, VECTOR_HEADER)
    return collection


def _check_prefix(request: AnyRequest, collection: Collection, strict: bool) -> None:
    expected = request_paths.PREFIX_TYPES.get(request.scope["state"]["prefix"] or "")
    if expected is None or expected == collection.type:
        return
    text = f"The prefix is for {expected} collections; this is a {collection.type} collection"
    if strict:
        raise InvalidRequest(text)
    _warn_once(f"collection {collection.id}", text)


@functools.lru_cache(maxsize=1024)
def _warn_once(what: str, text: str) -> None:
    """A client with the wrong prefix has it in every request."""
    log.warning("%s: %s", what, text)


def _provide_grant(request: AnyRequest) -> Any:
    return request.scope["state"]["grant"]


def _of_state(name: str) -> Callable[[AnyRequest], Any]:
    def provide(request: AnyRequest) -> Any:
        return getattr(request.app.state, name)

    return provide


def _after_collection(name: str) -> Callable[[AnyRequest, Collection], Any]:
    """As `_of_state`, for a service that is used together with the collection.

    Litestar resolves dependencies that do not need one another side by side, in a task group, which
    costs 50 us a request; one after the other they cost 5 us each.
    """

    def provide(request: AnyRequest, collection: Collection) -> Any:
        del collection
        return getattr(request.app.state, name)

    return provide


OF_STATE = ("settings", "collections", "matching", "run_logs")
OF_COLLECTION = ("records", "searches")
"""What `lifespan` puts into the state of the application, for handlers under the same name."""

DEPENDENCIES = {
    **{name: Provide(_of_state(name), sync_to_thread=False) for name in OF_STATE},
    **{name: Provide(_after_collection(name), sync_to_thread=False) for name in OF_COLLECTION},
    "grant": Provide(_provide_grant, sync_to_thread=False),
    "collection": Provide(provide_collection),
}
