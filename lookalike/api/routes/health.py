"""For whoever watches the service: is it alive, is it ready."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get


@get("/healthz", opt={"scope": "public"}, sync_to_thread=False)
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@get("/readyz", opt={"scope": "public"})
async def readyz(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """200 once engine and default embedders are there, else 503 with what is missing."""
    ready, report = await request.app.state.readiness.report()
    status = "ready" if ready else "starting"
    return Response({"status": status, **report}, status_code=200 if ready else 503)
