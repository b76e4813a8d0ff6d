"""Whose a request is, so that no one caller takes all places of what all of them share.

A context variable and no argument, as for the deadline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from lookalike.adapter.errors import TooManyRequests

_caller: ContextVar[bytes | None] = ContextVar("lookalike_caller", default=None)


def begin(caller: bytes | None) -> None:
    """The present task works for this caller; None where there is only one."""
    _caller.set(caller)


class SharedPlaces:
    """Places of one process, of which each caller has at most a share."""

    def __init__(self, places: int, share: float) -> None:
        self._most = max(1, int(places * share))
        self._taken: Counter[bytes] = Counter()

    @contextmanager
    def take(self, count: int, what: str) -> Iterator[None]:
        """Raises TooManyRequests where the caller would have more than its share.

        One who has none yet gets any number: a request that works alone is not refused.
        """
        caller = _caller.get()
        if caller is None:
            yield
            return
        taken = self._taken[caller]
        if taken and taken + count > self._most:
            raise TooManyRequests(f"This token has its share of {what} already; try again soon.")
        self._taken[caller] += count
        try:
            yield
        finally:
            self._taken[caller] -= count
            if not self._taken[caller]:
                del self._taken[caller]
