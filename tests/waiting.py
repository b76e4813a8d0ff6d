"""Waiting for what a test needs, never for a time: a machine may be busy with other work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 120.0
"""What has not come true after so long is a failure. On a quiet machine a start takes 2 s."""
STEP_SECONDS = 0.02


def wait_until(
    condition: Callable[[], T], expected: str, patience_seconds: float = PATIENCE_SECONDS
) -> T:
    """What the condition answers, as soon as that is true. `expected` names it in the failure."""
    end = time.monotonic() + patience_seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f"within {patience_seconds:g} s not true: {expected}"
        time.sleep(STEP_SECONDS)
    return answer


async def until(
    condition: Callable[[], T], expected: str, patience_seconds: float = PATIENCE_SECONDS
) -> T:
    """The same in an event loop, which goes on meanwhile."""
    end = time.monotonic() + patience_seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f"within {patience_seconds:g} s not true: {expected}"
        await asyncio.sleep(STEP_SECONDS / 10)
    return answer
