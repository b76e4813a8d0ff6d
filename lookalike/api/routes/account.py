"""The calls around the service that clients make before or beside it."""

from __future__ import annotations

import uuid
from typing import Any

from litestar import Controller, get, post

from lookalike.adapter.collections.store import now
from lookalike.api.bodies import JsonBody
from lookalike.api.dependencies import check_query
from lookalike.api.schemas import AsynchronousRequest, Authorize
from lookalike.api.settings import Settings

NOT_SUPPORTED = "NOT_SUPPORTED"
"""The provider's state of an asynchronous request that no service takes."""


class Account(Controller):
    tags = ("account",)
    opt = {"scope": None}  # noqa: RUF012  any valid token

    @post("/authorization/v2/authorize", status_code=200, dto=JsonBody[Authorize])
    async def authorize(self, data: Authorize, settings: Settings) -> dict[str, Any]:
        """Almost every client's first call: passes for a valid token, whatever the service."""
        service = data.service or data.service_name
        return {"user_id": settings.http.user_id, "service": service}

    @get("/account/v2/user", guards=[check_query])
    async def user(self, settings: Settings) -> dict[str, Any]:
        return _user(settings)

    @get("/account/v2/details", guards=[check_query])
    async def details(self, settings: Settings) -> dict[str, Any]:
        # Clients find the counters at the top level or under `stats`, by the page they followed.
        counters = {"credits_counter": 0, "credits_limit": None}
        return _user(settings) | counters | {"stats": counters}

    @get("/account/v2/workspace", guards=[check_query])
    async def workspaces(self, settings: Settings) -> dict[str, Any]:
        return _page([{"id": settings.http.user_id, "name": "Default"}])

    # Whatever is asked of the empty lists, nothing is the right answer.

    @get("/account/v2/resource")
    async def resources(self) -> dict[str, Any]:
        return _page([])

    @get("/account/v2/reports")
    async def reports(self) -> dict[str, Any]:
        return _page([])

    @get("/account/v2/config/{kind:str}", guards=[check_query], opt={"query": {"version"}})
    async def config(self, kind: str, version: str | None = None) -> dict[str, Any]:
        """Empty, in every version."""
        del version
        return {"type": kind, "config": {}}

    @post("/account/v2/request", status_code=200, dto=JsonBody[AsynchronousRequest])
    async def submit(self, data: AsynchronousRequest, settings: Settings) -> dict[str, Any]:
        """Nothing here is done asynchronously, and nothing is kept: the answer says so at once."""
        return {
            "id": str(uuid.uuid4()),
            "status": NOT_SUPPORTED,
            "type": data.type,
            "created": now(),
            "workspace": settings.http.user_id,
        }

    @get("/account/v2/request")
    async def requests(self) -> dict[str, Any]:
        return _page([])

    @get("/account/v2/request/{request_id:uuid}")
    async def request(self, request_id: uuid.UUID) -> dict[str, Any]:
        """Any id is that of a request which was not supported."""
        return {"id": str(request_id), "status": NOT_SUPPORTED, "type": None, "response": None}

    @get("/account/v2/request/{request_id:uuid}/status")
    async def request_status(self, request_id: uuid.UUID) -> dict[str, Any]:
        del request_id
        return {"status": NOT_SUPPORTED}


def _user(settings: Settings) -> dict[str, Any]:
    return {
        "id": settings.http.user_id,
        "email": "",
        "first_name": "",
        "last_name": "",
        "phone": "",
        "organization": "",
        "verified": True,
        "default_workspace": settings.http.user_id,
        "pricing_plan": {"name": "Self-hosted", "description": "No limits but your machine's."},
    }


def _page(results: list[Any]) -> dict[str, Any]:
    return {"count": len(results), "next": None, "previous": None, "results": results}
