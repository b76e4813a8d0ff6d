"""OPTIONS: which verbs a path knows.

Litestar answers it too, but for a path of several handlers with the verbs of the first of them
(version 2.25: it makes the answer before it adds the others).
"""

from __future__ import annotations

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.response.base import ASGIResponse
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send


class AllowedVerbs(ASGIMiddleware):
    """Answers OPTIONS, to anybody."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """As the base."""
        if scope["type"] == ScopeType.HTTP and scope["method"] == "OPTIONS":
            allow = ("Allow", ", ".join(_verbs_of(scope)))
            await ASGIResponse(status_code=204, headers=[allow])(scope, receive, send)
        else:
            await next_app(scope, receive, send)


def _verbs_of(scope: HTTPScope) -> list[str]:
    return sorted(
        method
        for route in scope["litestar_app"].routes
        if isinstance(route, HTTPRoute) and route.path_format == scope["path_template"]
        for method in route.methods
    )
