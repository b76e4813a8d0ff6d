"""For whoever watches the service: is it alive, is it ready."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get

from lookalike.adapter.errors import Unauthorized


@get("/healthz", opt={"scope": "public"}, sync_to_thread=False)
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@get("/readyz", opt={"scope": "public"})
async def readyz(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """200 once engine and default embedders are there, else 503.

    What there is, and what is missing, is for tokens that administer the whole service.
    """
    ready, report = await request.app.state.readiness.report()
    status = "ready" if ready else "starting"
    if not _administers(request):
        report = {}
    return Response({"status": status, **report}, status_code=200 if ready else 503)


def _administers(request: Request[Any, Any, Any]) -> bool:
    try:
        grant = request.app.state.tokens.grant(request.headers.get("authorization"))
    except Unauthorized:
        return False
    return "admin" in grant.scopes and grant.collections is None
