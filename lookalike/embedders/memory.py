"""Memory that images have used and nobody uses now goes back to the system."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


def trim_heap() -> None:
    """Some milliseconds of work, for idle moments. Does nothing without glibc.

    glibc keeps what is freed for the next request: after a hundred images that is as much again as
    the whole process needs. Having it return every large block at once would cost 40 % of the time
    of decoding and embedding; asking for it afterwards costs nothing that anybody waits for.
    https://man7.org/linux/man-pages/man3/malloc_trim.3.html
    """
    if (trim := _malloc_trim()) is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    try:
        return getattr(ctypes.CDLL(None), "malloc_trim", None)
    except (OSError, TypeError):  # no such handle on Windows
        return None
