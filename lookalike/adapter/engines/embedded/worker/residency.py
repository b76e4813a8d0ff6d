"""The empty ends of a small shard's files need not be in memory.

The engine maps vectors in chunks of 32 MiB and reads all of each at loading, used or not: 45
records would keep 66 MiB of zeros resident. `release_pages` drops them from memory; they
come back from the page cache when they are touched. The mappings are shared with their files, so
nothing is lost. Linux only.
https://man7.org/linux/man-pages/man2/madvise.2.html
"""

from __future__ import annotations

import contextlib
import ctypes
from functools import cache
from pathlib import Path
from typing import Any

MADV_DONTNEED = 4
SMALL_BYTES = 8 << 20
"""Of vectors. Below this it is cheaper to read them again than to keep the whole 32 MiB chunk."""


def release_pages(shard: Path) -> None:
    """Removes the pages of a shard's shared mappings from this process. Never raises."""
    madvise = _madvise()
    if madvise is None:
        return
    folder = f"{shard.resolve()}/"
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            region, permissions, _, _, _, *path = line.split(maxsplit=5)
            # A private mapping may hold changes that are nowhere else.
            if permissions.endswith("s") and path and path[0].startswith(folder):
                begin, end = (int(address, 16) for address in region.split("-"))
                madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), MADV_DONTNEED)


@cache
def _madvise() -> Any:
    try:
        return getattr(ctypes.CDLL(None), "madvise", None)
    except (OSError, TypeError):
        return None
