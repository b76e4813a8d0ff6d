"""Bodies of requests on their way in: bounded in all, and not arbitrarily slow.

A body is in memory until it is whole. So large ones take what they may need from a budget that all
share, and one that does not keep to a least rate is given up: it would hold what others wait for.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from litestar.types import LifeSpanReceive, Receive, Scope

from lookalike.adapter.errors import BodyTooSlow, Unavailable
from lookalike.embedders.images.byte_budget import ByteBudget, Hold

FREE_BYTES = 1_000_000
"""What any body may have without asking."""
ALL_BYTES = 256_000_000
"""What larger ones may have together; one more waits."""
PATIENCE_S = 10.0
"""For a start, for a pause, and for others' bodies to go."""
LEAST_S = 1.0
"""However late it is: this process itself may have been busy."""
LEAST_BYTES_PER_S = 100_000
"""Half of what a mobile phone sends in a bad place."""


class ArrivingBodies:
    """The bodies of one process."""

    def __init__(self, max_body_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self._budget = ByteBudget(max(ALL_BYTES, max_body_bytes))

    def watched(
        self, scope: Scope, receive: Receive | LifeSpanReceive, held: contextlib.ExitStack
    ) -> Receive:
        """`receive` within the limits. What the body has is given back when `held` is closed.

        Raises BodyTooSlow, and Unavailable where others' bodies leave no room.
        """
        hold = held.enter_context(contextlib.closing(Hold(self._budget, FREE_BYTES)))
        begun, arrived, whole = time.monotonic(), 0, False
        most = _announced(scope) or self._max_body_bytes

        ask = cast(Callable[[], Awaitable[Any]], receive)

        async def receive_watched() -> Any:
            nonlocal arrived, whole, begun
            if whole:
                return await ask()
            left_s = begun + PATIENCE_S + arrived / LEAST_BYTES_PER_S - time.monotonic()
            try:
                async with asyncio.timeout(max(LEAST_S, left_s)):
                    message = await ask()
            except TimeoutError:
                raise BodyTooSlow("The request body arrives too slowly.") from None
            arrived += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if not whole and hold.needs_more(arrived):
                waited = time.monotonic()
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        await hold.take(most)
                except TimeoutError:
                    text = "Too many large requests are under way; try again soon."
                    raise Unavailable(text) from None
                begun += time.monotonic() - waited
            return message

        return receive_watched


def _announced(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None
