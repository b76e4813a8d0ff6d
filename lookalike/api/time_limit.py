"""A request ends when its time is over, whatever it waits for, and its work ends with it."""

from __future__ import annotations

import asyncio

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.adapter.errors import Unavailable


class TimeLimit(ASGIMiddleware):
    """Cancels what is not answered after `seconds`.

    A long answer has as long again after each of its parts, as `deadline.restart` gives its reads.
    One that has begun cannot become an error: its connection ends before it is complete.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Raises Unavailable."""
        begun = False
        limit = asyncio.timeout(self._seconds)

        async def send_in_time(message: Message) -> None:
            nonlocal begun
            begun = True
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time() + self._seconds)
            await send(message)

        try:
            async with limit:
                await next_app(scope, receive, send_in_time)
        except TimeoutError:
            if begun or not limit.expired():
                raise
            text = f"The request took more than {self._seconds:g} seconds, and was given up."
            raise Unavailable(text) from None
