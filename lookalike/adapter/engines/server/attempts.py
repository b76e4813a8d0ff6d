"""Calls to a Qdrant server: within the deadline, and again where a repetition is harmless."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import tenacity

from lookalike.adapter import deadline
from lookalike.adapter.engines.server.client_errors import CLIENT_ERRORS, NotSent, translated
from lookalike.adapter.errors import EngineUnavailable

ATTEMPTS = 4
BACKOFF = tenacity.wait_exponential(multiplier=0.1, max=2.0) + tenacity.wait_random(0, 0.1)

T = TypeVar("T")


async def attempt(seconds: float, repeatable: bool, call: Callable[[], Awaitable[T]]) -> T:
    """The answer of `call`, after some attempts if need be, `seconds` at most for all of them."""
    seconds = deadline.left(seconds)
    ends = time.monotonic() + seconds

    def again(error: BaseException) -> bool:
        if not isinstance(error, EngineUnavailable if repeatable else NotSent):
            return False
        # Where the server says when, and that is past the deadline, the client hears of it now.
        return time.monotonic() + _asked(error) < ends

    attempts = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(again),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=_pause,
        reraise=True,
    )
    try:
        async with asyncio.timeout(seconds):
            return await attempts(_translating, call)
    except TimeoutError:
        raise EngineUnavailable("The engine did not answer in time.") from None


def _pause(state: tenacity.RetryCallState) -> float:
    assert state.outcome is not None
    return max(BACKOFF(state), _asked(state.outcome.exception()))


def _asked(error: BaseException | None) -> float:
    """The seconds that the server asks to wait; a single one is our own default."""
    after = error.retry_after_s if isinstance(error, EngineUnavailable) else 1
    return 0.0 if after == 1 else float(after)


async def _translating(call: Callable[[], Awaitable[T]]) -> T:
    try:
        return await call()
    except CLIENT_ERRORS as error:
        raise translated(error) from error
