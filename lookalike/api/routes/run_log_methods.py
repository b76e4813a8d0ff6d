"""Logs of synchronisation runs, in the form of the provider's `similarity/v2/run-log/`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, urlencode

from litestar import Controller, get, post, put
from litestar import delete as http_delete
from litestar.params import QueryParameter

from lookalike.adapter.collections.run_logs import RunLog, RunLogService
from lookalike.adapter.collections.service import CollectionService
from lookalike.adapter.errors import CollectionNotFound, RunLogNotFound
from lookalike.api.auth import Grant
from lookalike.api.bodies import JsonBody
from lookalike.api.dependencies import AnyRequest, check_query, find_collection
from lookalike.api.schemas import NewRunLog, RunLogChange, RunLogPage

PAGE_SIZE = 100
NEEDS_READ = {"scope": "read"}
NEEDS_WRITE = {"scope": "write"}


class RunLogMethods(Controller):
    path = "/similarity/v2/run-log"
    tags = ("run logs",)
    guards = (check_query,)

    @get("/", opt=NEEDS_READ | {"query": {"collection", "page"}})
    async def list_all(
        self,
        request: AnyRequest,
        collections: CollectionService,
        run_logs: RunLogService,
        grant: Grant,
        wanted: Annotated[str | None, QueryParameter(name="collection")] = None,
        page: Annotated[int, QueryParameter(ge=1)] = 1,
    ) -> RunLogPage:
        """The logs of one collection, or of all that the token may use, newest first."""
        if wanted is None:
            named = [c for c in await collections.list_all() if grant.allows_collection(c.id)]
        else:
            named = [await find_collection(collections, wanted, grant)]
        count, logs = await run_logs.list_page([c.id for c in named], page, PAGE_SIZE)
        return RunLogPage(
            count,
            page_url(request, page + 1) if page * PAGE_SIZE < count else None,
            page_url(request, page - 1) if page > 1 else None,
            logs,
        )

    @post("/", status_code=201, opt=NEEDS_WRITE, dto=JsonBody[NewRunLog])
    async def create(
        self,
        data: NewRunLog,
        collections: CollectionService,
        run_logs: RunLogService,
        grant: Grant,
    ) -> RunLog:
        """Keeps `data` beside a collection."""
        collection = await find_collection(collections, data.collection, grant)
        return await run_logs.create(collection.id, data.data)

    @get("/{log_id:str}", opt=NEEDS_READ)
    async def show(
        self,
        log_id: str,
        collections: CollectionService,
        run_logs: RunLogService,
        grant: Grant,
    ) -> RunLog:
        return await find_run_log(log_id, collections, run_logs, grant)

    @put("/{log_id:str}", opt=NEEDS_WRITE, dto=JsonBody[RunLogChange])
    async def change(
        self,
        log_id: str,
        data: RunLogChange,
        collections: CollectionService,
        run_logs: RunLogService,
        grant: Grant,
    ) -> RunLog:
        """Replaces `data`."""
        log = await find_run_log(log_id, collections, run_logs, grant)
        return await run_logs.change(log, data.data)

    @http_delete("/{log_id:str}", status_code=204, opt=NEEDS_WRITE)
    async def remove(
        self,
        log_id: str,
        collections: CollectionService,
        run_logs: RunLogService,
        grant: Grant,
    ) -> None:
        await run_logs.delete(await find_run_log(log_id, collections, run_logs, grant))


async def find_run_log(
    log_id: str, collections: CollectionService, run_logs: RunLogService, grant: Grant
) -> RunLog:
    """Raises RunLogNotFound, also where the token may not use the collection of the log."""
    log = await run_logs.find(log_id)
    try:
        await find_collection(collections, log.collection, grant)
    except CollectionNotFound:
        raise RunLogNotFound from None
    return log


def page_url(request: AnyRequest, page: int) -> str:
    """Absolute: clients cut off the endpoint that they were given, and ask for what is left.

    A proxy says in `X-Forwarded-*` what was asked of it; it can only mislead its own client.
    """
    headers = request.headers
    scheme = headers.get("x-forwarded-proto", request.url.scheme)
    host = headers.get("x-forwarded-host") or headers.get("host", "")
    path = quote(request.scope["state"]["asked_path"])
    return f"{scheme}://{host}{path}?{urlencode(dict(request.query_params) | {'page': page})}"
