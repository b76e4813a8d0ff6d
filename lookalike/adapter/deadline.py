"""How long the request at hand may still wait: for the engine, and for a picture from elsewhere.

A context variable and no argument: every call of an engine heeds it, and no plan has to carry it.
"""

from __future__ import annotations

import time
from contextvars import ContextVar

READ_TIMEOUT_S = 30.0
"""The most that a read waits for an engine, however much time its request has left."""

_ends: ContextVar[float | None] = ContextVar("lookalike_deadline", default=None)
_seconds: ContextVar[float] = ContextVar("lookalike_deadline_seconds")
_fetch_s: ContextVar[float | None] = ContextVar("lookalike_fetch_seconds", default=None)


def start(seconds: float) -> None:
    """From now on the present task and those that it starts have `seconds` left."""
    _seconds.set(seconds)
    _ends.set(time.monotonic() + seconds)


def restart() -> None:
    """From now on the task has as long again as it had at first, if it has a deadline at all."""
    if _ends.get() is not None:
        start(_seconds.get())


def limit_fetches(seconds: float) -> None:
    """From now on each `_url` of the present task has so many seconds, if not fewer anyway."""
    _fetch_s.set(seconds)


def fetch_limit_s() -> float | None:
    """What `limit_fetches` has set; None if nothing."""
    return _fetch_s.get()


def left(most: float) -> float:
    """Seconds that a call may take: `most`, or what the request has left, at least 0."""
    ends = _ends.get()
    return most if ends is None else max(0.0, min(most, ends - time.monotonic()))
